"""Answers to the exercises, as learners write them: what a check may not call right, and what it has to.

A tuple holds the arguments of a call.
"""

from tests.answers import by_hand, data, diagnosis, experiments, inference, names, scores, training, understanding
from tests.answers.right import RIGHT as RIGHT

MODULES = (by_hand, data, diagnosis, experiments, inference, names, scores, training, understanding)
WRONG = {name: each for module in MODULES for name, each in module.WRONG.items()}
