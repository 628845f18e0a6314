"""Charts of scores: metrics and attribute accuracy by system, caption lengths, word probabilities, a score in steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from textwrap import fill, shorten

import numpy as np

from helpers.creatures.attributes import NO_ATTRIBUTES
from helpers.metrics import METRICS, wilson_interval
from helpers.plotting.figure import BLUE, GRAY, GREEN, INK, ORANGE, SKY, DescribedFigure, new_figure, some, styled
from helpers.text import tick_name


@styled
def plot_scores(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> DescribedFigure:
    """Systems, name → metric → {"value", "low", "high"}, side by side; each metric on the whole of its own scale.

    The scores that count facts have a row of panels of their own, above the others.
    """
    metrics, names = list(next(iter(some(systems, "system").values()))), list(systems)[::-1]
    colors = [BLUE if name == "trained" else SKY for name in names]
    facts = [metric for metric in metrics if metric in METRICS and METRICS[metric].needs == "attributes"]
    rows = [row for row in (facts, [metric for metric in metrics if metric not in facts]) if row]
    columns = max(map(len, rows))
    height = len(rows) * (1.1 + 0.3 * len(systems))
    figure, axes = new_figure(10, height, len(rows) * columns, columns, sharey=True)
    for i, row in enumerate(rows):
        for spare in axes[i * columns + len(row) : (i + 1) * columns]:
            spare.remove()
    told = []
    for ax, metric in zip(figure.axes, chain(*rows), strict=True):
        low, values, high = np.transpose([[systems[n][metric][key] for key in ("low", "value", "high")] for n in names])
        spans = [values - low, high - values]
        bars = ax.barh(names, values, color=colors, xerr=spans, ecolor=INK, capsize=4, error_kw={"linewidth": 2})
        ax.bar_label(bars, fmt="%.3f", padding=5, fontsize=10.5)
        known = METRICS.get(metric)
        # A word error rate has no end; a whole number has a half that can be read on the axis.
        bounded = known and None not in (known.best, known.worst)
        end = max(known.best, known.worst) if bounded else np.ceil(max(1.0, *high))
        ax.set_title(f"{metric}\n{f'{known.better} is better' if known else ''}", fontsize=11)
        ax.set_xlim(0, end * 1.6)
        ax.set_xticks([0, end / 2, end], [f"{tick:.2g}" for tick in (0, end / 2, end)])
        told.append(f"{metric}: " + ", ".join(f"{n} {value:.3f}" for n, value in zip(names, values, strict=True)))
    return figure.described(
        f"Bars that compare systems, with 95 % intervals. {'; '.join(told)}.",
        [
            {"metric": metric, "system": name} | {key: f"{number:.3f}" for key, number in scores[metric].items()}
            for metric in metrics
            for name, scores in systems.items()
        ],
    )


@styled
def plot_attribute_accuracy(
    accuracy: Mapping[str, Mapping[str, float]], pictures: int | None = None
) -> DescribedFigure | str:
    """The share of pictures whose attribute is right: system → column → accuracy.

    Args:
        accuracy: as `attribute_accuracy` gives it for each system.
        pictures: how many pictures were captioned; with it come 95 % intervals.
    """
    if not any(accuracy.values()):
        return NO_ATTRIBUTES
    columns, names = list(next(iter(accuracy.values()))), list(accuracy)[::-1]
    colors = [BLUE if name == "trained" else SKY for name in names]
    lines = -(-len(columns) // 3)
    figure, axes = new_figure(10, lines * (0.7 + 0.27 * len(names)), len(columns), 3, sharey=True)
    figure.supxlabel("share of pictures", fontsize=10)
    for ax, column in zip(axes, columns, strict=True):
        shares, spans = np.array([accuracy[name][column] for name in names]), None
        if pictures:
            low, high = np.transpose([wilson_interval(round(share * pictures), pictures) for share in shares])
            spans = [shares - low, high - shares]
        bars = ax.barh(names, shares, color=colors, xerr=spans, ecolor=INK, capsize=3)
        ax.bar_label(bars, fmt="%.2f", padding=4, fontsize=10.5)
        ax.set(title=column, xlim=(0, 1.3), xticks=[0, 0.5, 1])
        ax.tick_params(labelsize=10.5)
    told = [f"{name}: " + ", ".join(f"{c} {v:.2f}" for c, v in values.items()) for name, values in accuracy.items()]
    return figure.described(
        f"Bars of attribute accuracy: shares of pictures, 0 to 1, one panel per attribute. {'; '.join(told)}.",
        [{"attribute": c} | {name: f"{values[c]:.2f}" for name, values in accuracy.items()} for c in columns],
    )


@styled
def plot_word_probabilities(words: Sequence[tuple[str, float]], *, title: str) -> DescribedFigure:
    """How sure the model was of each word that it said."""
    figure, [ax] = new_figure(10, 2.9)
    colors = [BLUE if p >= 0.5 else ORANGE for _, p in words]
    ax.bar_label(ax.bar(range(len(words)), [p for _, p in words], color=colors), fmt="%.2f", padding=1, fontsize=8)
    ax.set_xticks(
        range(len(words)), [tick_name(word) for word, _ in words], rotation=40, ha="right", rotation_mode="anchor"
    )
    ax.set(title=fill(title, 110), ylabel="probability", ylim=(0, 1.14))
    word, least = min(words, key=lambda pair: pair[1], default=("", 0.0))
    return figure.described(
        f"Bars: the probability of each word. {title}. The least sure word is {word!r}, {least:.2f}.",
        [{"word": word, "probability": f"{p:.2f}"} for word, p in words],
    )


@styled
def plot_lengths(lengths: np.ndarray) -> DescribedFigure:
    """How long captions are against their references, in words: (pictures, 2), as `caption_lengths` gives them."""
    predicted, expected = np.asarray(lengths, dtype=float).T
    figure, (left, right) = new_figure(10, 3.4, 2, 2)
    start, longest = np.min(lengths), int(np.ceil(np.max(lengths)))
    names = ["references (mean of each picture)", "captions"]
    edges = np.arange(-0.5, longest + 1)
    counts, _, _ = left.hist([expected, predicted], bins=edges, color=[GRAY, BLUE], label=names)
    left.set(title="How long they are", xlabel="words", ylabel="pictures", xlim=(start - 1, longest + 1))
    left.margins(y=0.3)  # room for the legend
    left.legend(loc="upper left", fontsize=8)
    gaps = predicted - expected
    differences = np.rint(gaps)
    span = max(2, int(abs(differences).max()))
    right.hist(differences, bins=np.arange(-span - 0.5, span + 1), color=BLUE, rwidth=0.9)
    right.axvline(0, color="#444444", linestyle=":")
    more = "words more than the mean reference"
    right.set(title="shorter ← than the references → longer", xlabel=more, ylabel="pictures")
    left.locator_params(integer=True)
    right.locator_params(integer=True)
    return figure.described(
        f"Two histograms. Left: captions have {predicted.min():.0f} to {predicted.max():.0f} words, "
        f"{predicted.mean():.1f} on average; their references {expected.mean():.1f}. Right: the difference per "
        f"picture, from {gaps.min():+.1f} to {gaps.max():+.1f} words.",
        [{"words": n} | dict(zip(names, map(int, both), strict=True)) for n, both in enumerate(counts.T) if both.any()],
        [{more: int(difference), "pictures": count} for difference, count in sorted(Counter(differences).items())],
    )


@styled
def plot_compared(parts: Mapping[str, tuple[str, bool]], reference: str, *, title: str = "") -> DescribedFigure:
    """What a score compares with a reference: of each part its words and whether they count (blue) or not (gray)."""
    rows = [
        (f"{name}\n{len(words.split())} words{'' if counts else ', left out'}", words, BLUE if counts else GRAY)
        for name, (words, counts) in parts.items()
    ]
    rows.append((f"reference\n{len(reference.split())} words", reference, GREEN))
    figure, [ax] = new_figure(10, 0.3 + 0.55 * len(rows))
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), title=title)
    ax.axis("off")
    for place, (name, words, color) in enumerate(rows):
        shown = shorten(words, 200, placeholder=" …") if words else "(nothing)"
        ax.text(0, place, name, va="center", fontsize=9, color=INK)
        ax.text(0.2, place, fill(shown, 105), va="center", fontsize=9, color=color)
    told = "; ".join(f"{name}: {shorten(words, 80, placeholder=' …')}" for name, words, _ in rows).replace("\n", ", ")
    return figure.described(f"{title + ': ' if title else ''}what is compared. {told}.")


@styled
def plot_steps(steps: Mapping[str, float], *, name: str) -> DescribedFigure:
    """A number of this name, 0 or more, as it changes from step to step, on a logarithmic scale."""
    figure, [ax] = new_figure(10, 0.8 + 0.36 * len(steps))
    numbers = {step: f"{value:.3f}" for step, value in steps.items()}
    # A perfect captioner has 0, which such a scale does not hold: its number stands at the left end, without a bar.
    least = min((value for value in steps.values() if value > 0), default=1.0) / 2
    lengths = [max(value, least) for value in steps.values()]
    bars = ax.barh(range(len(steps)), lengths, color=[GRAY] * (len(steps) - 1) + [BLUE], log=True)
    ax.set_yticks(range(len(steps)), list(map(tick_name, steps)))
    ax.xaxis.set_major_formatter("{x:g}")  # the scale's own writes powers as formulas
    ax.xaxis.set_minor_formatter("")
    ax.bar_label(bars, numbers.values(), padding=4, fontsize=9)
    ax.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xlim=(least, max(lengths) * 3), xlabel=f"{name}, logarithmic; the dotted line is 1")
    ax.invert_yaxis()
    return figure.described(
        f"Bars of the {name}, step by step: {', '.join(f'{step} {number}' for step, number in numbers.items())}.",
        [{"step": step, name: number} for step, number in numbers.items()],
    )
