"""Charts of what a captioner says: scores, mistakes, probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import fill, shorten
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from helpers.creatures import Confusion
from helpers.metrics import METRICS
from helpers.plotting.figure import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    DescribedFigure,
    axes_of,
    new_figure,
    styled,
)


@styled
def plot_scores(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> DescribedFigure:
    """Metrics of several systems side by side, with their intervals; each metric on the whole of its own scale.

    Args:
        systems: name → metric → {"value", "low", "high"}, as artifacts/evaluation.json holds them.
    """
    metrics = list(next(iter(systems.values())))
    figure = new_figure(10, 1.4 + 0.36 * len(systems))
    axes = axes_of(figure, 1, len(metrics), sharey=True)[0]
    names = list(systems)[::-1]
    parts = []
    for ax, metric in zip(axes, metrics, strict=True):
        scores = [systems[name][metric] for name in names]
        values = [score["value"] for score in scores]
        spans = [[s["value"] - s["low"] for s in scores], [s["high"] - s["value"] for s in scores]]
        ax.barh(names, values, color=[BLUE if name == "trained" else SKY for name in names], xerr=spans,
                error_kw={"ecolor": "#444444", "capsize": 3})  # fmt: skip
        known = METRICS.get(metric)
        ends = (known.best, known.worst) if known else (None,)
        # A word error rate has no end; a whole number has a half that can be read on the axis.
        end = np.ceil(max(1.0, *(score["high"] for score in scores))) if None in ends else max(ends)
        for row, score in enumerate(scores):
            ax.text(score["high"] + end * 0.05, row, f"{score['value']:.3f}", va="center", fontsize=9)
        ax.set(title=f"{metric}\n{f'{known.better} is better' if known else ''}", xlim=(0, end * 1.45))
        ax.title.set_size(10)
        ax.set_xticks([0, end / 2, end], [f"{tick:.2g}" for tick in (0, end / 2, end)])
        parts.append(f"{metric}: " + ", ".join(f"{n} {s['value']:.3f}" for n, s in zip(names, scores, strict=True)))
    figure.tables = [
        [
            {"metric": metric, "system": name} | {key: f"{number:.3f}" for key, number in scores[metric].items()}
            for metric in metrics
            for name, scores in systems.items()
        ]
    ]
    figure.alt = "Bars that compare systems, with 95 % intervals. " + "; ".join(parts) + "."
    return figure


@styled
def plot_attribute_accuracy(accuracy: Mapping[str, Mapping[str, float]]) -> DescribedFigure:
    """The share of pictures whose attribute is right: system → column → accuracy."""
    columns = list(next(iter(accuracy.values())))
    figure = new_figure(10, 0.9 + 0.1 * len(columns) * (2 + max(2, len(accuracy))))
    ax = axes_of(figure, 1, 1)[0, 0]
    height = 0.8 / len(accuracy)
    others = cycle([ORANGE, SKY, GREEN, PURPLE, RED])
    for k, (name, values) in enumerate(accuracy.items()):
        rows = np.arange(len(columns))[::-1] + 0.4 - height * (k + 0.5)
        ax.barh(
            rows, list(values.values()), height=height, color=BLUE if name == "trained" else next(others), label=name
        )
        for row, value in zip(rows, values.values(), strict=True):
            ax.text(value + 0.01, row, f"{value:.2f}", va="center", fontsize=7.5)
    ax.margins(y=0.01)
    ax.set(yticks=np.arange(len(columns))[::-1], yticklabels=columns, xlim=(0, 1.12),
           title="Attributes named rightly, share of pictures")  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    parts = [f"{name}: " + ", ".join(f"{c} {v:.2f}" for c, v in values.items()) for name, values in accuracy.items()]
    figure.tables = [
        [{"attribute": c} | {name: f"{values[c]:.2f}" for name, values in accuracy.items()} for c in columns]
    ]
    figure.alt = "Bars of attribute accuracy. " + "; ".join(parts) + "."
    return figure


@styled
def plot_word_probabilities(words: Sequence[tuple[str, float]], *, title: str) -> DescribedFigure:
    """How sure the model was of each word that it said."""
    figure = new_figure(10, 2.9)
    ax = axes_of(figure, 1, 1)[0, 0]
    places = range(len(words))
    ax.bar(places, [p for _, p in words], color=[BLUE if p >= 0.5 else ORANGE for _, p in words])
    for place, (_, p) in zip(places, words, strict=True):
        ax.text(place, p + 0.02, f"{p:.2f}", ha="center", fontsize=8)
    ax.set_xticks(list(places), [word for word, _ in words], rotation=40, ha="right", rotation_mode="anchor")
    ax.set(title=fill(title, 110), ylabel="probability", ylim=(0, 1.14))
    figure.tables = [[{"word": word, "probability": f"{p:.2f}"} for word, p in words]]
    least = min(words, key=lambda pair: pair[1], default=("", 0.0))
    figure.alt = f"Bars: the probability of each word. {title}. The least sure word is {least[0]!r}, {least[1]:.2f}."
    return figure


def _cell_colors(counts: np.ndarray) -> np.ndarray:
    """Blue where right, orange where wrong, deeper the larger the share of the row: (true, said, 3)."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(*counts.shape, dtype=bool)
    # One mistake among many pictures has to be seen: what is not zero never starts from white.
    depth = np.where(counts > 0, 0.25 + 0.75 * shares, 0)[..., None]
    full = np.where(right[..., None], to_rgb(SKY), to_rgb(ORANGE))
    return 1 - depth * (1 - full)


@styled
def plot_confusions(confusions: Mapping[str, Confusion], *, title: str = "") -> DescribedFigure:
    """What was said for what: a panel an attribute, a row a true value, the pictures in numbers.

    Args:
        confusions: name → Confusion, as `attribute_confusions` gives it.
        title: a line above the panels.
    """
    columns = min(3, len(confusions))
    rows = -(-len(confusions) // columns)
    sizes = [len(confusion.true) for confusion in confusions.values()]
    heights = [0.9 + 0.24 * max(sizes[i : i + columns]) for i in range(0, len(sizes), columns)]  # inches
    figure = new_figure(3.4 * columns, sum(heights) + (0.4 if title else 0))
    axes = axes_of(figure, rows, columns, height_ratios=heights).flat
    parts = []
    for ax, (name, confusion) in zip(axes, confusions.items(), strict=False):
        counts = confusion.counts
        ax.imshow(_cell_colors(counts), aspect="auto")
        for i, j in zip(*counts.nonzero(), strict=True):
            weight = "normal" if i == j else "bold"
            ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, weight=weight)
        ax.set_xticks(range(len(confusion.said)), confusion.said, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(confusion.true)), confusion.true)
        ax.set_xticks(np.arange(len(confusion.said) - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(len(confusion.true) - 1) + 0.5, minor=True)
        ax.grid(True, which="minor", color="#DDDDDD", linewidth=0.6)
        ax.tick_params(which="both", length=0, labelsize=8)
        ax.set_title(f"{name}: {counts.trace()} of {counts.sum()} right")
        wrong = sorted((-counts[i, j], i, j) for i, j in zip(*counts.nonzero(), strict=True) if i != j)
        told = [f"{confusion.true[i]} called {confusion.said[j]} {-count}" for count, i, j in wrong[:3]]
        told += [f"{len(wrong) - 3} other pairs"] if len(wrong) > 3 else []
        parts.append(f"{name}: {counts.trace()} of {counts.sum()} right" + (f" ({', '.join(told)})" if told else ""))
    for ax in list(axes):
        ax.axis("off")
    figure.supxlabel("what the caption says (blue: right, orange: wrong)", fontsize=9)
    figure.supylabel("what is true", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    figure.alt = f"{title + '. ' if title else ''}Tables of true values against said ones. {'; '.join(parts)}."
    return figure


@styled
def plot_mistakes(rows: Sequence[Mapping[str, Any]], *, most: int = 10, title: str = "") -> DescribedFigure:
    """The pairs of values that were confused most often, as bars.

    Args:
        rows: as `attribute_mistakes` gives them.
        most: how many pairs are drawn.
        title: a line above the bars; what they show, where it is empty.
    """
    shown = rows[:most]
    figure = new_figure(8, 1.1 + 0.3 * max(len(shown), 1))
    ax = axes_of(figure, 1, 1)[0, 0]
    names = [f"{row['attribute']}: {row['true']} → {row['said']}" for row in shown]
    counts = [row["pictures"] for row in shown]
    ax.barh(names[::-1], counts[::-1], color=ORANGE)
    for place, row in enumerate(shown[::-1]):
        ax.text(row["pictures"], place, f" {row['pictures']} of {row['of']}", va="center", fontsize=9)
    if not shown:
        ax.text(0.5, 0.5, "no mistakes", ha="center", va="center", transform=ax.transAxes)
        ax.set_yticks([])
    title = title or (f"The {len(shown)} most confused pairs" if len(rows) > most else "Every pair that was confused")
    ax.set(title=title, xlabel="pictures (of those with the true value)", xlim=(0, max(counts, default=1) * 1.2))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.tables = [shown]
    told = ", ".join(f"{name} {row['pictures']} of {row['of']}" for name, row in zip(names, shown, strict=True))
    figure.alt = f"{title}, true → said, in pictures: {told or 'none'}."
    return figure


@styled
def plot_word_mistakes(rows: Sequence[Mapping[str, Any]], *, most: int = 12) -> DescribedFigure:
    """The words that go wrong most often: missed to the left, invented to the right.

    Args:
        rows: as `word_mistakes` gives them.
        most: how many words are drawn.
    """
    shown = rows[:most][::-1]
    figure = new_figure(8, 1.2 + 0.27 * max(len(shown), 1))
    ax = axes_of(figure, 1, 1)[0, 0]
    words = [row["word"] for row in shown]
    reach = max((max(row["missed"], row["invented"]) for row in shown), default=1)
    for key, sign, color in (("missed", -1, BLUE), ("invented", 1, ORANGE)):
        ax.barh(words, [sign * row[key] for row in shown], color=color)
        for place, row in enumerate(shown):
            if row[key]:
                side = "right" if sign < 0 else "left"
                ax.text(sign * (row[key] + reach * 0.02), place, row[key], ha=side, va="center", fontsize=9)
    ax.axvline(0, color="#444444", linewidth=0.8)
    if not shown:
        ax.text(0.5, 0.5, "no word is missed or invented", ha="center", va="center", transform=ax.transAxes,
                backgroundcolor="white")  # fmt: skip
        ax.set_yticks([])
    ax.set(title="Words: missed (left, blue) and invented (right, orange)", xlabel="times",
           xlim=(-1.15 * reach, 1.15 * reach))  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    figure.tables = [[{key: row[key] for key in ("word", "missed", "invented")} for row in rows[:most]]]
    told = ", ".join(f"{r['word']} missed {r['missed']} invented {r['invented']}" for r in rows[:most])
    figure.alt = f"Bars to both sides, a word a line: how often it was missed and invented. {told or 'None'}."
    return figure


@styled
def plot_lengths(lengths: np.ndarray) -> DescribedFigure:
    """How long captions are against their references.

    Args:
        lengths: words, (pictures, 2): of the caption, and the mean of its references; see `caption_lengths`.
    """
    said, expected = np.asarray(lengths, dtype=float).T
    figure = new_figure(10, 3.4)
    left, right = axes_of(figure, 1, 2)[0]
    longest = int(np.ceil(max(said.max(), expected.max())))
    edges = np.arange(-0.5, longest + 1)
    names = ["references (mean of each picture)", "captions"]
    counts, _, _ = left.hist([expected, said], bins=edges, color=[GRAY, BLUE], label=names)
    start = min(said.min(), expected.min())
    left.set(title="How long they are", xlabel="words", ylabel="pictures", xlim=(start - 1, longest + 1))
    left.margins(y=0.3)  # room for the legend
    left.legend(loc="upper left", fontsize=8)
    differences = np.rint(said - expected)
    span = max(2, int(abs(differences).max()))
    right.hist(differences, bins=np.arange(-span - 0.5, span + 1), color=BLUE, rwidth=0.9)
    right.axvline(0, color="#444444", linestyle=":")
    right.set(title="shorter ← than the references → longer", xlabel="words more than the mean reference",
              ylabel="pictures")  # fmt: skip
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.tables = [
        [
            {"words": words} | {name: int(count) for name, count in zip(names, both, strict=True)}
            for words, both in enumerate(counts.T)
            if both.any()
        ],
        [
            {"words more than the mean reference": int(difference), "pictures": count}
            for difference, count in sorted(Counter(differences).items())
        ],
    ]
    figure.alt = (
        f"Two histograms. Left: captions have {said.min():.0f} to {said.max():.0f} words, {said.mean():.1f} on "
        f"average; their references {expected.mean():.1f}. Right: the difference a picture, from "
        f"{(said - expected).min():+.1f} to {(said - expected).max():+.1f} words."
    )
    return figure


@styled
def plot_compared(parts: Mapping[str, tuple[str, bool]], reference: str, *, title: str = "") -> DescribedFigure:
    """What a score compares with a reference, part by part: what counts stands in blue, what is left out in gray.

    Args:
        parts: name → the words of that part, and whether they count.
        reference: the caption that they are compared with.
        title: a line above the parts.
    """
    rows = [
        (f"{name}\n{len(words.split())} words{'' if counts else ', left out'}", words, BLUE if counts else GRAY)
        for name, (words, counts) in parts.items()
    ]
    rows.append((f"reference\n{len(reference.split())} words", reference, GREEN))
    figure = new_figure(10, 0.3 + 0.55 * len(rows))
    ax = axes_of(figure, 1, 1)[0, 0]
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), title=title)
    ax.axis("off")
    for place, (name, words, color) in enumerate(rows):
        shown = shorten(words, 200, placeholder=" …") if words else "(nothing)"
        ax.text(0, place, name, va="center", fontsize=9, color="#222222")
        ax.text(0.2, place, fill(shown, 105), va="center", fontsize=9, color=color)
    told = "; ".join(
        f"{name.replace(chr(10), ', ')}: {shorten(words, 80, placeholder=' …')}" for name, words, _ in rows
    )
    figure.alt = f"{title + ': ' if title else ''}what is compared. {told}."
    return figure


@styled
def plot_steps(steps: Mapping[str, float], *, name: str) -> DescribedFigure:
    """One number as it changes from step to step, on a logarithmic scale.

    Args:
        steps: what was done → the number, 0 or more.
        name: of the number, for the axis.
    """
    figure = new_figure(10, 0.8 + 0.36 * len(steps))
    ax = axes_of(figure, 1, 1)[0, 0]
    labels, values = list(steps), list(steps.values())
    ax.barh(labels, values, color=[GRAY] * (len(steps) - 1) + [BLUE])
    # A perfect captioner has 0, which such a scale does not hold: its number stands at the left end, without a bar.
    least = min((value for value in values if value > 0), default=1.0) / 2
    ax.set_xscale("log")
    ax.invert_yaxis()
    ax.axvline(1, color="#222222", linewidth=0.8, linestyle=":")
    for place, value in enumerate(values):
        spot = (max(value, least), place)
        ax.annotate(f"{value:.3f}", spot, xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_xlim(least, max(*values, least) * 3)
    ax.set(xlabel=f"{name}, logarithmic; the dotted line is 1")
    figure.tables = [[{"step": step, name: f"{value:.3f}"} for step, value in steps.items()]]
    figure.alt = f"Bars of the {name}, step by step: " + ", ".join(f"{step} {v:.3f}" for step, v in steps.items()) + "."
    return figure
