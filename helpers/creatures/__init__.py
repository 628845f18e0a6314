"""Pocket Creatures, the shipped data set: their attributes, the captions that name them, the pen that draws them."""

from helpers.creatures.attributes import ATTRIBUTES, NO_ATTRIBUTES, attribute_columns, chosen_creature
from helpers.creatures.captions import captions_of, random_creature
from helpers.creatures.confusions import (
    Confusion,
    attribute_accuracy,
    attribute_confusions,
    attributes_right,
    fact_counts,
    value_recall,
)
from helpers.creatures.edits import PARTS, Edit, Effect, draw_edits, edit_effects, edited_creatures, scenes_without
from helpers.creatures.facts import Verdict, attributes_of, facts_of, facts_of_creature, judge
from helpers.creatures.fresh import creature_of, fresh_creatures, fresh_split, key_of, keys_of
from helpers.creatures.pen import draw_creature
from helpers.creatures.wordings import UNSEEN
