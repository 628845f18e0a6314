"""Agreement of attention and occlusion maps: Spearman's rank correlation, per caption and over a set of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.attention.maps import ROUNDING, check_window, falls_of, greedy_token_ids, maps_of, patch_grid
from helpers.errors import CaptioningError
from helpers.metrics import bootstrap_interval
from helpers.reading.pictures import load_image
from helpers.transforms import picture_pixels


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far attention and occlusion agree over a set of pictures.

    Attributes:
        mean: Spearman correlation, the mean over pictures of the mean over a caption's words, -1 to 1.
        low: lower end of the mean's 95 % bootstrap interval over pictures.
        high: its upper end.
        per_picture: (pictures,); nan where no word of a caption could be compared.
        other_word: the same mean when each word's attention is compared with the occlusion of the caption's *other*
            words: what two maps agree on only because the creature stands in one place.
        words: each word that was compared with its correlation, over all captions.
        left_out: words that could not be compared, because one of their maps is constant.
    """

    mean: float
    low: float
    high: float
    per_picture: np.ndarray
    other_word: float
    words: tuple[tuple[str, float], ...]
    left_out: int


def agreement(attention: np.ndarray, occluded: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation between each attention map and each occlusion map (Spearman, 1904).

    Ranks, because attention counts in shares and occlusion in nats: only the order of the patches can be compared.

    Args:
        attention: (words, rows, columns).
        occluded: the same shape, as `occlusion` gives it.

    Returns:
        (words, words), -1 to 1: row for attention, column for occlusion. The diagonal compares each word with itself.
        nan where a map is constant, up to rounding (ROUNDING for occlusion): it ranks nothing.

    Raises:
        CaptioningError: the shapes differ.
    """
    if attention.shape != occluded.shape:
        raise CaptioningError(
            f"The maps have the shapes {attention.shape} and {occluded.shape}; give maps of one caption."
        )
    ranked = []
    for maps, least in ((attention, 0.0), (occluded, ROUNDING)):
        flat = maps.reshape(len(maps), np.prod(maps.shape[1:], dtype=int))  # (words, patches)
        ranks = rankdata(flat, axis=1) if len(flat) else flat
        ranks = ranks - ranks.mean(axis=1, keepdims=True)  # (words, patches), each row with the mean 0
        ranks[np.ptp(flat, axis=1) <= least] = np.nan
        ranked.append(ranks / np.sqrt((ranks**2).sum(axis=1, keepdims=True)))  # and the length 1
    return ranked[0] @ ranked[1].T  # (words, patches) times (patches, words): the correlation of every pair


def split_agreement(
    model: PreTrainedModel,
    processor: Any,
    images: Sequence[Any],
    *,
    window: int = 1,
    max_new_tokens: int = 48,
    batch_size: int = 64,
) -> Agreement:
    """How far attention and occlusion agree on the captions that a model generates of many pictures.

    Words with a constant map are left out and counted; a picture of which no word is left has no part in the mean.

    Most patches matter little to most words, and their ranks are partly chance. So judge the number not against 1, but
    against how far occlusion agrees with itself: `agreement` of its maps with one window and with another.

    Each picture costs as many forward passes as it has patches; with fewer pictures the interval is wider.

    Args:
        model: a GIT captioner.
        processor: its processor.
        images: anything that `load_image` takes, each.
        window: side of the window that covers, in patches.
        max_new_tokens: the most tokens of a generated caption.
        batch_size: pictures at a time.

    Returns:
        An Agreement.

    Raises:
        CaptioningError: no word of any picture can be compared, or as for `occlusion`.
    """
    check_window(window)
    patch_grid(model)

    def captioned() -> Iterator[tuple[np.ndarray, list[int]]]:
        for start in range(0, len(images), batch_size):
            pictures = [load_image(image) for image in images[start : start + batch_size]]
            pixels = picture_pixels(pictures, processor)  # (batch, 3, height, width)
            yield from zip(pixels, greedy_token_ids(model, processor, pixels, max_new_tokens), strict=True)

    per_picture, others, words, left_out = [], [], [], 0
    for picture, token_ids in tqdm(captioned(), total=len(images), desc="Covering pictures", unit="picture"):
        pixels = picture[None]  # (1, 3, height, width)
        attended = maps_of(model, processor, pixels, token_ids)
        falls = falls_of(model, processor, pixels, token_ids, window, batch_size)  # (words, rows, columns)
        table = agreement(attended.maps, falls)  # (words, words)
        own = np.diag(table)  # (words,): each word with itself
        kept = np.isfinite(own)
        left_out += int((~kept).sum())
        words += [(word, float(value)) for word, value in zip(attended.words, own, strict=True) if np.isfinite(value)]
        per_picture.append(float(own[kept].mean()) if kept.any() else np.nan)
        apart = table[~np.eye(len(table), dtype=bool)]  # (words * (words - 1),): each word with every other
        others += [apart[np.isfinite(apart)].mean()] if np.isfinite(apart).any() else []
    values = np.array(per_picture)  # (pictures,)
    compared = values[np.isfinite(values)]
    if not len(compared):
        raise CaptioningError(
            "No word's maps can be compared: every one is constant; give pictures that the model captions."
        )
    low, high = bootstrap_interval(compared)
    return Agreement(
        mean=float(compared.mean()),
        low=low,
        high=high,
        per_picture=values,
        other_word=float(np.mean(others)) if others else float("nan"),
        words=tuple(words),
        left_out=left_out,
    )
