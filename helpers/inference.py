"""Inference: captions of pictures in batches, by greedy search, beams or sampling, with word probabilities."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from helpers.device import check_scores
from helpers.errors import SettingsError, enough_memory, number
from helpers.families import end_token_id, family_of, generation_inputs, tokenizer_of
from helpers.pairs import check_pair
from helpers.reading.given import list_of_pictures
from helpers.reading.pictures import load_image
from helpers.transforms import kept_share, normalized_pixels, picture_pixels, report_crops

BEST = {"do_sample": False}  # nothing is drawn; the same caption each time
HALF_A_LETTER = "\ufffd"  # what a tokenizer decodes the first bytes of a letter to


@dataclass(frozen=True)
class Caption:
    """What the model says of one picture."""

    text: str
    confidence: float  # geometric mean of the token probabilities, end token included, 0 to 1
    words: tuple[tuple[str, float], ...]  # each with its probability, which multiplies those of its pieces

    def __str__(self) -> str:
        return self.text


def caption_images(
    model: PreTrainedModel,
    processor: Any,
    images: Sequence[Any],
    *,
    batch_size: int = 8,
    num_beams: int = 1,
    max_new_tokens: int = 48,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> list[Caption]:
    """Captions pictures; with `temperature` or `top_p`, each token is drawn at random, and otherwise none is.

    Args:
        model, processor: a captioner and its processor.
        images: a list of anything that `load_image` takes, or a split with the column image.
        batch_size: pictures at a time.
        num_beams: captions that the search keeps at a time; 1 is greedy.
        max_new_tokens: the most tokens of a caption, its end token included.
        temperature: what the logits are divided by before a token is drawn; 1 where only `top_p` is given.
        top_p: draws among the most probable tokens alone, as few as have this probability together (Holtzman et al.,
            2020); 1 where only `temperature` is given.
        seed: of the draws; the same seed and batch_size give the same captions.

    Returns:
        A Caption for each picture, in order. Drawn or not, its probabilities are the model's own: those before
        `temperature` and `top_p`, so that captions of every kind can be compared.

    Raises:
        ImageError: a picture cannot be used, or there is no list of them.
        SettingsError: a number is out of its range.
        MemoryShortage: there is too little memory; the message says which numbers to lower.
    """
    images = list_of_pictures(images)
    check_pair(model, processor)
    numbers = {"batch_size": batch_size, "num_beams": num_beams, "max_new_tokens": max_new_tokens}
    numbers = {name: number(name, value, 1) for name, value in numbers.items()}
    choice, seed = _choice(temperature, top_p, numbers["num_beams"]), number("seed", seed, 0, 2**32 - 1)
    captions, kept, place = [], [], model.device.index  # None on a CPU
    # What is drawn elsewhere, such as the batches of a training, goes on as if nothing had been drawn here.
    with torch.random.fork_rng([] if place is None else [place], enabled=choice["do_sample"]):
        if choice["do_sample"]:
            torch.manual_seed(seed)
        for start in range(0, len(images), numbers["batch_size"]):
            pictures = [load_image(image) for image in images[start : start + numbers["batch_size"]]]
            kept += [kept_share(picture.size, processor) for picture in pictures]
            captions += caption_batch(model, processor, pictures, choice, **numbers)
    report_crops(kept)
    return captions


def _choice(temperature: float | None, top_p: float | None, num_beams: int) -> dict[str, Any]:
    """How `generate` chooses each token: the best one, or one drawn at random."""
    if temperature is None and top_p is None:
        return BEST
    if num_beams > 1:
        raise SettingsError(f"num_beams is {num_beams}; leave it at 1 to sample, or leave temperature and top_p out.")
    return {
        "do_sample": True,
        "temperature": float(number("temperature", 1 if temperature is None else temperature, 0.01, 100, whole=False)),
        "top_p": float(number("top_p", 1 if top_p is None else top_p, 0, 1, whole=False, above=True)),
        "top_k": 0,  # the library's own draws among the 50 best alone
        "remove_invalid_values": True,  # nan cannot be drawn from; `check_scores` says that it was there
    }


@torch.inference_mode()
def caption_batch(
    model: PreTrainedModel, processor: Any, pictures: list[Any], choice: Mapping[str, Any] = BEST, **numbers: int
) -> list[Caption]:
    """What `caption_images` does with each batch of RGB pictures, at least one; `choice` says how tokens are chosen."""
    with enough_memory("captioning", **numbers), pictures_read_once(model.eval(), numbers["num_beams"]):
        pixels = picture_pixels(pictures, processor)  # uint8, (batch, 3, height, width)
        pixel_values = normalized_pixels(pixels, processor).to(model.device, model.dtype)  # float, the same shape
        out = model.generate(
            **generation_inputs({"pixel_values": pixel_values}),
            num_beams=numbers["num_beams"],
            max_new_tokens=numbers["max_new_tokens"],
            **choice,
            num_return_sequences=1,  # whatever the checkpoint says
            return_dict_in_generate=True,
            output_logits=True,  # a tuple of (batch * beams, vocabulary), one for each new token
        )
        scores = model.compute_transition_scores(
            out.sequences, out.logits, getattr(out, "beam_indices", None), normalize_logits=True
        )  # log-probabilities of the tokens chosen: (batch, new tokens)
    new = out.sequences[:, -scores.shape[1] :]  # (batch, new tokens), without the start token
    logs = check_scores(scores.float().cpu())
    return [_caption(*pair, processor) for pair in zip(new.cpu(), logs, strict=True)]


def _caption(token_ids: torch.Tensor, log_probabilities: torch.Tensor, processor: Any) -> Caption:
    """One Caption from its new tokens (tokens,) and their log-probabilities (tokens,)."""
    tokenizer = tokenizer_of(processor)
    ends = (token_ids == end_token_id(tokenizer)).nonzero()  # (end tokens, 1): their places
    length = int(ends[0]) + 1 if len(ends) else len(token_ids)  # padding follows the first
    ids, logs = token_ids[:length].tolist(), log_probabilities[:length].tolist()  # the end token included
    return Caption(
        text=unicodedata.normalize("NFC", tokenizer.decode(ids, skip_special_tokens=True).strip()),  # é is one sign
        confidence=float(np.exp(np.mean(logs))),  # the mean of logarithms is that of a geometric mean
        words=tuple(  # a sum of logarithms is that of a product
            (word, float(np.exp(sum(logs[i] for i in places)))) for word, places in word_places(ids, tokenizer)
        ),
    )


def word_places(token_ids: Sequence[int], tokenizer: Any) -> list[tuple[str, list[int]]]:
    """The words of a caption, each with the places of its pieces in `token_ids`; special tokens are no words.

    Whether a piece begins a word is read from what it adds to the decoded text: a word begins after a space, and
    punctuation is a word of its own. So it does not matter how a tokenizer marks its pieces.
    """
    special = set(tokenizer.all_special_ids)
    words: list[tuple[str, list[int]]] = []
    text, pieces, waiting = "", [], []  # what is decoded so far, of which pieces; places that belong to no word yet
    for place, token_id in enumerate(token_ids):
        if token_id in special:
            continue
        pieces.append(token_id)
        waiting.append(place)
        longer = tokenizer.decode(pieces)
        added = longer[len(text) :]
        if not added.strip() or longer.endswith(HALF_A_LETTER):
            continue  # a byte-level piece may be a space or the first bytes of a letter: the next one completes it
        if words and not added[0].isspace() and any(letter.isalnum() for letter in added):
            word, places = words[-1]
            words[-1] = (word + added, [*places, *waiting])  # the piece goes on with the last word
        else:
            words.append((added.strip(), waiting))  # it begins a word
        text, waiting = longer, []
    return [(unicodedata.normalize("NFC", word), places) for word, places in words]


@contextmanager
def pictures_read_once(model: PreTrainedModel, num_beams: int) -> Iterator[None]:
    """Within the block, `model.generate` with that many beams reads each picture once.

    GIT's `generate` makes num_beams rows of each picture before the first pass through the model. These rows are equal
    until the first token is chosen. So that pass is done on one row per picture, and what comes of it is repeated: the
    logits, and the cache, which holds the picture from then on. `generate` itself stays the library's. BLIP and a
    VisionEncoderDecoder encode a picture before they make rows of it; for them nothing is changed.
    """
    if num_beams == 1 or not family_of(model).rereads:
        yield
        return
    first = False  # whether this is the pass that reads the pictures

    def one_row_per_picture(_: torch.nn.Module, args: tuple, inputs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        nonlocal first
        cache, rows = inputs.get("past_key_values"), len(inputs["input_ids"])
        # Without a cache, later passes read the pictures too, and their rows differ.
        first = cache is not None and cache.get_seq_length() == 0
        if first:
            by_row = [name for name, value in inputs.items() if isinstance(value, torch.Tensor) and len(value) == rows]
            inputs = inputs | {name: inputs[name][::num_beams] for name in by_row}  # (batch * beams, …) → (batch, …)
        return args, inputs

    def one_row_per_beam(_: torch.nn.Module, args: tuple, outputs: ModelOutput) -> None:
        if first:
            outputs.logits = outputs.logits.repeat_interleave(num_beams, dim=0)  # (batch, …) → (batch * beams, …)
            outputs.past_key_values.batch_repeat_interleave(num_beams)  # each layer's keys and values alike

    before_pass = model.register_forward_pre_hook(one_row_per_picture, with_kwargs=True)
    with before_pass, model.register_forward_hook(one_row_per_beam):  # the hooks are removed at its end
        yield
