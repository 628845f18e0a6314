"""Charts of a data set and of training: attributes, caption words, token lengths, padding, attention rule, loss."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke

from helpers.creatures.attributes import NO_ATTRIBUTES
from helpers.plotting.figure import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, DescribedFigure, new_figure, some, styled
from helpers.reading.given import each_caption
from helpers.text import tick_name, visible


def _named_bars(ax: Axes, counts: Mapping[object, int], color: str) -> None:
    """Bars from the left, the first on top."""
    names = list(map(tick_name, counts))
    ax.barh(range(len(names)), list(counts.values())[::-1], color=color)
    ax.set_yticks(range(len(names)), names[::-1])


@styled
def plot_caption_words(captions: Sequence[str] | Sequence[list[str]], *, most: int = 20) -> DescribedFigure:
    """How many words captions have, and which words stand in them most often."""
    texts = [visible(caption).replace(",", "").split() for caption in some(each_caption(captions), "caption")]
    lengths = Counter(map(len, texts))
    counts = dict(Counter(word for words in texts for word in words).most_common(most))
    figure, (left, right) = new_figure(10, 5, 2, 2)
    left.bar(list(lengths), list(lengths.values()), color=BLUE)
    left.set(title="How long captions are", xlabel="words in a caption", ylabel="captions")
    left.locator_params(axis="x", integer=True)
    _named_bars(right, counts, GREEN)
    right.set(title=f"The {len(counts)} most frequent words", xlabel="times used")
    right.tick_params(axis="y", labelsize=10)
    top = ", ".join(f"{word} {count}" for word, count in list(counts.items())[:5])
    return figure.described(
        f"Two bar charts. Left: captions have {min(lengths)} to {max(lengths)} words, most often "
        f"{max(lengths, key=lengths.get)}. Right: the most frequent words; the first five are {top}.",
        [{"words in a caption": length, "captions": lengths[length]} for length in sorted(lengths)],
        [{"word": word, "times used": count} for word, count in counts.items()],
    )


@styled
def plot_attribute_counts(columns: Mapping[str, Sequence[str]]) -> DescribedFigure | str:
    """How often each value stands in each column: one panel per column."""
    if not columns:
        return NO_ATTRIBUTES
    figure, axes = new_figure(10, 2.5 * -(-len(columns) // 3), len(columns), 3)
    figure.supxlabel("pictures", fontsize=9)
    counts = {name: dict(Counter(values).most_common()) for name, values in columns.items()}
    for ax, (name, values) in zip(axes, counts.items(), strict=True):
        _named_bars(ax, values, SKY)
        ax.set_title(name)
        ax.tick_params(labelsize=10)
    told = [f"{name}: " + ", ".join(f"{v} {count}" for v, count in values.items()) for name, values in counts.items()]
    return figure.described(
        f"Bar charts of how often each value occurs. {'. '.join(told)}.",
        [{"attribute": name, "value": v, "pictures": n} for name, values in counts.items() for v, n in values.items()],
    )


@styled
def plot_padding(lengths: Sequence[int], padded_to: int) -> DescribedFigure:
    """One batch of captions, each of so many tokens, padded to a fixed length and to the longest among them."""
    figure, axes = new_figure(10, 4.4, 2)
    rows, wholes, told = range(len(lengths)), (padded_to, max(lengths)), []
    for ax, whole in zip(axes, wholes, strict=True):
        ax.barh(rows, whole, color="#DDDDDD", height=0.86, label="padding")
        ax.barh(rows, lengths, color=BLUE, height=0.86, label="tokens of a caption")
        share = f"{1 - sum(lengths) / (whole * len(lengths)):.0%} of the batch is padding"
        ax.set(title=f"Padded to {whole} tokens: {share}", ylabel="captions", yticks=[], xlim=(0, whole))
        told.append(f"padded to {whole} tokens, {share}")
    axes[0].legend(loc="upper right", reverse=True, frameon=True, framealpha=1, edgecolor="white")
    axes[1].set_xlabel("tokens")
    return figure.described(
        f"Two drawings of one batch of {len(lengths)} captions: {'; '.join(told)}.",
        [
            {"caption": i, "tokens": n} | {f"padding up to {whole} tokens": whole - n for whole in wholes}
            for i, n in enumerate(lengths, 1)
        ],
    )


@styled
def plot_token_lengths(lengths: Sequence[int], *, limit: int | None = None) -> DescribedFigure:
    """How many tokens captions have, with their limit in the title."""
    counts = Counter(some(lengths, "length"))
    figure, [ax] = new_figure(8, 3)
    ax.bar(list(counts), list(counts.values()), color=BLUE)
    room = f"; the limit is {limit}" if limit else ""
    ax.set(title=f"Tokens in a caption: {min(lengths)} to {max(lengths)}{room}", xlabel="tokens", ylabel="captions")
    ax.locator_params(integer=True)
    return figure.described(
        f"Bar chart: captions have {min(lengths)} to {max(lengths)} tokens, {np.mean(lengths):.0f} on average.",
        [{"tokens": length, "captions": counts[length]} for length in sorted(counts)],
    )


@styled
def plot_attention_rule(patches: int, words: Sequence[str]) -> DescribedFigure:
    """Which position may look at which in GIT: patches at each other, words at all patches and earlier words."""
    names = [f"patch {i}" for i in range(1, patches + 1)] + list(words)
    allowed = np.tri(len(names))
    allowed[:patches, :patches] = 1
    figure, [ax] = new_figure(6.4, 5.2, subplot_kw={"frame_on": False})
    ax.imshow(allowed, cmap=ListedColormap(["#F1F1F1", SKY]))
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(title="Who may look at whom (blue: yes)", xlabel="is looked at", ylabel="looks")
    ax.axhline(patches - 0.5, color="white", linewidth=3)
    ax.axvline(patches - 0.5, color="white", linewidth=3)
    return figure.described(
        f"A square of {len(names)} positions: {patches} patches, then the words {', '.join(words)}. Every patch may "
        "look at every patch and at no word. Every word may look at all patches, at itself and at earlier words."
    )


HALO = [withStroke(linewidth=3, foreground="white")]  # keeps a number readable on a line
ABOVE = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "path_effects": HALO}  # a point
# Panels of a training: title, unit, and of each curve its key in the history, its name, its colour and its marker.
LOSS = ("Loss", "nats per token", [("loss", "training", BLUE, ""), ("eval_loss", "validation", ORANGE, "o")])
WER = ("Word error rate of generated captions", "errors per word", [("eval_wer", "word error rate", RED, "o")])
RIGHT = ("Captions right", "share of pictures", [("eval_right", "captions right", GREEN, "o")])
FAULTY = ("Faulty facts", "facts per caption", [
    ("eval_wrong", "wrong", RED, "o"), ("eval_left_out", "left out", SKY, "s"),
    ("eval_invented", "invented", PURPLE, "^"),
])  # fmt: skip


@styled
def plot_training_history(history: Sequence[Mapping[str, float]]) -> DescribedFigure:
    """The loss while training, and scores on the validation split, from the Trainer's log_history.

    The scores are the captions right and the faulty facts; where a set has no attributes, the word error rate.
    """
    panels = [LOSS, RIGHT, FAULTY] if any("eval_right" in entry for entry in some(history, "step")) else [LOSS, WER]
    figure, axes = new_figure(10, 3.6, len(panels), len(panels), sharex=True)
    told = []
    for ax, (title, unit, curves) in zip(axes, panels, strict=True):
        for key, name, color, marker in curves:
            points = [(entry["step"], entry[key]) for entry in history if key in entry]
            if not points:
                continue
            ax.plot(*zip(*points, strict=True), color=color, marker=marker, markersize=5, label=name)
            told.append(f"{title}{f', {name}' if len(curves) > 1 else ''}: {points[0][1]:.2f} to {points[-1][1]:.2f}")
            if len(curves) == 1:  # numbers at as many points as there is room for, from the last backwards
                for point in points[:: -len(points) // (15 // len(panels))]:
                    ax.annotate(f"{point[1]:.2f}", point, **ABOVE)
        ax.set(title=title, xlabel="step", ylabel=unit, xmargin=0.08)
        ax.set_ylim(0, 1.1 if key == "eval_right" else 1.12 * ax.get_ylim()[1])
        ax.grid(True)
        if ax.lines and len(curves) > 1:
            ax.legend()
    steps = [entry["step"] for entry in history]
    return figure.described(
        f"Curves over steps {min(steps)} to {max(steps)} of training, from the first value to the last. "
        f"{'; '.join(told)}."
    )


@styled
def plot_loss(losses: Sequence[float], *, title: str) -> DescribedFigure:
    """One loss curve."""
    figure, [ax] = new_figure(8, 3)
    ax.plot(range(1, len(some(losses, "loss")) + 1), losses, color=BLUE)
    ax.set(title=title, xlabel="step", ylabel="loss, nats per token", ylim=(0, None))
    ax.grid(True)
    return figure.described(f"{title}: the loss goes from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps.")
