"""Checks of the exercises: `check_x(what you made)` says not yet, almost or right, and never raises."""

from helpers.checks.data import check_labels
from helpers.checks.scores import check_alignment, check_contradiction, check_faults, check_interval, check_word_errors
from helpers.checks.verdicts import Verdict
