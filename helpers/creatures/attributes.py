"""Attributes of Pocket Creatures (colour, pattern, ears, …): their values, and the columns that hold them."""

from datasets import Dataset

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
