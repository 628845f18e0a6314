"""What people hand over themselves, taken or refused: data sets of their own, one picture or many, captions."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from reprlib import repr as shortened
from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets import Column, Dataset, DatasetDict, Image, IterableDataset

from helpers.errors import CaptioningError, CheckpointError, DataError, ImageError
from helpers.reading.names import split_of
from helpers.text import visible

logger = logging.getLogger(__name__)


def part_of(processor: Any, part: str) -> Any:
    """The image_processor or the tokenizer of a processor; a tokenizer alone is its own.

    Raises:
        CheckpointError: it has none.
    """
    found = getattr(processor, part, processor if part == "tokenizer" and hasattr(processor, "decode") else None)
    if found is None:
        advice = "give the model and then the processor, as load_checkpoint returns them"
        raise CheckpointError(f"This {type(processor).__name__} is no processor, for it has no {part}; {advice}.")
    return found


def own_splits(dataset: Any, *wanted: str) -> DatasetDict:
    """The wanted splits of a data set, each as `own_split` returns it.

    Raises:
        DataError: it has no splits, or lacks a wanted one, or one of them cannot be used.
    """
    if not isinstance(dataset, Mapping):
        mend = f"give DatasetDict({', '.join(f'{name}=…' for name in wanted)}), or what load_captions returns"
        raise DataError(f"This data set ({type(dataset).__name__}) has no splits; {mend}.")
    dataset = {split_of(name): split for name, split in dataset.items()} | dict(dataset)
    if lacking := [name for name in wanted if name not in dataset]:
        has = f"it has {', '.join(map(str, filter(None, dataset))) or 'none'}"
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
    for start, some in enumerate(split.select_columns("image").with_format("arrow").iter(1000)):
        stored = some["image"].combine_chunks()
        for row, size in enumerate(pc.binary_length(stored.field("bytes")).to_pylist()):
            if not size and not os.path.isfile(path := stored.field("path")[row].as_py() or ""):
                what = f"the picture {path} in row {1000 * start + row}, which is not there"
                what = what if path else f"no picture in row {1000 * start + row}"
                raise DataError(f"The {name} has {what}; mend its path, or leave the row out.")
    captions = split["captions"][:]
    if all(isinstance(texts, str) for texts in captions):
        captions = [[text] for text in captions]
        split = split.remove_columns("captions").add_column("captions", captions)
    for row, texts in enumerate(captions):
        if not (isinstance(texts, list) and texts and all(isinstance(t, str) and visible(t).strip() for t in texts)):
            advice = "give a list of one or more texts, or leave the row out"
            raise DataError(f"The {name} has the captions {shortened(texts)} in row {row}; {advice}.")
    seen = [list(map(visible, texts)) for texts in captions]
    if changed := sum(texts != those for texts, those in zip(captions, seen, strict=True)):
        split = split.remove_columns("captions").add_column("captions", seen)
        logger.warning("The %s: signs that cannot be seen are taken out of the captions of %d rows.", name, changed)
    return split


def list_of_pictures(images: Any) -> Sequence[Any]:
    """Pictures to take in slices: of a list, an array of them, a Dataset, or a slice of one.

    Raises:
        ImageError: it is one picture, or none, or has no order.
    """
    if isinstance(images, Dataset):
        images = {name: images.with_format(None)[name] for name in images.column_names}
    table = isinstance(images, Mapping) or hasattr(images, "columns")
    held = images["image"] if table and "image" in images else images
    if isinstance(held, (list, tuple, Column)):
        return held
    axes, one = getattr(held, "ndim", 1), isinstance(held, (str, bytes, bytearray, memoryview, Mapping, Set))
    if hasattr(held, "__len__") and not one and axes in (1, 4):
        return list(held)
    several = table or isinstance(images, (Iterator, Set))
    shown = f"This {type(images).__name__}" if several else shortened(images)
    shown = shown if axes == 1 or several else f"An array of shape {tuple(images.shape)}"
    advice = "give a list of the pictures in it" if several else "put one picture in brackets: [picture]"
    if isinstance(images, (str, os.PathLike)) and os.path.isdir(images):
        shown, advice = os.fspath(images), "give the folder to caption_folder"
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


def each_caption(captions: Any) -> list[str]:
    """The captions of pictures, which may be lists of them, in one list.

    Raises:
        CaptioningError: there are none, or one of them is no text.
    """
    groups = [[group] if isinstance(group, str) else group for group in _listed(captions, "The captions are")]
    return [text for i, group in enumerate(groups) for text in _listed(group, f"The captions of picture {i} are")]


def generated_ids(predictions: Any) -> np.ndarray:
    """Token ids (pictures, tokens) of what a Trainer predicts, which may be a tuple that begins with them.

    Raises:
        CaptioningError: they are logits, as where nothing was generated.
    """
    ids = np.asarray(predictions[0] if isinstance(predictions, tuple) else predictions)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        advice = "train with CaptionTrainer, or set predict_with_generate=True"
        raise CaptioningError(f"The predictions are logits ({ids.dtype}, {ids.shape}) and no token ids; {advice}.")
    return ids
