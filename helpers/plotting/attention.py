"""Figures of attention and occlusion: a picture per word, with the patches that the word looks at or depends on."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from helpers.errors import CaptioningError
from helpers.plotting.figure import BARE, BLUE, GREEN, RED, DescribedFigure, new_figure, styled

FAINT_FALL = 0.1  # nats: a word that becomes less than a tenth less likely does not depend on it


def _place_of_most(values: np.ndarray) -> str:
    """Where a map's largest value lies, in words: "upper left", "middle"."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    height = ("upper", "middle", "lower")[3 * (2 * row + 1) // (2 * values.shape[0])]
    side = ("left", "middle", "right")[3 * (2 * column + 1) // (2 * values.shape[1])]
    return height if height == side else f"{height} {side}"


def _draw_map(ax: Any, gray: np.ndarray, values: np.ndarray, full: float, color: str, most: str) -> None:
    """The picture in gray, and over it colour that covers the more, the larger the value; `full` is the darkest."""
    ax.imshow(gray, cmap="gray", vmin=0, vmax=255)
    tint = np.where(values[..., None] > 0, to_rgb(color), to_rgb(BLUE))
    shown = np.dstack([tint, 0.75 * np.clip(np.abs(values) / full, 0, 1)])  # (rows, columns, 4)
    ax.imshow(shown, extent=(-0.5, gray.shape[1] - 0.5, gray.shape[0] - 0.5, -0.5), interpolation="nearest")
    ax.set_xlabel(most, fontsize=8, labelpad=1)


@styled
def plot_word_attention(
    image: Any, words: Sequence[str], maps: np.ndarray, occlusion_maps: np.ndarray | None = None, *, columns: int = 9
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
    layers = [np.asarray(layer) for layer in (maps, occlusion_maps) if layer is not None]
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
    height = 0.35 + blocks * (0.25 + (side + 0.2) * len(layers))
    figure, axes = new_figure(side * columns, height, blocks * len(layers) * columns, columns, subplot_kw=BARE)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    axes[0].imshow(picture)
    axes[0].set_title("(picture)", fontsize=9, loc="center", color="#666666")
    # One row per place: the attention, and below it the occlusion.
    places = np.reshape(axes, (blocks, len(layers), columns)).swapaxes(1, 2).reshape(-1, len(layers))
    told = []
    for place, word, shares, *falls in zip(places[1:], words, *layers, strict=False):
        place[0].set_title(fill(word, 15), fontsize=10, loc="center")
        most = f"{shares.max():.0%}"
        _draw_map(place[0], gray, shares, max(shares.max(), 4 / shares.size), GREEN, most)
        told.append(f"{word!r} looks most at the {_place_of_most(shares)} ({most})")
        for fall in falls:
            most = f"{max(fall.max(), 0):.2f}"
            _draw_map(place[1], gray, fall, max(np.abs(fall).max(), FAINT_FALL), RED, most)
            depends = f"most on the {_place_of_most(fall)}" if fall.max() >= FAINT_FALL else "on no single patch"
            told[-1] += f" and depends {depends}"
    keys = {"attention as the word is said (below: share of the top patch)": GREEN}
    if len(layers) > 1:
        keys |= {"covered, the word becomes less likely (below: most, in nats)": RED, "more likely": BLUE}
    figure.legend(
        handles=[Patch(color=color, alpha=0.75, label=label) for label, color in keys.items()],
        loc="outside lower left", ncols=len(keys), fontsize=8, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    return figure.described(
        f"One picture, once for each word of its caption, with the patches marked: {'; '.join(told)}."
    )
