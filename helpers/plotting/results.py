"""Charts of what a captioner says: scores, mistakes, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.ticker import MaxNLocator

from helpers.plotting.figure import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    DescribedFigure,
    axes_of,
    new_figure,
    styled,
)  # fmt: skip


@styled
def plot_scores(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> DescribedFigure:
    """Metrics of several systems side by side, with their intervals.

    Args:
        systems: name → metric → {"value", "low", "high"}, as artifacts/evaluation.json holds them.
    """
    metrics = list(next(iter(systems.values())))
    figure = new_figure(10, 1.2 + 0.42 * len(systems))
    axes = axes_of(figure, 1, len(metrics), sharey=True)[0]
    names = list(systems)[::-1]
    parts = []
    for ax, metric in zip(axes, metrics, strict=True):
        scores = [systems[name][metric] for name in names]
        values = [score["value"] for score in scores]
        spans = [[s["value"] - s["low"] for s in scores], [s["high"] - s["value"] for s in scores]]
        ax.barh(names, values, color=[BLUE if name == "trained" else SKY for name in names], xerr=spans,
                error_kw={"ecolor": "#444444", "capsize": 3})  # fmt: skip
        room = max(max(s["high"] for s in scores), 1e-3) * 1.42
        for row, score in enumerate(scores):
            ax.text(score["high"] + room * 0.03, row, f"{score['value']:.3f}", va="center", fontsize=9)
        ax.set(title=f"{metric} ({'lower' if metric == 'wer' else 'higher'} is better)", xlim=(0, room))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        parts.append(f"{metric}: " + ", ".join(f"{n} {s['value']:.3f}" for n, s in zip(names, scores, strict=True)))
    figure.alt = "Bars that compare systems, with 95 % intervals. " + "; ".join(parts) + "."
    return figure


@styled
def plot_attribute_accuracy(accuracy: Mapping[str, Mapping[str, float]]) -> DescribedFigure:
    """The share of pictures whose attribute is right: system → column → accuracy."""
    columns = list(next(iter(accuracy.values())))
    figure = new_figure(10, 0.9 + 0.2 * len(columns) * max(2, len(accuracy)))
    ax = axes_of(figure, 1, 1)[0, 0]
    height = 0.8 / len(accuracy)
    colors = [ORANGE, SKY, BLUE] if len(accuracy) == 3 else [BLUE, ORANGE, GREEN, PURPLE, RED]
    for k, (name, values) in enumerate(accuracy.items()):
        rows = np.arange(len(columns))[::-1] + 0.4 - height * (k + 0.5)
        ax.barh(rows, list(values.values()), height=height, color=colors[k % len(colors)], label=name)
        for row, value in zip(rows, values.values(), strict=True):
            ax.text(value + 0.01, row, f"{value:.2f}", va="center", fontsize=8)
    ax.set(yticks=np.arange(len(columns))[::-1], yticklabels=columns, xlim=(0, 1.12),
           title="Attributes named rightly, share of pictures")  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    parts = [f"{name}: " + ", ".join(f"{c} {v:.2f}" for c, v in values.items()) for name, values in accuracy.items()]
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
    least = min(words, key=lambda pair: pair[1], default=("", 0.0))
    figure.alt = f"Bars: the probability of each word. {title}. The least sure word is {least[0]!r}, {least[1]:.2f}."
    return figure
