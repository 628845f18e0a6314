"""Chart of a learning curve: a score against the number of training pictures, with seeds and intervals."""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.experiments.learning_curve import spans
from helpers.experiments.trials import Row
from helpers.metrics import METRICS
from helpers.plotting.figure import BLUE, GRAY, GREEN, DescribedFigure, new_figure, some, styled

LOOKS = {"nearest picture": (GRAY, "s", "--"), "trained": (BLUE, "o", "-")}  # the captioner lies on top


@styled
def plot_learning_curve(curves: Mapping[str, Sequence[Row]], metric: str = "wer") -> DescribedFigure:
    """Learning curves, title → rows of `learning_curve`, a panel each: a point for each seed, and all their intervals.

    A line goes through the means of the seeds; a span reaches from the lowest to the highest end of their intervals.
    """
    known = METRICS[metric]
    width = 7.5 if len(some(curves, "curve")) == 1 else 10
    figure, axes = new_figure(width, 4.2, len(curves), len(curves), sharey=True)
    told, table = [], []
    for ax, (title, rows) in zip(axes, curves.items(), strict=True):
        for system, (color, marker, line) in LOOKS.items():
            by_size = spans(some(rows, "row"), system, metric)
            low, mean, high = np.transpose(list(by_size.values()))
            points = [(row["pictures"], row[system][metric]["value"]) for row in rows]
            ax.plot(*zip(*points, strict=True), marker, color=color, markersize=5, zorder=3)
            style = {"color": color, "linestyle": line, "capsize": 4 if system == "trained" else 0}
            label = "captioner" if system == "trained" else "nearest training picture's caption"
            ax.errorbar(list(by_size), mean, [mean - low, high - mean], label=label, **style)
            ends = ", ".join(f"{size} {span[1]:.3f} ({span[0]:.3f} to {span[2]:.3f})" for size, span in by_size.items())
            told.append(f"{title}, {label}: {ends}")
        ax.axhline(known.best, color=GREEN, linewidth=1.5, linestyle=":", label="best possible")
        ax.set_xscale("log")
        sizes = list(by_size)
        ax.set_xticks(sizes, map(str, sizes))
        ax.set_xticks([], minor=True)
        ax.set(title=f"{title}\n{rows[0]['test']} test pictures", xlabel="training pictures, logarithmic")
        ax.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
        ax.grid(True, axis="y")
        for row in rows:
            about = {"curve": title, "pictures": row["pictures"], "seed": row["seed"]}
            table += [about | {"captions": s} | {k: f"{v:.3f}" for k, v in row[s][metric].items()} for s in LOOKS]
    axes[0].set_ylabel(f"{known.label} ({known.better} is better)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3)
    return figure.described(
        f"Learning curves: {known.label} by number of training pictures, the mean of the seeds and all their 95 % "
        f"intervals. {'; '.join(told)}. The best possible is {known.best:g}.",
        table,
    )
