"""Checks of a data set's rows: captions and pictures that cannot be used, each with its reason."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from datasets import Dataset, Features, Image, List, Value

from helpers.errors import DataError
from helpers.reading.columns import caption_columns, captions_of, passed_over, picture_column
from helpers.reading.copies import packed
from helpers.reading.looks import Look, looks
from helpers.reading.rows import Listed, Stored

Faults = dict[int, tuple[str, str]]  # row number → the kind of fault, and the sentence about it
_EMPTY = Features({"image": Image(), "captions": List(Value("string"))})


class Checked(NamedTuple):
    """What was found in the rows of a split."""

    dataset: Dataset  # the rows that can be used, with the columns image and captions
    faults: Faults  # why the others cannot
    notes: list[str]  # what was read otherwise than it stands
    rows: int  # how many there were
    seen: np.ndarray  # what is known of the pictures of the dataset, as `copies.packed` gives it


def usable(table: Listed, name: str, split: str, asked: str | list[str] | None) -> Checked:
    """Checks every row of a split; the names of the data set and the split are for sentences.

    Rows of a file that name the same picture become one, with the captions of all; `asked` are their columns. Raises
    DataError where there are no rows, no column of pictures or none of captions, or classes in its place.
    """
    if not len(table.rows):
        raise DataError(f"{name}: the split {split} has no rows; add some, or remove the split.")
    if not table.columns:
        raise DataError(f"{name}: no row of the split {split} can be read; of the first one: {table.faults.get(0)}.")
    picture = picture_column(table, name)
    texts = caption_columns(table, name, asked, picture)
    captions, spared, faults, hidden = [], [], {}, 0
    for i, row in enumerate(table.rows.select_columns(texts) if isinstance(table, Stored) else table.rows):
        good, bad, signs = captions_of(row, texts)
        captions.append(good)
        hidden += signs
        if not good:
            faults[i] = bad[0]
        spared += [(kind, i) for kind, _ in bad] if good else []
    faults |= {i: ("another fault", why) for i, why in table.faults.items()}
    try:
        looked = _looked(table, picture, split, faults)
    except (pyarrow.ArrowException, TypeError, ValueError):
        kind = table.rows.features[picture]
        raise DataError(f"{name}: the column {picture} holds no pictures (it is {kind}); rename it.") from None
    notes = [*table.notes, *_spared(spared), *passed_over(table, picture, texts)]
    dataset = Dataset.from_dict({"image": [], "captions": []}, features=_EMPTY)
    if looked:
        groups, digests = [rows for rows, _ in looked], [look.digest for _, look in looked]
        together = [[text for i in rows for text in captions[i]] for rows in groups]
        dataset = table.dataset([rows[0] for rows in groups], picture, texts, together, digests)
        notes += _grouped(table, groups, dataset.column_names)
    several = sum("\n" in text or "|" in text for group in captions for text in group)
    notes += [f"captions of several lines, or with the sign |, stay one each: {several}"] if several else []
    notes += [f"signs that cannot be seen are taken out of captions: {hidden}"] if hidden else []
    return Checked(dataset, dict(sorted(faults.items())), notes, len(captions), packed([look for _, look in looked]))


def _looked(table: Listed, picture: str, split: str, faults: Faults) -> list[tuple[list[int], Look]]:
    """Looks once at each picture of rows without a fault: its rows, and what was seen; others join the faults."""
    numbers = [i for i in range(len(table.rows)) if i not in faults]
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

    seen = list(looks(files(), len(numbers), f"Checking {split}"))
    looked = list(zip(rows_of.values(), seen, strict=True))
    for rows, look in looked:
        if look.why:
            why = look.why.rstrip(".").replace(f"{table.folder}/", "").removeprefix("The picture ")
            faults |= dict.fromkeys(rows, ("a picture that cannot be read", f"its picture {why}"))
    return [(rows, look) for rows, look in looked if not look.why]


def _spared(faults: list[tuple[str, int]]) -> list[str]:
    """What is said of captions that are left out where their pictures have others."""
    counted = [f"{kind}: {count}" for kind, count in Counter(kind for kind, _ in faults).most_common()]
    counted += [f"the first in row {row}" for _, row in faults[:1]]
    return [f"left out captions of pictures that have others: {len(faults)} ({'; '.join(counted)})"] if faults else []


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
        if len(stored) > 1000 or stored.startswith("data:"):
            return "it has no name of a file, but perhaps the picture itself as text (base64); save it as a file"
        if "://" in stored:
            return f"{stored[:80]} is an address; download the picture and give its path"
        # By its letters, so that a link which somebody put into the folder may lead elsewhere.
        plain, homes = Path(os.path.normpath(path)), (table.folder, *table.caches)
        if not any(plain.is_relative_to(os.path.normpath(home)) for home in homes):
            return f"{stored[:80]} leaves the folder of the pictures; move the picture into it"
        return path
    return stored
