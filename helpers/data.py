"""Loading a captioned data set: checked rows, the splits train, validation and test, a report of what was left out."""

import hashlib
import logging
from collections import Counter
from os import PathLike
from reprlib import repr as shortened
from typing import Any

import imagehash
import numpy as np
from datasets import Dataset, DatasetDict

from helpers.errors import DataError, number
from helpers.paths import usable_cache
from helpers.reading import copies
from helpers.reading.checks import usable
from helpers.reading.given import own_split, own_splits
from helpers.reading.looks import perceptual_hash
from helpers.reading.names import split_of
from helpers.reading.tables import read_tables
from helpers.text import whole

logger = logging.getLogger(__name__)


@usable_cache()
def load_captions(
    name: str,
    *,
    caption_columns: str | list[str] | None = None,
    images: str | None = None,
    config: str | None = None,
    split_column: str | None = None,
    seed: int = 0,
    max_left_out: float = 0.05,
) -> DatasetDict:
    """Loads a captioned data set and checks every row.

    Args:
        name: a folder, a file (csv, tsv, txt, jsonl, json, parquet, tar) or a Hub id. A table holds the picture's path,
            relative to `images`, in a column named file_name, image or path; a folder holds such a table, or a text
            beside each picture.
        caption_columns: the columns that hold captions; found by their usual names where None.
        images: the folder that paths in a table are relative to; where None, the table's own or one beside it.
        config: which configuration, of a data set that has several.
        split_column: the column that names each row's split; where None, one called split or that names splits alone.
        seed: of the division, where the data set does not come divided.
        max_left_out: the largest share of rows that may be left out.

    Returns:
        The splits train, validation and test, each with image, captions (a list of texts) and all other columns. A
        lone split is divided 80/10/10; of two splits the missing one is taken from train. Pictures that are the same,
        or nearly so, stay together, and rows keep their order.

    Raises:
        DataError: no column of captions or pictures, an empty split, or more rows unusable than `max_left_out`.
    """
    number("max_left_out", max_left_out, 0, 1, whole=False, kind=DataError)
    seed = number("seed", seed, 0, kind=DataError)
    splits, left_out, notes, rows = _read(name, caption_columns, images, config, split_column)
    kinds = Counter(entry["kind"] for entry in left_out)
    counted = ", ".join(f"{count} with {kind}" for kind, count in kinds.most_common())
    first = "{split} row {row}: {reason}".format(**left_out[0]) if left_out else ""
    if len(left_out) > max_left_out * rows:
        raise DataError(
            f"{name}: {len(left_out)} of {rows} rows cannot be used ({counted}); the first is {first}. "
            f"data_report({name!r}) lists them; mend them, or raise max_left_out above {max_left_out}."
        )
    if empty := [split for split, dataset in splits.items() if not len(dataset)]:
        raise DataError(f"{name}: the split {empty[0]} has no rows that can be used; add some, or remove the split.")
    if left_out:
        message = "%s: left out %d of %d rows, %s; the first is %s. data_report(%r) lists them."
        logger.warning(message, name, len(left_out), rows, counted, first, name)
    divided = _divided(splits, name, seed, notes)
    for reason in dict.fromkeys(note["reason"] for note in notes):  # what holds for several splits is said once
        logger.warning("%s: %s.", name, reason)
    divided.left_out, divided.notes = left_out, notes  # for data_report, which then need not read again
    return divided


@usable_cache()
def data_report(
    name: str | DatasetDict,
    *,
    caption_columns: str | list[str] | None = None,
    images: str | None = None,
    config: str | None = None,
    split_column: str | None = None,
) -> Dataset:
    """The same reading as a table: what was kept of each split, rows that were left out, what was read otherwise.

    Args:
        name: what `load_captions` gave, or a name as it takes it, which is read then.
        caption_columns, images, config, split_column: as `load_captions` takes them, with a name.

    Returns:
        A Dataset with the columns split, row (its number as it is read, "all" for a split's own line, "note" for what
        was not read as it stands: names, codings, captions that stand apart), pictures, captions,
        identical_pictures (how many pictures of the split stand in it more than once), in_other_splits (how many stand
        in another split too, or look nearly the same as one that does) and reason.
    """
    if isinstance(name, DatasetDict):
        unknown = _notes("", ["it is a copy, or not of load_captions: what was left out is not known"])
        splits, left_out, notes = _own(name), getattr(name, "left_out", []), getattr(name, "notes", unknown)
    else:
        splits, left_out, notes, _ = _read(name, caption_columns, images, config, split_column)
    shared, rows = copies.in_other_splits(copies.groups_by_split(splits)), []
    for split, dataset in splits.items():
        counts = {"pictures": len(dataset), "captions": sum(map(len, dataset["captions"]))}
        counts |= {"identical_pictures": copies.repeated(dataset, split), "in_other_splits": shared[split]}
        rows.append({"split": split, "row": "all", **counts, "reason": ""})
    return Dataset.from_list(rows + [dict.fromkeys(counts, 0) | entry for entry in left_out + notes])


def copies_by_split(splits: DatasetDict) -> list[dict[str, Any]]:
    """How many pictures of each split are copies, which are the same pictures or look nearly the same.

    Returns:
        A row for each split: split, pictures, copies (pictures that repeat another one of the split) and
        in_other_splits (pictures of which another split has a copy).
    """
    groups = copies.groups_by_split(_own(splits))
    counts = {split: {"pictures": len(g), "copies": len(g) - len(np.unique(g))} for split, g in groups.items()}
    shared = copies.in_other_splits(groups)
    return [{"split": split, **counts[split], "in_other_splits": shared[split]} for split in groups]


def picture_hashes(dataset: Dataset) -> list[imagehash.ImageHash]:
    """A 256-bit perceptual hash per picture; `a - b` counts the bits in which two differ, few where one is a copy."""
    if "image" not in getattr(dataset, "column_names", dataset):
        raise DataError("There is no column image; give one split of what load_captions gave.")
    return [perceptual_hash(picture) for picture in dataset["image"]]


def nearest_pairs(first: Dataset, second: Dataset, most: int = 3) -> list[tuple[int, int, int]]:
    """The pictures of two splits that look most alike: (bits, row in first, row in second), nearest first."""
    rows = list(enumerate(picture_hashes(second)))
    pairs = [(int(a - b), i, j) for i, a in enumerate(picture_hashes(first)) for j, b in rows]
    return sorted(pairs)[:most]


def fingerprint(dataset: Dataset) -> str:
    """16 hexadecimal digits that change with any caption or picture of the data set."""
    digest, dataset = hashlib.sha256(), own_split(dataset)
    for content, captions in zip(copies.contents(dataset), dataset["captions"], strict=True):
        digest.update(content + "\0".join(captions).encode() + b"\1")
    return digest.hexdigest()[:16]


def _own(splits: DatasetDict) -> DatasetDict:
    """The splits of a data set, which may be somebody's own."""
    return splits if hasattr(splits, "notes") else own_splits(splits, *(splits if isinstance(splits, dict) else ()))


def _read(name: str, asked: str | list[str] | None, *options: str | None) -> tuple[DatasetDict, list, list, int]:
    """The splits, what had to be left out, what was read otherwise than it stands, and how many rows there were."""
    if not isinstance(name, (str, PathLike)):
        advice = "save a data set that is loaded with save_to_disk, and give that folder"
        raise DataError(f"{shortened(name)} is no name of a folder, a file or a Hub id; {advice}.")
    if not isinstance(asked, (str, list, tuple, type(None))):
        raise DataError(f"caption_columns is {asked!r}; give a name, or a list of names.")
    splits, left_out, notes, rows = DatasetDict(), [], [], 0
    for split, table in read_tables(str(name), *options).items():
        checked = usable(table, name, split, asked)
        splits[split], rows = checked.dataset, rows + checked.rows
        copies.remember(checked.dataset, checked.seen)
        notes += _notes(split, checked.notes)
        left_out += [
            {"split": split, "row": str(i), "kind": k, "reason": whole(why)} for i, (k, why) in checked.faults.items()
        ]
    return splits, left_out, notes, rows


def _notes(split: str, reasons: list[str]) -> list[dict[str, str]]:
    return [{"split": split, "row": "note", "kind": "", "reason": whole(reason)} for reason in reasons]


def _divided(splits: DatasetDict, name: str, seed: int, notes: list[dict]) -> DatasetDict:
    """The three splits: what is there stays, what is missing is taken from train, copies together."""
    splits = _renamed(splits, name, notes)
    groups, missing = copies.groups_by_split(splits), [split for split in ("test", "validation") if split not in splits]
    if shared := sum(copies.in_other_splits(groups).values()):
        told = "%s: %d pictures are in another split too, or look nearly the same as one; data_report(%r) counts them."
        logger.warning(told, name, shared, name)
    if not missing:
        return splits
    if (different := len(np.unique(groups["train"]))) <= len(missing):
        need = "{0} splits need at least {0}".format(len(missing) + 1)
        raise DataError(f"{name} has {different} different pictures to divide, and {need}; add some.")
    train, left, known = splits["train"], np.arange(len(groups["train"])), copies.seen(splits["train"], "train")
    target, parts = max(1, round(len(left) / 10)), {}
    for later, split in zip((len(missing), 1), missing, strict=False):
        _, which, sizes = np.unique(groups["train"][left], return_inverse=True, return_counts=True)
        taken = np.isin(which, copies.chosen_groups(sizes, target, len(sizes) - later, seed))
        parts[split], left = left[taken], left[~taken]
    for split, rows in {**parts, "train": left}.items():
        splits[split] = train.select(rows)
        copies.remember(splits[split], known[rows])
    return DatasetDict({split: splits[split] for split in ("train", "validation", "test")})


def _renamed(splits: DatasetDict, name: str, notes: list[dict]) -> DatasetDict:
    """The splits by their names here, in order; without others, which no one learns from."""
    if len(splits) == 1:
        [(only, dataset)] = splits.items()
        notes += _notes(only, [f"its only split, {only}, is divided"] if split_of(only) != "train" else [])
        return DatasetDict({"train": dataset})
    known: dict[str, str] = {}
    for split in splits:
        if (meant := split_of(split)) and known.setdefault(meant, split) != split:
            raise DataError(f"{name} has two splits for {meant}, of which {split} is one; remove or rename one.")
    if "train" not in known:
        raise DataError(f"{name} has the splits {', '.join(splits)} and no train; rename the one to learn from.")
    for other in (split for split in splits if not split_of(split)):
        reason = f"left out the split {other} of {len(splits[other])} pictures; train, validation and test are used"
        notes += _notes(other, [reason])
    return DatasetDict({split: splits[known[split]] for split in ("train", "validation", "test") if split in known})
