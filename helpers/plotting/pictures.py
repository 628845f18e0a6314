"""Figures of pictures: grids with captions, galleries of mistakes, pairs, and a picture cut into patches."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.patches import Rectangle

from helpers.analysis import marked_differences
from helpers.errors import CaptioningError
from helpers.plotting.figure import BARE, INK, DescribedFigure, new_figure, pixels_of, some, styled
from helpers.reading.given import list_of_pictures
from helpers.text import visible


@styled
def plot_captioned_images(
    images: Sequence[Any], captions: Sequence[str], *, columns: int = 4, title: str = ""
) -> DescribedFigure:
    """A grid of pictures, each with its caption wrapped above it.

    Args:
        images: as `caption_images` takes them.
        captions: a text for each picture, or several; a line break starts a new line.
        columns: pictures in a row.
        title: a line above the grid.
    """
    images = some(list_of_pictures(images), "picture")
    count, captions = len(images), [visible("\n".join(c) if isinstance(c, list) else str(c)) for c in captions]
    if count != len(captions):
        raise CaptioningError(f"There are {count} pictures and {len(captions)} captions; give one each.")
    columns = max(1, min(columns, count))
    width = min(10 / columns, 4.2)  # inches
    texts = ["\n".join(fill(line, _signs(line, width)) for line in caption.split("\n")) for caption in captions]
    height = (width - 0.1 + 0.17 * max(text.count("\n") + 1 for text in texts)) * -(-count // columns)
    figure, axes = new_figure(width * columns, height, count, columns, title=title, subplot_kw=BARE)
    figure.get_layout_engine().set(h_pad=0.1)
    for ax, image, text in zip(axes, images, texts, strict=True):
        pixels = pixels_of(image)
        ax.imshow(pixels)
        # On a white page, a picture with a white edge would have none.
        ax.add_patch(Rectangle((-0.5, -0.5), pixels.shape[1], pixels.shape[0], fill=False, edgecolor="#DDDDDD"))
        ax.set_title(text, fontsize=9, color=INK)
    listed = " ".join(f"({i}) {caption.replace(chr(10), '; ').rstrip('.')}." for i, caption in enumerate(captions, 1))
    told = f"{count} pictures with their captions" if count != 1 else "1 picture with its caption"
    return figure.described(f"{title + ': ' if title else ''}{told}. {listed}")


def _signs(line: str, width: float) -> int:
    """How many signs of a line fit a width in inches; a Chinese or Korean one takes the room of two."""
    wide = sum(east_asian_width(sign) in "WF" for sign in line)
    return max(1, int(11.6 * width * len(line) / max(len(line) + wide, 1)))


@styled
def plot_picture_pairs(pairs: Sequence[tuple[Any, Any]], labels: Sequence[str], *, title: str = "") -> DescribedFigure:
    """Pictures side by side in pairs, each pair with a label."""
    widths = [1, 1, 0.25] * len(pairs)  # the gap behind a pair shows which two belong together
    height, count = 4.6 / len(pairs) + 0.5, len(widths)
    figure, axes = new_figure(10, height, count, count, title=title, width_ratios=widths, subplot_kw=BARE)
    for left, right, (first, second), label in zip(axes[::3], axes[1::3], pairs, labels, strict=True):
        left.set_title(label, fontsize=9)
        left.imshow(pixels_of(first))
        right.imshow(pixels_of(second))
    return figure.described(f"{title}: {len(pairs)} pairs of pictures, side by side. {'; '.join(labels)}.")


@styled
def plot_patches(before: Any, seen: np.ndarray, patch: int, *, titles: Sequence[str]) -> DescribedFigure:
    """A picture as it is stored, as the model sees it, and cut into patches.

    Args:
        before: the stored picture.
        seen: what the model sees, denormalized: uint8, (height, width, 3).
        patch: the side of a patch in pixels.
        titles: a line for each of the three.
    """
    figure, axes = new_figure(10, 3.6, 3, 3, subplot_kw=BARE)
    stored, (height, width) = pixels_of(before), seen.shape[:2]
    for ax, image, title in zip(axes, (stored, seen, seen), titles, strict=True):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(title, fontsize=10)
    sides = {"color": "#333333", "linewidth": 0.8}
    axes[2].vlines(np.arange(0, width + 1, patch) - 0.5, -0.5, height - 0.5, **sides)
    axes[2].hlines(np.arange(0, height + 1, patch) - 0.5, -0.5, width - 0.5, **sides)
    return figure.described(
        f"Three views of one picture: {stored.shape[1]} by {stored.shape[0]} pixels as stored; {width} by {height} as "
        f"the model sees it; the same cut by thin lines into {height // patch} rows of {width // patch} patches."
    )


@styled
def plot_gallery(
    images: Sequence[Any], references: Sequence[str], predictions: Sequence[str], *, title: str
) -> DescribedFigure:
    """Pictures with what was said and what should have been; words that differ stand in brackets."""
    marked = [marked_differences(*texts) for texts in zip(references, predictions, strict=True)]
    texts = [f"said: {prediction}\ntrue: {reference}" for reference, prediction in marked]
    return plot_captioned_images(images, texts, columns=3, title=title)
