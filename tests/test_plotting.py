import importlib
import pkgutil
import re

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from helpers import plotting
from helpers.plotting import DescribedFigure, plot_captioned_images, plot_gallery
from helpers.settings import ROOT

FIGURES = re.compile(r"from helpers\.plotting import ([\w, ]+)")
PICTURES = [Image.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
CAPTIONS = ["a red cat", "a green dog, with wings", "a blue bird"]
HISTORY = [
    {"step": 5, "loss": 3.0},
    {"step": 10, "eval_loss": 2.0, "eval_wer": 0.8},
    {"step": 10, "loss": 2.0},
    {"step": 20, "eval_loss": 1.0, "eval_wer": 0.25},
]
SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
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
    "plot_loss": (([3.0, 1.0, 0.5],), {"title": "By heart", "floor": 0.1}, ["By heart", "3.00", "0.50"]),
    "plot_scores": (({"base": {"wer": SCORE}, "trained": {"wer": SCORE}},), {}, ["wer", "base 0.500", "trained"]),
    "plot_attribute_accuracy": (({"base": {"color": 0.25}, "trained": {"color": 1.0}},), {}, ["0.25", "1.00", "color"]),
    "plot_gallery": ((PICTURES, CAPTIONS, CAPTIONS[::-1]), {"title": "Said"}, ["Said", "[red cat]", "[blue bird]"]),
    "plot_word_probabilities": (([("a", 0.9), ("cat", 0.3)],), {"title": "a cat"}, ["a cat", "0.30"]),
}


@pytest.mark.parametrize("name", list(DRAWN))
@pytest.mark.filterwarnings("error")
def test_a_figure_draws_itself_and_says_what_it_shows(name):
    arguments, options, told = DRAWN[name]
    figure = getattr(plotting, name)(*arguments, **options)
    assert isinstance(figure, DescribedFigure)
    assert all(part in figure.alt for part in told), figure.alt
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG\r\n")
    assert metadata == {"image/png": {"alt": figure.alt}}


def test_every_figure_is_tried_and_found_in_one_place():
    modules = [
        importlib.import_module(f"helpers.plotting.{found.name}") for found in pkgutil.iter_modules(plotting.__path__)
    ]
    drawn = {name for module in modules for name in vars(module) if name.startswith("plot_")}
    assert drawn == set(DRAWN)
    assert drawn <= set(plotting.__all__)


def test_notebooks_find_their_figures_here():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb")]
    asked = {name for source in sources for line in FIGURES.findall(source) for name in line.replace(",", " ").split()}
    assert "plot_captioned_images" in asked
    assert asked <= set(plotting.__all__)


def test_notebooks_find_the_alt_text():
    data, metadata = DisplayFormatter().format(plot_captioned_images(PICTURES, CAPTIONS))
    assert metadata["image/png"]["alt"]
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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_grid_takes_any_number_of_pictures(count):
    figure = plot_captioned_images([PICTURES[0]] * count, ["a cat"] * count, columns=4)
    assert sum(bool(ax.images) for ax in figure.axes) == count
    assert figure.png()


@pytest.mark.parametrize("only", [HISTORY[:1], HISTORY[1:2], HISTORY])
def test_a_history_may_hold_losses_or_evaluations_alone(only):
    assert plotting.plot_training_history(only).png()


def test_a_history_is_drawn_as_it_is():
    losses, errors = plotting.plot_training_history(HISTORY).axes
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[5, 3], [10, 2]], [[10, 2], [20, 1]]]
    assert errors.lines[0].get_xydata().tolist() == [[10, 0.8], [20, 0.25]]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_captioned_images(PICTURES, CAPTIONS[:2]),
        lambda: plot_captioned_images(PICTURES[:2], CAPTIONS),
        lambda: plot_gallery(PICTURES, CAPTIONS, CAPTIONS[:2], title=""),
        lambda: plot_gallery(PICTURES[:2], CAPTIONS, CAPTIONS, title=""),
        lambda: plotting.plot_picture_pairs([PICTURES[:2]], ["a", "b"]),
        lambda: plotting.plot_patches(PICTURES[0], np.zeros((48, 48, 3), np.uint8), 16, titles=["a"]),
    ],
)
def test_lengths_that_differ_raise(draw):
    with pytest.raises(ValueError, match=r"\w"):
        draw()
