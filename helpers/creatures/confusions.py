"""Attributes that go wrong: how often each is named rightly, which value is said for which, recall of each value."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from helpers.creatures.attributes import ATTRIBUTES
from helpers.creatures.facts import ABSENT, attributes_of, facts_of, judge
from helpers.creatures.wordings import Fact
from helpers.errors import CaptioningError


def attributes_right(predictions: Sequence[str], truth: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Whether each caption names each attribute rightly.

    Args:
        predictions: one caption per picture.
        truth: name → one value per picture, as `attribute_columns` gives it.

    Returns:
        name → bool, (pictures,).
    """
    named = [attributes_of(caption) for caption in predictions]
    return {
        name: np.array([each[name] == value for each, value in zip(named, values, strict=True)])
        for name, values in truth.items()
    }


def attribute_accuracy(predictions: Sequence[str], truth: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The share of pictures whose attribute is named rightly: name → 0 to 1."""
    return {name: float(right.mean()) for name, right in attributes_right(predictions, truth).items()}


def fact_counts(count: str, predictions: Sequence[str], truth: Mapping[str, Sequence[str]]) -> np.ndarray:
    """One count of `judge` per picture, (pictures,): all_right (bool), wrong, left_out, invented, right or unknown.

    Predictions and truth are as for `attributes_right`, the captions as they were written (words that are not in the
    grammar count) and the truth with all of `ATTRIBUTES`.
    """
    if any(len(values) != len(predictions) for values in truth.values()):
        raise CaptioningError(f"There are {len(predictions)} predictions; give the attributes of the same pictures.")
    creatures = (dict(zip(truth, values, strict=True)) for values in zip(*truth.values(), strict=True))
    return np.array([getattr(judge(*pair), count) for pair in zip(predictions, creatures, strict=True)])


class Confusion(NamedTuple):
    """How often each value of an attribute was said for each true one."""

    true: list[str]  # the values of the rows
    said: list[str]  # the values of the columns: those of the rows first, in the same order
    counts: np.ndarray  # pictures, int, (true, said); what is right stands on the diagonal


def attribute_confusions(predictions: Sequence[str], truth: Mapping[str, Sequence[str]]) -> dict[str, Confusion]:
    """What was said for what, per attribute.

    Rows and columns stand in the order of `ATTRIBUTES`. A value that is not listed there gets its own row and column
    if it is true of a picture ("black"), and its own column alone if it was only said ("none" for the mouth).
    Predictions and truth are as for `attributes_right`.
    """
    named = [attributes_of(caption) for caption in predictions]
    confusions = {}
    for name, values in truth.items():
        pairs = Counter(zip(values, (each[name] for each in named), strict=True))
        true = list(dict.fromkeys([*ATTRIBUTES[name], *sorted(set(values))]))
        said = list(dict.fromkeys([*true, *sorted(each[name] for each in named)]))
        counts = np.array([[pairs[value, answer] for answer in said] for value in true])
        confusions[name] = Confusion(true, said, counts)
    return confusions


def value_recall(
    predictions: Sequence[str], truth: Mapping[str, Sequence[str]], values: Collection[Fact] | None = None
) -> dict[Fact, tuple[int, int]]:
    """How often captions name each value that is there, whatever else they name.

    Args:
        predictions: one caption per picture.
        truth: as for `attributes_right`.
        values: the facts to count, such as ("ears", "long"); without it, every one that is true of a picture.

    Returns:
        (attribute, value) → pictures whose caption names it, pictures that have it. "none" and "plain" are no facts.
    """
    true, named = Counter(), Counter()
    for caption, *row in zip(predictions, *truth.values(), strict=True):
        there = {fact for fact in zip(truth, row, strict=True) if fact[1] not in ABSENT}
        true.update(there)
        named.update(there.intersection(facts_of(caption).named))
    listed = [
        (name, value) for name in truth for value in dict.fromkeys([*ATTRIBUTES[name], *sorted(set(truth[name]))])
    ]
    return {fact: (named[fact], true[fact]) for fact in (values or filter(true.get, listed)) if fact[0] in truth}
