"""Checks of a data set's rows: captions and pictures that cannot be used, each with its reason."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from helpers.errors import DataError
from helpers.reading.looks import looks
from helpers.reading.rows import Listed, Stored

logger = logging.getLogger(__name__)

CAPTION_COLUMNS = ("captions", "caption", "text", "sentences", "sentence")
Faults = dict[int, tuple[str, str]]  # row number → the kind of fault, and the sentence about it
_EMPTY = Features({"image": Image(), "captions": List(Value("string"))})


def usable(table: Listed, name: str, split: str, caption_columns: str | list[str] | None) -> tuple[Dataset, Faults]:
    """Checks every row of a split; the names of the data set and the split are for sentences.

    Returns:
        The rows that can be used, with the columns image and captions, and why the others cannot.

    Raises:
        DataError: there are no rows, no column of pictures or none of captions, or classes in its place.
    """
    if not len(table.rows):
        raise DataError(f"{name}: the split {split} has no rows; add some, or remove the split.")
    if not table.columns:
        raise DataError(f"{name}: no row of the split {split} can be read; of the first one: {table.faults.get(0)}.")
    picture, texts = _picture_column(table, name), _caption_columns(table, name, caption_columns)
    for column, used in (("image", picture), ("captions", " and ".join(texts))):
        if column in table.columns and column not in (picture, *texts):
            logger.warning(
                "%s: left out the column %s of the split %s, because its name is given to what %s holds; rename it.",
                name, column, split, used,
            )  # fmt: skip
    rows = table.rows.select_columns(texts) if isinstance(table, Stored) else table.rows
    captions = [_captions(row, texts) for row in rows]
    faults = {i: fault for i, group in enumerate(captions) if (fault := _caption_fault(group, texts))}
    faults |= {i: ("a fault in its table", why) for i, why in table.faults.items()}
    numbers = [i for i in range(len(captions)) if i not in faults]
    looked = []

    def files() -> Iterator[Path | bytes]:
        for i, stored in zip(numbers, table.pictures(picture, numbers), strict=True):
            if isinstance(file := _picture_file(stored, table), str):
                faults[i] = ("a picture that cannot be read", file)
            else:
                looked.append(i)
                yield file

    try:
        for place, look in enumerate(looks(files(), len(numbers), f"Checking {split}")):
            if look.why:
                why = look.why.rstrip(".").replace(f"{table.folder}/", "").removeprefix("The picture ")
                faults[looked[place]] = ("a picture that cannot be read", f"its picture {why}")
    except (pyarrow.ArrowException, TypeError, ValueError):
        kind = table.rows.features[picture]
        raise DataError(f"{name}: the column {picture} holds no pictures (it is {kind}); rename it.") from None
    faults = dict(sorted(faults.items()))
    if kept := [i for i in numbers if i not in faults]:
        return table.dataset(kept, picture, texts, [captions[i] for i in kept]), faults
    return Dataset.from_dict({"image": [], "captions": []}, features=_EMPTY), faults


def _picture_column(table: Listed, name: str) -> str:
    if column := next((column for column in table.picture_columns if column in table.columns), None):
        return column
    known, listed = " or ".join(table.picture_columns), ", ".join(table.columns)
    raise DataError(f"{name} has no column of pictures ({known}); its columns are {listed}; rename one.")


def _caption_columns(table: Listed, name: str, asked: str | list[str] | None) -> list[str]:
    if asked is None:
        columns = [column for column in CAPTION_COLUMNS if column in table.columns][:1]
        numbered = [column for column in table.columns if re.fullmatch(r"(caption|text|sentence)_?\d+", column)]
        columns = columns or sorted(numbered, key=lambda column: (column.rstrip("0123456789"), len(column), column))
    else:
        columns = [asked] if isinstance(asked, str) else list(asked)
    missing = [column for column in columns if column not in table.columns]
    if missing or not columns:
        what = f"no column named {missing[0]}" if missing else "no column of captions that is recognised"
        raise DataError(f"{name} has {what}; name it with caption_columns, one of {', '.join(table.columns)}.")
    for column in columns:
        kind = getattr(table.rows, "features", {}).get(column)
        if isinstance(kind := getattr(kind, "feature", kind), ClassLabel):
            raise DataError(
                f"{name}: the column {column} holds numbers of classes ({', '.join(kind.names)[:60]}) and no captions; "
                f"write a sentence for each class into a column of its own, or name another with caption_columns."
            )
    return columns


def _captions(row: dict[str, Any], columns: list[str]) -> list[Any]:
    """The captions of a row, whatever they are; of several columns, those that it leaves empty do not count.

    A column holds one or a list of them, as texts or as {"raw": text}, as Karpathy's splits keep them.
    """
    values = [_raw(row.get(column)) for column in columns]
    texts = [_raw(text) for value in values for text in (value if isinstance(value, list) else [value])]
    return [text for text in texts if len(columns) == 1 or text not in (None, "")] or [None]


def _raw(value: Any) -> Any:
    return value.get("raw", value) if isinstance(value, dict) else value


def _caption_fault(captions: list[Any], columns: list[str]) -> tuple[str, str] | None:
    """What is wrong with the captions of a row: its kind, and the sentence."""
    where = f"in the column {' or '.join(columns)}"
    for text in captions:
        if text is None:
            return "no caption", f"it has no caption {where}; write one"
        if not isinstance(text, str) or re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", text):
            why = f"its caption {repr(text)[:40]} {where} is no text; write a sentence, or name another"
            return "a caption that is no text", why
        if text != text.encode(errors="replace").decode():
            return "a caption that is no text", f"its caption {text!r:.40} {where} holds half a letter; write it anew"
        if not text.strip():
            return "an empty caption", f"its caption {where} is empty; write one"
    return None


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
