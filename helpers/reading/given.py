"""What people hand over themselves, taken or refused: data sets of their own, one picture or many, captions."""

from collections.abc import Iterator, Mapping, Sequence, Set
from reprlib import repr as shortened
from typing import Any

import numpy as np
from datasets import Column, Dataset, DatasetDict, Image, IterableDataset

from helpers.errors import CaptioningError, DataError, ImageError


def own_splits(dataset: Any, *wanted: str) -> DatasetDict:
    """The wanted splits of a data set, each as `own_split` returns it.

    Raises:
        DataError: it has no splits, or lacks a wanted one, or one of them cannot be used.
    """
    if not isinstance(dataset, Mapping):
        mend = f"give DatasetDict({', '.join(f'{name}=…' for name in wanted)}), or what load_captions returns"
        raise DataError(f"This data set ({type(dataset).__name__}) has no splits; {mend}.")
    if lacking := [name for name in wanted if name not in dataset]:
        has = f"it has {', '.join(map(str, dataset)) or 'none'}"
        raise DataError(f"The data set has no {' and no '.join(lacking)} split ({has}); take one from load_captions.")
    return DatasetDict({name: own_split(dataset[name], f"split {name}") for name in wanted})


def own_split(split: Any, name: str = "data set") -> Dataset:
    """A split without a format, its pictures in the column image and a list of texts a row in captions.

    Paths and bytes are taken as pictures, and one text a row as a list of one.

    Raises:
        DataError: it is no split with rows and these columns, or a row has no caption.
    """
    if not isinstance(split, Dataset):
        advice = "load it without streaming=True" if isinstance(split, IterableDataset) else "take one of load_captions"
        raise DataError(f"The {name} is no Dataset ({type(split).__name__}); {advice}.")
    split, columns = split.with_format(None), split.column_names
    for column in ("image", "captions"):
        if column not in columns:
            advice = f'write split.rename_column("…", "{column}"), or load it with load_captions'
            raise DataError(f"The {name} has the columns {', '.join(columns) or 'none'} and no {column}; {advice}.")
    if not len(split):
        raise DataError(f"The {name} has no rows; take one of load_captions.")
    try:
        split = split.cast_column("image", Image())
    except Exception:  # of pyarrow or the datasets library
        raise DataError(f"The {name} has no pictures in its column image; give paths, bytes or PIL pictures.") from None
    captions = split["captions"][:]
    if all(isinstance(texts, str) for texts in captions):
        captions = [[text] for text in captions]
        split = split.remove_columns("captions").add_column("captions", captions)
    for row, texts in enumerate(captions):
        if not (isinstance(texts, list) and texts and all(isinstance(text, str) and text.strip() for text in texts)):
            advice = "give a list of one or more texts, or leave the row out"
            raise DataError(f"The {name} has the captions {shortened(texts)} in row {row}; {advice}.")
    return split


def list_of_pictures(images: Any) -> Sequence[Any]:
    """Pictures to take in slices: of a list, an array of them, a Dataset, or a slice of one.

    Raises:
        ImageError: it is one picture, or none, or has no order.
    """
    if isinstance(images, Dataset):
        images = {name: images.with_format(None)[name] for name in images.column_names}
    if isinstance(images, Mapping) and isinstance(images.get("image"), (list, tuple, Column)):
        return images["image"]
    if isinstance(images, (list, tuple, Column)):
        return images
    axes, one = getattr(images, "ndim", 1), isinstance(images, (str, bytes, bytearray, memoryview, Mapping, Set))
    if hasattr(images, "__len__") and not one and axes in (1, 4):
        return list(np.asarray(images) if axes == 4 else images)
    several = isinstance(images, (Iterator, Mapping, Set))
    shown = f"This {type(images).__name__}" if several else shortened(images)
    shown = shown if axes == 1 else f"An array of shape {tuple(images.shape)}"
    advice = "give a list of the pictures in it" if several else "put one picture in brackets: [picture]"
    raise ImageError(f"{shown} is no list of pictures; {advice}.")


def lists_of_texts(predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    """A caption for each picture, which may be a Caption, and its reference captions, as lists of plain texts.

    Raises:
        CaptioningError: they are no lists, or not of the same pictures, or one of them is no text.
    """
    said, groups = _listed(predictions, "The predictions are"), _listed(references, "The references are")
    if len(said) != len(groups) or not said:
        raise CaptioningError(
            f"There are {len(said)} predictions and references of {len(groups)} pictures; "
            "give both for each of one or more pictures."
        )
    wanted = "give a list of one or more texts"
    groups = [_listed(group, f"The references of picture {i} are", wanted) for i, group in enumerate(groups)]
    for i, (caption, group) in enumerate(zip(said, groups, strict=True)):
        for text in (caption, *group):
            if not isinstance(text, str):
                raise CaptioningError(f"Picture {i} has the caption {text!r}; give a text.")
    return said, groups


def _listed(texts: Any, what: str, wanted: str = "") -> list:
    """The texts of a list, an array, a column or a generator; anything else is refused."""
    table = isinstance(texts, (str, Mapping, Set)) or hasattr(texts, "columns") or not hasattr(texts, "__iter__")
    listed = [] if table else [getattr(text, "text", text) for text in texts]
    if table or (wanted and not listed):
        raise CaptioningError(f"{what} {shortened(texts)}; {wanted or 'give a list with an entry for each picture'}.")
    return listed
