"""Every figure of the series. Each is returned, never shown, and carries its own description as alt text."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from helpers.settings import resolve

# Okabe and Ito's colours (2008), which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GRAY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A8A",
)  # fmt: skip
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
}


class DescribedFigure(Figure):
    """A matplotlib figure with alt text.

    Notebooks put `alt` into the image's metadata, where screen readers and exported pages find it.
    """

    alt: str = ""

    def png(self) -> bytes:
        """The figure as a PNG file's bytes."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=100, bbox_inches="tight", pad_inches=0.1)
        return content.getvalue()

    def save(self, name: str | Path) -> Path:
        """Writes the figure as a PNG file; a relative name is taken as `resolve` takes it."""
        path = resolve(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.png())
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return {"image/png": self.png(), "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


_styled = rc_context(STYLE)  # as a decorator: the style holds while the function draws


def _figure(width: float, height: float) -> DescribedFigure:
    return DescribedFigure(figsize=(width, height), layout="constrained")


def _axes(figure: Figure, rows: int, columns: int, **options: Any) -> np.ndarray:
    return figure.subplots(rows, columns, squeeze=False, **options)


def _grid(count: int, columns: int, width: float, height: float) -> tuple[DescribedFigure, list[Any]]:
    """A figure with a bare place for each of `count` pictures; width and height of a place in inches."""
    rows = -(-count // columns)
    figure = _figure(width * columns, height * rows)
    figure.get_layout_engine().set(h_pad=0.1)
    axes = list(_axes(figure, rows, columns).flat)
    for ax in axes:
        ax.axis("off")
    return figure, axes


@_styled
def plot_captioned_images(
    images: Sequence[Any], captions: Sequence[str], *, columns: int = 4, title: str = ""
) -> DescribedFigure:
    """A grid of pictures, each with its caption wrapped above it.

    Args:
        images: PIL pictures or arrays.
        captions: a text for each picture; a line break starts a new line.
        columns: pictures in a row.
        title: a line above the grid.
    """
    if len(images) != len(captions):
        raise ValueError(f"There are {len(images)} pictures and {len(captions)} captions; give one each.")
    columns = max(1, min(columns, len(images)))
    width = min(10 / columns, 4.2)  # inches
    texts = ["\n".join(fill(line, int(11.6 * width)) for line in caption.split("\n")) for caption in captions]
    lines = max(text.count("\n") + 1 for text in texts)
    figure, axes = _grid(len(images), columns, width, width - 0.1 + 0.17 * lines)
    for ax, image, text in zip(axes, images, texts, strict=False):
        ax.imshow(np.asarray(image))
        ax.set_title(text, fontsize=9, loc="left", color="#222222")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    listed = " ".join(f"({i}) {caption.replace(chr(10), '; ')}." for i, caption in enumerate(captions, 1))
    figure.alt = f"{title + ': ' if title else ''}{len(images)} pictures with their captions. {listed}"
    return figure


@_styled
def plot_caption_words(captions: Sequence[str], *, most: int = 20) -> DescribedFigure:
    """How many words captions have, and which words stand in them most often."""
    texts = [caption.replace(",", "").split() for caption in captions]
    lengths = Counter(len(words) for words in texts)
    counts = Counter(word for words in texts for word in words).most_common(most)
    figure = _figure(10, 4.2)
    left, right = _axes(figure, 1, 2)[0]
    left.bar(list(lengths), list(lengths.values()), color=BLUE)
    left.set(title="How long captions are", xlabel="words in a caption", ylabel="captions")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.barh([word for word, _ in counts][::-1], [count for _, count in counts][::-1], color=GREEN)
    right.set(title=f"The {len(counts)} most frequent words", xlabel="times used")
    right.tick_params(axis="y", labelsize=8)
    top = ", ".join(f"{word} {count}" for word, count in counts[:5])
    figure.alt = (
        f"Two bar charts. Left: captions have {min(lengths)} to {max(lengths)} words, most often "
        f"{max(lengths, key=lengths.get)}. Right: the most frequent words; the first five are {top}."
    )
    return figure


@_styled
def plot_attribute_counts(columns: Mapping[str, Sequence[str]]) -> DescribedFigure:
    """How often each value stands in each column: a panel a column."""
    figure = _figure(10, 2.2 * -(-len(columns) // 3))
    axes = _axes(figure, -(-len(columns) // 3), 3).flat
    parts = []
    for ax, (name, values) in zip(axes, columns.items(), strict=False):
        counts = dict(sorted(Counter(values).items(), key=lambda pair: -pair[1]))
        ax.barh(list(counts)[::-1], list(counts.values())[::-1], color=SKY)
        ax.set_title(name)
        ax.tick_params(labelsize=8)
        parts.append(f"{name}: " + ", ".join(f"{value} {count}" for value, count in counts.items()))
    for ax in list(axes):
        ax.axis("off")
    figure.alt = "Bar charts of how often each value occurs. " + ". ".join(parts) + "."
    return figure


@_styled
def plot_picture_pairs(pairs: Sequence[tuple[Any, Any]], labels: Sequence[str], *, title: str = "") -> DescribedFigure:
    """Pictures side by side in pairs, each pair with a label."""
    figure, axes = _grid(2 * len(pairs), 2 * len(pairs), 5 / len(pairs), 5 / len(pairs) + 0.5)
    for i, (pair, label) in enumerate(zip(pairs, labels, strict=True)):
        for ax, image in zip(axes[2 * i : 2 * i + 2], pair, strict=True):
            ax.imshow(np.asarray(image))
        axes[2 * i].set_title(label, fontsize=9, loc="left")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    figure.alt = f"{title}: {len(pairs)} pairs of pictures, side by side. " + "; ".join(labels) + "."
    return figure


@_styled
def plot_patches(before: Any, seen: np.ndarray, patch: int, *, titles: Sequence[str]) -> DescribedFigure:
    """A picture as it is stored, as the model sees it, and cut into patches.

    Args:
        before: the stored picture.
        seen: what the model sees, turned back to uint8, (height, width, 3).
        patch: the side of a patch in pixels.
        titles: a line for each of the three.
    """
    figure, axes = _grid(3, 3, 10 / 3, 3.6)
    height, width = seen.shape[:2]
    for ax, image, title in zip(axes, (before, seen, seen), titles, strict=True):
        ax.imshow(np.asarray(image), interpolation="nearest")
        ax.set_title(title, fontsize=10)
    for x in range(0, width + 1, patch):
        axes[2].axvline(x - 0.5, color="#333333", linewidth=0.8)
    for y in range(0, height + 1, patch):
        axes[2].axhline(y - 0.5, color="#333333", linewidth=0.8)
    size = np.asarray(before).shape
    figure.alt = (
        f"Three views of one picture: {size[1]} by {size[0]} pixels as stored; {width} by {height} as the model sees "
        f"it; the same cut by thin lines into {height // patch} rows of {width // patch} patches."
    )
    return figure


@_styled
def plot_padding(lengths: Sequence[int], padded_to: int) -> DescribedFigure:
    """One batch of captions padded in two ways: to a fixed length, and to the longest among them.

    Args:
        lengths: tokens of each caption.
        padded_to: the fixed length.
    """
    figure = _figure(10, 4.4)
    top, bottom = _axes(figure, 2, 1)[:, 0]
    rows = np.arange(len(lengths))
    alt = []
    for ax, whole in ((top, padded_to), (bottom, max(lengths))):
        ax.barh(rows, whole, color="#DDDDDD", height=0.86, label="padding")
        ax.barh(rows, lengths, color=BLUE, height=0.86, label="tokens of the caption")
        share = 1 - sum(lengths) / (whole * len(lengths))
        ax.set(title=f"Padded to {whole} tokens: {share:.0%} of the batch is padding", yticks=[], xlim=(0, whole))
        ax.set_ylabel("captions")
        alt.append(f"padded to {whole} tokens, {share:.0%} of the batch is padding")
    bottom.set_xlabel("tokens")
    top.legend(loc="upper right", handles=[Patch(color=BLUE), Patch(color="#DDDDDD")],
               labels=["tokens of a caption", "padding"])  # fmt: skip
    figure.alt = f"Two drawings of one batch of {len(lengths)} captions: {'; '.join(alt)}."
    return figure


@_styled
def plot_token_lengths(lengths: Sequence[int], *, limit: int | None = None) -> DescribedFigure:
    """How many tokens captions have, with the model's limit in words."""
    counts = Counter(lengths)
    figure = _figure(8, 3)
    ax = _axes(figure, 1, 1)[0, 0]
    ax.bar(list(counts), list(counts.values()), color=BLUE)
    room = f"; the model has room for {limit}" if limit else ""
    ax.set(title=f"Tokens in a caption: {min(lengths)} to {max(lengths)}{room}", xlabel="tokens", ylabel="captions")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.alt = f"Bar chart: captions have {min(lengths)} to {max(lengths)} tokens, {np.mean(lengths):.0f} on average."
    return figure


@_styled
def plot_attention_rule(patches: int, words: Sequence[str]) -> DescribedFigure:
    """Which position may look at which in GIT: patches at each other, words at all patches and earlier words."""
    names = [f"patch {i}" for i in range(1, patches + 1)] + list(words)
    allowed = np.tril(np.ones((len(names), len(names))))
    allowed[:patches, :patches] = 1
    figure = _figure(6.4, 5.2)
    ax = _axes(figure, 1, 1)[0, 0]
    ax.imshow(allowed, cmap=ListedColormap(["#F1F1F1", SKY]))
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(title="Who may look at whom (blue: yes)", xlabel="is looked at", ylabel="looks")
    ax.axhline(patches - 0.5, color="white", linewidth=3)
    ax.axvline(patches - 0.5, color="white", linewidth=3)
    ax.spines[:].set_visible(False)
    figure.alt = (
        f"A square of {len(names)} positions: {patches} patches, then the words {', '.join(words)}. Every patch may "
        "look at every patch and at no word. Every word may look at all patches, at itself and at earlier words."
    )
    return figure


@_styled
def plot_training_history(history: Sequence[Mapping[str, float]]) -> DescribedFigure:
    """The loss while training, and the word error rate of the captions generated for the validation split.

    Args:
        history: the Trainer's log_history.
    """
    trained = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    checked = [(entry["step"], entry["eval_loss"], entry["eval_wer"]) for entry in history if "eval_wer" in entry]
    figure = _figure(10, 3.6)
    left, right = _axes(figure, 1, 2)[0]
    if trained:
        left.plot(*zip(*trained, strict=True), color=BLUE, label="training")
    if checked:
        steps, losses, errors = zip(*checked, strict=True)
        left.plot(steps, losses, color=ORANGE, marker="o", label="validation")
        right.plot(steps, errors, color=RED, marker="o")
        for step, error in zip(steps, errors, strict=True):
            right.annotate(f"{error:.2f}", (step, error), textcoords="offset points", xytext=(0, 7), ha="center")
        right.set_ylim(0, max(errors) * 1.18 + 0.02)
    left.set(title="Loss", xlabel="step", ylabel="nats a token")
    left.set_ylim(bottom=0)
    left.legend()
    right.set(title="Word error rate of generated captions", xlabel="step", ylabel="errors per word")
    for ax in (left, right):
        ax.grid(True)
        ax.margins(x=0.06)
    told = f" The word error rate goes from {errors[0]:.2f} to {errors[-1]:.2f}." if checked else ""
    lost = f" The training loss goes from {trained[0][1]:.2f} to {trained[-1][1]:.2f}." if trained else ""
    figure.alt = f"Two curves over the steps of training.{lost}{told}"
    return figure


@_styled
def plot_loss(losses: Sequence[float], *, title: str, floor: float | None = None) -> DescribedFigure:
    """One loss curve, with a dotted line to compare it to."""
    figure = _figure(8, 3)
    ax = _axes(figure, 1, 1)[0, 0]
    ax.plot(range(1, len(losses) + 1), losses, color=BLUE)
    if floor is not None:
        ax.axhline(floor, color=GRAY, linestyle=":")
        ax.text(len(losses), floor, f"{floor:.2f}", ha="right", va="bottom", color="#555555")
    ax.set(title=title, xlabel="step", ylabel="loss, nats a token")
    ax.set_ylim(bottom=0)
    ax.grid(True)
    figure.alt = f"{title}: the loss goes from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps."
    return figure


@_styled
def plot_scores(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> DescribedFigure:
    """Metrics of several systems side by side, with their intervals.

    Args:
        systems: name → metric → {"value", "low", "high"}, as artifacts/evaluation.json holds them.
    """
    metrics = list(next(iter(systems.values())))
    figure = _figure(10, 1.2 + 0.42 * len(systems))
    axes = _axes(figure, 1, len(metrics), sharey=True)[0]
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


@_styled
def plot_attribute_accuracy(accuracy: Mapping[str, Mapping[str, float]]) -> DescribedFigure:
    """The share of pictures whose attribute is right: system → column → accuracy."""
    columns = list(next(iter(accuracy.values())))
    figure = _figure(10, 0.9 + 0.2 * len(columns) * max(2, len(accuracy)))
    ax = _axes(figure, 1, 1)[0, 0]
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


def marked_differences(reference: str, prediction: str) -> tuple[str, str]:
    """The two captions with [brackets] around the words that differ."""
    left, right = reference.split(), prediction.split()
    for tag, a, b, c, d in reversed(SequenceMatcher(a=left, b=right, autojunk=False).get_opcodes()):
        if tag != "equal":
            left[a:b] = [f"[{' '.join(left[a:b])}]"] if b > a else []
            right[c:d] = [f"[{' '.join(right[c:d])}]"] if d > c else []
    return " ".join(left), " ".join(right)


@_styled
def plot_gallery(
    images: Sequence[Any], references: Sequence[str], predictions: Sequence[str], *, title: str
) -> DescribedFigure:
    """Pictures with what was said and what should have been; words that differ stand in brackets."""
    texts = []
    for reference, prediction in zip(references, predictions, strict=True):
        right, said = marked_differences(reference, prediction)
        texts.append(f"said: {said}\ntrue: {right}")
    return plot_captioned_images(images, texts, columns=3, title=title)


@_styled
def plot_word_probabilities(words: Sequence[tuple[str, float]], *, title: str) -> DescribedFigure:
    """How sure the model was of each word that it said."""
    figure = _figure(10, 2.9)
    ax = _axes(figure, 1, 1)[0, 0]
    places = range(len(words))
    ax.bar(places, [p for _, p in words], color=[BLUE if p >= 0.5 else ORANGE for _, p in words])
    for place, (_, p) in zip(places, words, strict=True):
        ax.text(place, p + 0.02, f"{p:.2f}", ha="center", fontsize=8)
    ax.set_xticks(list(places), [word for word, _ in words], rotation=40, ha="right", rotation_mode="anchor")
    ax.set(title=fill(title, 110), ylabel="probability", ylim=(0, 1.14))
    least = min(words, key=lambda pair: pair[1], default=("", 0.0))
    figure.alt = f"Bars: the probability of each word. {title}. The least sure word is {least[0]!r}, {least[1]:.2f}."
    return figure
