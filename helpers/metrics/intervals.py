"""Bootstrap confidence intervals of scores, and of the difference between two systems' scores.

A score comes from sums over pictures, so pictures are drawn anew thousands of times without reading a caption again.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import bootstrap

from helpers.errors import CaptioningError

OfSums = Callable[[np.ndarray, int], np.ndarray]  # sums over pictures (..., columns), pictures → scores (...)


def mean(sums: np.ndarray, pictures: int) -> np.ndarray:
    """Every picture counts the same."""
    return sums[..., 0] / pictures


def ratio(sums: np.ndarray, pictures: int) -> np.ndarray:
    """A sum over another, so that a picture counts by its denominator; over 1 where that sum is 0."""
    return sums[..., 0] / np.where(sums[..., 1] == 0, 1, sums[..., 1])


def value_of(per_picture: np.ndarray, of_sums: OfSums) -> float:
    """The score of a set of pictures, from what `bootstrap_interval` takes."""
    columns = np.asarray(per_picture, dtype=float).reshape(len(per_picture), -1)
    return float(of_sums(columns.sum(axis=0), len(columns)))


def bootstrap_interval(
    per_picture: np.ndarray,
    *,
    minus: np.ndarray | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    of_sums: OfSums | None = None,
) -> tuple[float, float]:
    """How far a score might have moved with other pictures of the same kind: percentile bootstrap (Efron, 1979).

    Args:
        per_picture: (pictures,), whose mean is the score; or (pictures, 2), a numerator and a denominator per picture,
            whose ratio of sums is the score, as `word_errors` gives them.
        minus: the same of another system: the interval is then that of the first score minus the second, both from the
            same pictures in each resample.
        confidence: share of resamples inside the interval, which goes from the lower to the upper end returned.
        seed: of the resampling.
        of_sums: how sums over pictures, (pictures, any number of columns), become a score, where it is another.

    Raises:
        CaptioningError: the values have another shape, or the two systems' shapes differ.
    """
    values = np.asarray(per_picture, dtype=float)
    of_sums = of_sums or {(): mean, (1,): mean, (2,): ratio}.get(values.shape[1:])
    if values.ndim not in (1, 2) or not values.size or not of_sums:
        raise CaptioningError(
            f"The values have the shape {values.shape}; give 1 or 2 for each of one or more pictures, "
            "or say with of_sums how their sums become a score."
        )
    if minus is not None and np.shape(minus) != values.shape:
        raise CaptioningError(
            f"The values to compare have the shapes {values.shape} and {np.shape(minus)}; "
            "give the same metric of the same pictures."
        )
    systems = [np.reshape(part, (len(values), -1)) for part in (values, minus) if part is not None]

    def statistic(rows: np.ndarray, axis: int = -1) -> np.ndarray:
        """Pictures drawn, (resamples, pictures) → scores, (resamples,). A column at a time, which keeps memory low."""
        sums = [np.stack([column[rows].sum(axis=axis) for column in columns.T], axis=-1) for columns in systems]
        scores = [of_sums(each, rows.shape[axis]) for each in sums]
        return scores[0] - scores[1] if len(scores) == 2 else scores[0]

    pictures = np.arange(len(values))
    if all((columns == columns[:1]).all() for columns in systems):
        same = float(statistic(pictures))
        return same, same
    interval = bootstrap(
        (pictures,), statistic, vectorized=True, n_resamples=2000, batch=200,
        confidence_level=confidence, method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)
