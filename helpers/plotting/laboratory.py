"""Figures of a laboratory: a training's curves beside a healthy one's with captions, and values named by several."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from helpers.experiments.trials import Row
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
LOSSES = (0.003, 15)  # nats, both ends of the logarithmic axis: of all figures, so that their shapes compare
LINE = 29  # letters of a caption's line


@styled
def plot_case(row: Row, healthy: Row, said: Shown, learnt: Shown, *, title: str) -> DescribedFigure:
    """A training's loss and captions right beside a healthy one's, what it says, and what it finds hard to learn.

    Args:
        row: of `helpers.experiments.laboratory`.
        healthy: another one, drawn in gray; where it is the same one, it is drawn once.
        said: test pictures, each with its caption by the model.
        learnt: training pictures, each with its caption from the data set and that caption's loss.
        title: a line above the figure.
    """
    columns = max(len(some(said, "picture")), len(some(learnt, "picture")))
    texts = [fill(text, LINE) for _, text in (*said, *learnt)]
    lines = [1 + max(text.count("\n") for text in part) for part in (texts[: len(said)], texts[len(said) :])]
    heights = [3.2, *(2.1 + 0.175 * count for count in lines)]  # inches
    figure = DescribedFigure(figsize=(10, 0.3 + sum(heights)), layout="constrained")
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    above, *below = figure.subfigures(3, 1, height_ratios=heights)
    loss, right = above.subplots(1, 2)
    trainings = {"this one": row} if row == healthy else {"healthy": healthy, "this one": row}
    _curves(loss, trainings)
    for name, each in trainings.items():
        shares, color = each["validation"]["right"], GRAY if name == "healthy" else GREEN
        right.plot(each["validation"]["step"], shares, ":", color=color, marker="o", label=name, clip_on=False)
    right.set(title="Captions right", xlabel="step", ylabel="share of validation pictures", ylim=(-0.05, 1))
    right.legend()
    right.grid(True)
    given = "Given captions of the training split: those with the highest loss, which stands before them"
    rows = ("What it says of four test pictures", said), (given, learnt)
    for part, (name, shown) in zip(below, rows, strict=True):
        part.suptitle(name, fontsize=11, x=0.01, ha="left")
        for ax, (image, text) in zip(part.subplots(1, columns, squeeze=False, subplot_kw=BARE)[0], shown, strict=False):
            ax.imshow(pixels_of(image))
            ax.set_title(fill(text, LINE), fontsize=10, color=INK)
            ax.set_anchor("W")  # the text, which begins at the picture's edge, has the whole column
    told, steps = [], row["validation"]["step"]
    for name, each in reversed(trainings.items()):
        measured = each["validation"]
        told.append(
            f"{name}: validation loss {_listed(measured['loss'], '.3g')}, training loss at the end "
            f"{each['training']['loss'][-1]:.3g}, captions right {_listed(measured['right'], '.2f')}"
        )
    said = " ".join(f"{name}: {'; '.join(text for _, text in shown)}." for name, shown in rows)
    return figure.described(f"{title}. At steps {_listed(steps, 'd')}, {'; '.join(told)}. {said}")


def _curves(ax: Axes, trainings: Mapping[str, Row]) -> None:
    """Losses, on an axis on which a tenth is as far as the next tenth; between measured points a line is dotted."""
    for name, each in trainings.items():
        colors = (GRAY, GRAY) if name == "healthy" else (BLUE, ORANGE)
        for split, color, kind in zip(("training", "validation"), colors, ("-", "o:"), strict=True):
            losses = np.clip(each[split]["loss"], *LOSSES)
            ax.plot(each[split]["step"], losses, kind, color=color, label=f"{name}, {split}")
    ax.set_yscale("log")
    ax.set_ylim(LOSSES)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(title="Loss (logarithmic axis)", xlabel="step", ylabel="nats per token")
    ax.legend(fontsize=8, loc="upper right")
    ax.grid(True)


def _listed(values: Sequence[float], kind: str) -> str:
    return ", ".join(format(value, kind) for value in values)


@styled
def plot_values_named(shares: Mapping[str, Mapping[str, tuple[int, int]]], *, title: str = "") -> DescribedFigure:
    """How often several systems name each value that is there: numbers on colours that tell their shares.

    Args:
        shares: system → (attribute, value) → pictures whose caption names it, pictures that have it; for each system
            the same values, as `value_recall` gives them.
        title: a line above it.
    """
    systems, values = list(shares), list(next(iter(some(shares, "system").values())))
    grid = np.array([[shares[name][fact][0] / max(shares[name][fact][1], 1) for name in systems] for fact in values])
    figure, [ax] = new_figure(3.4 + 0.75 * len(systems), 1.1 + 0.235 * len(values), title=title)
    shades = ax.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(shades, ax=ax, shrink=0.5, aspect=30, label="named, as a share of the pictures that have the value")
    for (i, j), share in np.ndenumerate(grid):
        named = shares[systems[j]][values[i]][0]
        color, weight = _ink_on(shades.cmap(float(share))), "normal" if named else "bold"
        ax.text(j, i, named, ha="center", va="center", fontsize=8, color=color, weight=weight)
    ax.set_xticks(range(len(systems)), systems)
    ax.tick_params(axis="x", top=True, labeltop=True)
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


def _ink_on(color: Any) -> str:
    """Black or white, whichever has the higher contrast, 4.5 or more, by the relative luminance of WCAG 2."""
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ (0.2126, 0.7152, 0.0722) < 0.179 else "black"
