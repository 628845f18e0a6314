"""Baselines that need no training: the most frequent caption, the nearest picture's, those of shuffled pictures."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from datasets import Dataset
from torch.nn.functional import normalize as unit_length
from transformers import PreTrainedModel

from helpers.errors import CaptioningError
from helpers.families import picture_features
from helpers.metrics import normalize, word_errors
from helpers.transforms import normalized_pixels, prepare_pictures, stored_pixels

Picture = TypeVar("Picture")


def most_frequent_caption(groups: Sequence[Sequence[str]], *, seed: int = 0) -> str:
    """The caption that most pictures have: the answer of a captioner that never looks.

    The captions of each picture are counted after normalisation, once per picture. Of several that are as frequent, the
    most central is taken, with this seed; so where all captions differ, it is the most central one of all.

    Returns:
        The caption, as it is first spelt.
    """
    spelt = [{normalize(caption): caption for caption in reversed(group)} for group in groups]  # the first one stays
    counts = Counter(text for mine in spelt for text in mine)
    if not counts:
        raise CaptioningError("There are no captions to choose from; give the captions of one or more pictures.")
    most = max(counts.values())
    tied = [text for text, count in counts.items() if count == most]
    chosen = most_central([tied], seed=seed)
    return next(mine[chosen] for mine in spelt if chosen in mine)


def most_central(groups: Sequence[Sequence[str]], *, most: int = 100, seed: int = 0) -> str:
    """The caption with the fewest word errors against all others, of at most `most` that are drawn with a seed."""
    captions = sorted({caption for group in groups for caption in group})
    drawn = random.Random(seed).sample(captions, min(most, len(captions)))
    return min(drawn, key=lambda caption: sum(word_errors([caption] * len(drawn), [[text] for text in drawn])[:, 0]))


def nearest_captions(
    model: PreTrainedModel, processor: Any, train: Dataset, test: Dataset, *, batch_size: int = 64
) -> list[str]:
    """The caption of the training picture that looks most alike to the model (Devlin et al., 2015).

    Alike is the cosine of the pictures' features (`picture_features`); of equal ones the earlier picture is taken, and
    of a picture's captions the first.

    Args:
        model, processor: whose vision encoder looks, and its processor.
        train: a split with the columns image and captions, from which captions are taken.
        test: a split with the same columns; its captions are not read.
        batch_size: pictures at a time.

    Returns:
        A caption for each picture of `test`.

    Raises:
        CaptioningError: a split holds no pictures.
    """
    for name, split in (("train", train), ("test", test)):
        if not len(split):
            raise CaptioningError(f"The {name} split holds no pictures; give at least one.")
    known, asked = (unit_length(split_features(model, processor, split, batch_size), dim=1) for split in (train, test))
    nearest = [int(place) for part in asked.split(batch_size) for place in (part @ known.T).argmax(dim=1)]
    captions = train["captions"]
    return [captions[place][0] for place in nearest]


def split_features(model: PreTrainedModel, processor: Any, split: Dataset, batch_size: int = 64) -> torch.Tensor:
    """The features (`picture_features`) of every picture of a split: (pictures, width)."""
    batches = (torch.stack(stored_pixels(rows)) for rows in prepare_pictures(split, processor).iter(batch_size))
    return torch.cat([picture_features(model, normalized_pixels(pixels, processor)) for pixels in batches])


def shuffled_pictures(images: Sequence[Picture], seed: int = 0) -> list[Picture]:
    """The same pictures in another order, none in its own place: does a captioner look at all?

    Raises:
        CaptioningError: there are fewer than two pictures.
    """
    if len(images) < 2:
        raise CaptioningError(f"There are {len(images)} pictures, and none can change its place; give at least two.")
    order = random.Random(seed).sample(range(len(images)), len(images))
    # Each picture goes to the place of the next one in a random round, so that none can keep its own.
    giver = dict(zip(order, order[1:] + order[:1], strict=True))
    return [images[giver[place]] for place in range(len(images))]
