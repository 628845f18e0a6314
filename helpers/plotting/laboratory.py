"""Figures of a laboratory: a training's curves beside a healthy one's with captions, and values named by several."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from helpers.plotting.figure import (
    BARE,
    BLUE,
    GRAY,
    GREEN,
    INK,
    ORANGE,
    DescribedFigure,
    new_figure,
    pixels_of,
    some,
    styled,
)

Shown = Sequence[tuple[Any, str]]  # pictures, each with its text
Row = Mapping[str, Any]  # of a results file of trainings
LEAST = 1e-4  # nats, the least loss on the logarithmic axis


@styled
def plot_case(row: Row, healthy: Row, said: Shown, learnt: Shown, *, title: str) -> DescribedFigure:
    """A training's loss and captions right beside a healthy one's, what it says, and what it finds hard to learn.

    Args:
        row: of `helpers.laboratory`.
        healthy: another one, drawn in gray.
        said: test pictures, each with its caption by the model.
        learnt: training pictures, each with its caption from the data set and that caption's loss.
        title: a line above the figure.
    """
    columns = max(len(some(said, "picture")), len(some(learnt, "picture")))
    texts = [fill(text, 33) for _, text in (*said, *learnt)]
    lines = [1 + max(text.count("\n") for text in part) for part in (texts[: len(said)], texts[len(said) :])]
    heights = [2.9, *(2.15 + 0.16 * count for count in lines)]  # inches
    figure = DescribedFigure(figsize=(10, 0.3 + sum(heights)), layout="constrained")
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    above, *below = figure.subfigures(3, 1, height_ratios=heights)
    loss, right = above.subplots(1, 2)
    _curves(loss, row, healthy)
    steps = row["validation"]["step"]
    for each, color, name in ((healthy, GRAY, "healthy"), (row, GREEN, "this one")):
        shares = each["validation"]["right"]
        right.plot(each["validation"]["step"], shares, color=color, marker="o", label=name, clip_on=False)
    right.set(title="Captions right", xlabel="step", ylabel="share of validation pictures", ylim=(0, 1))
    right.legend()
    right.grid(True)
    rows = ("What it says of four test pictures", said), ("The training captions with the highest loss", learnt)
    for part, (name, shown) in zip(below, rows, strict=True):
        part.suptitle(name, fontsize=11, x=0.01, ha="left")
        for ax, (image, text) in zip(part.subplots(1, columns, squeeze=False, subplot_kw=BARE)[0], shown, strict=False):
            ax.imshow(pixels_of(image))
            ax.set_title(fill(text, 33), fontsize=8, color=INK)
    told = []
    for name, each in (("this one", row), ("healthy", healthy)):
        measured = each["validation"]
        told.append(
            f"{name}: validation loss {_listed(measured['loss'], '.3g')}, training loss at the end "
            f"{each['training']['loss'][-1]:.3g}, captions right {_listed(measured['right'], '.2f')}"
        )
    said = " ".join(f"{name}: {'; '.join(text for _, text in shown)}." for name, shown in rows)
    return figure.described(f"{title}. At steps {_listed(steps, 'd')}, {'; '.join(told)}. {said}")


def _curves(ax: Axes, row: Row, healthy: Row) -> None:
    """Both trainings' losses, on an axis on which a tenth is as far as the next tenth."""
    for each, colors, name in ((healthy, (GRAY, GRAY), "healthy"), (row, (BLUE, ORANGE), "this one")):
        for split, color, marker in (("training", colors[0], ""), ("validation", colors[1], "o")):
            losses = np.clip(each[split]["loss"], LEAST, None)
            ax.plot(each[split]["step"], losses, color=color, marker=marker, label=f"{name}, {split}")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(title="Loss (logarithmic axis)", xlabel="step", ylabel="nats per token")
    ax.legend(fontsize=8)
    ax.grid(True)


def _listed(values: Sequence[float], kind: str) -> str:
    return ", ".join(format(value, kind) for value in values)


@styled
def plot_values_named(shares: Mapping[str, Mapping[str, tuple[int, int]]], *, title: str = "") -> DescribedFigure:
    """How often several systems name each value that is there, as a table of numbers on shades.

    Args:
        shares: system → (attribute, value) → pictures whose caption names it, pictures that have it; for each system
            the same values, as `value_recall` gives them.
        title: a line above it.
    """
    systems, values = list(shares), list(next(iter(some(shares, "system").values())))
    grid = np.array([[shares[name][fact][0] / max(shares[name][fact][1], 1) for name in systems] for fact in values])
    figure, [ax] = new_figure(2.4 + 0.75 * len(systems), 0.9 + 0.235 * len(values), title=title)
    ax.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), share in np.ndenumerate(grid):
        named = shares[systems[j]][values[i]][0]
        weight = "normal" if named else "bold"
        ax.text(j, i, named, ha="center", va="center", fontsize=8, color="white" if share < 0.5 else INK, weight=weight)
    ax.set_xticks(range(len(systems)), systems)
    ax.xaxis.tick_top()
    ax.set_yticks(
        range(len(values)),
        [f"{part.replace('_', ' ')}: {value} (of {shares[systems[0]][part, value][1]})" for part, value in values],
        fontsize=8,
    )
    told = "; ".join(
        f"{part.replace('_', ' ')} {value} " + ", ".join(f"{name} {shares[name][part, value][0]}" for name in systems)
        + f" of {shares[systems[0]][part, value][1]}"
        for part, value in values
    )  # fmt: skip
    return figure.described(f"{title}: {told}.")
