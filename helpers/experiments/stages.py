"""Training in two stages, as the base learnt: first to see which words a caption uses, then to write captions."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import affine_grid, binary_cross_entropy_with_logits, grid_sample
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.device import cpu_has_bf16
from helpers.families import tokenizer_of, vision_encoder_of
from helpers.metrics import normalize
from helpers.training import caption_loss
from helpers.transforms import CaptionCollator, normalized_pixels

BATCH = 32
LEAST = 6  # pictures that a word must have, or nothing can be learnt about it
Batches = Callable[[np.ndarray, np.random.Generator], torch.Tensor]  # rows, chance → the loss of a batch: ()


def optimizers_of(module: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers (Jordan et al., 2024), AdamW for embeddings, heads, norms and biases."""
    named = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    inner = {n for n, p in named.items() if p.ndim == 2 and not any(part in n for part in ("embed", "head", "output."))}
    inner |= {n for n in named if "output.dense" in n and named[n].ndim == 2}
    matrices, others = [named[n] for n in named if n in inner], [named[n] for n in named if n not in inner]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.05, fused=True),
    ]


def descend(optimizers: Sequence[torch.optim.Optimizer], module: nn.Module, loss: torch.Tensor, rate: float) -> None:
    """One step of all optimizers down the loss, at a learning rate; gradients longer than 1 are shortened."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = rate
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def rate_at(done: int, steps: int, highest: float) -> float:
    """The learning rate after so many of all steps: a tenth of them up to the highest, then a cosine down to zero."""
    return highest * min(done / (0.1 * steps), 0.5 + 0.5 * math.cos(math.pi * done / steps))


def learn(module: nn.Module, loss_of: Batches, rows: int, *, steps: int, highest: float, seed: int, bar: tqdm) -> None:
    """Trains a module for so many steps, each on `BATCH` of so many rows, drawn by the seed."""
    rng, optimizers = np.random.default_rng(seed), optimizers_of(module, highest)
    module.train()
    for done in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            loss = loss_of(np.sort(rng.choice(rows, BATCH, replace=rows < BATCH)), rng)
        descend(optimizers, module, loss, rate_at(done, steps, highest))
        bar.update()
    module.eval()


def moved(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Pictures on white as another hand might have drawn them: moved, turned a little, stretched, in other tints.

    Not mirrored: a clock, a moon or a pointing hand would then show something else.

    Args:
        pixels: uint8, (pictures, 3, height, width).
        rng: chance.

    Returns:
        The same shape and kind.
    """

    def chance(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(pixels), *shape))).float()

    turn, across = chance(-0.09, 0.09), chance(0.85, 1.25)  # radians; below 1 the picture grows
    down = across * chance(0.88, 1.12)
    rows = [
        torch.stack([across * turn.cos(), -down * turn.sin(), chance(-0.12, 0.12)], dim=1),
        torch.stack([across * turn.sin(), down * turn.cos(), chance(-0.12, 0.12)], dim=1),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(pixels.shape), align_corners=False)
    ink = grid_sample(255 - pixels.float(), grid, align_corners=False)  # outside there is none, so white
    tint = torch.eye(3) + torch.from_numpy(rng.normal(0, 0.07, (len(pixels), 3, 3))).float()
    ink = torch.einsum("pij,pjhw->pihw", tint, ink) * chance(0.75, 1.2, 1, 1, 1)
    return (255 - ink).clamp(0, 255).byte()


def words_of(texts: Sequence[Sequence[str]]) -> torch.Tensor:
    """Which words the texts of each picture use: float, (pictures, words), without words of fewer than `LEAST`."""
    sets = [{word for text in group for word in normalize(text).split()} for group in texts]
    counts = Counter(word for words in sets for word in words)
    known = {word: place for place, word in enumerate(sorted(word for word in counts if counts[word] >= LEAST))}
    used = torch.zeros(len(sets), len(known))
    for row, words in zip(used, sets, strict=True):
        row[[known[word] for word in words if word in known]] = 1
    return used


def learn_to_see(
    model: PreTrainedModel, processor: Any, pixels: torch.Tensor, texts: Sequence[Sequence[str]], **training: Any
) -> None:
    """Teaches the vision encoder which words belong to a picture (Joulin et al., 2015).

    A linear layer foretells them from the mean of what the encoder sees, and is thrown away afterwards.

    Args:
        model, processor: a captioner whose encoder is changed, and its processor.
        pixels: uint8, (pictures, 3, height, width).
        texts: for each picture all that is said of it.
        training: steps, highest, seed and bar, as `learn` takes them.
    """
    used, vision = words_of(texts), vision_encoder_of(model)
    head = nn.Linear(vision.config.hidden_size, used.shape[1])
    nn.init.constant_(head.bias, -4.0)  # a word is rare

    def loss_of(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        seen = vision(normalized_pixels(moved(pixels[rows], rng), processor)).last_hidden_state.mean(dim=1)
        return binary_cross_entropy_with_logits(head(seen).float(), used[rows], reduction="sum") / len(rows)

    learn(nn.ModuleDict({"vision": vision, "head": head}), loss_of, len(pixels), **training)


def learn_to_speak(
    model: PreTrainedModel, processor: Any, pixels: torch.Tensor, captions: Sequence[str], **training: Any
) -> None:
    """Teaches the decoder to write a caption for each picture; the vision encoder stays as it is.

    Args:
        model, processor: a captioner whose decoder is changed, and its processor.
        pixels: uint8, (pictures, 3, height, width).
        captions: one for each picture.
        training: steps, highest, seed and bar, as `learn` takes them.
    """
    vision_encoder_of(model).requires_grad_(False)
    collate, tokens = CaptionCollator(processor), tokenizer_of(processor)(list(captions)).input_ids

    def loss_of(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        pairs = zip(moved(pixels[rows], rng), rows, strict=True)
        return caption_loss(model, collate([{"pixels": picture, "input_ids": tokens[row]} for picture, row in pairs]))

    learn(model, loss_of, len(pixels), **training)
