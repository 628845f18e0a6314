"""Figures of attention and occlusion: a picture per word, with the patches that the word looks at or depends on."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from helpers.errors import CaptioningError
from helpers.plotting.figure import BLUE, GREEN, RED, DescribedFigure, axes_of, new_figure, styled

FAINT_FALL = 0.1  # nats: a word that becomes less than a tenth less likely does not depend on it


def _place_of(row: int, column: int, shape: tuple[int, int]) -> str:
    """Where a patch lies, in words: "upper left", "middle"."""
    height = ("upper", "middle", "lower")[min(3 * (2 * row + 1) // (2 * shape[0]), 2)]
    side = ("left", "middle", "right")[min(3 * (2 * column + 1) // (2 * shape[1]), 2)]
    return height if height == side else f"{height} {side}"


def _draw_map(ax: Any, gray: np.ndarray, values: np.ndarray, full: float, color: str, below: str = BLUE) -> None:
    """The picture in gray, and over it colour that covers the more, the larger the value; `full` is the darkest."""
    ax.imshow(gray, cmap="gray", vmin=0, vmax=255)
    shown = np.zeros((*values.shape, 4))
    shown[..., :3] = np.where((values > 0)[..., None], to_rgb(color), to_rgb(below))
    shown[..., 3] = 0.75 * np.clip(np.abs(values) / full, 0, 1)
    ax.imshow(shown, extent=(-0.5, gray.shape[1] - 0.5, gray.shape[0] - 0.5, -0.5), interpolation="nearest")


@styled
def plot_word_attention(
    image: Any,
    words: Sequence[str],
    maps: np.ndarray,
    occlusion_maps: np.ndarray | None = None,
    *,
    columns: int = 9,
) -> DescribedFigure:
    """Where the model looks as it says each word; below it, which patches the word depends on.

    Colours are scaled for each word. The darkest is the word's largest value, but at least four times an even share
    of the attention, or 0.1 nats of occlusion: a map without a peak stays pale.

    Args:
        image: the picture as the model sees it, (height, width, 3).
        words: the caption's words.
        maps: shares of attention, (words, rows, columns).
        occlusion_maps: fall of each word's log-probability in nats, the same shape.
        columns: pictures in a row; the first one is the picture itself.

    Raises:
        CaptioningError: there are no words, or not one map for each.
    """
    layers = [np.asarray(maps)] + ([] if occlusion_maps is None else [np.asarray(occlusion_maps)])
    if not len(words):
        raise CaptioningError("There are no words to draw; choose a picture of which the model says something.")
    for layer in layers:
        if len(layer) != len(words):
            raise CaptioningError(f"There are {len(words)} words and {len(layer)} maps; give one each.")
    picture = np.asarray(image)
    gray = 255 - 0.6 * (255 - picture.mean(axis=2))  # lighter, so that the colours stand out
    columns = max(2, min(columns, len(words) + 1))
    blocks = -(-(len(words) + 1) // columns)
    side = 10 / 9  # inches
    figure = new_figure(side * columns, 0.35 + blocks * (0.25 + (side + 0.2) * len(layers)))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    axes = axes_of(figure, blocks * len(layers), columns)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    axes[0, 0].imshow(picture)
    axes[0, 0].set_title("(picture)", fontsize=9, loc="center", color="#666666")
    told = []
    for i, word in enumerate(words):
        block, column = divmod(i + 1, columns)
        top = axes[block * len(layers), column]
        top.set_title(fill(word, 15), fontsize=10, loc="center")
        _draw_map(top, gray, layers[0][i], max(layers[0][i].max(), 4 / layers[0][i].size), GREEN)
        top.set_xlabel(f"{layers[0][i].max():.0%}", fontsize=8, labelpad=1)
        peak = np.unravel_index(layers[0][i].argmax(), layers[0][i].shape)
        sentence = f"{word!r} looks most at the {_place_of(*peak, layers[0][i].shape)} ({layers[0][i].max():.0%})"
        if len(layers) > 1:
            falls = layers[1][i]
            bottom = axes[block * len(layers) + 1, column]
            _draw_map(bottom, gray, falls, max(np.abs(falls).max(), FAINT_FALL), RED)
            bottom.set_xlabel(f"{max(falls.max(), 0):.2f}", fontsize=8, labelpad=1)
            peak = _place_of(*np.unravel_index(falls.argmax(), falls.shape), falls.shape)
            sentence += (
                f" and depends most on the {peak}" if falls.max() >= FAINT_FALL else " and depends on no single patch"
            )
        told.append(sentence)
    keys = {"attention as the word is said (below: share of the top patch)": GREEN}
    if len(layers) > 1:
        keys |= {"covered, the word becomes less likely (below: most, in nats)": RED, "more likely": BLUE}
    figure.legend(
        handles=[Patch(color=color, alpha=0.75, label=label) for label, color in keys.items()],
        loc="outside lower left", ncols=len(keys), fontsize=8, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    figure.alt = f"One picture, once for each word of its caption, with the patches marked: {'; '.join(told)}."
    return figure
