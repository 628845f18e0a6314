"""Columns of pictures and of captions, found by what their names look like, and the captions of a row."""

import ast
import json
import re
from contextlib import suppress
from typing import Any
from unicodedata import normalize

from datasets import ClassLabel

from helpers.errors import DataError
from helpers.reading.rows import Listed, Stored
from helpers.text import folded, visible, whole

# The names, folded, of columns that hold captions; the likeliest first.
CAPTIONS = "captions caption text texts sentences sentence sentencesraw raw comments comment descriptions description"
CAPTIONS = (*CAPTIONS.split(), "alttext", "answers", "answer", "txt", "json")
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_TEXTS = re.compile(rf"\s*[\[(]\s*(?:(?:{_TEXT}|None|nan|null)[\s,]*)+[\])]\s*", re.DOTALL)  # as Python or numpy write
_LIST = re.compile(r"""\s*[\[(]\s*["'].*["']\s*,?\s*[\])]\s*""", re.DOTALL)
# What pandas and spreadsheets write where there is nothing, or a formula that fails.
_NOTHING = re.compile(r"nan|<NA>|None|#N/A|#(NAME\?|REF!|VALUE!|DIV/0!)", re.IGNORECASE)


def picture_column(table: Listed, name: str) -> str:
    """The column that holds the pictures, or a DataError that names the columns; `name` is the data set's."""
    if table.picture:
        return table.picture
    known, columns = "image" if isinstance(table, Stored) else "file_name, image or path", ", ".join(table.columns)
    raise DataError(f"{name} has no column of pictures ({known}); its columns are {columns}; rename one.")


def caption_columns(table: Listed, name: str, asked: str | list[str] | None, picture: str) -> list[str]:
    """The columns that hold the captions: those asked for, or the likeliest by their names, numbered ones together."""
    if asked is None:
        known = {column: _stem(column) for column in table.columns if column != picture}
        best = min((CAPTIONS.index(stem) for stem in known.values() if stem in CAPTIONS), default=None)
        columns = [column for column, stem in known.items() if best is not None and stem == CAPTIONS[best]]
        columns.sort(key=lambda column: int(re.search(r"\d*$", column)[0] or -1))
    else:
        names = {folded(column): column for column in reversed(table.columns)}
        columns = [
            column if column in table.columns else names.get(folded(column), column)
            for column in ([asked] if isinstance(asked, str) else asked)
        ]
    missing = [column for column in columns if column not in table.columns]
    if missing or not columns:
        what = f"no column named {missing[0]}" if missing else "no column of captions that is recognised"
        others = [column for column in table.columns if column != picture]
        if len(others) > 10:
            some = table.part(list(range(min(20, len(table.rows)))))
            others = [column for column in others if any(isinstance(v, (str, list)) for v in some.values(column))]
        raise DataError(f"{name} has {what}; name it with caption_columns, one or several of {', '.join(others)}.")
    for column in columns:
        kind = getattr(table.rows, "features", {}).get(column)
        if isinstance(kind := getattr(kind, "feature", kind), ClassLabel):
            raise DataError(
                f"{name}: the column {column} holds numbers of classes ({', '.join(kind.names)[:60]}) and no captions; "
                f"write a sentence for each class into a column of its own, or name another with caption_columns."
            )
    return columns


def passed_over(table: Listed, picture: str, texts: list[str]) -> list[str]:
    """What is said of columns that might have been meant: whose name is taken, or that may hold captions too."""
    notes = [
        f"left out the column {column}, because its name is given to what {used} holds; rename it"
        for column, used in (("image", picture), ("captions", " and ".join(texts)))
        if column in table.columns and column not in (picture, *texts)
    ]
    used = {_stem(column) for column in texts}
    others = [
        c for c in table.columns if _stem(c) in CAPTIONS and _stem(c) not in used and c not in (picture, "captions")
    ]
    told = f"its captions are taken from {' and '.join(texts)}; what may hold some, too, stays: {', '.join(others)}"
    return [*notes, told] if others else notes


def captions_of(row: dict[str, Any], columns: list[str]) -> tuple[list[str], list[tuple[str, str]], int]:
    """The captions of a row that can be used; what is wrong with the others, its kind and the sentence; hidden signs.

    Signs that cannot be seen are taken out; the number is that of the captions that held some.

    A column holds one or a list of them, as texts, as {"raw": text}, as Karpathy's splits keep them, or as a list that
    was written as a text. Of several columns, those that a row leaves empty do not count.
    """
    values = [_listed(row.get(column)) for column in columns]
    texts = [_raw(text) for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [text for text in texts if len(columns) == 1 or text not in (None, "")] or [None]
    good, bad, hidden = [], [], 0
    for text in texts:
        if fault := _caption_fault(text, f"in the column {' or '.join(columns)}"):
            bad.append(fault)
        else:
            good.append(visible(text).strip())
            hidden += len(good[-1]) < len(normalize("NFC", text).strip())
    return good, bad, hidden


def _listed(value: Any) -> Any:
    """A value as it stands, or the list or object that its text is written as, by JSON, Python, numpy or pandas."""
    if isinstance(value, str) and re.fullmatch(r"\s*[\[({].*[\])}]\s*", value, re.DOTALL):
        for read in (json.loads, _texts, ast.literal_eval):
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                if isinstance(found := read(value), (list, tuple, dict)):
                    return _raw(list(found) if isinstance(found, tuple) else found)
    return _raw(value)


def _texts(value: str) -> list[str | None] | None:
    """The texts between brackets; numpy puts no commas between them, so that Python would make them one."""
    if _TEXTS.fullmatch(value):
        found = re.findall(rf"{_TEXT}|None|nan|null", value, re.DOTALL)
        return [ast.literal_eval(text) if text[0] in "'\"" else None for text in found]


def _raw(value: Any) -> Any:
    keys = ("raw", "caption", "text") if isinstance(value, dict) else ()
    return next((value[key] for key in keys if key in value), value)


def _caption_fault(text: Any, where: str) -> tuple[str, str] | None:
    """What is wrong with a caption: its kind, and the sentence."""
    if text is None or text != text or (isinstance(text, str) and _NOTHING.fullmatch(text.strip())):
        return "no caption", f"it has no caption {where}; write one"
    if not isinstance(text, str) or re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", text):
        why = f"its caption {repr(text)[:40]} {where} is no text; write a sentence, or name another"
        return "a caption that is no text", why
    if re.search("[\udc80-\udcff]", text):  # what a byte becomes that is no UTF-8
        why = f"its caption {whole(text)!r:.40} {where} is not in UTF-8; save its file anew as UTF-8"
        return "a caption in another coding", why
    if text != whole(text):
        return "a caption that is no text", f"its caption {text!r:.40} {where} holds half a letter; write it anew"
    if _LIST.fullmatch(text):
        why = f"its caption {text!r:.40} {where} is a list that cannot be read; write it as JSON"
        return "a list that cannot be read", why
    if not visible(text).strip():
        return "an empty caption", f"its caption {where} is empty; write one"
    return None


def _stem(column: str) -> str:
    """A column's name, folded, without its number: caption_2 stands beside caption."""
    return folded(column).rstrip("0123456789")
