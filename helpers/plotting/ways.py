"""Charts of ways to fine-tune: a share against training pictures, a line for each way, and two shares side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.transforms import ScaledTranslation

from helpers.plotting.figure import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    RED,
    DescribedFigure,
    new_figure,
    some,
    styled,
)

Span = tuple[float, float, float]  # as `learning_curve.spans` gives it
Spans = Mapping[int, Span]  # training pictures → span
SIDES = ((GRAY, "s", "white"), (BLUE, "o", BLUE), (ORANGE, "D", "white"))
LOOKS = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "-"),
    (GREEN, "^", "-"),
    (PURPLE, "D", "--"),
    (RED, "v", "--"),
    (GRAY, "x", ":"),
)


def _told(spans: Spans) -> str:
    return ", ".join(f"{size} {mean:.2f} ({low:.2f} to {high:.2f})" for size, (low, mean, high) in spans.items())


@styled
def plot_ways(
    ways: Mapping[str, Spans], *, title: str, label: str = "share of captions that are right"
) -> DescribedFigure:
    """A share against the number of training pictures: a line for each way, through the means of its seeds.

    A span reaches from the lowest to the highest end of the seeds' 95 % intervals. Ways stand a little beside each
    other, so that their spans can be told apart.
    """
    figure, [ax] = new_figure(9, 4.4)
    sizes = sorted({size for spans in some(ways, "way").values() for size in spans})
    for i, (way, spans) in enumerate(ways.items()):
        color, marker, line = LOOKS[i % len(LOOKS)]
        low, mean, high = np.transpose(list(spans.values()))
        beside = ScaledTranslation((i - (len(ways) - 1) / 2) / 14, 0, figure.dpi_scale_trans)  # in inches
        ax.errorbar(
            list(spans), mean, [mean - low, high - mean], color=color, marker=marker, linestyle=line, markersize=7,
            capsize=3, label=way, transform=ax.transData + beside,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
    ax.set_xticks(sizes, map(str, sizes))
    ax.set_xticks([], minor=True)
    ax.set(title=title, xlabel="training pictures, logarithmic", ylabel=label, ylim=(-0.02, 1.02))
    ax.grid(True, axis="y")
    figure.legend(loc="outside right center")
    return figure.described(
        f"{title}: the {label} by number of training pictures, the mean of the seeds and all their 95 % intervals. "
        f"{'; '.join(f'{way}: {_told(spans)}' for way, spans in ways.items())}.",
        [
            {"way": way, "pictures": size, "low": f"{low:.3f}", "mean": f"{mean:.3f}", "high": f"{high:.3f}"}
            for way, spans in ways.items()
            for size, (low, mean, high) in spans.items()
        ],
    )


@styled
def plot_sides(sides: Mapping[str, Mapping[str, Mapping[Any, Span]]], *, title: str) -> DescribedFigure:
    """Two or three shares of each way, such as those of two kinds of pictures: a row for each way, and panels.

    A span is as in `plot_ways`. What was not trained has its only size, 0 pictures, in every panel.

    Args:
        sides: label → way → panel → span; of two or three labels, with the same ways. A panel is a number of training
            pictures, or says by itself what it shows.
        title: of the figure.
    """
    ways = next(iter(some(sides, "side").values()))
    panels = list(dict.fromkeys(panel for spans in ways.values() for panel in spans if panel)) or [0]
    panels = sorted(panels) if isinstance(panels[0], int) else panels
    titles = [f"{panel} pictures" if isinstance(panel, int) else str(panel) for panel in panels]
    figure, axes = new_figure(10, 1.6 + 0.34 * len(ways), len(panels), len(panels), sharey=True, title=title)
    table = []
    for ax, panel, name in zip(axes, panels, titles, strict=True):
        for i, (label, own) in enumerate(sides.items()):
            color, marker, face = SIDES[i]
            spans = {way: own[way].get(panel, own[way].get(0)) for way in ways}
            spans = {way: span for way, span in spans.items() if span}
            low, mean, high = np.transpose(list(spans.values()))
            shift = 0.28 * (i - (len(sides) - 1) / 2)
            ax.errorbar(
                mean, [shift + list(ways).index(way) for way in spans], xerr=[mean - low, high - mean], fmt=marker,
                color=color, markerfacecolor=face, markersize=7, linewidth=1.5, capsize=2, clip_on=False, label=label,
            )  # fmt: skip
            table += [
                {"panel": name, "way": way, "of": label}
                | dict(zip(("low", "mean", "high"), map("{:.3f}".format, span), strict=True))
                for way, span in spans.items()
            ]
        ax.set(title=name, xlim=(0, 1), ylim=(len(ways) - 0.5, -0.5))
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks(range(len(ways)), list(ways), color=INK)
        ax.grid(True, axis="x")
    axes[len(axes) // 2].set_xlabel("share")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    told = "; ".join("{panel}, {way}, {of}: {mean} ({low} to {high})".format(**row) for row in table)
    return figure.described(f"{title}. Points with the 95 % intervals of all seeds. {told}.", table)
