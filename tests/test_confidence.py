"""Confidence in facts, and whether it is calibrated, where the answer is known by hand."""

import random

import numpy as np
import pytest
import torch

from helpers import confidence
from helpers.calibration import (
    FactConfidence,
    auroc,
    by_caption,
    calibration_error,
    compare_confidences,
    reliability,
    risk_coverage,
)
from helpers.confidence import creature_said, fact_confidences
from helpers.creatures import captions_of, random_creature
from helpers.errors import CaptioningError

CREATURE = {
    "color": "red", "second_color": "green", "pattern": "striped", "body": "round", "ears": "none", "horns": "one",
    "wings": "none", "tail": "curly", "mouth": "smile",
}  # fmt: skip


def test_a_confidence_that_is_the_share_of_right_ones_has_no_error():
    sure = np.repeat([0.1, 0.5, 1.0], 10)
    right = np.arange(30) % 10 < np.repeat([1, 5, 10], 10)
    bins = reliability(sure, right)
    assert [(each.start, each.end, each.count, each.right) for each in bins] == [
        (0.1, 0.2, 10, 0.1), (0.5, 0.6, 10, 0.5), (0.9, 1.0, 10, 1.0),
    ]  # fmt: skip
    assert calibration_error(bins) == pytest.approx(0)
    assert (bins[1].low, bins[1].high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))  # Wilson


def test_a_captioner_that_is_too_sure_has_the_error_that_it_deserves():
    assert calibration_error(reliability([0.95] * 8, [True] * 4 + [False] * 4)) == pytest.approx(0.45)
    # Too sure by 0.4 in one answer and too unsure by 0.4 in three: they do not cancel.
    assert calibration_error(reliability([0.4, 0.6, 0.6, 0.6], [False, True, True, True])) == pytest.approx(0.4)
    assert np.isnan(calibration_error(reliability([], [])))


@pytest.mark.parametrize(
    ("sure", "right", "wanted"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 1),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0),
        ([0.9, 0.8, 0.3], [1, 0, 1], 1 / 2),
        ([0.7] * 4, [1, 0, 0, 1], 1 / 2),
        ([0.7, 0.7, 0.1], [1, 0, 0], 3 / 4),
        ([0.7, 0.2], [1, 1], np.nan),
        ([0.7, 0.2], [0, 0], np.nan),
        ([], [], np.nan),
    ],
)
def test_auroc_counts_pairs(sure, right, wanted):
    assert auroc(sure, right) == pytest.approx(wanted, nan_ok=True)


def test_risk_is_the_share_of_wrong_ones_among_the_surest():
    curve = risk_coverage([0.6, 0.9, 0.7, 0.8], [False, True, True, False])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.ideal.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx(1 / 3)
    for order in ([True, False, False, True], [False, True, True, False]):
        assert risk_coverage([0.5] * 4, order).risk.tolist() == [0.5] * 4


def test_confidences_are_compared_in_the_same_pictures():
    rng = np.random.default_rng(0)
    right, pictures = rng.random(600) < 0.8, np.arange(600) // 6
    knows, guesses = 0.6 * rng.random(600) + 0.4 * right, rng.random(600)
    first, second = compare_confidences({"knows": knows, "guesses": guesses}, right, pictures)

    def numbers(text):
        return [float(part.strip("()")) for part in text.replace("to", "").split()]

    assert numbers(first["AUROC"])[0] == round(auroc(knows, right), 3)
    value, low, high = numbers(second["AUROC"])
    assert low < 0.5 < high
    gap, least, most = numbers(second["below the first by"])
    assert gap == pytest.approx(numbers(first["AUROC"])[0] - value, abs=2e-3)
    assert 0 < least < gap < most
    assert first["below the first by"] == ""


def test_facts_of_one_picture_move_together():
    rng = np.random.default_rng(1)
    right = rng.random(60) < 0.7
    sure = rng.random(60)
    six = [np.repeat(each, 6) for each in (sure, right)]

    def width(pictures):
        [row] = compare_confidences({"sure": six[0]}, six[1], pictures)
        low, high = row["AUROC"].split("(")[1].strip(")").split(" to ")
        return float(high) - float(low)

    assert width(np.arange(360) // 6) > 1.8 * width(np.arange(360))


@pytest.mark.parametrize(
    ("right", "why"),
    [([True] * 3, "all 3 answers are right"), ([False] * 3, "all 3 answers are wrong"), ([], "no answers")],
)
def test_nothing_to_tell_apart_is_said(right, why):
    rows = compare_confidences({"sure": [0.5] * len(right)}, right, list(range(len(right))))
    assert rows == [{"confidence": "sure", "AUROC": f"none: {why}"}]


@pytest.mark.parametrize("use", [auroc, reliability, risk_coverage])
def test_lengths_that_differ_are_told(use):
    with pytest.raises(CaptioningError, match="2 confidences of 3 answers; give one for each"):
        use([0.5, 0.5], [True, True, False])


def test_a_caption_is_as_sure_as_its_facts_together():
    rows = [(4, 0.5, True), (4, 0.5, False), (7, 0.8, True), (7, 1.0, True)]
    facts = [FactConfidence(picture, "body", "tall", sure, 0.1, right) for picture, sure, right in rows]
    assert by_caption(facts) == {"picture": [4, 7], "product": [0.25, 0.8], "right": [False, True]}


def test_captions_say_which_creature_they_mean():
    rng = random.Random(0)
    for creature in (random_creature(rng) for _ in range(50)):
        for wording, caption in enumerate(captions_of(creature)):
            assert creature_said(caption) == (creature, wording)
    for caption in ("", "a cat on a mat", "a drawing of a red creature", captions_of(CREATURE)[0] + " and wings"):
        assert creature_said(caption) is None


@pytest.fixture
def uniform(monkeypatch):
    """A model to which all tokens are equally probable."""

    def spread(model, batch):
        labels = batch["labels"][:, 1:]
        return torch.zeros(*labels.shape, 1000), labels

    monkeypatch.setattr(confidence, "aligned", spread)


def found(model, processor, pictures, captions, truth, **options):
    columns = {part: [truth[part]] * len(captions) for part in truth}
    return fact_confidences(model, processor, pictures[: len(captions)], captions, columns, **options)


def test_only_values_compete(uniform, model, processor, pictures):
    # a drawing of a round red and green striped creature with one horn, a curly tail and a smile
    facts = found(model, processor, pictures, captions_of(CREATURE)[:1], CREATURE)
    assert [(fact.part, fact.value) for fact in facts] == list(CREATURE.items())
    among = {fact.part: 1 / fact.probability for fact in facts}
    assert among == pytest.approx({
        "color": 9, "second_color": 9, "body": 3,
        "pattern": 2 * 2,  # "and", where a plain coat has "creature"; then "striped" or "spotted"
        "ears": 4,  # "one", where other captions have the ears
        "horns": 3,  # "one", "two", or the tail's "a"
        "wings": 2,  # ", a", where a caption with wings goes on with "wings"
        "tail": 2 * 2,  # the comma, where a creature without a tail has "and"; "curly" or "spiky"
        "mouth": 2 * 2,  # "a", where an open mouth has "an"; "smile" or "frown"
    })  # fmt: skip
    tokens = {fact.part: -np.log(fact.token) / np.log(1000) for fact in facts}
    assert tokens == pytest.approx(dict.fromkeys(CREATURE, 1) | {"pattern": 2, "tail": 2, "mouth": 2})


def test_facts_are_right_or_wrong_and_silence_is_a_fact(uniform, model, processor, pictures):
    truth = CREATURE | {"color": "blue", "wings": "wings", "pattern": "plain", "second_color": "none"}
    plain = captions_of(CREATURE | {"pattern": "plain", "second_color": "none"})[1]
    facts = found(model, processor, pictures, ["a cat", plain], truth)
    assert {fact.picture for fact in facts} == {1}
    assert {fact.part: fact.right for fact in facts} == {
        part: part not in ("color", "wings") for part in CREATURE if part != "second_color"
    }
    assert found(model, processor, pictures, ["a cat"], truth) == []


def test_a_batch_changes_nothing(model, processor, pictures):
    rng = random.Random(3)
    captions = [text for _ in range(3) for text in captions_of(random_creature(rng))][: len(pictures)]
    one, many = (found(model, processor, pictures, captions, CREATURE, batch_size=size) for size in (1, 8))
    assert len({fact.picture for fact in one}) == len(captions)
    for alone, together in zip(one, many, strict=True):
        assert alone[:3] == together[:3]
        assert alone[3:] == pytest.approx(together[3:], rel=1e-4)
        assert 0 < alone.token <= alone.probability < 1
