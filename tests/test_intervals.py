import inspect

import numpy as np
import pytest
import sacrebleu
from scipy.stats import binom, multinomial

from helpers.metrics import bootstrap_interval, few_errors, paired_difference, wilson_interval
from helpers.metrics.intervals import FEW, mean, ratio, value_of
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


@pytest.mark.parametrize("of", [10, 30, 100])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.9, 0.97, 0.99])
def test_wilsons_interval_covers_what_it_says(of, share):
    """The probability of all counts whose interval holds the true share."""
    counts = np.arange(of + 1)
    ends = np.array([wilson_interval(right, of) for right in counts])
    coverage = binom.pmf(counts, of, share)[(ends[:, 0] <= share) & (share <= ends[:, 1])].sum()
    if of == 10 and share in (0.01, 0.99):
        assert coverage == pytest.approx(0.904, abs=0.001)
    else:
        assert coverage >= 0.92


def test_wilsons_interval_by_hand():
    # (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²) with z = 1.96
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 100) == pytest.approx((0, 0.0370), abs=1e-4)
    assert wilson_interval(np.int64(100), 100) == pytest.approx((0.9630, 1), abs=1e-4)


@pytest.mark.parametrize(("right", "of"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_share_has_no_interval(right, of):
    with pytest.raises(ValueError, match=f"{right} of {of}"):
        wilson_interval(right, of)


def judged(first, second, of):
    """Two systems: so many pictures only the first gets right, so many only the second, and neither the others."""
    return np.arange(of) < first, (np.arange(of) >= first) & (np.arange(of) < first + second)


@pytest.mark.parametrize("of", [10, 30])
@pytest.mark.parametrize(("first", "second"), [(0.01, 0.01), (0.1, 0.03), (0.3, 0.1), (0.7, 0.2), (0.94, 0.01)])
def test_the_paired_interval_covers_what_it_says(of, first, second):
    """The probability of all pairs of counts whose interval holds the true difference."""
    coverage = 0
    for only_first in range(of + 1):
        for only_second in range(of + 1 - only_first):
            low, high, _ = paired_difference(*judged(only_first, only_second, of))
            if low <= first - second <= high:
                counts = [only_first, only_second, of - only_first - only_second]
                coverage += multinomial.pmf(counts, of, [first, second, 1 - first - second])
    assert coverage >= 0.94


def test_the_paired_interval_and_mcnemars_p_by_hand():
    low, high, p = paired_difference(*judged(3, 1, 10))
    # counts of 4 and 2 among 12: 1/6 ± 1.96 √((6/12 - (1/6)²) / 12)
    assert (low, high) == pytest.approx((1 / 6 - 0.3888, 1 / 6 + 0.3888), abs=1e-4)
    assert p == pytest.approx(2 * (1 + 4) / 2**4)
    assert paired_difference(*judged(1, 8, 40))[2] == pytest.approx(2 * (1 + 9) / 2**9)
    assert paired_difference(*judged(0, 0, 40))[2] == 1
    assert paired_difference(*judged(10, 0, 10))[1] == 1


def test_shares_of_other_pictures_are_not_compared():
    with pytest.raises(ValueError, match=r"8 and 9"):
        paired_difference(np.ones(8, dtype=bool), np.ones(9, dtype=bool))


@pytest.mark.parametrize(("wrong", "told"), [(0, "No picture has"), (1, "Only 1 picture has"), (9, "Only 9 pictures")])
def test_too_few_errors_for_the_bootstrap_are_said(wrong, told):
    errors = np.zeros((100, 2), dtype=int)
    errors[:wrong, 0], errors[:, 1] = 3, 12
    assert few_errors(errors).startswith(told)
    assert few_errors(errors[:, 0]) == few_errors(errors)
    errors[:10, 0] = 1
    assert few_errors(errors) == ""


@pytest.mark.parametrize("rate", [0.6, 0.3])
def test_the_bootstrap_is_too_narrow_below_the_number_that_is_said(rate):
    """Errors of a few of very many pictures: how often a picture comes in a resample is a Poisson number of mean 1."""
    random = np.random.default_rng(0)

    def coverage(expected, trials=1000, resamples=400):
        hits = 0
        for _ in range(trials):
            errors = random.geometric(rate, random.poisson(expected))
            low, high = np.quantile(random.poisson(1, (resamples, len(errors))) @ errors, [0.025, 0.975])
            hits += low <= expected / rate <= high
        return hits / trials

    assert coverage(FEW / 2) < 0.88 < coverage(FEW) < 0.93
