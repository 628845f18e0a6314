"""Agreement of attention and occlusion maps: Spearman's rank correlation, per caption and over a set of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.attention.maps import ROUNDING, occlusion, word_attention
from helpers.errors import CaptioningError
from helpers.metrics import bootstrap_interval


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far attention and occlusion agree over a set of pictures."""

    mean: float  # Spearman correlation, -1 to 1: the mean over pictures of the mean over a caption's words
    low: float  # the ends of the mean's 95 % bootstrap interval over pictures
    high: float
    per_picture: np.ndarray  # (pictures,); nan where no word of a caption could be compared
    # The same mean when each word's attention is compared with the occlusion of the caption's *other* words: what two
    # maps agree on only because the creature stands in one place.
    other_word: float
    words: tuple[tuple[str, float], ...]  # each word that was compared with its correlation, over all captions
    left_out: int  # words that could not be compared, because one of their maps is constant


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
        batch_size: covered pictures at a time.

    Raises:
        CaptioningError: no word of any picture can be compared, or as for `occlusion`.
    """
    per_picture, others, pairs = [], [], []
    for image in tqdm(images, desc="Covering pictures", unit="picture"):
        attended = word_attention(model, processor, image, max_new_tokens=max_new_tokens)
        falls = occlusion(model, processor, image, attended, window=window, batch_size=batch_size)
        table = agreement(attended.maps, falls)  # (words, words)
        own = np.diag(table)  # (words,): each word with itself
        pairs += zip(attended.words, own.tolist(), strict=True)
        per_picture.append(_mean(own))
        others.append(_mean(table[~np.eye(len(table), dtype=bool)]))  # each word with every other
    compared = np.array([value for value in per_picture if np.isfinite(value)])
    if not len(compared):
        raise CaptioningError(
            "No word's maps can be compared: every one is constant; give pictures that the model captions."
        )
    low, high = bootstrap_interval(compared)
    words = tuple((word, value) for word, value in pairs if np.isfinite(value))
    other_word, left_out = _mean(np.array(others)), len(pairs) - len(words)
    return Agreement(float(compared.mean()), low, high, np.array(per_picture), other_word, words, left_out)


def _mean(values: np.ndarray) -> float:
    """Of the finite values; nan where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
