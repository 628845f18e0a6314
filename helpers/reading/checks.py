"""Checks of a data set's rows: captions and pictures that cannot be used, each with its reason."""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from helpers.errors import DataError
from helpers.reading.looks import looks
from helpers.reading.rows import Listed, Stored
from helpers.text import folded, visible, whole

# The names, folded, of columns that hold captions; the likeliest first.
CAPTIONS = (
    "captions",
    "caption",
    "text",
    "texts",
    "sentences",
    "sentence",
    "sentencesraw",
    "raw",
    "comments",
    "comment",
)
CAPTIONS += ("descriptions", "description", "alttext", "answers", "answer", "txt", "json")
Faults = dict[int, tuple[str, str]]  # row number → the kind of fault, and the sentence about it
_EMPTY = Features({"image": Image(), "captions": List(Value("string"))})
_LIST = re.compile(r"""\s*(\[\s*["'].*["']\s*,?\s*\]|\(\s*["'].*["']\s*,?\s*\))\s*""", re.DOTALL)


class Checked(NamedTuple):
    """What was found in the rows of a split."""

    dataset: Dataset  # the rows that can be used, with the columns image and captions
    faults: Faults  # why the others cannot
    notes: list[str]  # what was read otherwise than it stands
    rows: int  # how many there were


def usable(table: Listed, name: str, split: str, caption_columns: str | list[str] | None) -> Checked:
    """Checks every row of a split; the names of the data set and the split are for sentences.

    Rows of a file that name the same picture become one, with the captions of all.

    Raises:
        DataError: there are no rows, no column of pictures or none of captions, or classes in its place.
    """
    if not len(table.rows):
        raise DataError(f"{name}: the split {split} has no rows; add some, or remove the split.")
    if not table.columns:
        raise DataError(f"{name}: no row of the split {split} can be read; of the first one: {table.faults.get(0)}.")
    picture = _picture_column(table, name)
    texts = _caption_columns(table, name, caption_columns, picture)
    rows = table.rows.select_columns(texts) if isinstance(table, Stored) else table.rows
    captions, spared, faults = [], [], {}
    for i, row in enumerate(table.rows.select_columns(texts) if isinstance(table, Stored) else table.rows):
        good, bad = _captions(row, texts)
        captions.append(good)
        if not good:
            faults[i] = bad[0]
        spared += [(kind, i) for kind, _ in bad] if good else []
    faults |= {i: ("a fault in its table", why) for i, why in table.faults.items()}
    notes = [*table.notes, *_spared(spared), *_aside(table, picture, texts)]
    numbers = [i for i in range(len(captions)) if i not in faults]
    rows_of: dict[Path | int, list[int]] = {}  # a picture's file, or its row where it lies in there → its rows

    def files() -> Iterator[Path | bytes]:
        for i, stored in zip(numbers, table.pictures(picture, numbers), strict=True):
            file = _picture_file(stored, table)
            if isinstance(file, str):
                faults[i] = ("a picture that cannot be read", file)
                continue
            rows = rows_of.setdefault(file if isinstance(file, Path) else i, [])
            rows.append(i)
            if len(rows) == 1:
                yield file

    try:
        found = list(looks(files(), len(numbers), f"Checking {split}"))
    except (pyarrow.ArrowException, TypeError, ValueError):
        kind = table.rows.features[picture]
        raise DataError(f"{name}: the column {picture} holds no pictures (it is {kind}); rename it.") from None
    for rows, look in zip(rows_of.values(), found, strict=True):
        if look.why:
            why = look.why.rstrip(".").replace(f"{table.folder}/", "").removeprefix("The picture ")
            faults |= dict.fromkeys(rows, ("a picture that cannot be read", f"its picture {why}"))
    kept = [(rows, look.digest) for rows, look in zip(rows_of.values(), found, strict=True) if not look.why]
    dataset = Dataset.from_dict({"image": [], "captions": []}, features=_EMPTY)
    if kept:
        groups = [rows for rows, _ in kept]
        together = [[text for i in rows for text in captions[i]] for rows in groups]
        digests = [digest for _, digest in kept]
        dataset = table.dataset([rows[0] for rows in groups], picture, texts, together, digests)
        notes += _grouped(table, groups, dataset.column_names)
    notes += [table.find.note] if table.find.note else []
    return Checked(dataset, dict(sorted(faults.items())), notes, len(captions))


def _picture_column(table: Listed, name: str) -> str:
    if columns := table.picture_columns():
        return columns[0]
    known = "image" if isinstance(table, Stored) else "file_name, image or path"
    raise DataError(
        f"{name} has no column of pictures ({known}); its columns are {', '.join(table.columns)}; rename one."
    )


def _caption_columns(table: Listed, name: str, asked: str | list[str] | None, picture: str) -> list[str]:
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
        others = ", ".join(column for column in table.columns if column != picture)
        raise DataError(f"{name} has {what}; name it with caption_columns, one or several of {others}.")
    for column in columns:
        kind = getattr(table.rows, "features", {}).get(column)
        if isinstance(kind := getattr(kind, "feature", kind), ClassLabel):
            raise DataError(
                f"{name}: the column {column} holds numbers of classes ({', '.join(kind.names)[:60]}) and no captions; "
                f"write a sentence for each class into a column of its own, or name another with caption_columns."
            )
    return columns


def _stem(column: str) -> str:
    """A column's name, folded, without its number: caption_2 stands beside caption."""
    return folded(column).rstrip("0123456789")


def _captions(row: dict[str, Any], columns: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The captions of a row that can be used, and what is wrong with the others: its kind, and the sentence.

    A column holds one or a list of them, as texts, as {"raw": text}, as Karpathy's splits keep them, or as a list that
    was written as a text. Of several columns, those that a row leaves empty do not count.
    """
    values = [_listed(row.get(column)) for column in columns]
    texts = [_raw(text) for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [text for text in texts if len(columns) == 1 or text not in (None, "")] or [None]
    good, bad = [], []
    for text in texts:
        if fault := _caption_fault(text, f"in the column {' or '.join(columns)}"):
            bad.append(fault)
        else:
            good.append(text.strip())
    return good, bad


def _listed(value: Any) -> Any:
    """A value as it stands, or the list that its text is written as, by JSON, Python or pandas."""
    if isinstance(value, str) and _LIST.fullmatch(value):
        for read in (json.loads, ast.literal_eval):
            # Python joins texts with no comma between them, as numpy writes them, into one.
            if read is json.loads or not re.search(r"""["']\s+["']""", value):
                with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                    return list(read(value))
    return _raw(value)


def _raw(value: Any) -> Any:
    keys = ("raw", "caption", "text") if isinstance(value, dict) else ()
    return next((value[key] for key in keys if key in value), value)


def _caption_fault(text: Any, where: str) -> tuple[str, str] | None:
    """What is wrong with a caption: its kind, and the sentence."""
    if text is None or text != text:  # NaN, which pandas writes for nothing
        return "no caption", f"it has no caption {where}; write one"
    if not isinstance(text, str) or re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", text):
        why = f"its caption {repr(text)[:40]} {where} is no text; write a sentence, or name another"
        return "a caption that is no text", why
    if re.search("[\udc80-\udcff]", text):  # what a byte becomes that is no UTF-8
        why = f"its caption {whole(text)!r:.40} {where} is not in UTF-8; save the table anew as UTF-8"
        return "a caption in another coding", why
    if text != whole(text):
        return "a caption that is no text", f"its caption {text!r:.40} {where} holds half a letter; write it anew"
    if _LIST.fullmatch(text):
        why = f"its caption {text!r:.40} {where} is a list that cannot be read; write it as JSON"
        return "a list that cannot be read", why
    if not visible(text).strip():
        return "an empty caption", f"its caption {where} is empty; write one"
    return None


def _spared(faults: list[tuple[str, int]]) -> list[str]:
    """What is said of captions that are left out where their pictures have others."""
    counted = ", ".join(f"{kind}: {count}" for kind, count in Counter(kind for kind, _ in faults).most_common())
    row = f"the first in row {faults[0][1]}" if faults else ""
    return [f"left out {len(faults)} captions of pictures that have others ({counted}; {row})"] if faults else []


def _aside(table: Listed, picture: str, texts: list[str]) -> list[str]:
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
    told = f"its captions are taken from {' and '.join(texts)}, and not from {', '.join(others)}, which stay columns"
    return [*notes, told] if others else notes


def _grouped(table: Listed, groups: list[list[int]], columns: list[str]) -> list[str]:
    """What is said of pictures whose captions stand in rows of their own."""
    if (rows := sum(map(len, groups))) == len(groups):
        return []
    several = [[table.rows[i] for i in rows] for rows in groups if len(rows) > 1]
    lost = [c for c in columns if c in table.columns and any(r.get(c) != g[0].get(c) for g in several for r in g)]
    kept = f"; of {', '.join(lost)} the first row's value is kept" if lost else ""
    return [f"{rows} rows name {len(groups)} pictures, and the captions of a picture are put together{kept}"]


def _picture_file(stored: Any, table: Listed) -> Path | bytes | str:
    """A picture's file, or the sentence that says why there is none."""
    if not stored:
        return "it names no picture; name a file, or remove the row"
    if isinstance(stored, str):
        path = table.folder / stored
        if stored.startswith("zip://"):  # so the library calls what it finds in an archive
            return f"{stored[:80]} lies in an archive; unpack it and give its path"
        if "://" in stored:
            return f"{stored[:80]} is an address; download the picture and give its path"
        # By its letters, so that a link which somebody put into the folder may lead elsewhere.
        plain, homes = Path(os.path.normpath(path)), (table.folder, *table.caches)
        if not any(plain.is_relative_to(os.path.normpath(home)) for home in homes):
            return f"{stored[:80]} leaves the folder of the pictures; move the picture into it"
        return path
    return stored
