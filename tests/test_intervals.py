import inspect

import numpy as np
import pytest
import sacrebleu

from helpers.metrics import bootstrap_interval
from helpers.metrics.intervals import mean, ratio, value_of
from helpers.metrics.scores import bleu
from helpers.paths import ROOT


def test_interval_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(2, 1, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low < values.mean() < high
    assert (values.mean() - low, high - values.mean()) == pytest.approx((half, half), rel=0.15)


def test_interval_narrows_with_more_pictures_and_widens_with_confidence():
    values = np.random.default_rng(1).random(1600)

    def width(values, **options):
        low, high = bootstrap_interval(values, **options)
        return high - low

    assert width(values) < 0.7 * width(values[:400])
    assert width(values[:400], confidence=0.5) < 0.7 * width(values[:400])


def test_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(2).random(50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize(
    ("values", "score"),
    [([0.25] * 30, 0.25), ([True] * 5, 1), ([0.5], 0.5), ([[1, 4]] * 30, 0.25), ([[3, 4]], 0.75)],
)
def test_interval_of_values_that_do_not_vary_is_the_score(values, score):
    assert bootstrap_interval(np.array(values)) == (score, score)


def test_interval_of_a_ratio_surrounds_the_ratio_of_sums():
    errors = np.tile([[0, 20], [3, 3], [1, 12]], (40, 1))
    low, high = bootstrap_interval(errors)
    assert low < 4 / 35 < high
    assert high < (0 + 1 + 1 / 12) / 3


def test_interval_takes_yes_and_no():
    low, high = bootstrap_interval(np.array([True, False] * 50))
    assert 0.3 < low < 0.5 < high < 0.7


def test_interval_of_a_ratio_without_words_is_finite():
    assert bootstrap_interval(np.array([[2, 0], [0, 0], [1, 0]])) == (0, 6)


def drawn_counts(pictures, seed=0):
    """Counts as bleu_counts gives them: the n-grams that match are some of those said."""
    random = np.random.default_rng(seed)
    words = random.integers(4, 9, pictures)
    said = np.stack([words - n for n in range(4)], axis=1)
    return np.column_stack([words, words + random.integers(-1, 2, pictures), random.binomial(said, 0.4), said])


def test_value_is_a_mean_a_ratio_or_bleu():
    counts = drawn_counts(20)
    sums = counts.sum(axis=0).tolist()
    expected = sacrebleu.BLEU.compute_bleu(sums[2:6], sums[6:], *sums[:2], smooth_method="exp").score
    assert value_of(np.array([1, 0, 0, 1]), mean) == 0.5
    assert value_of(np.array([[1, 2], [3, 6]]), ratio) == 0.5
    assert value_of(counts, bleu) == pytest.approx(expected / 100)


def test_interval_of_bleu_is_that_of_corpora_drawn_by_hand():
    counts = drawn_counts(200)
    low, high = bootstrap_interval(counts, of_sums=bleu)
    random = np.random.default_rng(1)
    scores = [value_of(counts[random.integers(0, 200, 200)], bleu) for _ in range(1000)]
    assert (low, high) == pytest.approx(np.quantile(scores, [0.025, 0.975]), rel=0.03)


def test_difference_is_paired_over_pictures():
    """Two systems that find the same pictures hard: their difference is known better than either score."""
    random = np.random.default_rng(0)
    hard = random.random(300)
    first, second = hard + 0.02, hard + random.normal(0, 0.01, 300)
    low, high = bootstrap_interval(first, minus=second)
    half = 1.96 * (first - second).std() / np.sqrt(300)
    assert ((high - low) / 2, (high + low) / 2) == pytest.approx((half, (first - second).mean()), rel=0.15)
    assert high - low < 0.1 * np.ptp(bootstrap_interval(first))
    assert bootstrap_interval(second, minus=first) == pytest.approx((-high, -low))


def test_difference_of_ratios_subtracts_the_ratios():
    first = np.tile([[0, 20], [3, 3], [1, 12]], (40, 1))
    second = np.tile([[2, 10], [3, 3], [4, 10]], (40, 1))
    low, high = bootstrap_interval(first, minus=second)
    assert low < 4 / 35 - 9 / 23 < high < 0


@pytest.mark.parametrize(
    ("values", "of_sums"), [(np.arange(9.0), None), (np.arange(18).reshape(9, 2), None), (drawn_counts(9), bleu)]
)
def test_nothing_differs_from_itself(values, of_sums):
    assert bootstrap_interval(values, minus=values.copy(), of_sums=of_sums) == (0, 0)


def test_sums_become_a_score_as_one_says():
    values = np.random.default_rng(4).random((40, 3))
    low, high = bootstrap_interval(values, of_sums=lambda sums, pictures: 100 * sums[..., 2] / pictures)
    assert (low / 100, high / 100) == pytest.approx(bootstrap_interval(values[:, 2]))
    assert bootstrap_interval(values[:, :2], of_sums=mean) == bootstrap_interval(values[:, 0])


def test_difference_of_values_that_do_not_vary_is_exact():
    assert bootstrap_interval(np.array([True] * 9), minus=np.array([0.25] * 9)) == (0.75, 0.75)


@pytest.mark.parametrize("second", [np.zeros(8), np.zeros((9, 2)), np.zeros(1)])
def test_a_difference_needs_the_same_metric_of_the_same_pictures(second):
    with pytest.raises(ValueError, match="the same metric of the same pictures"):
        bootstrap_interval(np.arange(9.0), minus=second)


@pytest.mark.parametrize("values", [np.zeros((9, 3)), drawn_counts(9), np.zeros(0), np.zeros((2, 2, 2)), 0.5])
def test_values_of_no_metric_raise(values):
    with pytest.raises(ValueError, match="shape"):
        bootstrap_interval(values)


def test_the_share_of_resamples_is_the_one_that_the_readme_names():
    default = inspect.signature(bootstrap_interval).parameters["confidence"].default
    assert f"{default:.0%}".replace("%", " % interval") in (ROOT / "README.md").read_text(encoding="utf-8")
