"""Charts of mistakes: attributes that were confused, words missed and invented."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

from helpers.creatures.attributes import NO_ATTRIBUTES
from helpers.creatures.confusions import Confusion
from helpers.plotting.figure import BLUE, ORANGE, SKY, DescribedFigure, new_figure, styled
from helpers.text import tick_name


def _cell_colors(counts: np.ndarray) -> np.ndarray:
    """Blue where right, orange where wrong, deeper the larger the share of the row: (true, said, 3)."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # One mistake among many pictures has to be seen: what is not zero never starts from white.
    depth = np.where(counts > 0, 0.25 + 0.75 * shares, 0)[..., None]
    full = np.where(np.eye(*counts.shape, dtype=bool)[..., None], to_rgb(SKY), to_rgb(ORANGE))
    return 1 - depth * (1 - full)


@styled
def plot_confusions(confusions: Mapping[str, Confusion], *, title: str = "") -> DescribedFigure | str:
    """What was said for what, in pictures: one panel per attribute, as `attribute_confusions` gives them."""
    if not confusions:
        return NO_ATTRIBUTES
    columns = min(3, len(confusions))
    sizes = [len(confusion.true) for confusion in confusions.values()]
    heights = [0.9 + 0.24 * max(sizes[i : i + columns]) for i in range(0, len(sizes), columns)]  # inches
    height = sum(heights) + (0.4 if title else 0)
    figure, axes = new_figure(3.4 * columns, height, len(sizes), columns, title=title, height_ratios=heights)
    figure.supxlabel("what the caption says (blue: right, orange: wrong)", fontsize=9)
    figure.supylabel("what is true", fontsize=9)
    told = []
    for ax, (name, confusion) in zip(axes, confusions.items(), strict=True):
        counts, cells = confusion.counts, list(zip(*confusion.counts.nonzero(), strict=True))
        ax.imshow(_cell_colors(counts), aspect="auto")
        for i, j in cells:
            ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, weight="normal" if i == j else "bold")
        ax.set_xticks(range(len(confusion.said)), confusion.said, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(confusion.true)), confusion.true)
        ax.set_xticks(np.arange(len(confusion.said) - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(len(confusion.true) - 1) + 0.5, minor=True)
        ax.grid(True, which="minor", color="#DDDDDD", linewidth=0.6)
        ax.tick_params(which="both", length=0, labelsize=8)
        right = f"{name}: {counts.trace()} of {counts.sum()} right"
        ax.set_title(right)
        wrong = sorted((-counts[i, j], i, j) for i, j in cells if i != j)
        worst = [f"{confusion.true[i]} called {confusion.said[j]} {-count}" for count, i, j in wrong[:3]]
        worst += [f"{len(wrong) - 3} other pairs"] if len(wrong) > 3 else []
        told.append(f"{right} ({', '.join(worst)})" if worst else right)
    return figure.described(
        f"{title + '. ' if title else ''}Tables of true values against said ones. {'; '.join(told)}."
    )


@styled
def plot_word_mistakes(rows: Sequence[Mapping[str, Any]], *, most: int = 12) -> DescribedFigure | str:
    """The words that go wrong most often, from the rows that `word_mistakes` gives: missed left, invented right."""
    if not rows:
        return "No word is missed or invented."
    shown = [{key: row[key] for key in ("word", "missed", "invented")} for row in rows[:most]]
    figure, [ax] = new_figure(8, 1.2 + 0.27 * len(shown))
    for key, sign, color in (("missed", -1, BLUE), ("invented", 1, ORANGE)):
        bars = ax.barh(range(len(shown)), [sign * row[key] for row in shown], color=color)
        ax.bar_label(bars, [row[key] or "" for row in shown], padding=5, fontsize=9)
    ax.set_yticks(range(len(shown)), [tick_name(row["word"]) for row in shown])
    ax.axvline(0, color="#444444", linewidth=0.8)
    reach = 1.15 * max(max(row["missed"], row["invented"]) for row in shown)
    ax.set(title="Words: missed (left, blue) and invented (right, orange)", xlabel="times", xlim=(-reach, reach))
    ax.invert_yaxis()
    ax.locator_params(axis="x", nbins=6, integer=True)
    ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    told = ", ".join(f"{row['word']} missed {row['missed']} invented {row['invented']}" for row in shown)
    return figure.described(
        f"Bars to both sides, one line per word: how often it was missed and invented. {told}.", shown
    )
