"""Calibration: does a confidence tell right from wrong (AUROC), is it the share of right ones (ECE), risk and coverage.

Everywhere, `confidence` holds numbers between 0 and 1 and `right` whether each was right, in the same order.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from helpers.errors import CaptioningError
from helpers.metrics import wilson_interval

BINS = 10  # of equal width


class FactConfidence(NamedTuple):
    """How sure the model is of what one caption says of one part."""

    picture: int  # the caption's number
    part: str
    value: str  # "none" or "plain" where the caption does not name the part, which says that it is not there
    probability: float  # among the values that could stand there
    token: float  # the probability of the same tokens among the whole vocabulary
    right: bool


class Bin(NamedTuple):
    """The answers whose confidence lies between `start` and `end`."""

    start: float
    end: float
    count: int  # at least 1
    confidence: float  # their mean
    right: float  # the share of right ones; Wilson's 95 % interval goes from low to high
    low: float
    high: float


class RiskCoverage(NamedTuple):
    """What becomes of the errors when only the surest are answered: index i stands for the i + 1 surest ones."""

    coverage: np.ndarray  # (answers,): the share that is answered
    risk: np.ndarray  # (answers,): the share of wrong ones among these
    ideal: np.ndarray  # (answers,): the same if every wrong answer were less sure than every right one
    area: float  # the mean of `risk`, which is the area under the curve; the share of wrong ones in a random order


def by_caption(facts: Sequence[FactConfidence]) -> dict[str, list]:
    """The same for whole captions, as columns: picture, product (of the probabilities of its facts) and right."""
    captions: dict[int, list[FactConfidence]] = defaultdict(list)
    for fact in facts:
        captions[fact.picture].append(fact)
    return {
        "picture": list(captions),
        "product": [prod(fact.probability for fact in mine) for mine in captions.values()],
        "right": [all(fact.right for fact in mine) for mine in captions.values()],
    }


def _checked(confidence: Sequence[float], right: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    sure, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if sure.shape != right.shape or sure.ndim != 1:
        raise CaptioningError(f"There are {sure.size} confidences of {right.size} answers; give one for each answer.")
    return sure, right


def auroc(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """How often a right answer is surer than a wrong one, a tie counting half; nan where all or none are right.

    0.5 says nothing, 1 tells them apart. By ranks, as the statistic of Mann and Whitney (1947).
    """
    sure, right = _checked(confidence, right)
    good, bad = int(right.sum()), int((~right).sum())
    above = rankdata(sure)[right].sum() - good * (good + 1) / 2  # pairs of a right one and a wrong one below it
    return float(above / (good * bad)) if good and bad else float("nan")


def compare_confidences(
    confidences: Mapping[str, Sequence[float]], right: Sequence[bool], pictures: Sequence[int]
) -> list[dict[str, str]]:
    """The AUROC of several confidences in the same answers, and how far each stays below the first.

    The 95 % intervals are a bootstrap of whole pictures, since the facts of one picture are not independent. They do
    not hold another training seed.

    Args:
        confidences: name → one for each answer.
        right: whether each answer is right.
        pictures: the number of the picture that each answer is about.

    Returns:
        Rows for `markdown_table`; where all or none are right, they say that there is nothing to compare.
    """
    sure = {name: _checked(values, right)[0] for name, values in confidences.items()}
    right, pictures = np.asarray(right, dtype=bool), np.asarray(pictures)
    if right.all() or not right.any():
        kind = f"all {len(right)} answers are {'right' if right.all() else 'wrong'}" if len(right) else "no answers"
        return [{"confidence": name, "AUROC": f"none: {kind}"} for name in sure]
    rng, drawn = np.random.default_rng(0), []
    groups = [np.flatnonzero(pictures == picture) for picture in np.unique(pictures)]
    for _ in range(500):
        rows = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        drawn.append([auroc(values[rows], right[rows]) for values in sure.values()])
    drawn, values = np.array(drawn), np.array([auroc(each, right) for each in sure.values()])  # (500, names), (names,)
    spans = [
        np.nanpercentile(each, [2.5, 97.5], axis=0).T  # (names, 2); nan is a draw without any wrong answer
        for each in (drawn, drawn[:, :1] - drawn)
    ]
    table = []
    for name, value, gap, span, gap_span in zip(sure, values, values[0] - values, *spans, strict=True):
        table.append({"confidence": name, "AUROC": "{:.3f} ({:.3f} to {:.3f})".format(value, *span)})
        table[-1]["below the first by"] = "{:.3f} ({:.3f} to {:.3f})".format(gap, *gap_span) if len(table) > 1 else ""
    return table


def reliability(confidence: Sequence[float], right: Sequence[bool]) -> list[Bin]:
    """How often answers of about the same confidence are right, in bins of equal width; empty bins are left out."""
    sure, right = _checked(confidence, right)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)  # a confidence of 1 belongs to the last
    found = []
    for number in np.unique(place):
        inside = place == number
        hits, count = int(right[inside].sum()), int(inside.sum())
        ends = wilson_interval(hits, count)
        found.append(Bin(number / BINS, (number + 1) / BINS, count, float(sure[inside].mean()), hits / count, *ends))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error (ECE; Guo et al., 2017): how far confidence and share of right ones are apart.

    Each bin counts by its answers. With few answers the ECE is above 0 by chance alone.
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.confidence - each.right) for each in bins) / total if total else float("nan")


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> RiskCoverage:
    """The curve of El-Yaniv and Wiener (2010), of at least one answer; equally sure ones share their risk."""
    sure, right = _checked(confidence, right)
    _, group = np.unique(-sure, return_inverse=True)  # numbered from the surest on
    wrong = (np.bincount(group, weights=~right) / np.bincount(group))[np.sort(group)]  # (answers,), surest first
    answered = np.arange(1, len(sure) + 1)
    risk = np.cumsum(wrong) / answered
    ideal = np.maximum(0, answered - right.sum()) / answered
    return RiskCoverage(answered / len(sure), risk, ideal, float(risk.mean()))
