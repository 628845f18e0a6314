"""Fresh creatures: splits drawn from those set aside, which neither the data set nor the base model holds."""

import hashlib
import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, Image, List, Value

from helpers.creatures.attributes import ATTRIBUTES, attribute_columns
from helpers.creatures.captions import captions_of, random_creature
from helpers.creatures.pen import draw_creature
from helpers.errors import DataError
from helpers.settings import NOT_TRAINING, Settings

RESERVED = 16  # one creature in so many is set aside
THERE_ARE = 6_146  # set aside, of the 99,144 creatures that can be drawn
# The values that the seed of the fresh split is made of. One that is added to Settings later counts only where it
# differs from its default, so that the seed stays.
SEEDING = ("dataset", "checkpoint", "epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "freeze_vision",
           "max_new_tokens", "precision", "seed")  # fmt: skip


def key_of(creature: Mapping[str, str]) -> str:
    """The attributes as one text: two creatures are the same when their keys are."""
    return "-".join(creature[name] for name in ATTRIBUTES)


def creature_of(key: str) -> dict[str, str]:
    """The creature with this key."""
    return dict(zip(ATTRIBUTES, key.split("-"), strict=True))


def keys_of(dataset: DatasetDict) -> set[str]:
    """The keys of the creatures that a data set holds; none where it has no attribute columns."""
    named = [
        split.select_columns(list(ATTRIBUTES))
        for split in dataset.values()
        if len(attribute_columns(split)) == len(ATTRIBUTES)
    ]
    return {key_of(creature) for split in named for creature in split}


@cache
def is_reserved(key: str) -> bool:
    """Whether the base model is never shown the creature with this key: its SHA-256 is divisible by `RESERVED`."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % RESERVED == 0


def fresh_creatures(seed: int | str, count: int, *, without: Collection[str] = ()) -> list[dict[str, str]]:
    """Creatures that were set aside, no two alike, drawn at random with a seed.

    Args:
        seed: of the draw.
        count: how many.
        without: keys that must not come, such as those of a data set.

    Raises:
        DataError: there are not so many.
    """
    without = frozenset(without)
    left = THERE_ARE - sum(map(is_reserved, without))
    if count > left:
        raise DataError(f"{count:,} fresh creatures were asked for, but {left:,} are left; ask for at most so many.")
    rng, drawn = random.Random(seed), {}
    while len(drawn) < count:
        creature = random_creature(rng)
        if is_reserved(key := key_of(creature)) and key not in without:
            drawn.setdefault(key, creature)
    return list(drawn.values())


def fresh_split(seed: int | str, count: int, *, without: Collection[str] = ()) -> Dataset:
    """Such creatures drawn; see `drawn`."""
    return drawn(fresh_creatures(seed, count, without=without), seed)


def drawn(creatures: Sequence[dict[str, str]], seed: int | str) -> Dataset:
    """Creatures drawn by the pen, with the columns of Pocket Creatures: image, captions and one for each attribute."""
    rows = [
        {"image": draw_creature(creature, random.Random(f"{seed}-{i}")), "captions": captions_of(creature), **creature}
        for i, creature in enumerate(creatures)
    ]
    text = {name: Value("string") for name in ATTRIBUTES}
    return Dataset.from_list(rows, features=Features({"image": Image(), "captions": List(Value("string")), **text}))


def seed_of(weights: Path, settings: Settings) -> int:
    """The seed of the fresh split: nobody can draw it before the base's weights and the settings are chosen.

    Returns:
        The first eight hexadecimal digits of the SHA-256 of the weights file's bytes, followed by the values that
        training depends on as JSON with sorted keys.
    """
    defaults = asdict(Settings())
    values = {
        name: value
        for name, value in asdict(settings).items()
        if name in SEEDING or (name not in NOT_TRAINING and value != defaults[name])
    }
    content = weights.read_bytes() + json.dumps(values, sort_keys=True).encode()
    return int(hashlib.sha256(content).hexdigest()[:8], 16)
