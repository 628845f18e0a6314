"""Charts of confidence: a reliability diagram of facts, and a risk-coverage curve of captions, for sets of pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.calibration import (
    Bin,
    FactConfidence,
    RiskCoverage,
    by_caption,
    calibration_error,
    reliability,
    risk_coverage,
)
from helpers.plotting.figure import BLUE, GRAY, GREEN, INK, DescribedFigure, new_figure, styled

AREAS = ("calibration error (10 bins)", "area under the curve", "in random order", "wrong ones last")
NO_FACTS = "No caption is in a wording of Pocket Creatures, so there is no fact to be sure of."


def _draw_reliability(ax: Axes, name: str, bins: Sequence[Bin]) -> None:
    """The share of right facts against their confidence; above each point, how many facts it stands for."""
    x, y, low, high = np.transpose([(each.confidence, each.right, each.low, each.high) for each in bins])
    ax.plot([0, 1], [0, 1], color=GRAY, linestyle=":")
    ax.errorbar(x, y, [y - low, high - y], fmt="o", color=BLUE, ecolor=INK, elinewidth=1, capsize=2, markersize=5)
    for each in bins:  # neighbours' numbers stand at two heights, or they would touch
        middle, height = (each.start + each.end) / 2, 1.05 + 0.13 * (round(10 * each.start) % 2)
        ax.text(middle, height, f"{each.count:,}", fontsize=9, ha="center", va="bottom")
    ax.set(title=f"{name}: facts, and their number", xlabel="confidence in a fact", ylabel="share that is right")
    ax.set(xlim=(0, 1.03), ylim=(-0.05, 1.36), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])


def _draw_risk(ax: Axes, name: str, curve: RiskCoverage) -> None:
    """The share of wrong captions among those answered, as more and more are answered."""
    ax.axhline(curve.risk[-1], color=GRAY, linestyle=":", label="random order")
    ax.plot(curve.coverage, curve.ideal, color=GREEN, linestyle="--", label="wrong ones last")
    ax.plot(curve.coverage, curve.risk, color=BLUE, label="surest first")
    top = max(0.05, *curve.risk)
    ax.set(title=f"{name}: captions", xlabel="share that is answered", ylabel="wrong among these")
    ax.set(xlim=(0, 1.03), ylim=(-0.03 * top, 1.75 * top), xticks=[0, 0.5, 1])
    ax.locator_params(axis="y", nbins=5)
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= 1.05 * top])
    ax.legend(loc="upper left", fontsize=9)


@styled
def plot_confidence(facts: Mapping[str, Sequence[FactConfidence]]) -> DescribedFigure | str:
    """Whether confidence is what it says, and what saying "I am not sure" would save: two panels for each set.

    Args:
        facts: name of a set of pictures → what `fact_confidences` gives for it; a set without any is left out.
    """
    sets = {name: found for name, found in facts.items() if found}
    if not sets:
        return NO_FACTS
    columns = max(2, len(sets))
    figure, axes = new_figure(10, 3.2 if len(sets) == 1 else 6.2, 2 * len(sets), columns)
    told, table, areas = [], [], []
    for i, (name, found) in enumerate(sets.items()):
        bins = reliability([fact.probability for fact in found], [fact.right for fact in found])
        captions = by_caption(found)
        curve = risk_coverage(captions["product"], captions["right"])
        _draw_reliability(axes[i], name, bins)
        _draw_risk(axes[i + len(sets)], name, curve)
        half, error = curve.risk[(len(curve.risk) - 1) // 2], calibration_error(bins)
        last = bins[-1]
        told.append(
            f"{name}: of {last.count} facts with a confidence of {last.confidence:.2f}, {last.right:.1%} are right; "
            f"calibration error {error:.3f} in {len(bins)} of 10 bins that hold any; "
            f"wrong captions: {curve.risk[-1]:.0%} of all, {half:.0%} of the surest half"
        )
        for each in bins:
            right = "{right:.2f} ({low:.2f} to {high:.2f})".format(**each._asdict())
            table.append({"set": name, "confidence": f"{each.confidence:.2f}", "facts": each.count, "right": right})
        numbers = error, curve.area, curve.risk[-1], curve.ideal.mean()
        areas.append({"set": name} | {label: f"{n:.3f}" for label, n in zip(AREAS, numbers, strict=True)})
    return figure.described(
        "Two kinds of panels, axes from 0 to 1. Points with 95 % intervals: the share of right facts against "
        "confidence; on the dotted diagonal the two are equal. Curves: the share of wrong captions among those "
        f"answered against the share answered, surest first, beside the best and a random order. {'. '.join(told)}.",
        table,
        areas,
    )
