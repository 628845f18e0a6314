import base64
import importlib
import pkgutil
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.text import Text
from PIL import Image

from helpers import plotting
from helpers.attention import Pointing
from helpers.calibration import FactConfidence
from helpers.creatures import Effect, attribute_confusions
from helpers.errors import CaptioningError
from helpers.inference import Caption
from helpers.paths import ROOT
from helpers.plotting import DescribedFigure, fonts, plot_captioned_images, plot_gallery
from helpers.plotting.figure import BLUE
from helpers.plotting.laboratory import LOSSES

FIGURES = re.compile(r"from helpers\.plotting import ([\w, ]+)")
EMOJI, HANGUL = "\N{UNICORN FACE}", "한글"
PICTURES = [Image.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
CAPTIONS = ["a red cat", "a green dog, with wings", "a blue bird"]
HISTORY = [
    {"step": 5, "loss": 3.0},
    {"step": 10, "eval_loss": 2.0, "eval_wer": 0.8},
    {"step": 10, "loss": 2.0},
    {"step": 20, "eval_loss": 1.0, "eval_wer": 0.25},
]
SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
FACTS = {
    "base": dict.fromkeys(["right", "wrong", "left_out", "invented", "wer", "cider_d"], SCORE),
    "trained": dict.fromkeys(["wrong", "left_out", "invented", "wer"], dict.fromkeys(SCORE, 0.125))
    | dict.fromkeys(["right", "cider_d"], dict.fromkeys(SCORE, 0.875)),
}
CONFUSIONS = attribute_confusions(
    ["a red cat that smiles", "a red cat", "a blue cat that frowns"],
    {"color": ["red", "green", "blue"], "mouth": ["smile", "frown", "frown"]},
)
WORDS = [{"word": "cat", "missed": 7, "invented": 0, "expected": 8}, {"word": "dog", "missed": 0, "invented": 5}]
CURVE = [
    {"pictures": pictures, "seed": seed, "test": 30, "trained": {"wer": SCORE}, "nearest picture": {"wer": near}}
    for seed, near in enumerate((SCORE, dict.fromkeys(SCORE, 0.9)))
    for pictures in (25, 100)
]
LENGTHS = np.array([[3, 5.5], [8, 6], [4, 4]])
FACTS_SURE = [FactConfidence(i, "body", "tall", [0.95, 0.65][i % 2], 0.5, i > 3) for i in range(8)]
MAPS = np.array([[[0, 0, 0], [0, -2, 0], [1.5, 0, 0]], [[0, 0.01, 0], [0, 0, 0], [0, 0, 0]]])  # nats
TRAINING = {
    "training": {"step": [5, 10], "loss": [3.0, 0.25]},
    "validation": {"step": [0, 10], "loss": [4.0, 0.0], "right": [0.0, 0.75]},
}
# Each function of the module with its arguments and what its alt text has to tell.
DRAWN = {
    "plot_captioned_images": ((PICTURES, CAPTIONS), {"columns": 2, "title": "Three"}, ["Three", *CAPTIONS]),
    "plot_caption_words": ((CAPTIONS,), {}, ["3", "a 3"]),
    "plot_attribute_counts": (({"color": ["red", "red", "blue"], "tail": ["none"] * 3},), {}, ["red 2", "none 3"]),
    "plot_picture_pairs": (([PICTURES[:2], PICTURES[1:]], ["4 bits", "9 bits"]), {"title": "Near"}, ["4 bits", "Near"]),
    "plot_patches": ((PICTURES[0], np.zeros((48, 48, 3), np.uint8), 16), {"titles": ["a", "b", "c"]}, ["48", "3 rows"]),
    "plot_padding": (([4, 8], 16), {}, ["16", "62%", "25%"]),
    "plot_token_lengths": (([4, 8, 8, 12],), {"limit": 512}, ["4 to 12", "8"]),
    "plot_attention_rule": ((4, ["a", "cat"]), {}, ["4 patches", "cat"]),
    "plot_training_history": ((HISTORY,), {}, ["0.80", "0.25", "3.00", "2.00"]),
    "plot_loss": (([3.0, 1.0, 0.5],), {"title": "By heart"}, ["By heart", "3.00", "0.50"]),
    "plot_case": (
        (
            TRAINING,
            {**TRAINING, "validation": {"step": [0, 10], "loss": [4.0, 0.5], "right": [0.0, 1.0]}},
            list(zip(PICTURES, CAPTIONS, strict=True)),
            [(PICTURES[0], "1.50: a red cat")],
        ),
        {"title": "Case A"},
        ["Case A", "At steps 0, 10, this one: validation loss 4, 0, training", "right 0.00, 1.00", "1.50: a red cat"],
    ),
    "plot_values_named": (
        ({"healthy": {("ears", "long"): (7, 8)}, "A": {("ears", "long"): (0, 8)}},),
        {"title": "Named"},
        ["Named", "ears long healthy 7, A 0 of 8"],
    ),
    "plot_learning_curve": (
        ({"Beforehand": CURVE, "Yours": CURVE[:1]},),
        {},
        [
            "Beforehand, captioner: 25 0.500 (0.400 to 0.600), 100 0.500",
            "picture's caption: 25 0.700 (0.400 to 0.900)",
            "The best possible is 0.",
        ],
    ),
    "plot_ways": (
        ({"LoRA": {24: (0.1, 0.25, 0.4), 800: (0.5, 0.6, 0.7)}, "from scratch": {24: (0.0, 0.0, 0.05)}},),
        {"title": "Ordinary"},
        ["Ordinary: the share", "LoRA: 24 0.25 (0.10 to 0.40), 800 0.60 (0.50", "from scratch: 24 0.00 (0.00 to 0.05)"],
    ),
    "plot_sides": (
        (
            {
                "saw": {"base": {0: (0.3, 0.4, 0.5)}, "LoRA": {24: (0.5, 0.6, 0.7), 800: (0.6, 0.7, 0.8)}},
                "never saw": {"base": {0: (0.0, 0.0, 0.1)}, "LoRA": {24: (0.1, 0.2, 0.3)}},
            },
        ),
        {"title": "Named"},
        [
            "24 pictures, base, saw: 0.400 (0.300 to 0.500); 24 pictures, LoRA, saw: 0.600",
            "800 pictures, base, never saw: 0.000 (0.000 to 0.100).",
        ],
    ),
    "plot_scores": (({"base": {"wer": SCORE}, "trained": {"wer": SCORE}},), {}, ["wer", "base 0.500", "trained"]),
    "plot_facts": (
        (FACTS,),
        {},
        [
            "left-out facts (0 to 0.6)",
            "trained 0.12, 0.12; base 0.50, 0.50",
            "in the same order",
            "by CIDEr-D trained 0.88, base 0.50",
        ],
    ),
    "plot_value_recall": (
        ({("ears", "long"): (0, 8), ("ears", "round"): (4, 8)}, {("ears", "long"): (6, 8), ("ears", "round"): (8, 8)}),
        {"unseen": {("ears", "long")}},
        ["ears: long, 0 of 8: 0.00 (0.00 to 0.32), then 6 of 8: 0.75 (0.41 to 0.93)", "seen values, 4 of 8"],
    ),
    "plot_attribute_accuracy": (({"base": {"color": 0.25}, "trained": {"color": 1.0}},), {}, ["0.25", "1.00", "color"]),
    "plot_confidence": (
        ({"as drawn": FACTS_SURE, "darker": FACTS_SURE[:4], "empty": []},),
        {},
        [
            "as drawn: of 4 facts with a confidence of 0.95, 50.0% are right",
            "calibration error 0.300 in 2 of 10 bins",
            "wrong captions: 50% of all, 50% of the surest half. darker",
        ],
    ),
    "plot_confusions": (
        (CONFUSIONS,),
        {"title": "Trained"},
        ["Trained", "color: 2 of 3 right (green called red 1)", "mouth: 2 of 3 right (frown called none 1)"],
    ),
    "plot_word_mistakes": ((WORDS,), {}, ["cat missed 7 invented 0", "dog missed 0 invented 5"]),
    "plot_lengths": ((LENGTHS,), {}, ["3 to 8 words, 5.0", "5.2", "-2.5 to +2.0"]),
    "plot_gallery": ((PICTURES, CAPTIONS, CAPTIONS[::-1]), {"title": "Said"}, ["Said", "[red cat]", "[blue bird]"]),
    "plot_word_attention": (
        (np.zeros((48, 48, 3), np.uint8), ["a", "cat"], np.stack([np.eye(3)[::-1], np.diag([0.0, 0.2, 0.8])]), MAPS),
        {"columns": 2},
        [
            "'a' looks most at the upper right (100%) and depends most on the lower left",
            "'cat' looks most at the lower right (80%) and depends on no single patch",
        ],
    ),
    "plot_heads": (
        (
            np.zeros((48, 48, 3), np.uint8),
            np.array([[0.1, 0, 0.2, 0, 0, 0.3, 0.4], [0.5, 0, 0, 0.1, 0, 0.2, 0.2]]),
            ["[CLS]", "cat"],
        ),
        {"titles": ["head 1", "head 2"]},
        ["'cat' looks", "head 1: 20% on patches, most on the upper right; else most on cat", "else most on (class"],
    ),
    "plot_pointing": (
        (
            {
                part: Pointing(8, 0.25, {"attention": 2, "occlusion": 8}, {"an": 5, "smile": 3})
                for part in ("ears", "mouth")
            },
        ),
        {},
        ["part ears, pictures 8, attention 0.25 (0.07 to 0.59), occlusion 1.00 (0.68 to 1.00)", "words an, smile"],
    ),
    "plot_edits": (
        ({"second_color": Effect(8, 8, 2, 0)},),
        {},
        [
            "second color (8), its own fact follows 1.00 (0.68 to 1.00), this part is changed 0.25",
            "alone is changed 0.00",
        ],
    ),
    "plot_compared": (
        ({"picture": ("one one", False), "caption": ("a red cat", True), "end": ("", False)}, "a cat"),
        {"title": "Only the caption"},
        [
            "Only the caption",
            "picture, 2 words, left out: one one",
            "caption, 3 words: a red cat",
            "reference, 2 words",
        ],
    ),
    "plot_steps": (({"first": 17.5, "last": 0.003},), {"name": "error rate"}, ["error rate", "first 17.500", "0.003"]),
    "plot_word_probabilities": (([("a", 0.9), ("cat", 0.3)],), {"title": "a cat"}, ["a cat", "0.30"]),
}


# No warning but those of Colab's pyparsing, which `start` quiets.
QUIET = pytest.mark.filterwarnings("error", r"ignore::DeprecationWarning:(matplotlib|pyparsing)\.")


class Page(HTMLParser):
    """What HTML holds: its tags, its pictures, the texts of its cells; each tag that is opened is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.pictures, self.cells, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells.append(data)


@pytest.mark.parametrize("name", list(DRAWN))
@QUIET
def test_a_figure_draws_itself_and_says_what_it_shows(name):
    arguments, options, told = DRAWN[name]
    figure = getattr(plotting, name)(*arguments, **options)
    assert isinstance(figure, DescribedFigure)
    assert all(part in figure.alt for part in told), figure.alt
    data = figure._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG\r\n")
    [picture] = Page(data["text/html"]).pictures
    assert picture["alt"] == figure.alt == data["text/plain"]
    assert base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")) == data["image/png"]


@pytest.mark.parametrize("name", list(DRAWN))
def test_the_numbers_of_bars_and_of_points_with_intervals_stand_in_a_table(name):
    arguments, options, _ = DRAWN[name]
    figure = getattr(plotting, name)(*arguments, **options)
    groups = [group for ax in figure.axes for group in ax.containers]
    drawn = [abs(length) for group in groups if isinstance(group, BarContainer) for length in group.datavalues]
    points = [group.lines[0] for group in groups if isinstance(group, ErrorbarContainer)]
    drawn += [share for line in points if line for share in line.get_xdata()]
    page = Page(figure.html(b"a picture"))
    assert page.tags.count("details") == page.tags.count("summary") == bool(groups)
    shown = [float(number) for text in page.cells for number in re.findall(r"\d+\.?\d*", text)]
    assert [length for length in drawn if length and not np.isclose(shown, length, atol=0.0051).any()] == []


@pytest.mark.parametrize("alt", ['a "red" & <b>\n\nblue</b> cat', "&#10;&quot;", "\u201c'\u201d"])
def test_any_alt_text_comes_back(alt):
    figure = plotting.plot_loss([1.0], title="")
    figure.alt = alt
    html = figure.html()
    assert Page(html).pictures[0]["alt"] == alt
    assert "\n" not in html


def test_every_figure_is_tried_and_found_in_one_place():
    modules = [
        importlib.import_module(f"helpers.plotting.{found.name}") for found in pkgutil.iter_modules(plotting.__path__)
    ]
    drawn = {name for module in modules for name in vars(module) if name.startswith("plot_")}
    assert drawn == set(DRAWN)
    assert drawn == {name for name in vars(plotting) if name.startswith("plot_")}


def test_notebooks_find_their_figures_here():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb")]
    asked = {name for source in sources for line in FIGURES.findall(source) for name in line.replace(",", " ").split()}
    assert "plot_captioned_images" in asked
    assert asked <= set(vars(plotting))


def test_notebooks_find_the_alt_text():
    data, _ = DisplayFormatter().format(plot_captioned_images(PICTURES, CAPTIONS))
    assert Page(data["text/html"]).pictures[0]["alt"]
    assert "image/png" in data


def test_a_figure_is_saved_where_the_name_means(artifacts):
    path = plot_captioned_images(PICTURES, CAPTIONS).save("artifacts/figures/three.png")
    assert path == artifacts / "figures" / "three.png"
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_every_picture_is_shown_with_its_caption():
    figure = plot_captioned_images(PICTURES, CAPTIONS, columns=2)
    shown = [(ax.images[0].get_array(), ax.get_title(loc="left")) for ax in figure.axes if ax.images]
    assert [title.replace("\n", " ") for _, title in shown] == CAPTIONS
    for (pixels, _), picture in zip(shown, PICTURES, strict=True):
        assert np.array_equal(pixels, np.asarray(picture))


@pytest.mark.parametrize(
    "draw",
    [
        lambda text: plot_captioned_images([PICTURES[0]], [Caption(text, 0.5, ())], title=text),
        lambda text: plotting.plot_gallery([PICTURES[0]], [text], [text], title=text),
        lambda text: plotting.plot_caption_words([text, text + " " + "x" * 300]),
        lambda text: plotting.plot_attribute_counts({text: [text, "x" * 300, None]}),
        lambda text: plotting.plot_picture_pairs([PICTURES[:2]], [text], title=text),
        lambda text: plotting.plot_steps({text: 30.0, "last": 0.01}, name=text),
        lambda text: plotting.plot_loss([2.0, 1.0], title=text),
        lambda text: plotting.plot_word_mistakes([{"word": text, "missed": 1, "invented": 2}]),
        lambda text: plotting.plot_word_probabilities([(text, 0.5), ("x" * 300, 0.4)], title=text),
    ],
)
def test_a_price_is_no_formula_and_what_cannot_be_seen_no_box(draw, log, recwarn):
    figure = draw("a sign\u200b\x1b of $5\tand $\\frac$")
    assert not any(ax.title.get_parse_math() for ax in figure.axes)  # whoever draws it
    figure.axes[0].annotate("$x$", (0, 0))
    assert figure.png()
    texts = figure.findobj(Text)
    shown = " ".join(text.get_text() for text in texts)
    assert "$" in shown
    assert "mathdefault" not in shown
    assert not any(text.get_parse_math() for text in texts)
    assert {"\u200b", "\x1b", "\t"}.isdisjoint(shown)
    assert {"\u200b", "\x1b"}.isdisjoint(figure.alt)
    assert [str(warning.message) for warning in recwarn if "layout" in str(warning.message)] == []
    assert log.messages == []


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_grid_takes_any_number_of_pictures(count):
    figure = plot_captioned_images([PICTURES[0]] * count, ["a cat"] * count, columns=4)
    assert sum(bool(ax.images) for ax in figure.axes) == count
    assert figure.png()


@pytest.mark.parametrize("only", [HISTORY[:1], HISTORY[1:2], HISTORY])
def test_a_history_may_hold_losses_or_evaluations_alone(only):
    assert plotting.plot_training_history(only).png()


def test_a_case_stands_beside_the_healthy_training_and_that_one_alone_on_the_same_axes():
    shown = [(PICTURES[0], "1.50: a red cat")]
    other = {**TRAINING, "training": {"step": [5, 10], "loss": [9.0, 0.01]}}
    for row, names in ((other, ["healthy", "this one"]), (dict(TRAINING), ["this one"])):
        figure = plotting.plot_case(row, TRAINING, shown, shown, title="")
        losses, right = figure.subfigs[0].axes
        assert [line.get_label() for line in right.lines] == names
        assert len(losses.lines) == 2 * len(names)
        assert losses.get_ylim() == LOSSES
        assert right.get_ylim()[0] < 0  # or a line at 0 would lie on the axis
        assert ("healthy: " in figure.alt) == (len(names) == 2)


def test_numbers_on_shades_can_be_read_and_systems_are_named_at_both_ends():
    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgba(color)[:3]]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    shares = {"healthy": {("ears", str(n)): (n, 20) for n in range(21)}}
    figure = plotting.plot_values_named({**shares, "A": shares["healthy"]})
    ax = figure.axes[0]
    assert len(ax.texts) == 42
    for text in ax.texts:
        shade = ax.images[0].cmap(int(text.get_text()) / 20)
        low, high = sorted((luminance(shade), luminance(text.get_color())))
        assert (high + 0.05) / (low + 0.05) >= 4.5
    figure.draw_without_rendering()
    for tick in ax.xaxis.get_major_ticks():
        assert tick.label1.get_visible()
        assert tick.label2.get_visible()


def test_a_history_is_drawn_as_it_is():
    losses, errors = plotting.plot_training_history(HISTORY).axes
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[5, 3], [10, 2]], [[10, 2], [20, 1]]]
    assert errors.lines[0].get_xydata().tolist() == [[10, 0.8], [20, 0.25]]


def test_a_history_of_facts_shows_them_in_place_of_words():
    scores = {"eval_right": 0.5, "eval_wrong": 1.5, "eval_left_out": 0.75, "eval_invented": 0.25}
    figure = plotting.plot_training_history([*HISTORY, {"step": 30, "eval_loss": 0.5, "eval_wer": 0.1} | scores])
    losses, right, faulty = figure.axes
    assert losses.lines[1].get_xydata().tolist() == [[10, 2], [20, 1], [30, 0.5]]
    assert right.lines[0].get_xydata().tolist() == [[30, 0.5]]
    assert [line.get_ydata().tolist() for line in faulty.lines] == [[1.5], [0.75], [0.25]]
    assert [text.get_text() for text in faulty.get_legend().get_texts()] == ["wrong", "left out", "invented"]
    assert "Captions right: 0.50" in figure.alt
    assert "Faulty facts, left out: 0.75" in figure.alt


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda: plot_captioned_images(PICTURES, CAPTIONS[:2]), "3 pictures and 2 captions; give"),
        (lambda: plot_captioned_images(PICTURES[:2], CAPTIONS), "2 pictures and 3 captions; give"),
        (lambda: plot_gallery(PICTURES[:2], CAPTIONS, CAPTIONS, title=""), "2 pictures and 3 captions; give"),
        (lambda: plotting.plot_word_attention(PICTURES[0], ["a"], MAPS), "1 words and 2 maps; give"),
        (lambda: plotting.plot_word_attention(PICTURES[0], ["a"], MAPS[:1], MAPS), "1 words and 2 maps; give"),
        (lambda: plotting.plot_word_attention(PICTURES[0], [], MAPS[:0]), "no words to draw; choose"),
        (lambda: plotting.plot_heads(PICTURES[0], MAPS[0], ["a"], titles=["h"]), "1 titles and 1 patches; give one"),
        (lambda: plotting.plot_heads(PICTURES[0], MAPS[0], [], titles=["h"] * 3), "and 2 patches; give one title each"),
    ],
)
def test_lengths_that_differ_are_told(draw, told):
    with pytest.raises(CaptioningError, match=told):
        draw()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_gallery(PICTURES, CAPTIONS, CAPTIONS[:2], title=""),
        lambda: plotting.plot_picture_pairs([PICTURES[:2]], ["a", "b"]),
        lambda: plotting.plot_patches(PICTURES[0], np.zeros((48, 48, 3), np.uint8), 16, titles=["a"]),
    ],
)
def test_nothing_is_left_out_where_lengths_differ(draw):
    with pytest.raises(ValueError, match=r"longer|shorter"):
        draw()


def test_confusions_stand_in_their_cells():
    color, mouth = plotting.plot_confusions(CONFUSIONS).axes[:2]
    assert [label.get_text() for label in mouth.get_xticklabels()] == ["smile", "frown", "open", "none"]
    assert [label.get_text() for label in mouth.get_yticklabels()] == ["smile", "frown", "open"]
    assert {(text.get_position(), text.get_text()) for text in color.texts} == {
        ((0, 0), "1"),
        ((0, 3), "1"),
        ((4, 4), "1"),
    }
    pixels = color.images[0].get_array()
    assert np.array_equal(pixels[1, 1], [1, 1, 1])
    right, wrong = pixels[0, 0], pixels[3, 0]
    assert right[2] > right[0]  # blue
    assert wrong[0] > wrong[2]  # orange


def test_one_mistake_among_many_pictures_is_seen():
    confusion = attribute_confusions(["a red cat"] * 999 + ["a blue cat"], {"color": ["red"] * 1000})
    pixels = plotting.plot_confusions(confusion).axes[0].images[0].get_array()
    assert pixels[0, 4].min() < 0.8


@pytest.mark.parametrize("count", [1, 9])
def test_confusions_of_any_number_of_attributes(count):
    figure = plotting.plot_confusions({f"{i}": CONFUSIONS["mouth"] for i in range(count)})
    assert sum(bool(ax.images) for ax in figure.axes) == sum(ax.axison for ax in figure.axes) == count
    assert figure.png()


@pytest.mark.parametrize(
    ("draw", "nothing", "told"),
    [
        (plotting.plot_attribute_counts, {}, "no attribute columns"),
        (plotting.plot_attribute_accuracy, {"base": {}, "trained": {}}, "no attribute columns"),
        (plotting.plot_facts, {"base": {"wer": SCORE}}, "no attribute columns"),
        (lambda recall: plotting.plot_value_recall(recall, recall), {}, "no attribute columns"),
        (plotting.plot_confusions, {}, "no attribute columns"),
        (plotting.plot_confidence, {"as drawn": [], "darker": []}, "no fact to be sure of"),
        (plotting.plot_word_mistakes, [], "No word"),
    ],
)
def test_where_there_is_nothing_to_draw_a_sentence_says_so(draw, nothing, told):
    assert told in draw(nothing)


def test_missed_words_go_left_and_invented_ones_right():
    bars = plotting.plot_word_mistakes(WORDS).axes[0].patches
    assert sorted(bar.get_width() for bar in bars) == [-7, 0, 0, 5]


def test_confidence_is_drawn_against_what_is_right_and_what_is_answered():
    sure = [fact._replace(right=fact.picture in (0, 2, 4, 1)) for fact in FACTS_SURE]  # 3 of 4 and 1 of 4 right
    figure = plotting.plot_confidence({"as drawn": sure})
    assert "wrong captions: 50% of all, 25% of the surest half" in figure.alt
    facts, captions = figure.axes
    [points] = facts.containers
    assert points.lines[0].get_xydata().tolist() == [[pytest.approx(0.65), 0.25], [pytest.approx(0.95), 0.75]]
    [low, high] = points.lines[2][0].get_segments()[1][:, 1]
    assert (low, high) == (pytest.approx(0.301, abs=0.001), pytest.approx(0.954, abs=0.001))  # 3 of 4 (Wilson, 1927)
    assert [(text.get_position()[0], text.get_text()) for text in facts.texts] == [
        (pytest.approx(0.65), "4"),
        (pytest.approx(0.95), "4"),
    ]
    curves = {line.get_label(): line.get_ydata() for line in captions.lines}
    assert curves["surest first"][[3, 7]].tolist() == [0.25, 0.5]
    assert curves["wrong ones last"][[3, 7]].tolist() == [0, 0.5]
    assert set(curves["random order"]) == {0.5}


def test_every_picture_is_in_the_histograms_of_lengths():
    lengths = np.array([[0, 10], [20, 10], [10, 10], [11, 10.5], [10, 10.5]])
    left, right = plotting.plot_lengths(lengths).axes
    assert sum(bar.get_height() for bar in left.patches) == 10
    assert sum(bar.get_height() for bar in right.patches) == 5


def test_a_word_error_rate_above_one_has_room():
    score = {"value": 2.0, "low": 1.5, "high": 2.5}
    ax = plotting.plot_scores({"base": {"wer": score}}).axes[0]
    assert ax.get_xlim()[1] > 2.5
    assert [float(label.get_text()) for label in ax.get_xticklabels()] == list(ax.get_xticks())


@QUIET
def test_a_perfect_score_stands_on_a_logarithmic_scale():
    figure = plotting.plot_steps({"first": 17.5, "last": 0.0}, name="error rate")
    figure.draw_without_rendering()
    [ax] = figure.axes
    assert "10" in [label.get_text() for label in ax.get_xticklabels()]
    [zero] = [text for text in ax.texts if text.get_text() == "0.000"]
    assert ax.get_xlim()[0] <= zero.xy[0] <= ax.get_xlim()[1]


def test_a_pair_of_pictures_stands_closer_than_two_pairs():
    figure = plotting.plot_picture_pairs([PICTURES[:2], PICTURES[1:]], ["4 bits", "9 bits"])
    figure.draw_without_rendering()
    first, second, third, _ = [ax.get_window_extent() for ax in figure.axes if ax.images]
    assert third.x0 - second.x1 > 1.5 * (second.x0 - first.x1)


def test_the_trained_captioner_has_one_colour_everywhere():
    systems = {name: {"color": 0.5} for name in ("base", "trained", "constant")}
    accuracy = plotting.plot_attribute_accuracy(systems).axes[0].patches
    scores = plotting.plot_scores({name: {"wer": SCORE} for name in systems}).axes[0].patches
    facts = plotting.plot_facts(FACTS).axes[1].patches
    for bars, place in ((accuracy, 1), (scores, 1), (facts, 0)):
        assert [bar.get_facecolor() == to_rgba(BLUE) for bar in bars] == [i == place for i in range(len(bars))]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes fonts with these letters the only ones of the machine, apart from matplotlib's own."""

    def install(**letters):
        paths = []
        for name, text in letters.items():
            builder = FontBuilder(1000)
            glyphs = [".notdef", *(f"letter{i}" for i in range(len(text)))]
            builder.setupGlyphOrder(glyphs)
            builder.setupCharacterMap({ord(letter): glyph for letter, glyph in zip(text, glyphs[1:], strict=True)})
            pen = TTGlyphPen(None)
            for draw, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (900, 0)), (pen.lineTo, (0, 900))):
                draw(point)
            pen.closePath()
            builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
            builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
            builder.setupHorizontalHeader(ascent=1000, descent=0)
            builder.setupNameTable({"familyName": name, "styleName": "Regular"})
            builder.setupOS2()
            builder.setupPost()
            builder.save(tmp_path / f"{name}.ttf")
            paths.append(str(tmp_path / f"{name}.ttf"))
        (tmp_path / "broken.ttf").write_bytes(b"none")
        monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf"), *paths])
        monkeypatch.setattr(fonts, "_logged", set())
        fonts.fonts_for.cache_clear()

    yield install
    fonts.fonts_for.cache_clear()


def test_letters_are_drawn_in_a_font_that_has_them(installed, log, recwarn):
    installed(Half=HANGUL[:1], Whole=HANGUL, Emoji=EMOJI, Other="a")
    figure = plot_captioned_images(PICTURES[:2], [f"{HANGUL} é", EMOJI])
    figure.png()
    assert log.text == ""
    assert not recwarn.list
    assert fonts.fonts_for(frozenset(HANGUL)) == (["Whole"], set())
    [text] = [text for text in figure.findobj(Text) if HANGUL in text.get_text()]
    assert text.get_fontfamily()[1:] in (["Whole", "Emoji"], ["Emoji", "Whole"])


def test_of_fonts_with_the_same_letters_a_plain_one_is_taken(installed):
    installed(**dict.fromkeys(("ASerif-Regular", "B-Bold", "C-Regular", "D-Black"), HANGUL))
    assert fonts.fonts_for(frozenset(HANGUL)) == (["C-Regular"], set())


def test_wide_signs_take_the_room_of_two(installed):
    installed(Whole=HANGUL)
    for text, lines in (("a" * 20, 1), (f"{HANGUL} " * 10, 3)):
        figure = plot_captioned_images([PICTURES[0]] * 5, [text.strip()] * 5, columns=5)
        assert figure.axes[0].get_title("left").count("\n") == lines - 1, text


def test_letters_that_no_font_has_are_said_once(installed, log, recwarn):
    installed(Half=HANGUL[:1])
    for _ in range(2):
        plot_captioned_images(PICTURES[:1], [f"{HANGUL}\x18"]).png()
    [record] = log.records
    assert f"No font of this machine has {HANGUL[1]}," in record.getMessage()
    assert not recwarn.list


def test_a_picture_of_any_kind_is_drawn_as_it_looks(tmp_path):
    red = Image.new("RGB", (8, 6), (250, 0, 0))
    palette = red.quantize(2)
    red.save(tmp_path / "red.png")
    wanted = plot_captioned_images([red], ["a"]).png()
    tensor = np.moveaxis(np.asarray(red), 2, 0)
    for same in (palette, tmp_path / "red.png", {"image": red}, tensor, red.convert("RGBA")):
        assert plot_captioned_images([same], [["a"]]).png() == wanted
    gray = plot_captioned_images([Image.new("L", (8, 6), 128)], ["a"]).axes[0].images[0].get_array()
    assert gray.shape == (6, 8, 3)
    assert np.unique(gray).tolist() == [128]


def test_captions_of_a_split_are_counted_and_shown_as_texts():
    assert "'a" not in plot_captioned_images(PICTURES[:1], [["a cat", "one cat"]]).alt
    groups = [["a cat", "one cat"], ["a dog"]]
    assert plotting.plot_caption_words(groups).alt == plotting.plot_caption_words(["a cat", "one cat", "a dog"]).alt


@pytest.mark.parametrize(
    ("draw", "what"),
    [
        (lambda: plot_captioned_images([], []), "picture"),
        (lambda: plotting.plot_caption_words([]), "caption"),
        (lambda: plotting.plot_token_lengths([]), "length"),
        (lambda: plotting.plot_training_history([]), "step"),
        (lambda: plotting.plot_loss([], title="a"), "loss"),
        (lambda: plotting.plot_scores({}), "system"),
        (lambda: plotting.plot_learning_curve({"a": []}), "row"),
        (lambda: plotting.plot_ways({}, title="a"), "way"),
        (lambda: plotting.plot_sides({}, title="a"), "side"),
    ],
)
def test_nothing_to_draw_is_said(draw, what):
    with pytest.raises(CaptioningError, match=f"There is no {what} to draw"):
        draw()
