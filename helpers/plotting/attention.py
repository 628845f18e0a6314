"""Figures of attention and occlusion: each word's patches, heads, the pointing game, the effects of edits."""

from collections.abc import Mapping, Sequence
from math import isqrt
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from helpers.attention import Pointing
from helpers.creatures import Effect
from helpers.creatures.attributes import NO_ATTRIBUTES
from helpers.errors import CaptioningError
from helpers.metrics import wilson_interval
from helpers.plotting.figure import BARE, BLUE, GRAY, GREEN, INK, RED, DescribedFigure, new_figure, styled

FAINT_FALL = 0.1  # nats: a word that becomes less than a tenth less likely does not depend on it


def _place_of_most(values: np.ndarray) -> str:
    """Where a map's largest value lies, in words: "upper left", "middle"."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    height = ("upper", "middle", "lower")[3 * (2 * row + 1) // (2 * values.shape[0])]
    side = ("left", "middle", "right")[3 * (2 * column + 1) // (2 * values.shape[1])]
    return height if height == side else f"{height} {side}"


def _draw_map(ax: Any, gray: np.ndarray, values: np.ndarray, full: float, color: str, most: str) -> None:
    """The picture in gray, and over it colour that covers the more, the larger the value; `full` is the darkest."""
    ax.imshow(gray, cmap="gray", vmin=0, vmax=255)
    tint = np.where(values[..., None] > 0, to_rgb(color), to_rgb(BLUE))
    shown = np.dstack([tint, 0.75 * np.clip(np.abs(values) / full, 0, 1)])  # (rows, columns, 4)
    ax.imshow(shown, extent=(-0.5, gray.shape[1] - 0.5, gray.shape[0] - 0.5, -0.5), interpolation="nearest")
    ax.set_xlabel(most, fontsize=9, labelpad=1)


@styled
def plot_word_attention(
    image: Any, words: Sequence[str], maps: np.ndarray, occlusion_maps: np.ndarray | None = None, *, columns: int = 7
) -> DescribedFigure:
    """Where the model looks as it says each word; below it, which patches the word depends on.

    Colours are scaled for each word. The darkest is the word's largest value, but at least four times an even share
    of the attention, or 0.1 nats of occlusion: a map without a peak stays pale.

    Args:
        image: the picture as the model sees it, (height, width, 3).
        words: the caption's words.
        maps: shares of attention, (words, rows, columns).
        occlusion_maps: fall of each word's log-probability in nats, the same shape.
        columns: pictures in a row; the first one is the picture itself.

    Raises:
        CaptioningError: there are no words, or not one map for each.
    """
    layers = [np.asarray(layer) for layer in (maps, occlusion_maps) if layer is not None]
    if not len(words):
        raise CaptioningError("There are no words to draw; choose a picture of which the model says something.")
    for layer in layers:
        if len(layer) != len(words):
            raise CaptioningError(f"There are {len(words)} words and {len(layer)} maps; give one each.")
    picture = np.asarray(image)
    gray = 255 - 0.6 * (255 - picture.mean(axis=2))  # lighter, so that the colours stand out
    columns = max(2, min(columns, len(words) + 1))
    blocks = -(-(len(words) + 1) // columns)
    side = 10 / 7  # inches
    height = 0.35 + blocks * (0.25 + (side + 0.2) * len(layers))
    figure, axes = new_figure(side * columns, height, blocks * len(layers) * columns, columns, subplot_kw=BARE)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    axes[0].imshow(picture)
    axes[0].set_title("(picture)", fontsize=9, loc="center", color="#666666")
    # One row per place: the attention, and below it the occlusion.
    places = np.reshape(axes, (blocks, len(layers), columns)).swapaxes(1, 2).reshape(-1, len(layers))
    told = []
    for place, word, shares, *falls in zip(places[1:], words, *layers, strict=False):
        place[0].set_title(fill(word, 15), fontsize=10, loc="center")
        most = f"{shares.max():.0%}"
        _draw_map(place[0], gray, shares, max(shares.max(), 4 / shares.size), GREEN, most)
        told.append(f"{word!r} looks most at the {_place_of_most(shares)} ({most})")
        for fall in falls:
            most = f"{max(fall.max(), 0):.2f}"
            _draw_map(place[1], gray, fall, max(np.abs(fall).max(), FAINT_FALL), RED, most)
            depends = f"most on the {_place_of_most(fall)}" if fall.max() >= FAINT_FALL else "on no single patch"
            told[-1] += f" and depends {depends}"
    keys = {"attention (below: share of the top patch)": GREEN}
    if len(layers) > 1:
        keys |= {"covered, less likely (below: most, in nats)": RED, "more likely": BLUE}
    figure.legend(
        handles=[Patch(color=color, alpha=0.75, label=label) for label, color in keys.items()],
        loc="outside lower left", ncols=len(keys), fontsize=9, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    return figure.described(
        f"One picture, once for each word of its caption, with the patches marked: {'; '.join(told)}."
    )


@styled
def plot_heads(image: Any, shares: np.ndarray, words: Sequence[str], *, titles: Sequence[str]) -> DescribedFigure:
    """What one position of GIT looks at, a panel for each head: patches, and below them all that is no patch.

    Args:
        image: the picture as the model sees it, (height, width, 3).
        shares: of the attention, (heads, 1 + patches + words), where the patches are a square.
        words: the tokens so far.
        titles: one for each head.

    Raises:
        CaptioningError: there is not one title for each head, or the patches are no square.
    """
    shares, picture = np.asarray(shares), np.asarray(image)
    patches = shares.shape[1] - 1 - len(words)
    side = isqrt(max(patches, 0))
    if len(shares) != len(titles) or side < 1 or side * side != patches:
        given = f"{len(shares)} heads, {len(titles)} titles and {patches} patches"
        raise CaptioningError(f"There are {given}; give one title each, and a square of patches.")
    gray, maps = 255 - 0.6 * (255 - picture.mean(axis=2)), shares[:, 1 : 1 + patches].reshape(-1, side, side)
    others, names = np.delete(shares, np.s_[1 : 1 + patches], axis=1), ["(class token)", *words]
    height, told = 2.6 + 0.2 * len(names), []
    ratios = {"height_ratios": [2.2, height - 2.2]}
    figure, axes = new_figure(2.5 * len(shares), height, 2 * len(shares), len(shares), gridspec_kw=ratios)
    for ax, bars, title, values, rest in zip(axes, axes[len(shares) :], titles, maps, others, strict=False):
        ax.set(xticks=[], yticks=[], frame_on=False)
        ax.set_title(title, fontsize=10, loc="center")
        _draw_map(ax, gray, values, max(values.max(), 4 * values.mean()), GREEN, f"on patches {values.sum():.0%}")
        bars.barh(np.arange(len(names)), rest, color=BLUE)
        bars.set_title(f"on all else {rest.sum():.0%}", fontsize=9, loc="center", pad=2)
        bars.set(xlim=(0, max(others.max() * 1.05, 0.1)), ylim=(len(names) - 0.5, -0.5))
        bars.set_yticks(range(len(names)), names if bars is axes[len(shares)] else [], fontsize=9)
        most = names[int(rest.argmax())]
        told.append(
            f"{title}: {values.sum():.0%} on patches, most on the {_place_of_most(values)}; else most on {most}"
        )
    figure.supxlabel("share of the attention on what is no patch", fontsize=9)
    columns = {title: [f"{share:.3f}" for share in rest] for title, rest in zip(titles, others, strict=True)}
    table = [{"looked at": name} | {title: columns[title][i] for title in titles} for i, name in enumerate(names)]
    return figure.described(
        f"The same picture for each head, with what {words[-1]!r} looks at. {'; '.join(told)}.", table
    )


Counts = Sequence[tuple[int, int]]  # hits and pictures


def _draw_shares(ax: Any, counts: Counts, places: np.ndarray, color: Any, **options: Any) -> list[str]:
    """Horizontal bars of shares with their 95 % intervals, and each as text."""
    shares = np.array([hits / of for hits, of in counts])
    low, high = np.transpose([wilson_interval(*pair) for pair in counts])
    bars = ax.barh(places, shares, xerr=[shares - low, high - shares], color=color, ecolor=INK, capsize=2, **options)
    ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    ax.set(xlim=(0, 1.45), xticks=[0, 0.5, 1])
    return [f"{share:.2f} ({ends[0]:.2f} to {ends[1]:.2f})" for share, *ends in zip(shares, low, high, strict=True)]


@styled
def plot_pointing(found: Mapping[str, Pointing]) -> DescribedFigure | str:
    """How often the top patch lies on a part, for each method, beside a patch at random.

    Args:
        found: part → its Pointing, as `pointing_game` gives it.
    """
    if not found:
        return "There is no picture in which a part decides a word."
    methods = list(next(iter(found.values())).hits)
    hues = [{"attention": GREEN, "occlusion": RED}.get(name, GRAY) for name in methods]
    figure, axes = new_figure(10, 1.2 + 0.36 * len(methods), len(found), len(found), sharey=True)
    table = []
    for ax, (part, one) in zip(axes, found.items(), strict=True):
        counts = [(one.hits[name], one.pictures) for name in methods]
        texts = _draw_shares(ax, counts, np.arange(len(methods)), hues)
        ax.axvline(one.chance, color=INK, linestyle="--", linewidth=1)
        ax.set_title(f"{part}\n{fill(', '.join(list(one.words)[:2]), 20)}", fontsize=10)
        row = {"part": part, "pictures": one.pictures} | dict(zip(methods, texts, strict=True))
        table.append(row | {"a patch at random": f"{one.chance:.2f}", "words": ", ".join(one.words)})
    axes[0].set_yticks(range(len(methods)), methods)
    axes[0].invert_yaxis()
    figure.supxlabel("share of pictures whose top patch holds the part; dashed: of a patch at random", fontsize=9)
    told = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in table)
    return figure.described(
        f"Bars for each part: how often the top patch of a method holds it, with 95 % intervals. {told}.", table
    )


@styled
def plot_edits(effects: Mapping[str, Effect]) -> DescribedFigure | str:
    """Which facts of the captions change when one attribute of the drawings is changed.

    Args:
        effects: attribute → its Effect, as `edit_effects` gives it.
    """
    if not effects:
        return NO_ATTRIBUTES
    names = [f"{part.replace('_', ' ')} ({effect.pictures})" for part, effect in effects.items()]
    figure, (left, right) = new_figure(9, 1.5 + 0.42 * len(names), 2, 2, sharey=True)
    y, told = np.arange(len(names)), {}
    for ax, field, label, color, shift in (
        (left, "follow", "its own fact follows", GREEN, 0),
        (right, "others", "this part is changed", RED, -0.2),
        (right, "by_scene", "the scene alone is changed", GRAY, 0.2),
    ):
        counts = [(getattr(effect, field), effect.pictures) for effect in effects.values()]
        height = 0.38 if shift else 0.6
        told[label] = _draw_shares(ax, counts, y + shift, color, height=height, label=label)
    left.set(title="The fact that was changed follows", xlabel="share of pictures")
    right.set(title="Another fact changes", xlabel="share of pictures")
    left.set_yticks(y, names)
    left.invert_yaxis()
    right.legend(loc="lower right", fontsize=9)
    table = [
        {"changed (pictures)": name} | dict(zip(told, row, strict=True))
        for name, row in zip(names, zip(*told.values(), strict=True), strict=True)
    ]
    rows = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in table)
    return figure.described(
        "Bars for each attribute of a drawing that was changed, with 95 % intervals: how often the caption's fact "
        f"follows, and how often another fact changes. {rows}.",
        table,
    )
