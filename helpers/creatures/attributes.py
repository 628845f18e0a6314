"""Attributes of Pocket Creatures (colour, pattern, ears, …): their values, and the columns that hold them."""

from collections.abc import Mapping

from datasets import Dataset

from helpers.errors import DataError

ATTRIBUTES: dict[str, list[str]] = {
    "color": ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray"],
    "second_color": ["none", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray"],
    "pattern": ["plain", "spotted", "striped"],
    "body": ["round", "tall", "square"],
    "ears": ["none", "pointy", "round", "long"],
    "horns": ["none", "one", "two"],
    "wings": ["none", "wings"],
    "tail": ["none", "curly", "spiky"],
    "mouth": ["smile", "frown", "open"],
}
NO_ATTRIBUTES = "This data set has no attribute columns."  # said in place of a figure


def attribute_columns(split: Dataset) -> dict[str, list[str]]:
    """The attribute columns that a split has: name → one value per picture; empty for any other data set."""
    return {name: list(split[name]) for name in ATTRIBUTES if name in split.column_names}


def chosen_creature(values: Mapping[str, str]) -> dict[str, str]:
    """A creature of values that somebody chose, one for each of `ATTRIBUTES`, in their order.

    Raises:
        DataError: there is no such value or no such creature; the sentence lists what there is.
    """
    if strange := [name for name in values if name not in ATTRIBUTES]:
        raise DataError(f"A creature has no {strange[0]!r}; give values for {', '.join(ATTRIBUTES)}.")
    for name, known in ATTRIBUTES.items():
        if values.get(name) not in known:
            what = f"is {values[name]!r}" if name in values else "is missing"
            raise DataError(f"{name} {what}; give one of {', '.join(known)}.")
    pattern, first, second = (values[name] for name in ("pattern", "color", "second_color"))
    if (pattern == "plain") != (second == "none") or first == second:
        known = " or ".join(
            c for c in ATTRIBUTES["second_color"] if (c == "none") == (pattern == "plain") and c != first
        )
        raise DataError(f"second_color is {second!r}; for a {pattern} creature that is {first}, give {known}.")
    return {name: values[name] for name in ATTRIBUTES}
