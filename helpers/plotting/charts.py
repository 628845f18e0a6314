"""Charts of what a captioner is given and how it learns: captions, tokens, attention, loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from helpers.plotting.figure import BLUE, GRAY, GREEN, ORANGE, RED, SKY, DescribedFigure, axes_of, new_figure, styled


@styled
def plot_caption_words(captions: Sequence[str], *, most: int = 20) -> DescribedFigure:
    """How many words captions have, and which words stand in them most often."""
    texts = [caption.replace(",", "").split() for caption in captions]
    lengths = Counter(len(words) for words in texts)
    counts = Counter(word for words in texts for word in words).most_common(most)
    figure = new_figure(10, 4.2)
    left, right = axes_of(figure, 1, 2)[0]
    left.bar(list(lengths), list(lengths.values()), color=BLUE)
    left.set(title="How long captions are", xlabel="words in a caption", ylabel="captions")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.barh([word for word, _ in counts][::-1], [count for _, count in counts][::-1], color=GREEN)
    right.set(title=f"The {len(counts)} most frequent words", xlabel="times used")
    right.tick_params(axis="y", labelsize=8)
    figure.tables = [
        [{"words in a caption": length, "captions": lengths[length]} for length in sorted(lengths)],
        [{"word": word, "times used": count} for word, count in counts],
    ]
    top = ", ".join(f"{word} {count}" for word, count in counts[:5])
    figure.alt = (
        f"Two bar charts. Left: captions have {min(lengths)} to {max(lengths)} words, most often "
        f"{max(lengths, key=lengths.get)}. Right: the most frequent words; the first five are {top}."
    )
    return figure


@styled
def plot_attribute_counts(columns: Mapping[str, Sequence[str]]) -> DescribedFigure:
    """How often each value stands in each column: a panel a column."""
    figure = new_figure(10, 2.2 * -(-len(columns) // 3))
    axes = axes_of(figure, -(-len(columns) // 3), 3).flat
    parts, rows = [], []
    for ax, (name, values) in zip(axes, columns.items(), strict=False):
        counts = dict(sorted(Counter(values).items(), key=lambda pair: -pair[1]))
        ax.barh(list(counts)[::-1], list(counts.values())[::-1], color=SKY)
        ax.set_title(name)
        ax.tick_params(labelsize=8)
        parts.append(f"{name}: " + ", ".join(f"{value} {count}" for value, count in counts.items()))
        rows += [{"attribute": name, "value": value, "pictures": count} for value, count in counts.items()]
    for ax in list(axes):
        ax.axis("off")
    figure.supxlabel("pictures", fontsize=9)
    figure.tables = [rows]
    figure.alt = "Bar charts of how often each value occurs. " + ". ".join(parts) + "."
    return figure


@styled
def plot_padding(lengths: Sequence[int], padded_to: int) -> DescribedFigure:
    """One batch of captions padded in two ways: to a fixed length, and to the longest among them.

    Args:
        lengths: tokens of each caption.
        padded_to: the fixed length.
    """
    figure = new_figure(10, 4.4)
    top, bottom = axes_of(figure, 2, 1)[:, 0]
    rows = np.arange(len(lengths))
    longest = max(lengths)
    alt = []
    for ax, whole in ((top, padded_to), (bottom, longest)):
        ax.barh(rows, whole, color="#DDDDDD", height=0.86, label="padding")
        ax.barh(rows, lengths, color=BLUE, height=0.86, label="tokens of the caption")
        share = 1 - sum(lengths) / (whole * len(lengths))
        ax.set(title=f"Padded to {whole} tokens: {share:.0%} of the batch is padding", yticks=[], xlim=(0, whole))
        ax.set_ylabel("captions")
        alt.append(f"padded to {whole} tokens, {share:.0%} of the batch is padding")
    bottom.set_xlabel("tokens")
    top.legend(loc="upper right", handles=[Patch(color=BLUE), Patch(color="#DDDDDD")],
               labels=["tokens of a caption", "padding"], frameon=True, framealpha=1, edgecolor="white")  # fmt: skip
    figure.tables = [
        [
            {"caption": i, "tokens": n} | {f"padding up to {whole} tokens": whole - n for whole in (padded_to, longest)}
            for i, n in enumerate(lengths, 1)
        ]
    ]
    figure.alt = f"Two drawings of one batch of {len(lengths)} captions: {'; '.join(alt)}."
    return figure


@styled
def plot_token_lengths(lengths: Sequence[int], *, limit: int | None = None) -> DescribedFigure:
    """How many tokens captions have, with their limit in the title."""
    counts = Counter(lengths)
    figure = new_figure(8, 3)
    ax = axes_of(figure, 1, 1)[0, 0]
    ax.bar(list(counts), list(counts.values()), color=BLUE)
    room = f"; the limit is {limit}" if limit else ""
    ax.set(title=f"Tokens in a caption: {min(lengths)} to {max(lengths)}{room}", xlabel="tokens", ylabel="captions")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    figure.tables = [[{"tokens": length, "captions": counts[length]} for length in sorted(counts)]]
    figure.alt = f"Bar chart: captions have {min(lengths)} to {max(lengths)} tokens, {np.mean(lengths):.0f} on average."
    return figure


@styled
def plot_attention_rule(patches: int, words: Sequence[str]) -> DescribedFigure:
    """Which position may look at which in GIT: patches at each other, words at all patches and earlier words."""
    names = [f"patch {i}" for i in range(1, patches + 1)] + list(words)
    allowed = np.tril(np.ones((len(names), len(names))))
    allowed[:patches, :patches] = 1
    figure = new_figure(6.4, 5.2)
    ax = axes_of(figure, 1, 1)[0, 0]
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


@styled
def plot_training_history(history: Sequence[Mapping[str, float]]) -> DescribedFigure:
    """The loss while training, and the word error rate of the captions generated for the validation split.

    Args:
        history: the Trainer's log_history.
    """
    trained = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    checked = [(entry["step"], entry["eval_loss"], entry["eval_wer"]) for entry in history if "eval_wer" in entry]
    figure = new_figure(10, 3.6)
    left, right = axes_of(figure, 1, 2)[0]
    if trained:
        left.plot(*zip(*trained, strict=True), color=BLUE, label="training")
    if checked:
        steps, losses, errors = zip(*checked, strict=True)
        left.plot(steps, losses, color=ORANGE, marker="o", label="validation")
        right.plot(steps, errors, color=RED, marker="o")
        for step, error in zip(steps, errors, strict=True):
            right.annotate(f"{error:.2f}", (step, error), textcoords="offset points", xytext=(2, 5))
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


@styled
def plot_loss(losses: Sequence[float], *, title: str, floor: float | None = None) -> DescribedFigure:
    """One loss curve, with a dotted line to compare it to."""
    figure = new_figure(8, 3)
    ax = axes_of(figure, 1, 1)[0, 0]
    ax.plot(range(1, len(losses) + 1), losses, color=BLUE)
    if floor is not None:
        ax.axhline(floor, color=GRAY, linestyle=":")
        ax.text(len(losses), floor, f"{floor:.2f}", ha="right", va="bottom", color="#555555")
    ax.set(title=title, xlabel="step", ylabel="loss, nats a token")
    ax.set_ylim(bottom=0)
    ax.grid(True)
    figure.alt = f"{title}: the loss goes from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps."
    return figure
