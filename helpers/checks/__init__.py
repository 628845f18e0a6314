"""Checks of the exercises: `check_x(what you made)` says not yet, almost or right, and never raises."""

from helpers.checks.data import check_labels
from helpers.checks.understanding import check_least_sure, check_named_share, check_token_accuracy, check_top_patch
from helpers.checks.verdicts import Verdict
