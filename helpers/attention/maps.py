"""Attention and occlusion maps of a caption's words: where the model looks, and which patches a word depends on.

Attention is what the model reports of itself: attention weights need not explain a prediction (Jain and Wallace,
2019). Occlusion asks from outside: cover a part of the picture, and see which words become less likely (Zeiler and
Fergus, 2014). `agreement` says how far the two tell the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from helpers.errors import CaptioningError
from helpers.families import FAMILIES, aligned, end_token_id, family_of, model_inputs, picture_tokens, tokenizer_of
from helpers.inference import word_places
from helpers.reading.pictures import load_image
from helpers.transforms import normalized_pixels, picture_pixels

# Nats. Falls in float32 differ from those in float64 by 2e-6 as a rule and by 2e-5 at most (git-tiny, trained), so a
# map that spans less says nothing.
ROUNDING = 2e-5


@dataclass(frozen=True, eq=False)
class WordMaps:
    """The words of one caption, and where the model looks as it says each of them.

    Attributes:
        words: the caption's words, without punctuation.
        probabilities: of each word, which multiplies those of its pieces, (words,).
        maps: shares of the attention that falls on patches, (words, rows, columns); each map adds up to 1,
            or is empty where none falls there.
        on_patches: share of a word's attention that falls on patches at all, (words,); the rest falls on the class
            token, which stands for no place, and on the text before the word.
        token_ids: the caption with its start and end token.
        picture: what the model sees: resized and cropped, uint8, (height, width, 3).
    """

    words: tuple[str, ...]
    probabilities: np.ndarray
    maps: np.ndarray
    on_patches: np.ndarray
    token_ids: tuple[int, ...]
    picture: np.ndarray


def word_attention(
    model: PreTrainedModel, processor: Any, image: Any, *, caption: str | None = None, max_new_tokens: int = 48
) -> WordMaps:
    """Where a captioner looks as it says each word.

    The caption is generated greedily from the picture alone. Then picture and caption go through the model once
    more, and the attention is read where each piece of a word is *predicted*, which is one position before the piece.
    It is averaged over layers, heads and a word's pieces; what falls on patches is scaled to add up to 1, so that
    words can be compared.

    Args:
        model: a GIT captioner.
        processor: its processor.
        image: anything that `load_image` takes.
        caption: words to look for instead of those that the model would say.
        max_new_tokens: the most tokens of a generated caption, its end token included.

    Returns:
        A WordMaps; without words where the model says nothing.

    Raises:
        CaptioningError: the model is of a family whose words cannot be traced to patches.
    """
    patch_grid(model)  # raises before anything is generated
    pixels = picture_pixels([load_image(image)], processor)
    if caption is None:
        [token_ids] = greedy_token_ids(model, processor, pixels, max_new_tokens)
    else:
        token_ids = _token_ids(caption, processor)
    return maps_of(model, processor, pixels, token_ids)


@torch.inference_mode()
def greedy_token_ids(
    model: PreTrainedModel, processor: Any, pixels: np.ndarray, max_new_tokens: int
) -> list[list[int]]:
    """Greedy captions of pictures (pictures, 3, height, width): token ids from the start to the end token."""
    model.eval()
    values = normalized_pixels(pixels, processor).to(model.device)  # (pictures, 3, height, width)
    made = model.generate(pixel_values=values, num_beams=1, do_sample=False, max_new_tokens=max_new_tokens)
    end = end_token_id(tokenizer_of(processor))
    return [ids[: [*ids, end].index(end) + 1] for ids in made.tolist()]  # of (pictures, tokens), without the padding


def _batch(pixels: np.ndarray, token_ids: Sequence[int], processor: Any) -> dict[str, torch.Tensor]:
    """The same caption beside each picture."""
    ids = torch.tensor([list(token_ids)] * len(pixels))  # (pictures, tokens)
    values = normalized_pixels(pixels, processor)
    return {"pixel_values": values, "input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def _words(token_ids: Sequence[int], processor: Any) -> list[tuple[str, list[int]]]:
    """The words without punctuation; the places count from the first token that is predicted."""
    places = word_places(token_ids[1:], tokenizer_of(processor))  # the start token is given, not predicted
    return [(word, pieces) for word, pieces in places if any(char.isalnum() for char in word)]


def _word_sums(values: torch.Tensor, words: Sequence[tuple[str, list[int]]]) -> np.ndarray:
    """Adds up the values of each word's pieces: (batch, tokens - 1) → (batch, words)."""
    sums = [values[:, pieces].sum(dim=1) for _, pieces in words]  # (batch,) each
    return torch.stack(sums, dim=1).cpu().numpy() if sums else np.zeros((len(values), 0))


def _token_logs(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-probability of each label: (batch, tokens - 1)."""
    logits = logits.transpose(1, 2)  # (batch, vocabulary, tokens - 1), as cross_entropy wants it
    return -torch.nn.functional.cross_entropy(logits, labels, reduction="none").double()


@torch.inference_mode()
def maps_of(model: PreTrainedModel, processor: Any, pixels: np.ndarray, token_ids: Sequence[int]) -> WordMaps:
    """`word_attention` of a prepared picture (1, 3, height, width) and its caption's tokens."""
    model.eval()
    words = _words(token_ids, processor)
    logits, labels, attention = aligned_attention(model, _batch(pixels, token_ids, processor))
    rows, columns = attention.shape[2:]  # of (1, tokens - 1, rows, columns)
    means = [attention[0, pieces].mean(dim=0) for _, pieces in words]  # (pieces, rows, columns) → (rows, columns)
    maps = torch.stack(means).cpu().double().numpy() if means else np.zeros((0, rows, columns))
    on_patches = maps.sum(axis=(1, 2))  # (words, rows, columns) → (words,)
    return WordMaps(
        words=tuple(word for word, _ in words),
        probabilities=np.exp(_word_sums(_token_logs(logits, labels), words)[0]),  # (1, words) → (words,)
        maps=maps / np.where(on_patches > 0, on_patches, 1)[:, None, None],
        on_patches=on_patches,
        token_ids=tuple(token_ids),
        picture=pixels[0].transpose(1, 2, 0),  # (3, height, width) → (height, width, 3)
    )


def occlusion(
    model: PreTrainedModel,
    processor: Any,
    image: Any,
    caption: WordMaps | str,
    *,
    window: int = 1,
    batch_size: int = 64,
) -> np.ndarray:
    """How much less likely each word becomes when a part of the picture is covered (Zeiler and Fergus, 2014).

    A window of the picture's own mean colour is centred on each patch in turn, and the model is given the same
    caption each time, so a word is judged after the same words before it.

    Args:
        model: a GIT captioner.
        processor: its processor.
        image: anything that `load_image` takes.
        caption: what `word_attention` gave for this picture, or a text.
        window: side of the window in patches, an odd number; at the edges it is cut off.
        batch_size: covered pictures at a time.

    Returns:
        Nats, (words, rows, columns): the word's log-probability with the whole picture, less that with the window
        over this patch. Above 0 the patch speaks for the word, below 0 against it. The words are those of WordMaps.

    Raises:
        CaptioningError: `window` is no odd number, or the model is of a family whose words cannot be traced to patches.
    """
    patch_grid(model)
    check_window(window)
    pixels = picture_pixels([load_image(image)], processor)
    token_ids = caption.token_ids if isinstance(caption, WordMaps) else _token_ids(caption, processor)
    return falls_of(model, processor, pixels, token_ids, window, batch_size)


def check_window(window: int) -> None:
    """Raises CaptioningError where a window has no middle patch."""
    if window < 1 or window % 2 == 0:
        raise CaptioningError(f"window is {window}; choose an odd number of patches, such as 1 or 3.")


def _token_ids(caption: str, processor: Any) -> list[int]:
    return tokenizer_of(processor)(caption, truncation=True).input_ids


@torch.inference_mode()
def falls_of(
    model: PreTrainedModel, processor: Any, pixels: np.ndarray, token_ids: Sequence[int], window: int, batch_size: int
) -> np.ndarray:
    """`occlusion` of a prepared picture (1, 3, height, width)."""
    model.eval()
    rows, columns = patch_grid(model)
    words = _words(token_ids, processor)
    pictures = np.concatenate([pixels, _covered(pixels[0], rows, columns, window)])  # (1 + patches, 3, height, width)
    logs = []
    for start in range(0, len(pictures), batch_size):
        logits, labels = aligned(model, _batch(pictures[start : start + batch_size], token_ids, processor))
        logs.append(_word_sums(_token_logs(logits, labels), words))  # (batch, words)
    whole, *covered = np.concatenate(logs)  # (1 + patches, words): a row for the whole picture comes first
    return (whole - np.array(covered)).T.reshape(len(words), rows, columns)  # from (patches, words)


def _covered(picture: np.ndarray, rows: int, columns: int, window: int) -> np.ndarray:
    """A copy of the picture (3, height, width) for each patch, with the window over it."""
    height, width = picture.shape[1] // rows, picture.shape[2] // columns  # of a patch, in pixels
    color = picture.mean(axis=(1, 2), keepdims=True).round()  # (3, 1, 1)
    copies = np.repeat(picture[None], rows * columns, axis=0)  # (patches, 3, height, width)
    reach = window // 2  # patches to each side
    for copy, (row, column) in zip(copies, np.ndindex(rows, columns), strict=True):
        down = slice(max(row - reach, 0) * height, (row + reach + 1) * height)
        across = slice(max(column - reach, 0) * width, (column + reach + 1) * width)
        copy[:, down, across] = color
    return copies


def patch_grid(model: PreTrainedModel) -> tuple[int, int]:
    """Rows and columns of the patches that the model cuts a picture into.

    Raises:
        CaptioningError: the model is of a family whose words do not attend to patches in a way that is known here.
    """
    if not family_of(model).sees_patches:
        fit = ", ".join(name for name, family in FAMILIES.items() if family.sees_patches)
        kind = model.config.model_type
        raise CaptioningError(f"The words of a {kind} model cannot be traced to patches; choose a checkpoint of {fit}.")
    side = isqrt(picture_tokens(model) - 1)  # one of the tokens is the class token, which is no patch
    return side, side


def aligned_attention(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`aligned`, and what each prediction attends to.

    GIT's decoder attends over one row of positions: a class token, the patches line by line, then the text. The class
    token is left out, because it stands for no place in the picture.

    Args:
        model: a captioner.
        batch: as for `aligned`.

    Returns:
        Logits (batch, tokens - 1, vocabulary), labels (batch, tokens - 1), and the attention from each prediction to
        each patch, averaged over layers and heads, (batch, tokens - 1, rows, columns). A prediction's attention adds
        up to less than 1: the rest falls on the class token and on the text.

    Raises:
        CaptioningError: as `patch_grid`.
    """
    rows, columns = patch_grid(model)
    inputs = {name: value.to(model.device) for name, value in model_inputs(batch).items()}
    tokens = batch["input_ids"].shape[1]
    outputs = model(**inputs, logits_to_keep=tokens, use_cache=False, output_attentions=True)
    attention = torch.stack(outputs.attentions)  # (layers, batch, heads, picture + tokens, picture + tokens)
    attention = attention.mean(dim=(0, 2))  # (batch, picture + tokens, picture + tokens)
    to_patches = attention[:, -tokens:-1, 1 : picture_tokens(model)]  # (batch, tokens - 1, patches)
    to_patches = to_patches.unflatten(-1, (rows, columns))  # (batch, tokens - 1, rows, columns)
    return outputs.logits[:, :-1], batch["labels"][:, 1:].to(model.device), to_patches
