"""Statistics a picture → a score, and how far it might have moved with other pictures.

What a metric finds in a picture is computed once. A score comes from the sums over pictures, so pictures can be drawn
anew thousands of times without reading a caption again.
"""

from __future__ import annotations

import numpy as np
from sacrebleu.metrics import BLEU
from scipy.stats import bootstrap

from helpers.errors import CaptioningError


def value_of(per_picture: np.ndarray) -> float:
    """The score of a set of pictures, from the same statistics that `bootstrap_interval` takes."""
    columns = _columns(per_picture)
    return float(_score_of(columns.sum(axis=0), len(columns)))


def bootstrap_interval(
    per_picture: np.ndarray, *, minus: np.ndarray | None = None, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """How far a score might have moved with other pictures of the same kind: percentile bootstrap (Efron, 1979).

    Args:
        per_picture: a value a picture, (pictures,), whose mean is the score; or (pictures, 2), a numerator and a
            denominator a picture, whose ratio of sums is the score, as `word_errors` gives them; or (pictures, 10), as
            `bleu_counts` gives them.
        minus: the same of another system: the interval is then that of the first score minus the second, both from the
            same pictures in each resample.
        confidence: share of resamples inside the interval.
        seed: of the resampling.

    Returns:
        The lower and the upper end.

    Raises:
        CaptioningError: the values have another shape, or the two systems' shapes differ.
    """
    if minus is not None and np.shape(minus) != np.shape(per_picture):
        raise CaptioningError(
            f"The values to compare have the shapes {np.shape(per_picture)} and {np.shape(minus)}; "
            "give the same metric of the same pictures."
        )
    parts = [_columns(values) for values in (per_picture, minus) if values is not None]

    def statistic(rows: np.ndarray, axis: int = -1) -> np.ndarray:
        """Pictures drawn, (resamples, pictures) → scores, (resamples,). A column at a time, which keeps memory low."""
        sums = [np.stack([column[rows].sum(axis=axis) for column in part.T], axis=-1) for part in parts]
        scores = [_score_of(each, rows.shape[axis]) for each in sums]
        return scores[0] - scores[1] if len(scores) == 2 else scores[0]

    pictures = np.arange(len(parts[0]))
    if all((part == part[:1]).all() for part in parts):
        same = float(statistic(pictures))
        return same, same
    found = bootstrap(
        (pictures,), statistic, vectorized=True, n_resamples=2000, batch=200,
        confidence_level=confidence, method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def _columns(per_picture: np.ndarray) -> np.ndarray:
    """Statistics as (pictures, columns)."""
    columns = np.asarray(per_picture, dtype=float)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or not len(columns) or columns.shape[1] not in (1, 2, 10):
        raise CaptioningError(
            f"The values have the shape {columns.shape}; give 1, 2 or 10 of each of one or more pictures."
        )
    return columns


def _score_of(sums: np.ndarray, pictures: int) -> np.ndarray:
    """Sums over pictures, (..., columns) → scores, (...): a mean, a ratio, or BLEU, by the number of columns."""
    if sums.shape[-1] == 1:
        return sums[..., 0] / pictures
    if sums.shape[-1] == 2:
        return sums[..., 0] / np.where(sums[..., 1] == 0, 1, sums[..., 1])
    # sacrebleu's formula and its smoothing; it takes Python's whole numbers
    rows = sums.reshape(-1, 10).astype(int).tolist()
    scores = [BLEU.compute_bleu(row[2:6], row[6:], *row[:2], smooth_method="exp").score / 100 for row in rows]
    return np.array(scores).reshape(sums.shape[:-1])
