"""A captioned data set in, a checked DatasetDict with the columns image and captions out."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections import Counter
from pathlib import Path

import imagehash
from datasets import Dataset, DatasetDict, Image, List, Value, load_dataset
from PIL import Image as PillowImage

from helpers.settings import resolve

logger = logging.getLogger(__name__)

CAPTION_COLUMNS = ("captions", "caption", "text", "sentences", "sentence")
SPLITS = ("train", "validation", "test")
_FILE_LOADERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def load_captions(
    name: str,
    *,
    caption_columns: str | list[str] | None = None,
    images: str | None = None,
    seed: int = 0,
    max_left_out: float = 0.05,
) -> DatasetDict:
    """Loads a captioned data set and checks every row.

    Args:
        name: a folder, a file (csv, json, jsonl, parquet) or a Hub id. A file holds the picture's path, relative to
            `images`, in a column named image, file_name or path.
        caption_columns: the columns that hold captions; found by their usual names where None.
        images: the folder that paths in a file are relative to; the file's own folder where None.
        seed: of the division, where the data set does not come divided.
        max_left_out: the largest share of rows that may be left out.

    Returns:
        The splits train, validation and test, each with image, captions (a list of texts) and all other columns.

    Raises:
        ValueError: no caption column, no picture column, or more than `max_left_out` of the rows unusable.
    """
    splits, left_out = _read(name, caption_columns, images)
    rows = sum(len(split) for split in splits.values()) + len(left_out)
    for reason, count in Counter(entry["reason"] for entry in left_out).items():
        logger.warning("%s: %d of %d rows left out, %s.", name, count, rows, reason)
    if rows == 0 or len(left_out) > max_left_out * rows:
        first = (
            f" (the first: {left_out[0]['split']} row {left_out[0]['row']}, {left_out[0]['reason']})" if rows else ""
        )
        raise ValueError(
            f"{name}: {len(left_out)} of {rows} rows cannot be used{first}; data_report({name!r}) lists them. "
            f"Mend them, or raise max_left_out above {max_left_out}."
        )
    return _divided(splits, seed)


def data_report(name: str, *, caption_columns: str | list[str] | None = None, images: str | None = None) -> Dataset:
    """The same reading as a table: what was kept of each split, and each row that was left out, with the reason.

    Returns:
        A Dataset with the columns split, row (its number, or "all" for a split's own line), pictures, captions,
        identical_pictures (how many pictures of the split stand in it more than once) and reason.
    """
    splits, left_out = _read(name, caption_columns, images)
    table = []
    for split, dataset in splits.items():
        copies = Counter(_digest(_bytes(row["image"])) for row in dataset.cast_column("image", Image(decode=False)))
        table.append(
            {
                "split": split,
                "row": "all",
                "pictures": len(dataset),
                "captions": sum(len(captions) for captions in dataset["captions"]),
                "identical_pictures": sum(count for count in copies.values() if count > 1),
                "reason": "",
            }
        )
    blank = {"pictures": 0, "captions": 0, "identical_pictures": 0}
    return Dataset.from_list(table + [{**blank, **entry, "row": str(entry["row"])} for entry in left_out])


def picture_hashes(dataset: Dataset) -> list[imagehash.ImageHash]:
    """A 256-bit perceptual hash a picture; `a - b` counts the bits in which two differ.

    Two copies of one picture, in other sizes or formats, differ in a few bits; two pictures in many.
    """
    return [imagehash.phash(picture, hash_size=16) for picture in dataset["image"]]


def nearest_pairs(first: Dataset, second: Dataset, most: int = 3) -> list[tuple[int, int, int]]:
    """The pictures of two splits that look most alike: (bits, row in first, row in second), nearest first."""
    rows = list(enumerate(picture_hashes(second)))
    pairs = [(int(a - b), i, j) for i, a in enumerate(picture_hashes(first)) for j, b in rows]
    return sorted(pairs)[:most]


def fingerprint(dataset: Dataset) -> str:
    """16 hexadecimal digits that change with any caption or picture of the data set."""
    digest = hashlib.sha256()
    for row in dataset.select_columns(["image", "captions"]).cast_column("image", Image(decode=False)):
        digest.update(_bytes(row["image"]) + "\0".join(row["captions"]).encode() + b"\1")
    return digest.hexdigest()[:16]


def _read(name: str, caption_columns: str | list[str] | None, images: str | None) -> tuple[DatasetDict, list[dict]]:
    """The splits with the columns image and captions, and what had to be left out of them."""
    splits, left_out = DatasetDict(), []
    for split, dataset in _load(name, images).items():
        dataset = _with_captions(dataset, name, caption_columns)
        reasons = [_reason(row) for row in dataset.cast_column("image", Image(decode=False))]
        left_out += [{"split": split, "row": i, "reason": why} for i, why in enumerate(reasons) if why]
        splits[split] = dataset.select([i for i, why in enumerate(reasons) if not why])
    return splits, left_out


def _load(name: str, images: str | None) -> DatasetDict:
    path = resolve(name)
    if path.is_file():
        if path.suffix not in _FILE_LOADERS:
            raise ValueError(f"{name} is no data set file; give one that ends in {', '.join(_FILE_LOADERS)}.")
        splits = load_dataset(_FILE_LOADERS[path.suffix], data_files=str(path))
        folder = resolve(images) if images else path.parent
        return DatasetDict({split: _with_paths(dataset, folder) for split, dataset in splits.items()})
    if path.is_dir():
        return load_dataset(str(path))
    if name.startswith((".", "/", "~", "data/", "artifacts/")):
        raise FileNotFoundError(f"{name} is not there; check the spelling (looked for {path}).")
    return load_dataset(name)


def _with_paths(dataset: Dataset, folder: Path) -> Dataset:
    """Makes the column of relative paths a column of pictures."""
    column = next((c for c in ("image", "file_name", "path") if c in dataset.column_names), None)
    if column is None or dataset.features[column] not in (Value("string"), Value("large_string")):
        return dataset
    places = [str(folder / str(path)) for path in dataset[column]]
    return dataset.remove_columns(column).add_column("image", places).cast_column("image", Image())


def _with_captions(dataset: Dataset, name: str, asked: str | list[str] | None) -> Dataset:
    """Gathers the caption columns into one column `captions`, a list of texts."""
    columns = dataset.column_names
    if "image" not in columns:
        raise ValueError(f"{name} has no column named image; its columns are {', '.join(columns)}.")
    if asked is None:
        found = [column for column in CAPTION_COLUMNS if column in columns][:1]
        found = found or sorted(c for c in columns if re.fullmatch(r"(caption|text|sentence)_?\d+", c))
    else:
        found = [asked] if isinstance(asked, str) else list(asked)
    missing = [column for column in found if column not in columns]
    if missing or not found:
        what = f"no column named {missing[0]}" if missing else "no column of captions that is recognised"
        raise ValueError(f"{name} has {what}; name it with caption_columns, one of {', '.join(columns)}.")
    if not isinstance(dataset.features["image"], Image):
        dataset = dataset.cast_column("image", Image())
    if found == ["captions"] and dataset.features["captions"] == List(Value("string")):
        return dataset

    def gather(row: dict) -> dict:
        texts = [t for c in found for t in (row[c] if isinstance(row[c], list) else [row[c]])]
        return {"captions": texts}

    gathered = [gather(row)["captions"] for row in dataset.select_columns(found)]
    rest = dataset.remove_columns([c for c in columns if c in found or c == "captions"])
    return rest.add_column("captions", gathered, feature=List(Value("string")))


def _reason(row: dict) -> str:
    """Why a row cannot be used, or an empty text."""
    if not row["captions"] or any(not isinstance(text, str) or not text.strip() for text in row["captions"]):
        return "a caption is missing or empty"
    try:
        with PillowImage.open(io.BytesIO(_bytes(row["image"]))) as picture:
            picture.load()
    except (OSError, ValueError, TypeError, SyntaxError):
        return "its picture cannot be read"
    return ""


def _bytes(stored: dict) -> bytes:
    return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()


def _digest(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()


def _divided(splits: DatasetDict, seed: int) -> DatasetDict:
    """The three splits: what is there stays, what is missing is taken from train."""
    names = {"val": "validation", "valid": "validation", "dev": "validation"}
    splits = DatasetDict({names.get(split, split): dataset for split, dataset in splits.items()})
    if len(splits) == 1 and "train" not in splits:
        splits = DatasetDict({"train": next(iter(splits.values()))})
    if "train" not in splits:
        raise ValueError(f"The data set has the splits {', '.join(splits)} and no train; rename the one to learn from.")
    whole = len(splits["train"])
    for missing in (split for split in ("test", "validation") if split not in splits):
        if whole < 3:
            raise ValueError(f"The data set has {whole} rows; three splits need at least 3.")
        parts = splits["train"].train_test_split(test_size=max(1, round(whole / 10)), seed=seed)
        splits["train"], splits[missing] = parts["train"], parts["test"]
    return DatasetDict({split: splits[split] for split in SPLITS})
