"""What differs between captioner families, and nothing else. So far there is one: GIT.

GIT reads a picture as a row of patch tokens and writes the caption after them, one token at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)

from helpers.errors import CaptioningError, CheckpointError, enough_memory, is_memory_error
from helpers.places import locate

logger = logging.getLogger(__name__)

FAMILIES = ("git",)


def load_checkpoint(name: str, *, random_weights: bool = False) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Loads a captioner and its processor from a folder or from the Hub.

    Args:
        name: a folder, relative to the project's root, or a Hub id.
        random_weights: build the same architecture with fresh weights instead of the trained ones.

    Returns:
        The model in evaluation mode, on the best device that there is, and its processor.

    Raises:
        CheckpointError: there is none of that name, it is damaged, or it belongs to no supported family.
    """
    place = locate(name, "model")
    processor = load_processor(name)
    with _readable(name), enough_memory(f"the checkpoint {name}"):
        if random_weights:
            model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(place))
        else:
            model, report = AutoModelForImageTextToText.from_pretrained(place, output_loading_info=True)
            if missing := sorted(report["missing_keys"]):
                logger.warning("%s lacks %d weights, which start at random: %s …", name, len(missing), missing[0])
        return model.eval().to(best_device()), processor


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Says in one sentence what the libraries cannot read of a checkpoint."""
    try:
        yield
    except (CaptioningError, MemoryError):
        raise
    except Exception as error:
        if is_memory_error(error):
            raise
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200].rstrip(".")
        raise CheckpointError(
            f"The checkpoint {name} cannot be read ({said}); copy or download it again, or name another."
        ) from None


def best_device() -> str:
    """Where a model runs fastest here: "cuda", "mps" (Apple) or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_processor(name: str) -> ProcessorMixin:
    """Loads a checkpoint's processor alone; see `load_checkpoint`."""
    place = locate(name, "model")
    with _readable(name):
        family = PretrainedConfig.get_config_dict(place)[0].get("model_type")
        if family not in FAMILIES:
            what = f"is a model of the family {family}" if family else "has no config.json that names its family"
            raise CheckpointError(f"{name} {what}; choose a checkpoint of {', '.join(FAMILIES)}.")
        # The PIL backend gives the same pixels on every machine, whether torchvision is installed or not.
        processor = AutoProcessor.from_pretrained(place, backend="pil")
        tokenizer = tokenizer_of(processor)
        if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what the library makes of a file that is not there
            raise CheckpointError(f"{name} has no vocabulary (tokenizer.json); copy or download it again.")
        return processor


def image_processor_of(processor: Any) -> Any:
    """The part of a processor that prepares pictures."""
    return processor.image_processor


def tokenizer_of(processor: Any) -> Any:
    """The part of a processor that turns text into tokens and back."""
    return processor.tokenizer


def vision_encoder_of(model: PreTrainedModel) -> torch.nn.Module:
    """The part of a captioner that looks at the picture."""
    return model.git.image_encoder


def picture_features(model: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """What the vision encoder sees, one vector a picture: the mean of the tokens that the text part reads.

    Args:
        model: a captioner.
        pixel_values: (pictures, 3, height, width).

    Returns:
        float32 on the CPU, (pictures, width).
    """
    with torch.inference_mode():
        tokens = vision_encoder_of(model)(pixel_values.to(model.device)).last_hidden_state
    return tokens.float().mean(dim=1).cpu()


def picture_tokens(model: PreTrainedModel) -> int:
    """How many positions the picture takes before the caption: its patches and one class token."""
    vision = model.config.vision_config
    return (vision.image_size // vision.patch_size) ** 2 + 1


def aligned(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs each prediction with the token that it should have been.

    GIT and BLIP predict at text position t the token at t + 1, so the logits lose their last position and the labels
    their first. GIT's positions begin with the picture's; its vocabulary head runs on the text's alone
    (`logits_to_keep`). A VisionEncoderDecoder is given its labels one position later, so that its logits and labels
    stand at the same places already.

    Args:
        model: a captioner.
        batch: pixel_values (batch, 3, height, width); input_ids, attention_mask, labels (batch, tokens).

    Returns:
        Logits (batch, positions, vocabulary) and labels (batch, positions), where positions is the number of tokens,
        less one for GIT and BLIP; -100 marks padding.

    Raises:
        CheckpointError: the model is of another family.
    """
    inputs = {name: batch[name].to(model.device) for name in ("pixel_values", "input_ids", "attention_mask")}
    labels, family = batch["labels"].to(model.device), model.config.model_type
    if family == "vision-encoder-decoder":
        given = model.prepare_decoder_input_ids_from_labels(labels)
        return model(pixel_values=inputs["pixel_values"], decoder_input_ids=given, use_cache=False).logits, labels
    if family == "git":
        outputs = model(**inputs, logits_to_keep=labels.shape[1], use_cache=False)
    elif family == "blip":
        outputs = model(**inputs)
    else:
        raise CheckpointError(f"A {family} model pairs its logits and labels in a way that is not known here.")
    return outputs.logits[:, :-1], labels[:, 1:]


def generation_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What `generate` is given: the picture alone, never the caption that it should find."""
    return {"pixel_values": batch["pixel_values"]}


def patch_grid(model: PreTrainedModel) -> tuple[int, int]:
    """Rows and columns of the patches that the model cuts a picture into.

    Raises:
        CaptioningError: the model is of a family whose words do not attend to patches in a way that is known here.
    """
    kind = model.config.model_type
    if kind != "git":
        raise CaptioningError(f"The words of a {kind} model cannot be traced to patches; choose a checkpoint of git.")
    side = model.config.vision_config.image_size // model.config.vision_config.patch_size
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
    inputs = {name: batch[name].to(model.device) for name in ("pixel_values", "input_ids", "attention_mask")}
    tokens = batch["input_ids"].shape[1]
    outputs = model(**inputs, logits_to_keep=tokens, use_cache=False, output_attentions=True)
    attention = torch.stack(outputs.attentions).mean(dim=(0, 2))  # (batch, picture + tokens, picture + tokens)
    to_patches = attention[:, -tokens:-1, 1 : picture_tokens(model)].unflatten(-1, (rows, columns))
    return outputs.logits[:, :-1], batch["labels"][:, 1:].to(model.device), to_patches
