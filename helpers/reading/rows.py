"""The rows of one split, listed in a file or stored as a Dataset: both are asked the same, and become a Dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
from datasets import Dataset, Features, Image, List, Value

PATHS = ("file_name", "image", "path")  # the columns that may hold a picture's path, the likeliest first
# What people call their splits, and what they are called here.
SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "val", "valid", "dev"), "validation")


@dataclass
class Listed:
    """Rows of a file, whose pictures are paths."""

    rows: list[dict[str, Any]]
    folder: Path  # what the paths are relative to, and do not leave
    faults: dict[int, str] = field(default_factory=dict)  # row number → what is wrong with the row as it was read
    caches: tuple[Path, ...] = ()  # where else the datasets library itself puts pictures of this data set
    picture_columns: ClassVar[tuple[str, ...]] = PATHS

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they come."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def pictures(self, column: str, numbers: list[int]) -> Iterator[Any]:
        """What the rows of these numbers hold for a picture: its path, its bytes, or what is neither."""
        return (self.rows[i].get(column) for i in numbers)

    def dataset(self, numbers: list[int], picture: str, texts: list[str], captions: list[list[str]]) -> Dataset:
        """The rows of these numbers, on disk and not in memory, with the columns image and captions and the others.

        `captions` are theirs, taken from the columns `texts`.
        """
        others = [column for column in self.columns if column not in (picture, "image", "captions", *texts)]
        columns = {name: _one_kind([self.rows[i].get(name) for i in numbers]) for name in others}
        features = {"image": Image(), "captions": List(Value("string")), **Dataset.from_dict(columns).features}
        paths = [self.folder / self.rows[i][picture] for i in numbers]
        rows = pyarrow.table({"image": [str(path) for path in paths], "captions": captions, **columns})
        # The files' times go into what the copy on disk is known by: another picture of the same name is another one.
        known_by = {"rows": rows, "times": pyarrow.array([path.stat().st_mtime_ns for path in paths])}
        return Dataset.from_generator(_rows, features=Features(features), gen_kwargs=known_by)


@dataclass
class Stored(Listed):
    """Rows of a Dataset, whose pictures are their bytes or paths."""

    rows: Dataset
    relative: bool = False  # whether one of the pictures that were asked for is a relative path
    picture_columns: ClassVar[tuple[str, ...]] = ("image",)

    @property
    def columns(self) -> list[str]:
        """As of rows in a file."""
        return self.rows.column_names

    def pictures(self, column: str, numbers: list[int]) -> Iterator[Any]:
        """As of rows in a file."""
        rows = self.rows.select_columns(column).cast_column(column, Image(decode=False))
        for i in numbers:
            stored = rows[i][column] or {"bytes": None, "path": None}
            self.relative |= stored["bytes"] is None and not Path(stored["path"] or "/").is_absolute()
            yield stored["path"] if stored["bytes"] is None else stored["bytes"]

    def dataset(self, numbers: list[int], picture: str, texts: list[str], captions: list[list[str]]) -> Dataset:
        """As of rows in a file."""
        dataset = self.rows.select(numbers)
        if self.relative:  # the library would look for them in the folder in which the kernel was started
            dataset = dataset.cast_column(picture, Image(decode=False))
            dataset = dataset.map(_placed, fn_kwargs={"folder": self.folder}, features=dataset.features)
        if dataset.features[picture] != Image():
            dataset = dataset.cast_column(picture, Image())
        if texts == ["captions"] and dataset.features["captions"] == List(Value("string")):
            return dataset
        dataset = dataset.remove_columns([column for column in dataset.column_names if column in (*texts, "captions")])
        return dataset.add_column("captions", captions, feature=List(Value("string")))


def by_split(table: Listed) -> dict[str, Listed]:
    """Listed rows by split, where a column split names them or all paths begin with the name of one; else as train."""
    if isinstance(table, Stored):
        return {"train": table}
    column = next((name for name in PATHS if name in table.columns), None)
    parts, faults = [SPLITS.get(str(row.get("split"))) for row in table.rows], table.faults
    if any(parts):
        # What is meant for a test must not land in train because its split is mistyped.
        for i in (i for i, part in enumerate(parts) if part is None and i not in faults):
            faults[i] = f"its split {str(table.rows[i].get('split'))[:40]!r} is none of {', '.join(SPLITS)}; mend it"
    else:
        parts = [SPLITS.get(str(row.get(column)).partition("/")[0]) for row in table.rows]
    sound = [part for i, part in enumerate(parts) if i not in faults]
    if not sound or None in sound:
        return {"train": table}
    splits: dict[str, Listed] = {}
    for i, part in enumerate(parts):
        split = splits.setdefault(part or sound[0], Listed([], table.folder))
        split.faults |= {len(split.rows): faults[i]} if i in faults else {}
        split.rows.append(table.rows[i])
    return splits


def _placed(row: dict, folder: Path) -> dict:
    stored = row["image"]
    return {"image": stored if stored["bytes"] is not None else {**stored, "path": str(folder / stored["path"])}}


def _rows(rows: pyarrow.Table, times: pyarrow.Array) -> Iterator[dict]:
    """Arrow holds the rows in a tenth of the memory of dictionaries, which are made a few at a time."""
    for batch in rows.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def _one_kind(values: list[Any]) -> list[Any]:
    """The values of a column as they are where they are of one kind, and as texts where they are not."""
    try:
        pyarrow.array(values)
        return values
    except (pyarrow.ArrowException, TypeError, OverflowError, UnicodeError):
        texts = (value if isinstance(value, str) or value is None else json.dumps(value) for value in values)
        return [text and text.encode(errors="replace").decode() for text in texts]
