"""Pocket Creatures, the shipped data set: their attributes, the captions that name them, the pen that draws them."""

from helpers.creatures.attributes import (
    ATTRIBUTES,
    Confusion,
    attribute_accuracy,
    attribute_columns,
    attribute_confusions,
    attribute_mistakes,
    attributes_of,
    attributes_right,
)
from helpers.creatures.captions import captions_of, random_creature
from helpers.creatures.pen import draw_creature
