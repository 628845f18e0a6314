"""Attention and occlusion maps of a caption's words: where the model looks, and which patches a word depends on.

Attention is what the model reports of itself: attention weights need not explain a prediction (Jain and Wallace,
2019). Occlusion asks from outside: cover a part of the picture, and see which words become less likely (Zeiler and
Fergus, 2014). `pointing_game` says how often each finds the part of a picture that decides a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from helpers.errors import CaptioningError
from helpers.families import FAMILIES, aligned, family_of, model_inputs, picture_tokens, tokenizer_of
from helpers.inference import word_places
from helpers.reading.pictures import load_image
from helpers.transforms import normalized_pixels, picture_pixels


@dataclass(frozen=True, eq=False)
class WordMaps:
    """The words of one caption, and where the model looks as it says each of them."""

    words: tuple[str, ...]  # without punctuation
    probabilities: np.ndarray  # (words,): of each word, which multiplies those of its pieces
    maps: np.ndarray  # (words, rows, columns): shares of the attention on patches; each adds up to 1, or is empty
    on_patches: np.ndarray  # (words,): share that falls on patches at all, and not on the class token or earlier text
    token_ids: tuple[int, ...]  # with start and end token
    picture: np.ndarray  # what the model sees: resized and cropped, uint8, (height, width, 3)


@torch.inference_mode()
def word_attention(
    model: PreTrainedModel,
    processor: Any,
    image: Any,
    *,
    caption: "str | WordMaps | None" = None,
    max_new_tokens: int = 48,
) -> WordMaps:
    """Where a captioner looks as it says each word.

    The caption is generated greedily from the picture alone. Then picture and caption go through the model once
    more, and the attention is read where each piece of a word is *predicted*, which is one position before the piece.
    It is averaged over layers, heads and a word's pieces; what falls on patches is scaled to add up to 1, so that
    words can be compared.

    Args:
        model, processor: a GIT captioner and its processor.
        image: anything that `load_image` takes.
        caption: words to look for instead of those that the model would say: a text, or what another model said.
        max_new_tokens: the most tokens of a generated caption, its end token included.

    Returns:
        A WordMaps; without words where the model says nothing.

    Raises:
        CaptioningError: the model is of a family whose words cannot be traced to patches.
    """
    rows, columns = patch_grid(model)
    model.eval()
    pixels = picture_pixels([load_image(image)], processor)  # (1, 3, height, width)
    if caption is None:
        values = normalized_pixels(pixels, processor).to(model.device)
        made = model.generate(pixel_values=values, num_beams=1, do_sample=False, max_new_tokens=max_new_tokens)
        token_ids = made[0].tolist()  # (tokens,): one picture alone has no padding
    else:
        token_ids = _token_ids(caption, processor)
    words = _words(token_ids, processor)
    logits, labels, attention = aligned_attention(model, _batch(pixels, token_ids, processor))
    means = [attention[0, pieces].mean(dim=0) for _, pieces in words]  # (pieces, rows, columns) → (rows, columns)
    maps = torch.stack(means).cpu().double().numpy() if means else np.zeros((0, rows, columns))
    on_patches = maps.sum(axis=(1, 2))  # (words, rows, columns) → (words,)
    return WordMaps(
        words=tuple(word for word, _ in words),
        probabilities=np.exp(_word_logs(logits, labels, words)[0]),  # (1, words) → (words,)
        maps=maps / np.where(on_patches > 0, on_patches, 1)[:, None, None],
        on_patches=on_patches,
        token_ids=tuple(token_ids),
        picture=pixels[0].transpose(1, 2, 0),  # (3, height, width) → (height, width, 3)
    )


def _batch(pixels: np.ndarray, token_ids: Sequence[int], processor: Any) -> dict[str, torch.Tensor]:
    """The same caption beside each picture."""
    ids = torch.tensor([list(token_ids)] * len(pixels))  # (pictures, tokens)
    values = normalized_pixels(pixels, processor)
    return {"pixel_values": values, "input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def _token_ids(caption: "str | WordMaps", processor: Any) -> list[int]:
    if isinstance(caption, WordMaps):
        return list(caption.token_ids)
    return tokenizer_of(processor)(caption, truncation=True).input_ids


def _words(token_ids: Sequence[int], processor: Any) -> list[tuple[str, list[int]]]:
    """The words without punctuation; the places count from the first token that is predicted."""
    places = word_places(token_ids[1:], tokenizer_of(processor))  # the start token is given, not predicted
    return [(word, pieces) for word, pieces in places if any(char.isalnum() for char in word)]


def _word_logs(logits: torch.Tensor, labels: torch.Tensor, words: Sequence[tuple[str, list[int]]]) -> np.ndarray:
    """Log-probability of each word, which adds up those of its pieces: (batch, words)."""
    logits = logits.transpose(1, 2)  # (batch, vocabulary, tokens - 1), as cross_entropy wants it
    logs = -torch.nn.functional.cross_entropy(logits, labels, reduction="none")  # (batch, tokens - 1)
    logs = logs.cpu().double()  # some devices have no float64
    sums = [logs[:, pieces].sum(dim=1) for _, pieces in words]  # (batch,) each
    return torch.stack(sums, dim=1).numpy() if sums else np.zeros((len(logs), 0))


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
        model, processor: a GIT captioner and its processor.
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
    rows, columns = patch_grid(model)
    if window < 1 or window % 2 == 0:
        raise CaptioningError(f"window is {window}; choose an odd number of patches, such as 1 or 3.")
    given = isinstance(caption, WordMaps)
    # (3, height, width); what was prepared for the maps is not prepared again
    whole = caption.picture.transpose(2, 0, 1) if given else picture_pixels([load_image(image)], processor)[0]
    pictures = np.concatenate([whole[None], _covered(whole, rows, columns, window)])  # (1 + patches, 3, height, width)
    falls = word_falls(model, processor, pictures, caption, batch_size=batch_size)  # (patches, words)
    return falls.T.reshape(-1, rows, columns) if falls.size else np.zeros((0, rows, columns))


@torch.inference_mode()
def word_falls(
    model: PreTrainedModel, processor: Any, pictures: np.ndarray, caption: WordMaps | str, *, batch_size: int = 64
) -> np.ndarray:
    """How much less likely each word of a caption is with other pictures than with the first one.

    Args:
        model, processor: a GIT captioner and its processor.
        pictures: as `picture_pixels` gives them, (pictures, 3, height, width).
        caption: the same for each picture, what `word_attention` gave or a text.
        batch_size: pictures at a time.

    Returns:
        Nats, (pictures - 1, words): the word's log-probability with the first picture, less that with each other one.
    """
    model.eval()
    token_ids = _token_ids(caption, processor)
    words, logs = _words(token_ids, processor), []
    for start in range(0, len(pictures), batch_size):
        logits, labels = aligned(model, _batch(pictures[start : start + batch_size], token_ids, processor))
        logs.append(_word_logs(logits, labels, words))  # (batch, words)
    first, *others = np.concatenate(logs)  # (pictures, words)
    return first - np.array(others)


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
        kind, fit = model.config.model_type, ", ".join(name for name in FAMILIES if FAMILIES[name].sees_patches)
        raise CaptioningError(f"The words of a {kind} model cannot be traced to patches; choose a checkpoint of {fit}.")
    side = isqrt(picture_tokens(model) - 1)  # one of the tokens is the class token, which is no patch
    return side, side


def aligned_attention(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`aligned`, of which it takes the arguments, and what each prediction attends to.

    GIT's decoder attends over one row of positions: a class token, the patches line by line, then the text. The class
    token is left out, because it stands for no place in the picture.

    Returns:
        Logits (batch, tokens - 1, vocabulary), labels (batch, tokens - 1), and the share of each prediction's attention
        on each patch, averaged over layers and heads, (batch, tokens - 1, rows, columns).

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
