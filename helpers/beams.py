"""A search over several captions that reads each picture once, and not once for each caption that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from helpers.families import family_of


@contextmanager
def pictures_read_once(model: PreTrainedModel, num_beams: int) -> Iterator[None]:
    """Within the block, `model.generate` with that many beams reads each picture once.

    GIT's `generate` makes num_beams rows of each picture before the first pass through the model. These rows are equal
    until the first token is chosen. So that pass is done on one row a picture, and what comes of it is repeated: the
    logits, and the cache, which holds the picture from then on. `generate` itself stays the library's.

    BLIP and a VisionEncoderDecoder encode a picture before they make rows of it; for them nothing is changed.

    Args:
        model: a captioner.
        num_beams: what `generate` is given.
    """
    if num_beams == 1 or not family_of(model).rereads:
        yield
        return
    first = False

    def one_row_a_picture(_: torch.nn.Module, args: tuple, inputs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        nonlocal first
        cache, rows = inputs.get("past_key_values"), len(inputs["input_ids"])
        # Without a cache, later passes read the pictures too, and their rows differ.
        first = cache is not None and cache.get_seq_length() == 0
        if first:
            by_row = [name for name, value in inputs.items() if isinstance(value, torch.Tensor) and len(value) == rows]
            inputs = inputs | {name: inputs[name][::num_beams] for name in by_row}
        return args, inputs

    def one_row_a_beam(_: torch.nn.Module, args: tuple, outputs: ModelOutput) -> None:
        if first:
            outputs.logits = outputs.logits.repeat_interleave(num_beams, dim=0)
            outputs.past_key_values.batch_repeat_interleave(num_beams)

    hooks = [
        model.register_forward_pre_hook(one_row_a_picture, with_kwargs=True),
        model.register_forward_hook(one_row_a_beam),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
