"""Which rows of a table can be used, why others cannot, and those that can as a Dataset."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from tqdm.auto import tqdm

from helpers.errors import DataError, ImageError
from helpers.reading.pictures import check_image
from helpers.reading.tables import PATHS, Table

logger = logging.getLogger(__name__)

CAPTION_COLUMNS = ("captions", "caption", "text", "sentences", "sentence")


def usable(
    table: Table, name: str, split: str, caption_columns: str | list[str] | None
) -> tuple[Dataset, dict[int, tuple[str, str]]]:
    """Checks every row of a split.

    Args:
        table: its rows.
        name: of the data set, for sentences.
        split: its name, for the progress bar.
        caption_columns: as `load_captions` takes them.

    Returns:
        The rows that can be used, with the columns image and captions; and for each other row, by its number, the
        kind of fault and the sentence about it.

    Raises:
        DataError: there are no rows, no column of pictures or none of captions, or classes in its place.
    """
    if not len(table.rows):
        raise DataError(f"{name}: the split {split} has no rows; add some, or remove the split.")
    if not table.columns:
        raise DataError(f"{name}: no row of the split {split} can be read; of the first one: {table.faults.get(0)}.")
    picture, texts = _picture_column(table, name), _caption_columns(table, name, caption_columns)
    taken = [column for column in ("image", "captions") if column in table.columns and column not in (picture, *texts)]
    for column in taken:
        used = picture if column == "image" else " and ".join(texts)
        logger.warning(
            "%s: left out the column %s of the split %s, because its name is given to what %s holds; rename it.",
            name,
            column,
            split,
            used,
        )
    captions = _gathered(table, texts)
    faults = {i: ("a fault in its table", why) for i, why in table.faults.items()}
    for i, group in enumerate(captions):
        if i not in faults and (fault := _caption_fault(group, texts)):
            faults[i] = fault
    try:
        found, places = _picture_faults(table, picture, set(faults), split)
    except (pyarrow.ArrowException, TypeError, ValueError):
        kind = table.rows.features[picture]
        raise DataError(f"{name}: the column {picture} holds no pictures (it is {kind}); rename it.") from None
    faults |= found
    kept = [i for i in range(len(captions)) if i not in faults]
    return _dataset(table, kept, picture, texts, captions, places), dict(sorted(faults.items()))


def _picture_column(table: Table, name: str) -> str:
    names = ("image",) if isinstance(table.rows, Dataset) else PATHS
    found = next((column for column in names if column in table.columns), None)
    if found is None:
        listed = ", ".join(table.columns) or "none"
        raise DataError(
            f"{name} has no column of pictures ({' or '.join(names)}); its columns are {listed}; rename one."
        )
    return found


def _caption_columns(table: Table, name: str, asked: str | list[str] | None) -> list[str]:
    columns = table.columns
    if asked is None:
        found = [column for column in CAPTION_COLUMNS if column in columns][:1]
        numbered = [column for column in columns if re.fullmatch(r"(caption|text|sentence)_?\d+", column)]
        found = found or sorted(numbered, key=lambda column: (column.rstrip("0123456789"), len(column), column))
    else:
        found = [asked] if isinstance(asked, str) else list(asked)
    missing = [column for column in found if column not in columns]
    if missing or not found:
        what = f"no column named {missing[0]}" if missing else "no column of captions that is recognised"
        raise DataError(f"{name} has {what}; name it with caption_columns, one of {', '.join(columns)}.")
    for column in found if isinstance(table.rows, Dataset) else ():
        kind = table.rows.features[column]
        if isinstance(kind := getattr(kind, "feature", kind), ClassLabel):
            raise DataError(
                f"{name}: the column {column} holds numbers of classes ({', '.join(kind.names)[:60]}) and no captions; "
                f"write a sentence for each class into a column of its own, or name another with caption_columns."
            )
    return found


def _gathered(table: Table, columns: list[str]) -> list[list[Any]]:
    """The captions of each row, whatever they are; of several columns, those that a row leaves empty do not count."""
    rows = table.rows.select_columns(columns) if isinstance(table.rows, Dataset) else table.rows
    found = []
    for row in rows:
        values = [row.get(column) for column in columns]
        texts = [text for value in values for text in _texts(value)]
        filled = [text for text in texts if text not in (None, "")] if len(columns) > 1 else texts
        found.append(filled or [None])
    return found


def _texts(value: Any) -> list[Any]:
    """The texts of one column: one, a list of them, or either as {"raw": text}, as Karpathy's splits keep them."""
    found = value.get("raw", value) if isinstance(value, dict) else value
    return [item.get("raw", item) if isinstance(item, dict) else item for item in _listed(found)]


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _caption_fault(captions: list[Any], columns: list[str]) -> tuple[str, str] | None:
    """What is wrong with the captions of a row: its kind, and the sentence."""
    where = f"in the column {' or '.join(columns)}"
    for text in captions:
        if text is None:
            return "no caption", f"it has no caption {where}; write one"
        if not isinstance(text, str) or re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", text):
            shown = repr(text)[:40]
            return (
                "a caption that is no text",
                f"its caption {shown} {where} is no text; write a sentence, or name another",
            )
        if text != text.encode(errors="replace").decode():
            return (
                "a caption that is no text",
                f"its caption {text!r:.40} {where} holds half a letter; write it anew",
            )
        if not text.strip():
            return "an empty caption", f"its caption {where} is empty; write one"
    return None


def _picture_faults(
    table: Table, column: str, known: set[int], split: str
) -> tuple[dict[int, tuple[str, str]], dict[str, str]]:
    """What is wrong with the pictures of the rows that are not known to be at fault.

    Returns:
        Row → kind and sentence; and each relative path that a Dataset holds → the file that it means.
    """
    rows = table.rows
    if isinstance(rows, Dataset):
        rows = rows.select_columns(column).cast_column(column, Image(decode=False))
    found, places = {}, {}
    for i in tqdm([i for i in range(len(rows)) if i not in known], f"Checking {split}", delay=3, leave=False):
        stored, path = rows[i].get(column), None
        if isinstance(rows, Dataset) and stored:
            path = stored["path"] if stored["bytes"] is None else None
            stored = stored["bytes"] or path
        if why := _picture_fault(stored, table):
            found[i] = ("a picture that cannot be read", why)
        elif path and not Path(path).is_absolute():
            places[path] = str(table.folder / path)
    return found, places


def _picture_fault(stored: Any, table: Table) -> str:
    """Why a picture cannot be used, or an empty text."""
    if not stored:
        return "it names no picture; name a file, or remove the row"
    if isinstance(stored, str):
        path = table.folder / stored
        if "://" in stored:
            packed = stored.startswith("zip://")  # so the library calls what it finds in an archive
            mend = "lies in an archive; unpack it" if packed else "is an address; download the picture"
            return f"{stored[:80]} {mend} and give its path"
        # By its letters, so that a link which somebody put into the folder may lead elsewhere.
        plain, homes = Path(os.path.normpath(path)), (table.folder, *table.caches)
        if not any(plain.is_relative_to(os.path.normpath(home)) for home in homes):
            return f"{stored[:80]} leaves the folder of the pictures; move the picture into it"
        stored = path
    try:
        check_image(stored)
    except ImageError as error:
        said = str(error).rstrip(".")
        return f"its picture {said}".replace(f"{table.folder}/", "") if isinstance(stored, Path) else said
    return ""


def _dataset(
    table: Table, kept: list[int], picture: str, texts: list[str], captions: list[list], places: dict[str, str]
) -> Dataset:
    """The rows that can be used, with the columns image and captions, on disk and not in memory."""
    chosen = [captions[i] for i in kept]
    if isinstance(table.rows, Dataset):
        dataset = table.rows
        if not isinstance(dataset.features[picture], Image):
            dataset = dataset.cast_column(picture, Image())  # before rows are chosen: of none it cannot be cast
        dataset = dataset.select(kept)
        if places:  # the library would look for them in the folder in which the kernel was started
            stored, values = dataset.cast_column(picture, Image(decode=False)), {"picture": picture, "places": places}
            placed = stored.map(_placed, fn_kwargs=values, features=stored.features)
            dataset = placed.cast_column(picture, dataset.features[picture])
        if texts == ["captions"] and dataset.features["captions"] == List(Value("string")):
            return dataset
        rest = dataset.remove_columns([column for column in dataset.column_names if column in (*texts, "captions")])
        if not chosen:  # a column of no values cannot be added
            features = Features({**rest.features, "captions": List(Value("string"))})
            return Dataset.from_dict({column: [] for column in features}, features=features)
        return rest.add_column("captions", chosen, feature=List(Value("string")))
    others = [column for column in table.columns if column not in (picture, "image", "captions", *texts)]
    columns = {name: _one_kind([table.rows[i].get(name) for i in kept]) for name in others}
    paths = [table.folder / table.rows[i][picture] for i in kept]
    features = {"image": Image(), "captions": List(Value("string")), **Dataset.from_dict(columns).features}
    if not kept:
        return Dataset.from_dict({column: [] for column in features}, features=Features(features))
    texts_of_paths = pyarrow.array([str(path) for path in paths], pyarrow.string())
    columns = {"image": texts_of_paths, "captions": pyarrow.array(chosen, pyarrow.list_(pyarrow.string())), **columns}
    # The files' times go into what the copy on disk is known by: another picture of the same name is another picture.
    known_by = {"rows": pyarrow.table(columns), "times": pyarrow.array([path.stat().st_mtime_ns for path in paths])}
    return Dataset.from_generator(_rows, features=Features(features), gen_kwargs=known_by)


def _placed(row: dict, picture: str, places: dict[str, str]) -> dict:
    content, path = row[picture]["bytes"], row[picture]["path"]
    return {picture: {"bytes": content, "path": path if content is not None else places.get(path, path)}}


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
        texts = [value if isinstance(value, str) or value is None else json.dumps(value) for value in values]
        return [text if text is None else text.encode(errors="replace").decode() for text in texts]
