"""What differs between captioner families (GIT, BLIP, VisionEncoderDecoder), and how a checkpoint of one is loaded.

GIT reads a picture as a row of patch tokens and writes the caption after them, one token at a time. BLIP and a
VisionEncoderDecoder (a ViT and a GPT-2) keep the picture apart: their text part looks at it through cross-attention.

A tokenizer is set up when it is loaded: `tokenizer(caption)` begins and ends as the model is trained on it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    TrOCRProcessor,
)

from helpers.device import best_device
from helpers.errors import CheckpointError
from helpers.reading.checkpoints import check_missing, loading, refuse_pointers
from helpers.reading.given import part_of
from helpers.reading.locate import locate

Batch = Mapping[str, torch.Tensor]
Pairs = tuple[torch.Tensor, torch.Tensor]  # logits (batch, positions, vocabulary), labels (batch, positions)


@dataclass(frozen=True)
class Family:
    """What there is to know about one family."""

    processor: Any  # the class that loads an image processor and a tokenizer together
    vision: str  # the path of the vision encoder's module inside the model
    vision_config: str  # the name of its part of the config
    aligned: Callable[[PreTrainedModel, Batch], Pairs]  # the family's part of `aligned`
    # Makes the tokenizer give captions the first and the last token that the model is trained on; GIT's does by itself.
    set_up: Callable[[Any, PretrainedConfig], None] = lambda tokenizer, config: None
    sees_patches: bool = False  # each word attends to patches in a way that `aligned_attention` can read
    rereads: bool = False  # `generate` has each picture read once for each beam, and not once


def _blip_tokens(tokenizer: Any, config: PretrainedConfig) -> None:
    """[DEC] … [SEP]: `generate` starts from [DEC], whereas the tokenizer, a BERT's, gives [CLS]."""
    start = config.text_config.bos_token_id
    if start == len(tokenizer):  # a plain BERT vocabulary, to which BLIP's training added the token
        tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    _frame(tokenizer, tokenizer.convert_ids_to_tokens(start), tokenizer.sep_token)


def _decoder_tokens(tokenizer: Any, config: PretrainedConfig) -> None:
    """… <|endoftext|>: the model puts its start token first by itself, and a GPT-2 tokenizer gives no end token."""
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    _frame(tokenizer, tokenizer.eos_token or tokenizer.sep_token)


def _frame(tokenizer: Any, *edges: str | None) -> None:
    """Makes a tokenizer put these tokens around every text, cut or not: the last one after it, any other before."""
    if None in edges:
        raise ValueError("its vocabulary lacks a token that begins or ends a caption")
    tokens = [(token, tokenizer.convert_tokens_to_ids(token)) for token in edges]
    single = [*edges[:-1], "$A", edges[-1]]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=tokens)


def _next_aligned(model: PreTrainedModel, batch: Batch) -> Pairs:
    # GIT decodes (batch, picture + text, width); its wide head runs on the text alone.
    logits = model(**model_inputs(batch), logits_to_keep=batch["labels"].shape[1], use_cache=False).logits
    return logits[:, :-1], batch["labels"][:, 1:]  # (batch, tokens - 1, ...) both


def _decoder_aligned(model: PreTrainedModel, batch: Batch) -> Pairs:
    plain = extract_model_from_parallel(model)
    given = plain.prepare_decoder_input_ids_from_labels(batch["labels"])  # the start token first, the last one cut off
    # The end token is the padding too, so only the mask tells which of them the decoder may look at.
    inputs = {"decoder_input_ids": given, "decoder_attention_mask": batch["attention_mask"]}
    logits = model(pixel_values=batch["pixel_values"], **inputs, use_cache=False).logits  # (batch, tokens, vocabulary)
    return logits, batch["labels"]  # positions: tokens


FAMILIES = {
    "git": Family(AutoProcessor, "git.image_encoder", "vision_config", _next_aligned, sees_patches=True, rereads=True),
    "blip": Family(AutoProcessor, "vision_model", "vision_config", _next_aligned, _blip_tokens),
    # AutoProcessor finds the tokenizer alone. TrOCR's processor joins any image processor and any tokenizer, and what
    # it saves AutoProcessor can load.
    "vision-encoder-decoder": Family(TrOCRProcessor, "encoder", "encoder", _decoder_aligned, _decoder_tokens),
}


def family_of(model: PreTrainedModel) -> Family:
    """What is known of a model's family, or a CheckpointError where it is of another."""
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)  # of what wraps one, too
    if kind in FAMILIES:
        return FAMILIES[kind]
    advice = "give the model and then its processor; of what wraps a model, model.module"
    raise CheckpointError(f"A {kind} is no captioner of a known family ({', '.join(FAMILIES)}); {advice}.")


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
    with loading(name):
        processor = _processor(name, place)
        if random_weights:
            config = AutoConfig.from_pretrained(place)
            model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)  # whatever it says
        else:
            kind = {"dtype": torch.float32}  # half precision, as some are stored in, is too coarse to train
            model, report = AutoModelForImageTextToText.from_pretrained(place, output_loading_info=True, **kind)
            check_missing(name, report["missing_keys"], len(model.state_dict()))
        return model.eval().to(best_device()), processor


def load_processor(name: str) -> ProcessorMixin:
    """Loads a checkpoint's processor alone; see `load_checkpoint`."""
    with loading(name):
        return _processor(name, locate(name, "model"))


def vision_config_of(name: str) -> PretrainedConfig:
    """How a checkpoint's vision encoder is built, without its weights: `image_size` and `patch_size`, in pixels."""
    with loading(name):
        family, config = _known(name, locate(name, "model"))
        return getattr(config, family.vision_config)


def _processor(name: str, place: str) -> ProcessorMixin:
    family, config = _known(name, place)
    # The PIL backend gives the same pixels whether torchvision is installed or not. Of pictures much taller than wide,
    # Pillow 13 resizes the columns first and Pillow 11 the rows (Pillow#9549), which rounds some pixels differently.
    processor = family.processor.from_pretrained(place, backend="pil")
    tokenizer = tokenizer_of(processor)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what the library makes of a file that is not there
        raise ValueError("its vocabulary has no words")
    family.set_up(tokenizer, config)
    positions = config.get_text_config(decoder=True).max_position_embeddings
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return processor


def _known(name: str, place: str) -> tuple[Family, PretrainedConfig]:
    """The family and the config of the checkpoint in a place that was located."""
    refuse_pointers(name)
    if (kind := PretrainedConfig.get_config_dict(place)[0].get("model_type")) in FAMILIES:
        return FAMILIES[kind], AutoConfig.from_pretrained(place)
    if not kind:
        raise ValueError("its config.json names no family")
    raise CheckpointError(f"{name} is a model of the family {kind}; choose a checkpoint of {', '.join(FAMILIES)}.")


def image_processor_of(processor: Any) -> Any:
    """The part of a processor that prepares pictures."""
    return part_of(processor, "image_processor")


def tokenizer_of(processor: Any) -> Any:
    """The part of a processor that turns text into tokens and back."""
    return part_of(processor, "tokenizer")


def end_token_id(tokenizer: Any) -> int:
    """The token that ends a caption, of a tokenizer that `load_processor` has set up."""
    return tokenizer("").input_ids[-1]


def vision_encoder_of(model: PreTrainedModel) -> torch.nn.Module:
    """The part of a captioner that looks at the picture."""
    return model.get_submodule(family_of(model).vision)


def picture_features(model: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """What the vision encoder sees, one vector per picture: the mean of the tokens that the text part reads."""
    with torch.inference_mode():
        tokens = vision_encoder_of(model)(pixel_values.to(model.device)).last_hidden_state
    return tokens.float().mean(dim=1).cpu()  # (pictures, patches + 1, width) → (pictures, width)


def picture_tokens(model: PreTrainedModel) -> int:
    """How many tokens the text part is given of a picture: its patches and one class token."""
    vision = vision_encoder_of(model).config
    return (vision.image_size // vision.patch_size) ** 2 + 1


def model_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """What a model is called with, of a batch that also holds labels."""
    return {name: batch[name] for name in ("pixel_values", "input_ids", "attention_mask")}


def generation_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """What `generate` is given: the picture alone, never the caption that it should find."""
    return {"pixel_values": batch["pixel_values"]}


def aligned(model: PreTrainedModel, batch: Batch) -> Pairs:
    """Pairs each prediction with the token that it should have been.

    GIT and BLIP predict at text position t the token at t + 1, so the logits lose their last position and the labels
    their first. A VisionEncoderDecoder is given its labels one position later, so its logits stand at their places.

    Args:
        model: a captioner, or what wraps one for several processes, which is then what is called.
        batch: pixel_values (batch, 3, height, width); input_ids, attention_mask, labels (batch, tokens).

    Returns:
        Logits (batch, positions, vocabulary) and labels (batch, positions), where positions is the number of tokens,
        less one for GIT and BLIP; -100 marks padding.
    """
    batch = {name: batch[name].to(model.device) for name in ("pixel_values", "input_ids", "attention_mask", "labels")}
    return family_of(extract_model_from_parallel(model)).aligned(model, batch)


def parameters_by_part(model: PreTrainedModel) -> list[dict[str, Any]]:
    """How many parameters each part of a captioner has: rows with the keys part, parameters and share."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        depth = 2 if name.startswith(f"{model.base_model_prefix}.") else 1
        counts[".".join(name.split(".")[:depth])] += parameter.numel()
    return [{"part": part, "parameters": f"{n:,}", "share": f"{n / counts.total():.0%}"} for part, n in counts.items()]
