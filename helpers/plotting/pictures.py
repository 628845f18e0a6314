"""Figures of pictures: grids with captions, galleries of mistakes, pairs, and a picture cut into patches."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from helpers.analysis import marked_differences
from helpers.errors import CaptioningError
from helpers.plotting.figure import DescribedFigure, axes_of, new_figure, picture_grid, styled


@styled
def plot_captioned_images(
    images: Sequence[Any], captions: Sequence[str], *, columns: int = 4, title: str = ""
) -> DescribedFigure:
    """A grid of pictures, each with its caption wrapped above it.

    Args:
        images: PIL pictures or arrays.
        captions: a text for each picture; a line break starts a new line.
        columns: pictures in a row.
        title: a line above the grid.
    """
    if len(images) != len(captions):
        raise CaptioningError(f"There are {len(images)} pictures and {len(captions)} captions; give one each.")
    columns = max(1, min(columns, len(images)))
    width = min(10 / columns, 4.2)  # inches
    texts = ["\n".join(fill(line, int(11.6 * width)) for line in caption.split("\n")) for caption in captions]
    lines = max(text.count("\n") + 1 for text in texts)
    figure, axes = picture_grid(len(images), columns, width, width - 0.1 + 0.17 * lines)
    for ax, image, text in zip(axes, images, texts, strict=False):
        pixels = np.asarray(image)
        ax.imshow(pixels)
        # On a white page, a picture with a white edge would have none.
        ax.add_patch(Rectangle((-0.5, -0.5), pixels.shape[1], pixels.shape[0], fill=False, edgecolor="#DDDDDD"))
        ax.set_title(text, fontsize=9, loc="left", color="#222222")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    listed = " ".join(f"({i}) {caption.replace(chr(10), '; ').rstrip('.')}." for i, caption in enumerate(captions, 1))
    count = f"{len(images)} pictures with their captions" if len(images) != 1 else "1 picture with its caption"
    figure.alt = f"{title + ': ' if title else ''}{count}. {listed}"
    return figure


@styled
def plot_picture_pairs(pairs: Sequence[tuple[Any, Any]], labels: Sequence[str], *, title: str = "") -> DescribedFigure:
    """Pictures side by side in pairs, each pair with a label."""
    figure = new_figure(10, 4.6 / len(pairs) + 0.5)
    widths = [1, 1, 0.25] * len(pairs)  # the gap behind a pair shows which two belong together
    axes = axes_of(figure, 1, len(widths), width_ratios=widths)[0]
    for i, (pair, label) in enumerate(zip(pairs, labels, strict=True)):
        for ax, image in zip(axes[3 * i : 3 * i + 2], pair, strict=True):
            ax.imshow(np.asarray(image))
        axes[3 * i].set_title(label, fontsize=9, loc="left")
    for ax in axes:
        ax.axis("off")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    figure.alt = f"{title}: {len(pairs)} pairs of pictures, side by side. " + "; ".join(labels) + "."
    return figure


@styled
def plot_patches(before: Any, seen: np.ndarray, patch: int, *, titles: Sequence[str]) -> DescribedFigure:
    """A picture as it is stored, as the model sees it, and cut into patches.

    Args:
        before: the stored picture.
        seen: what the model sees, denormalized: uint8, (height, width, 3).
        patch: the side of a patch in pixels.
        titles: a line for each of the three.
    """
    figure, axes = picture_grid(3, 3, 10 / 3, 3.6)
    height, width = seen.shape[:2]
    for ax, image, title in zip(axes, (before, seen, seen), titles, strict=True):
        ax.imshow(np.asarray(image), interpolation="nearest")
        ax.set_title(title, fontsize=10)
    for x in range(0, width + 1, patch):
        axes[2].axvline(x - 0.5, color="#333333", linewidth=0.8)
    for y in range(0, height + 1, patch):
        axes[2].axhline(y - 0.5, color="#333333", linewidth=0.8)
    size = np.asarray(before).shape
    figure.alt = (
        f"Three views of one picture: {size[1]} by {size[0]} pixels as stored; {width} by {height} as the model sees "
        f"it; the same cut by thin lines into {height // patch} rows of {width // patch} patches."
    )
    return figure


@styled
def plot_gallery(
    images: Sequence[Any], references: Sequence[str], predictions: Sequence[str], *, title: str
) -> DescribedFigure:
    """Pictures with what was said and what should have been; words that differ stand in brackets."""
    texts = []
    for reference, prediction in zip(references, predictions, strict=True):
        marked, predicted = marked_differences(reference, prediction)
        texts.append(f"said: {predicted}\ntrue: {marked}")
    return plot_captioned_images(images, texts, columns=3, title=title)
