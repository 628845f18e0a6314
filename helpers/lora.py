"""LoRA (low-rank adaptation): small matrices learn beside a captioner's linear layers, and are merged into them."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from helpers.families import vision_encoder_of

logger = logging.getLogger(__name__)

# As in the paper (4.1), the scale is ALPHA / rank, so that another rank needs no other learning rate. At a small
# ALPHA the matrices want a much higher one than the weights themselves; at this, `Settings.learning_rate` suits both.
ALPHA = 256


@contextmanager
def low_rank(trainer: Any) -> Iterator[None]:
    """Inside this block, a layer's weight W learns as W + ALPHA / rank · B A; B A has the rank `Settings.lora_rank`.

    Nothing else learns. At the end this is added to W and the matrices are taken out: whatever saves, shares or loads
    the model finds a plain one. At rank 0 the block does nothing. Low-rank adaptation is of Hu et al. (2021),
    https://arxiv.org/abs/2106.09685.

    All linear layers learn so, the vocabulary head among them: in the shipped base, it has never written some of the
    words to learn. Two kinds do not. A head whose weight is the embeddings' too (of BLIP and GPT-2): merged, it would
    change what the words mean that the model reads. And the vision encoder, where `Settings.freeze_vision` says so.

    Args:
        trainer: a CaptionTrainer, its model in float32: half precision would round most of B A away when it is added.
    """
    model, rank = trainer.model, trainer.settings.lora_rank
    if not rank:
        yield
        return
    from peft import LoraConfig, LoraModel  # here, so that a training without LoRA does without peft

    learns = {name: weight.requires_grad for name, weight in model.named_parameters()}
    layers = _layers(model, frozen=trainer.settings.freeze_vision)
    names = "|".join(map(re.escape, layers))  # as a pattern: peft takes names for endings, and "output" ends others too
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it sees which way round a Conv1D lies
        matrices = LoraModel(model, LoraConfig(r=rank, lora_alpha=ALPHA, target_modules=names), "lora")
    learn, held = model.num_parameters(only_trainable=True), sum(layer.weight.numel() for layer in layers.values())
    if learn > held:
        logger.warning(
            "LoRA of rank %d learns %s values beside layers of %s; a lower Settings.lora_rank learns fewer.",
            *(rank, f"{learn:,}", f"{held:,}"),
        )
    try:
        yield
    finally:
        matrices.merge_and_unload()
        for name, weight in model.named_parameters():
            weight.requires_grad_(learns[name])
        # They hold the matrices; another training makes its own.
        trainer.optimizer, trainer.model_wrapped = None, model


def _layers(model: nn.Module, *, frozen: bool) -> dict[str, nn.Module]:
    """The layers that get matrices, by name. GPT-2's Conv1D is a linear layer whose weight lies the other way round."""
    tied = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    still = {id(weight) for weight in vision_encoder_of(model).parameters()} if frozen else set()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, (nn.Linear, Conv1D))}
    return {name: module for name, module in linear.items() if id(module.weight) not in tied | still}
