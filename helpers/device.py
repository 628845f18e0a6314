"""The device that a model runs on, GPU or CPU; the precision that suits it; losses and weights that became nan."""

import logging

import torch
from accelerate import PartialState
from transformers import PreTrainedModel, TrainingArguments
from transformers.utils import is_torch_bf16_gpu_available

from helpers.errors import CheckpointError, SettingsError

logger = logging.getLogger(__name__)
BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # what a CPU calls it, of x86 and of ARM


def best_device() -> str:
    """Where a model runs fastest here: "cuda", "mps" (Apple) or "cpu"."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(asked: str = "auto") -> str:
    """What the weights are multiplied in: "fp32" on a CPU and on Apple's chips, "bf16" or "fp16" on a GPU.

    On a CPU bf16 has to be asked for: it changes the figures in their last digits, and is slow where `cpu_has_bf16`
    says no.

    Raises:
        SettingsError: the device cannot do what was asked for.
    """
    if asked != "auto":
        on_cpu = best_device() == "cpu"
        if (asked == "fp16" and on_cpu) or (asked == "bf16" and not on_cpu and not is_torch_bf16_gpu_available()):
            what = "on a CPU" if on_cpu else "on this GPU"
            raise SettingsError(f"Settings.precision is {asked!r}, which does not work {what}; choose auto or fp32.")
        if asked == "bf16" and on_cpu and not cpu_has_bf16():
            logger.warning("This CPU computes bf16 by way of float32, which takes longer than float32; choose auto.")
        return asked
    if not torch.cuda.is_available():
        return "fp32"
    # Older GPUs (a T4) compute bf16 by emulation, many times slower than fp16.
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def device_name() -> str:
    """The device that the Trainer will use, in words, with the precision."""
    device = best_device()
    names = {"mps": "Apple GPU", "cpu": f"CPU, {torch.get_num_threads()} threads"}
    return f"{names.get(device) or torch.cuda.get_device_name()}, {choose_precision()}"


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 by itself, and so faster than float32; others compute it by way of float32."""
    known = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of torch do not say
    return any(known.get(name) for name in BF16)


def processes() -> PartialState:
    """What is known of the processes that train together, of torchrun or `accelerate launch`; elsewhere of one."""
    return PartialState(cpu=best_device() == "cpu")


class OneDevice(TrainingArguments):
    """The Trainer's arguments where one GPU trains, however many there are.

    The Trainer would wrap the model in torch's DataParallel by itself: that multiplies the batch size and hides what a
    captioner has, `generate` and `config`.
    """

    @property
    def n_gpu(self) -> int:
        """How many GPUs train, 0 or 1."""
        return min(1, super().n_gpu)


def check_loss(loss: torch.Tensor, step: int, learning_rate: float, precision: str = "fp32") -> torch.Tensor:
    """The loss as it is, (), in the step of a training.

    Raises:
        SettingsError: it is nan or infinite after some steps, or in half precision.
        CheckpointError: it is so from the start.
    """
    if loss.isfinite():
        return loss
    precision = choose_precision(precision)
    finer = "" if precision == "fp32" else f'set precision from {precision} to "fp32"'
    if not step and not finer:
        raise CheckpointError(
            f"The loss is {loss.item()} before the first step, so the weights of this model are spoilt; copy or "
            "download it again, or name another."
        )
    lower = f"lower the learning rate from {learning_rate:g} to {learning_rate / 10:g}" if step else ""
    raise SettingsError(
        f"The loss is {loss.item()} at step {step}, so this training is lost and nothing of it is kept; "
        f"{', or '.join(filter(None, (lower, finer)))}, and load the model again."
    )


def check_scores(scores: torch.Tensor) -> torch.Tensor:
    """The log-probabilities of generated tokens as they are; CheckpointError where one of them is nan."""
    if scores.isnan().any():
        advice = "load it again in float32, or name another"
        raise CheckpointError(f"What this model says is {scores.min().item()}, for its weights are spoilt; {advice}.")
    return scores


def check_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The model, with its weights as float32 numbers, whatever they were stored as.

    Raises:
        SettingsError: one of them is nan or infinite.
    """
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise SettingsError(
            "Some weights of this model are nan or infinite, so it is not saved; load it again, and train it at a "
            "lower learning rate."
        )
    return model.float()
