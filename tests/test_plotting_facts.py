"""The figures of facts and of many systems: what they show, and that no text covers another."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text

from helpers.calibration import FactConfidence
from helpers.creatures import ATTRIBUTES, value_recall
from helpers.plotting import (
    plot_attribute_accuracy,
    plot_confidence,
    plot_facts,
    plot_scores,
    plot_training_history,
    plot_value_recall,
)

METRICS = ["right", "wrong", "left_out", "invented", "wer", "rouge_l", "bleu_4", "cider_d", "exact_match"]
SYSTEMS = {
    "most frequent": (0, 3.9, 0.6, 1, 0.62, 0.55, 0.21, 0.9, 0),
    "nearest picture": (0, 1.6, 0.3, 0.5, 0.45, 0.68, 0.4, 3.1, 0.02),
    "base": (0, 0.3, 3.8, 0.3, 1.02, 0.25, 0.02, 0.12, 0),
    "wrong picture": (0, 4, 0.62, 1.02, 0.75, 0.45, 0.18, 0.8, 0),
    "voted": (0.2, 0.6, 0.5, 0.1, 0.52, 0.6, 0.34, 2.6, 0.05),
    "probes": (0.5, 0.8, 0, 0.02, 0.5, 0.62, 0.36, 3.3, 0.1),
    "trained": (0.88, 0.1, 0.02, 0.01, 0.06, 0.96, 0.93, 8.8, 0.5),
    "decoder alone": (0.6, 0.45, 0.03, 0.04, 0.1, 0.93, 0.86, 7.9, 0.35),
    "another one": (1, 0, 0, 0, 0, 1, 1, 10, 1),
}
SCORES = {
    name: {
        metric: {"value": value, "low": 0.9 * value, "high": 1.1 * value if value > 1 else value + 0.1 * (1 - value)}
        for metric, value in zip(METRICS, values, strict=True)
    }
    for name, values in SYSTEMS.items()
}
UNSEEN = {("color", "purple"), ("ears", "long")}
BEFORE = {("color", "red"): (3, 10), ("color", "purple"): (0, 5), ("ears", "long"): (0, 4), ("wings", "wings"): (1, 9)}
SURE = [FactConfidence(i, "body", "tall", (i % 100 + 0.5) / 100, 0.5, i % 7 > 0) for i in range(12_000)]
AFTER = {("color", "red"): (9, 10), ("color", "purple"): (4, 5), ("ears", "long"): (4, 4), ("wings", "wings"): (9, 9)}


def drawn_texts(figure):
    """Every text that is seen, with its box in pixels."""
    figure.draw_without_rendering()
    beyond = set()  # labels of ticks that lie outside their axis
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond.update(tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high)
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in beyond]
    return [(text.get_text(), Text.get_window_extent(text)) for text in texts]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_facts(SCORES),
        lambda: plot_facts(dict.fromkeys(SCORES, SCORES["trained"])),
        lambda: plot_facts({name: SCORES[name] for name in ("base", "trained")}),
        lambda: plot_value_recall(BEFORE, AFTER, UNSEEN),
        lambda: plot_confidence(dict.fromkeys(["turned", "smaller", "darker"], SURE)),
        lambda: plot_scores(SCORES),
        lambda: plot_scores({name: dict(list(scores.items())[4:]) for name, scores in SCORES.items()}),
        lambda: plot_attribute_accuracy({name: dict.fromkeys(ATTRIBUTES, 1.0) for name in SCORES}, 10),
        lambda: plot_training_history([{"step": i, "loss": 9.0, "eval_wer": 0.5 + i % 2} for i in range(40)]),
        lambda: plot_training_history([{"step": i, "loss": 9.0, "eval_right": 0.5 + i / 90} for i in range(40)]),
    ],
)
def test_no_text_covers_another(draw):
    texts = drawn_texts(draw())
    assert [(a, b) for (a, one), (b, other) in combinations(texts, 2) if one.overlaps(other)] == []


@pytest.mark.parametrize(
    ("systems", "lists"),
    [(SCORES, 5), (dict.fromkeys(SCORES, SCORES["trained"]), 1)],
    ids=["spread", "one place"],
)
def test_every_name_stands_beside_the_points(systems, lists):
    figure = plot_facts(systems)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert sorted(name for text in ax.texts for name in text.get_text().split("\n")) == sorted(systems)
    dots = ax.transData.transform([line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"])
    assert len(dots) == len(systems)
    assert len(ax.texts) == lists  # the names of points that touch stand together
    for text in ax.texts:
        box = Text.get_window_extent(text)
        assert not any(box.padded(2).contains(*dot) for dot in dots)
        assert ax.get_window_extent().contains(*box.min)
        assert ax.get_window_extent().contains(*box.max)


def test_systems_are_ranked_by_three_scores():
    figure = plot_facts(SCORES)
    bars, ranks = figure.axes[1:]
    numbers = {label.get_text()[:-3]: label.get_text()[-1] for label in bars.get_yticklabels()}
    assert list(numbers) == [
        "another one", "trained", "decoder alone", "probes", "voted",
        "nearest picture", "base", "most frequent", "wrong picture",  # none right: by their faulty facts
    ]  # fmt: skip
    assert [bar.get_width() for bar in bars.patches] == [SCORES[name]["wrong"]["value"] for name in numbers]
    drawn = {(*text.get_position(), text.get_text()) for text in ranks.texts}
    assert {(0, 0, "1"), (0, 5, "6"), (0, 6, "7")} <= drawn
    assert {(1, 4, numbers["nearest picture"]), (1, 8, numbers["base"])} <= drawn  # most CIDEr-D first
    assert {(2, 3, numbers["nearest picture"]), (2, 8, numbers["base"])} <= drawn  # fewest word errors first
    assert "in different orders" in figure.alt


def test_scores_that_count_facts_stand_in_a_row_of_their_own():
    axes = plot_scores(SCORES).axes
    assert [ax.get_title(loc="left").split("\n")[0] for ax in axes] == METRICS
    rows = [ax.get_subplotspec().rowspan.start for ax in axes]
    assert rows == [0] * 4 + [1] * 5
    only = plot_scores({name: dict(list(scores.items())[:4]) for name, scores in SCORES.items()})
    assert len(only.axes) == 4


def test_recall_is_drawn_before_and_after_with_intervals():
    ax = plot_value_recall(BEFORE, AFTER, UNSEEN).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "color: purple", "color: seen values", "ears: long",
    ]  # fmt: skip
    before, after = ax.containers
    assert before.lines[0].get_xdata().tolist() == [0, 0.3, 0]
    assert after.lines[0].get_xdata().tolist() == [0.8, 0.9, 1]
    [low, high] = after.lines[2][0].get_segments()[2][:, 0]
    assert (low, high) == (pytest.approx(0.510, abs=0.001), pytest.approx(1))  # 4 of 4 (Wilson, 1927)
    assert [text.get_text() for text in ax.texts] == ["0 → 4 of 5", "3 → 9 of 10", "0 → 4 of 4"]
    alone = plot_value_recall(BEFORE, AFTER).axes[0]
    assert len(alone.get_yticklabels()) == 4


@pytest.mark.filterwarnings("error", r"ignore::DeprecationWarning:(matplotlib|pyparsing)\.")
def test_a_value_that_no_picture_has_is_said_to_be_missing():
    figure = plot_value_recall({("mouth", "open"): (0, 0)}, {("mouth", "open"): (0, 0)})
    assert figure.png()
    assert [text.get_text() for text in figure.axes[0].texts] == ["no picture has it"]
    assert np.isnan(figure.axes[0].containers[0].lines[0].get_xdata()).all()
    assert "mouth: open, no picture" in figure.alt


def test_attributes_have_intervals_where_the_number_of_pictures_is_known():
    accuracy = {"base": {"color": 0.5}, "trained": {"color": 1.0}}
    [bars] = plot_attribute_accuracy(accuracy).axes[0].containers
    assert bars.errorbar is None
    bars = plot_attribute_accuracy(accuracy, 10).axes[0].containers[-1]
    spans = [segment[:, 0] for segment in bars.errorbar.lines[2][0].get_segments()]
    assert np.allclose(spans, [[0.722, 1], [0.237, 0.763]], atol=0.001)


def test_recall_counts_the_pictures_whose_caption_names_a_value_that_they_have():
    truth = {"color": ["red", "red", "blue", "black"], "ears": ["long", "none", "round", "long"]}
    captions = ["a red creature with long ears and round ears", "a blue creature", "blue", "a creature with long ears"]
    assert value_recall(captions, truth) == {
        ("color", "red"): (1, 2), ("color", "blue"): (1, 1), ("color", "black"): (0, 1),
        ("ears", "round"): (0, 1), ("ears", "long"): (2, 2),
    }  # fmt: skip
    chosen = [("ears", "long"), ("ears", "pointy"), ("mouth", "open")]
    assert value_recall(captions, truth, chosen) == {("ears", "long"): (2, 2), ("ears", "pointy"): (0, 0)}
    assert value_recall(captions, {}) == {}
