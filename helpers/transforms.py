"""Preprocessing: pictures to pixel values, captions to token ids, rows to padded batches with labels."""

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, Image, List, Value
from datasets.fingerprint import Hasher
from torch.nn.utils.rnn import pad_sequence

from helpers.data import fingerprint
from helpers.families import image_processor_of, tokenizer_of
from helpers.paths import usable_cache
from helpers.reading.given import own_split
from helpers.reading.pictures import load_image

logger = logging.getLogger(__name__)

PREPARATION = 4  # raise it when `prepare_pictures` makes other pixels: prepared pictures are kept between runs
IGNORED = -100  # the label that torch's cross-entropy leaves out
MUCH_CUT = 0.8  # a centre crop that leaves less than this share of a picture is logged


def picture_pixels(images: Sequence[Any], processor: Any) -> np.ndarray:
    """Resizes and crops pictures as the processor does, and stops before it turns pixels into real numbers.

    Returns:
        uint8, (pictures, 3, height, width), of PIL pictures in RGB.
    """
    # Of a very wide or high picture only the middle is resized: the crop leaves no more, and the rest may be gigabytes.
    image_processor = image_processor_of(processor)
    crops = getattr(image_processor, "do_center_crop", False) and "shortest_edge" in image_processor.size
    long = [crops and max(image.size) > 10 * min(image.size) for image in images]
    middles = [_middle(image) if cut else image for image, cut in zip(images, long, strict=True)]
    resized = image_processor(middles, do_rescale=False, do_normalize=False, return_tensors="np")
    return np.clip(np.rint(resized["pixel_values"]), 0, 255).astype(np.uint8)  # (pictures, 3, height, width)


def _middle(image: Any) -> Any:
    width, height = image.size
    most = 2 * min(width, height)  # pixels, of the longer side
    across, down = max(0, width - most) // 2, max(0, height - most) // 2
    return image.crop((across, down, width - across, height - down))


def kept_share(size: tuple[int, int], processor: Any) -> float:
    """The share of a picture, (width, height) in pixels, that the processor's centre crop leaves: 0 to 1."""
    image_processor = image_processor_of(processor)
    if not getattr(image_processor, "do_center_crop", False):
        return 1.0
    crop, asked = image_processor.crop_size, image_processor.size
    scale = asked.get("shortest_edge", 0) / min(size)  # the picture keeps its shape, or is squeezed into a given one
    width, height = [side * scale for side in size] if scale else (asked["width"], asked["height"])
    return min(1.0, crop["width"] / width) * min(1.0, crop["height"] / height)


def report_crops(kept: Sequence[float]) -> None:
    """Says how many pictures the centre crop cuts much off, given `kept_share` of each."""
    if cut := [share for share in kept if share < MUCH_CUT]:
        logger.warning(
            "The centre crop cuts much off %d of %d pictures and leaves %.0f %% of the most cut one; "
            "crop them yourself if what their captions name lies at the edges.",
            len(cut), len(kept), 100 * min(cut),
        )  # fmt: skip


def normalized_pixels(pixels: np.ndarray | torch.Tensor, processor: Any) -> torch.Tensor:
    """Turns uint8 pixels into what the model sees: rescaled, less the mean, over the standard deviation.

    Args:
        pixels: uint8, (pictures, 3, height, width).
        processor: holds mean and standard deviation per colour channel.

    Returns:
        float32, the same shape; equal to the processor's own pixel_values.
    """
    factor, mean, std = _scale(processor)
    return (torch.as_tensor(pixels).float() * factor - mean) / std  # (pictures, 3, height, width), about -2 to 2


def denormalize(pixel_values: torch.Tensor, processor: Any) -> np.ndarray:
    """The reverse of `normalized_pixels`, for looking: uint8, (height, width, 3) from (3, height, width)."""
    factor, mean, std = _scale(processor)
    pixels = (pixel_values * std + mean) / factor  # (3, height, width), 0 to 255
    return pixels.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()  # (height, width, 3)


def _scale(processor: Any) -> tuple[float, torch.Tensor, torch.Tensor]:
    values = image_processor_of(processor)
    mean, std = torch.tensor(values.image_mean), torch.tensor(values.image_std)  # (3,) each
    return values.rescale_factor, mean.view(3, 1, 1), std.view(3, 1, 1)  # to match (..., 3, height, width)


@usable_cache()
def prepare_pictures(dataset: Dataset, processor: Any) -> Dataset:
    """Resizes every picture once, so that no epoch does it again.

    Args:
        dataset: a split with the columns image and captions.
        processor: the checkpoint's processor.

    Returns:
        A memory-mapped Dataset with the columns pixels (the bytes of uint8 pixels), shape ([3, height, width]),
        kept (the share of the picture that the centre crop left), captions and row (the picture's number in the split).
    """
    dataset = own_split(dataset).cast_column("image", Image(decode=False))

    def prepare(batch: Mapping[str, list], rows: list[int]) -> dict[str, list]:
        pictures = [load_image(stored["bytes"] or stored["path"]) for stored in batch["image"]]
        pixels = picture_pixels(pictures, processor)  # (pictures, 3, height, width)
        return {
            "pixels": [picture.tobytes() for picture in pixels],  # 3 * height * width bytes each
            "shape": [list(picture.shape) for picture in pixels],  # [3, height, width]
            "kept": [kept_share(picture.size, processor) for picture in pictures],
            "captions": batch["captions"],
            "row": rows,
        }

    kind = {"pixels": Value("binary"), "shape": List(Value("int32")), "kept": Value("float32")}
    values = image_processor_of(processor).to_json_string()  # the processor's own hash changes with every process
    prepared = dataset.map(
        prepare,
        with_indices=True,
        batched=True,
        batch_size=64,
        remove_columns=dataset.column_names,
        features=Features({**kind, "captions": List(Value("string")), "row": Value("int64")}),
        new_fingerprint=Hasher.hash((PREPARATION, fingerprint(dataset), values)),  # pictures and captions, no times
        desc="Preparing pictures",
    )
    report_crops(prepared["kept"][:])
    return prepared


def stored_pixels(batch: Mapping[str, list]) -> list[torch.Tensor]:
    """The pictures of prepared rows: uint8, (3, height, width) each."""
    pairs = zip(batch["pixels"], batch["shape"], strict=True)  # (bytes,), which become (3, height, width)
    return [torch.frombuffer(bytearray(data), dtype=torch.uint8).view(*shape) for data, shape in pairs]


class CaptionTransform:
    """Turns prepared rows into model inputs, for `Dataset.set_transform`.

    With several captions per picture, each epoch takes another one, in an order shuffled anew each time all have been
    taken: a function of (seed, epoch, row) alone. A caption with more tokens than the model has positions is cut,
    kept in `cut` and logged.

    Args:
        processor: the checkpoint's processor.
        sample: take one caption of several; False takes the first, always.
        seed: of the choice.
    """

    def __init__(self, processor: Any, *, sample: bool = True, seed: int = 0):
        self.processor, self.tokenizer = processor, tokenizer_of(processor)
        self.sample, self.seed, self.epoch = sample, seed, 0
        self.cut: set[str] = set()

    def set_epoch(self, epoch: int) -> None:
        """Chooses the captions of another epoch; `CaptionTrainer` calls this."""
        self.epoch = int(epoch)

    def choose(self, captions: Sequence[str], row: int) -> str:
        """The caption of this epoch for the picture in `row`."""
        if not self.sample:
            return captions[0]
        turn, place = divmod(self.epoch, len(captions))  # a turn takes each caption once
        order = random.Random(f"{self.seed}-{turn}-{row}").sample(range(len(captions)), len(captions))
        return captions[order[place]]

    def tokens(self, captions: Sequence[str]) -> list[list[int]]:
        """The token ids of each caption, its start and end included, at most as many as the model has positions."""
        return self.fitted(captions, self.tokenizer(list(captions), verbose=False).input_ids)

    def fitted(self, captions: Sequence[str], whole: Sequence[list[int]]) -> list[list[int]]:
        """The token ids of each caption, cut where they are more than the model's positions, which is said once."""
        limit = self.tokenizer.model_max_length  # the model's text positions
        long = {text: len(ids) for text, ids in zip(captions, whole, strict=True) if len(ids) > limit}
        if fresh := set(long) - self.cut:
            self.cut |= fresh
            longest = max(fresh, key=long.get)
            logger.warning(
                "Captions with more than %d tokens are cut there: %d so far, one of them with %d (%.40s…); "
                "shorten them to keep their end.",
                limit, len(self.cut), long[longest], longest,
            )  # fmt: skip
        return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in whole]  # the end token stays

    def __call__(self, batch: Mapping[str, list]) -> dict[str, list]:
        """A batch of prepared rows → lists of pixels (uint8, (3, height, width)) and input_ids (tokens)."""
        chosen = [self.choose(c, row) for c, row in zip(batch["captions"], batch["row"], strict=True)]
        return {"pixels": stored_pixels(batch), "input_ids": self.tokens(chosen), "row": batch["row"]}


class CaptionCollator:
    """Makes one batch of a list of transformed rows, padded to the longest caption in it."""

    def __init__(self, processor: Any):
        self.processor = processor
        self.pad_id = tokenizer_of(processor).pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A list of rows → pixel_values (batch, 3, height, width); input_ids, attention_mask, labels (batch, tokens).

        Labels are -100 on padding, so no loss is taken there; the end token keeps its label.
        """
        captions = [torch.tensor(row["input_ids"]) for row in rows]  # (tokens,) each
        input_ids = pad_sequence(captions, batch_first=True, padding_value=self.pad_id)  # (batch, tokens)
        attention_mask = pad_sequence([torch.ones_like(ids) for ids in captions], batch_first=True)  # 0 on padding
        pixels = torch.stack([row["pixels"] for row in rows])  # batch times (3, height, width) → one more dimension
        return {
            "pixel_values": normalized_pixels(pixels, self.processor),  # (batch, 3, height, width)
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": input_ids.masked_fill(attention_mask == 0, IGNORED),  # (batch, tokens), -100 on padding
        }
