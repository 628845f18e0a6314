import jiwer
import numpy as np
import pytest
from transformers import EvalPrediction

from helpers.metrics import (
    align_words,
    bootstrap_interval,
    caption_metrics,
    decode,
    exact_matches,
    load_wer,
    make_compute_metrics,
    most_central,
    normalize,
    rouge_l,
    score,
    word_errors,
)

KOREAN = "빨간 고양이가 웃는다"


@pytest.mark.parametrize(
    ("prediction", "references", "errors", "words"),
    [
        ("a red cat", ["a red cat"], 0, 3),
        ("a red cat", ["a blue cat"], 1, 3),
        ("red cat", ["a red cat"], 1, 3),
        ("a big red cat", ["a red cat"], 1, 3),
        ("a red cat", ["the dog", "a red car", "a red cat"], 0, 3),
        ("a b", ["a", "a b c d"], 2, 4),
        ("a b x", ["a b", "a b c d"], 2, 4),
        ("a b x", ["a b c d", "a b"], 2, 4),
        ("", ["a red cat"], 3, 3),
        ("a red cat", [""], 3, 0),
        ("", [""], 0, 0),
        ("A red, cat!", ["a red cat"], 0, 3),
    ],
)
def test_word_errors_by_hand(prediction, references, errors, words):
    assert word_errors([prediction], [references]).tolist() == [[errors, words]]


def test_wer_divides_the_sum_of_errors_by_the_sum_of_words():
    predictions = ["a b x", "red cat", "yes"]
    references = [["a b", "a b c d"], ["a red cat"], ["yes"]]
    assert caption_metrics(predictions, references)["wer"] == pytest.approx((2 + 1 + 0) / (4 + 3 + 1))


def test_wer_can_exceed_one():
    assert caption_metrics(["a b c d e"], [["x y"]])["wer"] == pytest.approx(5 / 2)


@pytest.mark.parametrize(
    ("prediction", "references", "best"),
    [
        ("a b c d", ["a c d e f"], 2 * 3 / (4 + 5)),
        ("a b c d", ["x", "a c d e f"], 2 * 3 / (4 + 5)),
        ("d c b a", ["a b c d"], 2 * 1 / (4 + 4)),
        ("a red cat", ["a red cat"], 1),
        ("", ["a red cat"], 0),
        (KOREAN, [KOREAN], 1),
        (KOREAN, ["빨간 개가 잔다"], 1 / 3),
    ],
)
def test_rouge_l_by_hand(prediction, references, best):
    assert rouge_l([prediction], [references]) == pytest.approx([best])


@pytest.mark.parametrize(
    ("prediction", "same"),
    [("A  Red, cat.", True), ("a red-cat", True), (" a red cat\n", True), ("a red cats", False), ("red cat", False)],
)
def test_exact_match_ignores_case_punctuation_and_spaces(prediction, same):
    assert exact_matches([prediction], [["something else", "a red cat"]]).tolist() == [same]


def test_normalize_keeps_letters_of_every_language():
    assert normalize(f" {KOREAN}!  ÉTÉ, 3½ ") == f"{KOREAN} été 3½"


def test_korean_is_perfect_against_itself():
    assert caption_metrics([KOREAN], [[KOREAN]]) == {"wer": 0, "rouge_l": 1, "exact_match": 1}


def test_scores_are_means_over_pictures():
    scores = caption_metrics(["a b", "x y"], [["a b"], ["c d"]])
    assert scores == {"wer": 0.5, "rouge_l": 0.5, "exact_match": 0.5}


@pytest.mark.parametrize(
    ("predictions", "references", "told"),
    [
        (["a", "b"], [["a"]], r"2.*1"),
        ([], [], r"no predictions"),
        (["a", None], [["a"], ["b"]], r"1.*None"),
        (["a"], [["a", None]], r"0.*None"),
        (["a"], ["a"], r"0.*'a'"),
        (["a"], [[]], r"0"),
    ],
)
@pytest.mark.parametrize("score", [caption_metrics, word_errors, rouge_l, exact_matches])
def test_unusable_captions_raise_and_are_named(score, predictions, references, told):
    with pytest.raises(ValueError, match=told):
        score(predictions, references)


def test_alignment_counts_each_kind_of_error():
    found = align_words("a red cat with wings", "A blue cat with two")
    assert (found.hits, found.substitutions, found.deletions, found.insertions) == (3, 2, 0, 0)


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


def test_a_score_is_each_metric_with_its_interval():
    predictions = ["a red cat", "a blue dog", "two birds", "a fish"] * 10
    references = [["a red cat"], ["a green dog", "the blue dog"], ["three birds"], ["a cow and a fish"]] * 10
    found = score(predictions, references)
    assert {name: entry["value"] for name, entry in found.items()} == caption_metrics(predictions, references)
    for entry in found.values():
        assert entry["low"] < entry["value"] < entry["high"]
    intervals = bootstrap_interval(word_errors(predictions, references))
    assert (found["wer"]["low"], found["wer"]["high"]) == intervals


def test_the_most_central_caption_is_nearest_to_all_others():
    groups = [["a red cat", "some dog"], ["a red dog"], ["a blue cat"], ["one two three four five"]]
    assert most_central(groups) == "a red cat"
    assert most_central(groups, most=3, seed=1) in {caption for group in groups for caption in group}
    assert most_central(groups, most=3, seed=1) == most_central(groups, most=3, seed=1)


def test_decoding_skips_the_padding_of_ragged_batches(processor):
    ids = processor.tokenizer(["a red cat", "a dog"], padding=True).input_ids
    ragged = np.array(ids)
    ragged[ragged == 0] = -100
    assert (ragged == -100).any()
    assert decode(processor, ragged) == ["a red cat", "a dog"]


def test_compute_metrics_scores_generated_ids_against_all_captions(processor):
    references = [["a blue dog", "a red cat"], ["a dog", "it is a dog"]]
    ids = np.array(processor.tokenizer(["a red cat", "a cat"], padding=True).input_ids)
    found = make_compute_metrics(processor, references)(EvalPrediction(ids, ids))
    assert found == caption_metrics(["a red cat", "a cat"], references)
    assert found["wer"] == pytest.approx(1 / 5)


def test_compute_metrics_refuses_another_number_of_pictures(processor):
    ids = np.array(processor.tokenizer(["a red cat"]).input_ids)
    with pytest.raises(ValueError, match=r"1.*2"):
        make_compute_metrics(processor, [["a cat"], ["a dog"]])(EvalPrediction(ids, ids))


def test_evaluates_metric_equals_ours_and_jiwers():
    predictions, references = ["a red cat", "a dog with wings"], [["a blue cat"], ["the dog with horns"]]
    metric = load_wer()
    assert metric.compute(predictions=predictions, references=references)["wer"] == pytest.approx(
        jiwer.wer([group[0] for group in references], predictions)
    )
    several = [["a blue cat", "a red cat"], ["the dog with horns", "a dog"]]
    assert metric.compute(predictions=predictions, references=several) == {
        "wer": caption_metrics(predictions, several)["wer"]
    }
