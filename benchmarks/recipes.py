"""The popular recipe of a training beside ours: a step of each, timed in a process of its own.

The popular recipe is that of the guide most people follow: each caption padded to the tokenizer's limit, labels and the
vocabulary head everywhere, each picture read and resized anew each time, AdamW as torch makes it, every logit of an
evaluation kept. Ours is a CaptionTrainer's: its batches, its loss, its optimizer. Pictures that it prepares once,
before the first step, are not timed. Nothing is frozen in either.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from datasets import DatasetDict
from transformers import PreTrainedModel

from benchmarks.git_base import git_base
from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.notebook import start
from helpers.settings import Settings
from helpers.training import CaptionTrainer, caption_loss
from tools.machine import memory

PICTURES = 256


class Shape(NamedTuple):
    """A model to measure with."""

    load: Callable[[Iterable[Sequence[str]]], tuple[PreTrainedModel, Any]]  # captions of each picture → with processor
    batch: int  # pictures a step
    steps: int  # that are timed together


SHAPES = {
    "git-base": Shape(git_base, batch=4, steps=2),
    "git-tiny": Shape(lambda _: load_checkpoint("models/git-tiny"), batch=32, steps=4),
}


class Recipe:
    """A way to train, one step at a time.

    Args:
        model: is trained, on the best device that there is.
        batch: row numbers → the batch of these rows.
        loss: model, batch → its loss.
        optimizer: of the model.
    """

    def __init__(self, model: PreTrainedModel, batch: Callable, loss: Callable, optimizer: torch.optim.Optimizer):
        self.model, self.batch, self.loss, self.optimizer = model.train(), batch, loss, optimizer

    def step(self, rows: list[int]) -> dict[str, float]:
        """One step: seconds to make the batch, in forward and backward, in the optimizer; the loss before it."""
        times = [clock()]
        batch = {name: value.to(self.model.device) for name, value in self.batch(rows).items()}
        times.append(clock())
        loss = self.loss(self.model, batch)
        loss.backward()
        times.append(clock())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)  # as the Trainer does
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(clock())
        parts = zip(("batch", "model", "optimizer"), pairwise(times), strict=True)
        return {part: after - before for part, (before, after) in parts} | {"loss": loss.item()}


def clock() -> float:
    """Seconds, when everything asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def popular(model: PreTrainedModel, processor: Any, dataset: DatasetDict) -> Recipe:
    """The popular recipe: the processor on each row, each time, and the model's own loss."""

    def prepare(rows: dict[str, list]) -> dict[str, torch.Tensor]:
        texts = [captions[0] for captions in rows["captions"]]
        return processor(images=rows["image"], text=texts, padding="max_length", return_tensors="pt")

    train = dataset["train"].with_transform(prepare)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
    return Recipe(
        model, train.__getitem__, lambda model, batch: model(**batch, labels=batch["input_ids"]).loss, optimizer
    )


def ours(model: PreTrainedModel, processor: Any, dataset: DatasetDict) -> Recipe:
    """Our recipe, taken from a CaptionTrainer."""
    trainer = CaptionTrainer(model, processor, dataset, Settings.full())
    rows = trainer.train_dataset
    return Recipe(
        model, lambda i: trainer.data_collator(rows.__getitems__(i)), caption_loss, trainer.create_optimizer()
    )


RECIPES = {"popular": popular, "ours": ours}


def batches(pictures: int, size: int, seed: int = 0) -> list[list[int]]:
    """The rows of each step, the same for both recipes."""
    order = torch.randperm(pictures, generator=torch.Generator().manual_seed(seed)).tolist()
    return [order[start : start + size] for start in range(0, pictures - size + 1, size)]


def one_repeat(shape: Shape, recipe: str, dataset: DatasetDict, repeat: int = 0) -> dict[str, float]:
    """One recipe in this process, after a step that is not timed.

    Args:
        shape: what is trained.
        recipe: the name of one.
        dataset: with the splits train and validation.
        repeat: its number, from 0; each takes other pictures.

    Returns:
        batch, model, optimizer and step (seconds a step), pictures_a_second, outside (the share of a step that is
        neither model nor optimizer), loss, and megabytes (the most that this process ever held).
    """
    made = RECIPES[recipe](*shape.load(dataset["train"]["captions"]), dataset)
    first, *rows = batches(len(dataset["train"]), shape.batch)
    made.step(first)
    began = clock()
    steps = [made.step(rows[(repeat * shape.steps + i) % len(rows)]) for i in range(shape.steps)]
    seconds = (clock() - began) / shape.steps
    parts = {part: statistics.mean(step[part] for step in steps) for part in steps[0]}
    speed = {"step": seconds, "pictures_a_second": shape.batch / seconds, "megabytes": memory("VmHWM")}
    return parts | speed | {"outside": 1 - (parts["model"] + parts["optimizer"]) / seconds}


def pictures() -> DatasetDict:
    """What is trained on: the first pictures of Pocket Creatures."""
    dataset = load_captions("data/pocket-creatures")
    return DatasetDict(train=dataset["train"].select(range(PICTURES)), validation=dataset["validation"].select([0]))


if __name__ == "__main__":
    name, recipe, repeat = sys.argv[1:]
    start(Settings.full())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CAPTIONING_ARTIFACTS"] = folder
        print(json.dumps(one_repeat(SHAPES[name], recipe, pictures(), int(repeat))))
