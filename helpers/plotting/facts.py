"""Charts of facts: what systems leave out, invent and get wrong, how scores rank them, recall of single values."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, cycle
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from helpers.creatures.attributes import NO_ATTRIBUTES
from helpers.metrics import METRICS, wilson_interval
from helpers.plotting.figure import BLUE, HUES, INK, RED, DescribedFigure, new_figure, styled

Scores = Mapping[str, Mapping[str, float]]  # metric → {"value", "low", "high"}
Recall = Mapping[tuple[str, str], tuple[int, int]]  # (part, value) → pictures whose captions name it, pictures with it
RANKED = ("right", "cider_d", "wer")
FAULTS = ("wrong", "left_out", "invented")


def _write_names(ax: Axes, points: Mapping[str, tuple[float, float]], spans: Sequence[Path]) -> None:
    """Each point's name where it covers no point, no name and if possible no span, joined to it by a thin line.

    Points that touch share one line, and their names stand one below the other.
    """
    ax.figure.draw_without_rendering()  # the axes have their place from here on; all that follows is in pixels
    room, spans = ax.get_window_extent(), [span.transformed(ax.transData) for span in spans]
    dots = {name: ax.transData.transform(point) for name, point in points.items()}
    taken, groups = [Bbox([dot - 5, dot + 5]) for dot in dots.values()], []
    for name, dot in dots.items():
        near = [group for group in groups if any(np.hypot(*(dot - dots[other])) < 12 for other in group)]
        groups = [group for group in groups if group not in near] + [[*chain(*near), name]]

    def cost(box: Bbox) -> int:
        covers = sum(map(box.overlaps, taken)) + (not (room.contains(*box.min) and room.contains(*box.max)))
        return 1000 * covers + 15 * sum(span.intersects_bbox(box, filled=False) for span in spans)

    for group in groups:
        label = "\n".join(sorted(group, key=lambda name: -dots[name][1]))
        text = ax.annotate(
            label, np.mean([points[name] for name in group], axis=0), (0, 0), textcoords="offset points",
            fontsize=10, ha="center", va="center", multialignment="left", zorder=2.5,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        dot, size = ax.transData.transform(text.xy), Text.get_window_extent(text).size + 2
        best = (np.inf,)
        for away in range(8, 200, 4):
            if best[0] <= away:
                break
            for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
                middle = dot + (away + size / 2) * [np.cos(angle), np.sin(angle)]
                box = Bbox([middle - size / 2, middle + size / 2])
                best = min(best, (away + cost(box), middle, box), key=lambda place: place[0])
        text.xyann = (best[1] - dot) * 72 / ax.figure.dpi
        taken.append(best[2])


def _draw_points(ax: Axes, spans: Mapping[str, np.ndarray], names: Sequence[str], colors: Mapping[str, str]) -> None:
    """Invented against left-out facts, one point per system, with its intervals as a cross."""
    points, crosses = {}, []
    for name, x, y in reversed([*zip(names, spans["left_out"].T, spans["invented"].T, strict=True)]):  # the best on top
        points[name] = (x[1], y[1])
        ax.plot(*points[name], "o", color=colors[name], markersize=7, markeredgecolor="white", zorder=3)
        for xs, ys in ((x[[0, 2]], y[[1, 1]]), (x[[1, 1]], y[[0, 2]])):
            ax.plot(xs, ys, color=colors[name], linewidth=1, alpha=0.7)
            crosses.append(Path(np.transpose([xs, ys])))
    width, height = (1.12 * max(0.2, spans[key][2].max()) for key in ("left_out", "invented"))
    ax.set(xlim=(-0.08 * width, width), ylim=(-0.1 * height, height))
    ax.set(title="Facts per caption (best: lower left)", xlabel="left out", ylabel="invented")
    ax.grid(True)
    _write_names(ax, points, crosses)


def _draw_orders(ax: Axes, systems: Mapping[str, Scores], orders: Mapping[str, list[str]], colors: Mapping) -> None:
    """The systems in the order of each score, best at the top, each a line with its number in the first order."""
    plain = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    for i, name in enumerate(orders["right"], 1):
        places = [order.index(name) for order in orders.values()]
        ax.plot(places, color=colors[name], linewidth=3 if name == "trained" else 1.5)
        for x, (y, metric) in enumerate(zip(places, orders, strict=True)):
            badge = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": colors[name], "linewidth": 1.5}
            ax.text(x, y, str(i), ha="center", va="center", fontsize=9, bbox=badge)
            ax.text(x + 0.16, y, f"{systems[name][metric]['value']:.2f}", va="center", fontsize=10, bbox=plain)
    ax.set(title="Ranked by three scores", xlim=(-0.2, len(orders) - 0.55), yticks=[])
    ax.set_xticks(range(len(orders)), [fill(METRICS[metric].label, 10) for metric in orders], fontsize=10)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("best at the top; on a tie,\nthe fewest faulty facts first", fontsize=9)


@styled
def plot_facts(systems: Mapping[str, Scores]) -> DescribedFigure | str:
    """What systems leave out, invent and get wrong, in facts per caption, and in which order three scores put them.

    Args:
        systems: name → metric → {"value", "low", "high"}, as `score` gives them where a set has attributes.
    """
    if not all("right" in scores for scores in systems.values()):
        return NO_ATTRIBUTES
    faults = {name: sum(scores[key]["value"] for key in FAULTS) for name, scores in systems.items()}
    orders = {
        m: sorted(systems, key=lambda n: (abs(systems[n][m]["value"] - METRICS[m].best), faults[n])) for m in RANKED
    }
    names, hues = orders["right"], cycle(HUES)
    colors = {name: BLUE if name == "trained" else next(hues) for name in names}
    # low, value, high: (3, systems)
    ends = ("low", "value", "high")
    spans = {key: np.transpose([[systems[n][key][end] for end in ends] for n in names]) for key in FAULTS}
    height = max(3.6, 1.5 + 0.4 * len(names))
    figure, (left, middle, right) = new_figure(10, height, 3, 3, width_ratios=[4, 1.6, 2.8])
    low, wrong, high = spans["wrong"]
    bars = middle.barh(
        range(len(names)), wrong, color=list(colors.values()), xerr=[wrong - low, high - wrong], ecolor=INK, capsize=3
    )
    middle.bar_label(bars, fmt="%.2f", padding=3, fontsize=10)
    middle.set_yticks(range(len(names)), [f"{name}  {i}" for i, name in enumerate(names, 1)], fontsize=10)
    middle.set(title="Wrong facts", xlabel="per caption;\nin the order of\ncaptions right")
    middle.set(xlim=(0, 1.5 * max(0.1, *high)), ylim=(len(names) - 0.4, -0.6))
    middle.locator_params(axis="x", nbins=3)
    _draw_orders(right, systems, orders, colors)
    right.set_ylim(middle.get_ylim())
    _draw_points(left, spans, names, colors)  # last, when nothing else moves the axes
    top = {key: f"0 to {values[2].max():.1f}" for key, values in spans.items()}
    value = {n: {key: f"{s[key]['value']:.2f}" for key in (*FAULTS, *RANKED)} for n, s in systems.items()}
    points = "; ".join(f"{name} {value[name]['left_out']}, {value[name]['invented']}" for name in names)
    wrongs = ", ".join(f"{name} {value[name]['wrong']}" for name in names)
    ranks = "; ".join(
        f"by {METRICS[metric].label} {', '.join(f'{name} {value[name][metric]}' for name in order)}"
        for metric, order in orders.items()
    )
    span = "{value:.2f} ({low:.2f} to {high:.2f})".format
    alike = "in the same order" if all(order == names for order in orders.values()) else "in different orders"
    return figure.described(
        "Three panels, in facts per caption, with 95 % intervals. Left: points of left-out facts "
        f"({top['left_out']}) against invented ones ({top['invented']}): {points}. Middle: bars of wrong facts "
        f"({top['wrong']}): {wrongs}. Right: the systems ranked by three scores, {alike}, best first, on a tie the "
        f"fewest faulty facts: {ranks}.",
        [{"system": n} | {k.replace("_", " "): span(**systems[n][k]) for k in (*FAULTS, *RANKED)} for n in names],
    )


@styled
def plot_value_recall(before: Recall, after: Recall, unseen: Collection[tuple[str, str]] = ()) -> DescribedFigure | str:
    """How often captions name a value that is there, before and after fine-tuning, with 95 % intervals.

    Args:
        before: as `value_recall` gives it.
        after: the same of the same pictures.
        unseen: facts that the base model never saw, each drawn by itself; the other values of their parts follow as
            one row, for comparison. Without it each fact is drawn by itself.
    """
    if not before:
        return NO_ATTRIBUTES
    rows: dict[str, list[tuple[str, str]]] = {}
    for part in dict.fromkeys(part for part, _ in before):
        label, facts = part.replace("_", " "), [fact for fact in before if fact[0] == part]
        alone = [fact for fact in facts if fact in unseen or not unseen]
        if not alone:
            continue
        rows |= {f"{label}: {value}": [(part, value)] for _, value in alone}
        if others := [fact for fact in facts if fact not in alone]:
            rows[f"{label}: seen values"] = others
    figure, [ax] = new_figure(8, 1.5 + 0.34 * len(rows))
    y, lines, counts, table = np.arange(len(rows)), [], [], [{"value": name} for name in rows]
    states = ("before", before, RED, "white", 0.14), ("after", after, BLUE, BLUE, -0.14)
    for state, recall, color, face, shift in states:
        counts.append([tuple(sum(recall[fact][k] for fact in facts) for k in (0, 1)) for facts in rows.values()])
        # Where no picture has the value, nan: nothing is drawn there.
        shares = np.array([hits / of if of else np.nan for hits, of in counts[-1]])
        low, high = np.transpose([wilson_interval(*each) if each[1] else (np.nan, np.nan) for each in counts[-1]])
        ax.errorbar(
            shares, y + shift, xerr=[shares - low, high - shares], fmt="o", color=color, markerfacecolor=face,
            markersize=8, linewidth=1, capsize=2, label=f"{state} fine-tuning", clip_on=False,
        )  # fmt: skip
        lines.append([shares, y + shift])
        for row, (hits, of), *interval in zip(table, counts[-1], shares, low, high, strict=True):
            row[state] = "{} of {}: {:.2f} ({:.2f} to {:.2f})".format(hits, of, *interval) if of else "no picture"
    ax.plot(*np.swapaxes(lines, 0, 1), color="#CCCCCC", linewidth=4, zorder=1)
    for place, (first, (last, of)) in enumerate(zip(*counts, strict=True)):
        words = f"{first[0]} → {last} of {of}" if of else "no picture has it"
        ax.text(1.04, place, words, va="center", fontsize=9)
    ax.set(title="Recall: how often a value that is there is named", xlabel="share of the pictures that have the value")
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    ax.set_yticks(y, list(rows))
    ax.grid(True, axis="x")
    figure.legend(loc="outside lower center", ncols=2)
    told = "; ".join(f"{row['value']}, {row['before']}, then {row['after']}" for row in table)
    return figure.described(
        "Pairs of points, one line per value: recall, the share of the pictures with that value whose caption names "
        f"it, 0 to 1, before and after fine-tuning, with 95 % intervals. {told}.",
        table,
    )
