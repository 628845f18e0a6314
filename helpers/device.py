"""The device that a model runs on, GPU or CPU, and the precision that suits it."""

import torch


def best_device() -> str:
    """Where a model runs fastest here: "cuda", "mps" (Apple) or "cpu"."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(asked: str = "auto") -> str:
    """What the weights are multiplied in: "fp32" on a CPU and on Apple's chips, "bf16" or "fp16" on a GPU."""
    if asked != "auto" or not torch.cuda.is_available():
        return "fp32" if asked == "auto" else asked
    # Older GPUs (a T4) compute bf16 by emulation, many times slower than fp16.
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def device_name() -> str:
    """The device that the Trainer will use, in words, with the precision."""
    device = best_device()
    names = {"mps": "Apple GPU", "cpu": f"CPU, {torch.get_num_threads()} threads"}
    return f"{names.get(device) or torch.cuda.get_device_name()}, {choose_precision()}"
