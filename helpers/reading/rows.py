"""The rows of one split, listed in a file or stored as a Dataset: both are asked the same, and become a Dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from datasets.fingerprint import Hasher

from helpers.errors import DataError
from helpers.reading.names import NAMED, Finder, picture_folder, split_in, split_of
from helpers.text import folded, whole

# The names, folded, of columns that may hold a picture's path, or a picture; the likeliest first.
PATHS = ("filename", "image", "path", "filepath", "file", "imagepath", "imagename", "imagefile", "img", "imgpath")
PATHS += ("picture", "photo", "jpg", "jpeg", "png", "webp")
TEXTS = ("string", "large_string")  # kinds of columns
MANY = 20  # values of a column that names splits, the mistyped ones among them


@dataclass
class Listed:
    """Rows of a file, whose pictures are paths."""

    rows: list[dict[str, Any]]
    folder: Path  # what the paths are relative to, and do not leave
    faults: dict[int, str] = field(default_factory=dict)  # row number → what is wrong with the row as it was read
    notes: list[str] = field(default_factory=list)  # what was read otherwise than it stands
    caches: tuple[Path, ...] = ()  # where else the datasets library itself puts pictures of this data set

    picture: str | None = None  # the column of pictures

    def __post_init__(self):
        self.picture = self.picture or self._likely_picture()

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they come."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def values(self, column: str) -> list[Any]:
        """What all rows hold in a column."""
        return [row.get(column) for row in self.rows]

    def _likely_picture(self) -> str | None:
        """The column that most likely holds pictures, by its name and by what the first rows hold."""
        some = self.rows[:100]
        strange = {
            c: sum(bool(NAMED.fullmatch(str(row.get(c)))) for row in some) <= len(some) / 2 for c in self.columns
        }
        columns = [column for column in strange if folded(column) in PATHS or not strange[column]]
        likely = {column: (folded(column) not in PATHS, strange[column], _place(column)) for column in columns}
        return min(likely, key=likely.__getitem__, default=None)

    def find_pictures(self, folder: Path | None) -> None:
        """Puts the paths of pictures in place of their names; those that may mean several join the faults.

        `folder` is what the paths are relative to; looked for where None.
        """
        named = {i: name for i, row in enumerate(self.rows) if (name := _name(row.get(self.picture)))}
        names = list(named.values())
        self.folder = folder or (self.folder if self.caches else picture_folder(self.folder, names))
        find = Finder(self.folder)
        for (i, name), path in zip(named.items(), find(names), strict=True):
            self.rows[i][self.picture] = path
            if name in find.unclear:
                self.faults.setdefault(i, find.unclear[name])
        self.notes += [find.note] if find.note else []

    def pictures(self, column: str, numbers: list[int]) -> Iterator[Any]:
        """What the rows of these numbers hold for a picture: its path, its bytes, or what is neither."""
        return (self.rows[i].get(column) for i in numbers)

    def part(self, numbers: list[int]) -> Listed:
        """The rows of these numbers alone."""
        rows = [self.rows[i] for i in numbers]
        faults = {new: self.faults[i] for new, i in enumerate(numbers) if i in self.faults}
        return replace(self, rows=rows, faults=faults, notes=[])

    def dataset(
        self, numbers: list[int], picture: str, texts: list[str], captions: list[list[str]], digests: list[bytes]
    ) -> Dataset:
        """The rows of these numbers, on disk and not in memory, with the columns image and captions and the others.

        `captions` are theirs, taken from the columns `texts`; `digests` are of their pictures' content.
        """
        others = [column for column in self.columns if column not in (picture, "image", "captions", *texts)]
        columns = {whole(name): _one_kind([self.rows[i].get(name) for i in numbers]) for name in others}
        features = {"image": Image(), "captions": List(Value("string")), **Dataset.from_dict(columns).features}
        paths = [str(self.folder / self.rows[i][picture]) for i in numbers]
        rows = pyarrow.table({"image": paths, "captions": captions, **columns})
        # The digests go into what the copy on disk is known by: another picture of the same name is another one.
        known_by = {"rows": rows, "digests": pyarrow.array(digests)}
        return Dataset.from_generator(_rows, features=Features(features), gen_kwargs=known_by)


@dataclass
class Stored(Listed):
    """Rows of a Dataset, whose pictures are their bytes or paths."""

    rows: Dataset
    relative: bool = False  # whether one of the pictures that were asked for is a relative path
    whole: Dataset | None = None  # what these rows are a part of,
    places: list[int] | None = None  # and their numbers there

    @property
    def columns(self) -> list[str]:
        """As of rows in a file."""
        return self.rows.column_names

    def values(self, column: str) -> list[Any]:
        """As of rows in a file; of classes, their names."""
        kind, values = self.rows.features[column], self.rows[column][:]
        return kind.int2str(values) if isinstance(kind, ClassLabel) else values

    def _likely_picture(self) -> str | None:
        kinds = self.rows.features
        sure = [column for column, kind in kinds.items() if isinstance(kind, Image)]
        named = [c for c, kind in kinds.items() if folded(c) in PATHS and getattr(kind, "dtype", "") not in TEXTS]
        return "image" if "image" in sure else min(sure[:1] or named, key=_place, default=None)

    def find_pictures(self, folder: Path | None) -> None:
        """As of rows in a file; their paths are taken as they stand."""
        self.folder = folder or self.folder

    def pictures(self, column: str, numbers: list[int]) -> Iterator[Any]:
        """As of rows in a file."""
        rows = self.rows.select_columns(column).cast_column(column, Image(decode=False))
        for i in numbers:
            stored = rows[i][column] or {"bytes": None, "path": None}
            self.relative |= stored["bytes"] is None and not Path(stored["path"] or "/").is_absolute()
            yield stored["path"] if stored["bytes"] is None else stored["bytes"]

    def part(self, numbers: list[int]) -> Stored:
        """As of rows in a file."""
        return replace(self, rows=self.rows.select(numbers), notes=[], whole=self.rows, places=numbers)

    def dataset(
        self, numbers: list[int], picture: str, texts: list[str], captions: list[list[str]], digests: list[bytes]
    ) -> Dataset:
        """As of rows in a file."""
        dataset, places = self.whole or self.rows, [self.places[i] if self.places else i for i in numbers]
        gone = {"image"} - {picture} | {"captions", *texts}
        dataset = dataset.remove_columns([column for column in dataset.column_names if column in gone])
        dataset = dataset if picture == "image" else dataset.rename_column(picture, "image")
        # A column is added to rows as they lie on the disk; after a choice of some, the library would copy those first.
        said = dict(zip(places, captions, strict=True))
        every = [said.get(i, []) for i in range(len(dataset))]
        others = [column for column in dataset.column_names if column != "image"]
        dataset = dataset.add_column("captions", every, feature=List(Value("string")))
        dataset = dataset.select_columns(["image", "captions", *others])
        # Another picture in its place, of the same name, size and time, is another one here, too.
        known_by = Hasher.hash([dataset._fingerprint, places, digests])
        dataset = dataset.select(places, new_fingerprint=known_by)
        if self.relative:  # the library would look for them in the folder in which the kernel was started
            dataset = dataset.cast_column("image", Image(decode=False))
            dataset = dataset.map(_placed, fn_kwargs={"folder": self.folder}, features=dataset.features)
        return dataset if dataset.features["image"] == Image() else dataset.cast_column("image", Image())


def stored(dataset: Dataset, folder: Path, caches: tuple[Path, ...] = ()) -> Listed:
    """The rows of a Dataset; where their pictures are names of files, as the rows of a file."""
    table = Stored(dataset, folder, caches=caches)
    if table.picture is None and Listed(dataset.select(range(min(100, len(dataset)))).to_list(), folder).picture:
        return Listed(dataset.to_list(), folder, caches=caches)
    return table


def by_split(table: Listed, name: str, asked: str | None = None) -> dict[str, Listed]:
    """Rows by split, as a column (the one asked for, or found) or the folders of all pictures name it; else as train.

    `name` is the data set's, for sentences. Raises DataError where the column names no splits, or several do.
    """
    if column := _split_column(table, name, asked):
        values, where = table.values(column), f"the column {column}"
        parts = [split_of(value) for value in values]
        # What is meant for a test must not land in train because its split is mistyped.
        for i in (i for i, part in enumerate(parts) if part is None and i not in table.faults):
            named = "is empty" if values[i] in (None, "") else f"{str(values[i])[:40]!r} names no split"
            table.faults[i] = f"its {column} {named}; write train, validation or test"
    else:
        where = "the folders of its pictures"
        values = table.values(table.picture) if table.picture and not isinstance(table, Stored) else [""]
        parts = [split_in(str(value).split("/")[:-1]) for value in values]
    sound = [part for i, part in enumerate(parts) if i not in table.faults]
    if not sound or None in sound:
        return {"train": table}
    if asked is None and folded(column or "") != "split":
        table.notes.append(f"its splits are those of {where}")
    numbers: dict[str, list[int]] = {}
    for i, part in enumerate(parts):
        numbers.setdefault(part or sound[0], []).append(i)
    splits = {split: table.part(rows) for split, rows in numbers.items()}
    splits[sound[0]].notes += table.notes
    return splits


def _split_column(table: Listed, name: str, asked: str | None) -> str | None:
    """The column that names the splits, or None."""
    column = next((column for column in table.columns if folded(column) == folded(asked or "split")), None)
    if asked is not None and column is None:
        raise DataError(f"{name} has no column {asked!r}; name one with split_column: {', '.join(table.columns)}.")
    if column is None:
        naming = [column for column in table.columns if None not in (parts := _parts(table, column)) and len(parts) > 1]
        if len(naming) > 1:
            raise DataError(f"{name} has several columns that name splits; choose one: split_column={naming[0]!r}.")
        return naming[0] if naming else None
    if not _parts(table, column) - {None}:
        some = ", ".join(sorted({repr(str(value)[:20]) for value in table.values(column)[:100]})[:5])
        advice = "write train, validation or test, or rename the column and have the rows divided anew"
        raise DataError(f"{name}: the column {column} holds {some} and no name of a split; {advice}.")
    return column


def _parts(table: Listed, column: str) -> set[str | None]:
    """The splits that a column names, with None for each value that names none; {None} where they are too many."""
    kind = getattr(table.rows, "features", {}).get(column, Value("string"))
    if not isinstance(kind, ClassLabel) and getattr(kind, "dtype", "") not in TEXTS:
        return {None}
    values = {value if isinstance(value, str) else None for value in table.values(column)}
    return {split_of(value) for value in values} if len(values) <= MANY else {None}


def _place(column: str) -> int:
    return PATHS.index(folded(column)) if folded(column) in PATHS else len(PATHS)


def _name(value: Any) -> str | None:
    """A picture's name, which may be a number or the only one of a list; or None."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _placed(row: dict, folder: Path) -> dict:
    stored = row["image"]
    return {"image": stored if stored["bytes"] is not None else {**stored, "path": str(folder / stored["path"])}}


def _rows(rows: pyarrow.Table, digests: pyarrow.Array) -> Iterator[dict]:
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
        return [text and whole(text) for text in texts]
