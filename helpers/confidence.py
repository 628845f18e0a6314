"""Confidence in facts: the probability of what a caption says of a part, among all values that could stand there.

A word's probability mixes two things: whether the model knows what it sees, and which of several right wordings it
chooses. Here the wording is kept and one fact is changed, so that only values compete.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from helpers.calibration import FactConfidence
from helpers.creatures import ATTRIBUTES, attributes_of, captions_of
from helpers.errors import enough_memory
from helpers.families import aligned, tokenizer_of
from helpers.pairs import check_pair
from helpers.reading.given import list_of_pictures
from helpers.reading.pictures import load_image
from helpers.transforms import CaptionCollator, picture_pixels

Creature = Mapping[str, str]  # attribute → value


@torch.inference_mode()
def fact_confidences(
    model: PreTrainedModel,
    processor: Any,
    images: Sequence[Any],
    captions: Sequence[str],
    truth: Mapping[str, Sequence[str]],
    *,
    batch_size: int = 50,
) -> list[FactConfidence]:
    """How sure a captioner is of each fact of captions that it wrote, and whether the fact is right.

    A caption and the same caption with another value part at some token. There the model's choice is renormalised over
    the tokens of all captions that part there; where values part at several places, as "a smile", "a frown" and "an
    open mouth" do, the choices are multiplied. A caption that is none of those of `captions_of` has no facts here.

    Args:
        model, processor: a captioner and its processor.
        images: as for `caption_images`.
        captions: its caption of each picture, as text.
        truth: as `attribute_columns` gives it for these pictures.
        batch_size: pictures at a time.
    """
    check_pair(model.eval(), processor)
    tokenizer, collate, images = tokenizer_of(processor), CaptionCollator(processor), list_of_pictures(images)
    numbered = [(i, text, parsed) for i, text in enumerate(map(str, captions)) if (parsed := creature_said(text))]
    facts = []
    for start in range(0, len(numbered), batch_size):
        part_of_all = numbered[start : start + batch_size]
        pixels = picture_pixels([load_image(images[i]) for i, *_ in part_of_all], processor)
        rows = [
            {"pixels": torch.from_numpy(picture), "input_ids": tokenizer(text).input_ids}
            for picture, (_, text, _) in zip(pixels, part_of_all, strict=True)
        ]
        with enough_memory("scoring captions", batch_size=batch_size):
            logits, labels = aligned(model, collate(rows))
        logs = logits.float().log_softmax(dim=-1).cpu().numpy()  # (batch, positions, vocabulary)
        for said, ids, (i, _, parsed) in zip(logs, labels.cpu().numpy(), part_of_all, strict=True):
            for part, value, places in decisions(ids, *parsed, tokenizer):
                token = sum(float(said[at, ids[at]]) for at in places)
                among = sum(float(np.logaddexp.reduce(said[at, [ids[at], *tokens]])) for at, tokens in places.items())
                right = truth[part][i] == value
                facts.append(FactConfidence(i, part, value, float(np.exp(token - among)), float(np.exp(token)), right))
    return facts


def creature_said(caption: str) -> tuple[dict[str, str], int] | None:
    """What a caption says of every part, and which of the wordings of `captions_of` it is; None if it is none."""
    said = attributes_of(caption)
    if any(said[part] not in values for part, values in ATTRIBUTES.items()):
        return None
    wordings = captions_of(said)
    return (said, wordings.index(caption)) if caption in wordings else None


def decisions(
    token_ids: Sequence[int], creature: Creature, wording: int, tokenizer: Any
) -> Iterator[tuple[str, str, dict[int, list[int]]]]:
    """For each part that could have another value: the part, the value said, and where captions with others go on.

    Args:
        token_ids: of the caption, as `aligned` labels them.
        creature: what it says.
        wording: the caption's place in `captions_of`.

    Yields:
        part, value, {place in `token_ids`: the tokens that other values have there}.
    """
    first = len(tokenizer("").input_ids) - 1  # start tokens, which nothing predicts
    for part, value in creature.items():
        others = [captions_of(other)[wording] for other in alternatives(creature, part)]
        places: dict[int, set[int]] = defaultdict(set)
        for ids in tokenizer(others).input_ids if others else []:
            at = next(at for at, pair in enumerate(zip(token_ids, ids[first:], strict=False)) if pair[0] != pair[1])
            places[at].add(ids[first + at])
        if places:
            yield part, value, {at: sorted(tokens) for at, tokens in places.items()}


def alternatives(creature: Creature, part: str) -> Iterator[Creature]:
    """The same creature with each other value of a part. A plain coat gets some second colour, and a marked one none.

    A second colour is there because of a pattern, so whether there is one is the pattern's question.
    """
    for value in ATTRIBUTES[part]:
        other = {**creature, part: value}
        if part == "pattern":
            second = "red" if creature["pattern"] == "plain" else creature["second_color"]
            other["second_color"] = "none" if value == "plain" else second
        if value != creature[part] and (other["second_color"] == "none") == (other["pattern"] == "plain"):
            yield other
