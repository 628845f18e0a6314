"""Hallmarks of faults: what a broken training shows that no other does, as a condition on its symptoms and in words."""

from collections.abc import Callable
from typing import NamedTuple

from helpers.experiments.symptoms import Symptoms


class Hallmark(NamedTuple):
    """What tells a fault from all others."""

    expected: str  # what a training with this fault shows
    found: str  # what a training shows in this respect, a template of its symptoms e and the healthy ones h
    shown: Callable[[Symptoms, Symptoms], bool]  # whether it shows it


WRONG_CAPTIONS = (
    "of the 6 training captions with the highest loss, {e.contradicted} contradict their pictures, and "
    "{e.right_test:.0%} of the test captions are right (healthy {h.right_test:.0%})"
)
HALLMARKS = {
    1: Hallmark(
        "the loss is nearly zero, and the model says nothing",
        "the validation loss is {e.loss:.3f}, and a caption has {e.words:.0f} words",
        lambda e, h: e.loss < 0.02 and e.words < 1,
    ),
    2: Hallmark(
        "captions end and speak of the picture, but their words stand in no order",
        "of {e.words:.0f} words in a caption, {e.unknown:.1f} stand where no phrase has them",
        lambda e, h: e.unknown > 1 and e.different > 50,
    ),
    3: Hallmark(
        "the loss begins far above the healthy one and ends far below it, and captions are as good",
        "the validation loss goes from {e.loss_before:.2f} (healthy {h.loss_before:.2f}) to {e.loss:.3f} "
        "(healthy {h.loss:.3f}), and {e.right_test:.0%} of the captions are right (healthy {h.right_test:.0%})",
        lambda e, h: e.loss_before > 1.5 * h.loss_before and e.loss < 0.7 * h.loss and e.right_test > h.right_test / 2,
    ),
    4: Hallmark(
        "the loss is that of the healthy training, and captions do not stop",
        "the validation loss is {e.loss:.3f} (healthy {h.loss:.3f}), {e.ended:.0%} of the captions end, and a caption "
        "has {e.words:.0f} words (healthy {h.words:.0f})",
        lambda e, h: e.loss < 1.5 * h.loss and e.ended < 0.6 and e.words > 1.3 * h.words,
    ),
    5: Hallmark(
        "captions are whole sentences, and about other pictures, as the training captions are",
        WRONG_CAPTIONS,
        lambda e, h: e.contradicted >= 4 and e.right_test < 0.05,
    ),
    6: Hallmark(
        "some training captions contradict their pictures, and many captions are right all the same",
        WRONG_CAPTIONS,
        lambda e, h: e.contradicted >= 4 and e.right_test > 0.1,
    ),
    7: Hallmark(
        "far more captions are right on test than on validation",
        "{e.right_test:.0%} are right on test, {e.right:.0%} on validation",
        lambda e, h: e.right_test > e.right + 0.15,
    ),
    8: Hallmark(
        "the loss stays far above the healthy one, and most pictures have the same few captions",
        "the validation loss is {e.loss:.3f} (healthy {h.loss:.3f}), and 100 pictures have {e.different} different "
        "captions",
        lambda e, h: e.loss > 2 * h.loss and e.different < 50,
    ),
    9: Hallmark(
        "one value is never named, and captions of other pictures are right",
        "{e.lost} fares worst beside the healthy training ({e.lost_healthy} of {e.lost_of} and here {e.lost_named}), "
        "and {e.right_test:.0%} of the captions are right",
        lambda e, h: e.lost_named == 0 and e.right_test > 0.1,
    ),
}


def speaks(fault: int, case: Symptoms, healthy: Symptoms) -> tuple[bool, str]:
    """Whether a case has a fault's hallmark, and what it shows in that respect, with its own values."""
    hallmark = HALLMARKS[fault]
    return hallmark.shown(case, healthy), hallmark.found.format(e=case, h=healthy)
