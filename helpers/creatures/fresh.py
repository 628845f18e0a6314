"""Fresh creatures: splits drawn from those set aside, which neither the data set nor the base model holds."""

import hashlib
import random
from collections.abc import Collection
from functools import cache

from helpers.creatures.attributes import ATTRIBUTES
from helpers.creatures.captions import random_creature
from helpers.errors import DataError

RESERVED = 16  # one creature in so many is set aside
THERE_ARE = 6_146  # set aside, of the 99,144 creatures that can be drawn


def key_of(creature: dict[str, str]) -> str:
    """The attributes as one text: two creatures are the same when their keys are."""
    return "-".join(creature[name] for name in ATTRIBUTES)


@cache
def is_reserved(key: str) -> bool:
    """Whether the base model is never shown the creature with this key: its SHA-256 is divisible by `RESERVED`."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % RESERVED == 0


def fresh_creatures(seed: int | str, count: int, *, without: Collection[str] = ()) -> list[dict[str, str]]:
    """Creatures that were set aside, no two alike, drawn at random; `without` holds keys that must not come.

    Raises:
        DataError: there are not so many.
    """
    without = frozenset(without)
    left = THERE_ARE - sum(map(is_reserved, without))
    if count > left:
        raise DataError(f"{count:,} fresh creatures were asked for, but {left:,} are left; ask for at most so many.")
    rng, found = random.Random(seed), {}
    while len(found) < count:
        creature = random_creature(rng)
        if is_reserved(key := key_of(creature)) and key not in without:
            found.setdefault(key, creature)
    return list(found.values())
