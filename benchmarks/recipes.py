"""The popular recipe beside ours: training, the bytes of an evaluation, captions with beams.

`python -m benchmarks.recipes` runs both in turn, on the same pictures and seed, at git-base's shape (random weights)
and with git-tiny; prints a table and writes it, with every repeat, to benchmarks/results/recipes.json. The popular
recipe is that of the guide most people follow: each caption padded to the tokenizer's limit, labels and the vocabulary
head everywhere, each picture read and resized anew each time, AdamW as torch makes it, every logit of an evaluation
kept. Ours is a CaptionTrainer's: its batches, its loss, its optimizer. Pictures that it prepares once, before the
first step, are not timed. Nothing is frozen in either. Needs Linux, as metrics_speed does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import torch
from datasets import DatasetDict
from datasets.utils.logging import disable_progress_bar
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel
from transformers.utils import logging

from benchmarks.git_base import git_base
from helpers.data import load_captions
from helpers.device import best_device, device_name
from helpers.families import load_checkpoint, picture_tokens, tokenizer_of
from helpers.inference import pictures_read_once
from helpers.paths import ROOT
from helpers.settings import Settings
from helpers.training import CaptionTrainer, caption_loss
from helpers.transforms import normalized_pixels, picture_pixels
from tools.machine import keep, memory, processor_name

REPEATS, PICTURES, EVALUATED = 3, 256, 1000
BEAMS, NEW_TOKENS, CAPTIONED = 4, 20, 4
BYTES_A_LOGIT, BYTES_AN_ID = 4, 8


@dataclass(frozen=True)
class Shape:
    """A model to measure with.

    Attributes:
        load: gives the model and its processor, given the captions of each picture.
        batch: pictures a step.
        steps: steps that are timed together.
    """

    load: Callable[[Iterable[Sequence[str]]], tuple[PreTrainedModel, Any]]
    batch: int
    steps: int


SHAPES = {
    "git-base": Shape(git_base, batch=4, steps=2),
    "git-tiny": Shape(lambda _: load_checkpoint("models/git-tiny"), batch=32, steps=4),
}


class Recipe:
    """A way to train, one step at a time.

    Args:
        model: is trained, on the best device that there is.
        batch: makes a batch of the rows of these numbers.
        loss: of the model on a batch.
        optimizer: makes the optimizer of a model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        batch: Callable[[list[int]], dict[str, torch.Tensor]],
        loss: Callable[[PreTrainedModel, dict[str, torch.Tensor]], torch.Tensor],
        optimizer: Callable[[PreTrainedModel], torch.optim.Optimizer],
    ):
        self.model, self.batch, self.loss = model.to(best_device()).train(), batch, loss
        self.optimizer = optimizer(self.model)

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
        parts = [after - before for before, after in pairwise(times)]
        return dict(zip(("batch", "model", "optimizer"), parts, strict=True)) | {"loss": loss.item()}


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
    return Recipe(
        model,
        batch=lambda rows: train[rows],
        loss=lambda model, batch: model(**batch, labels=batch["input_ids"]).loss,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=5e-5),
    )


def ours(model: PreTrainedModel, processor: Any, dataset: DatasetDict) -> Recipe:
    """Our recipe, taken from a CaptionTrainer."""
    trainer = CaptionTrainer(model, processor, dataset, Settings.full())
    return Recipe(
        model,
        batch=lambda rows: trainer.data_collator(trainer.train_dataset.__getitems__(rows)),
        loss=caption_loss,
        optimizer=lambda model: trainer.create_optimizer(),
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
        neither model nor optimizer), loss, operations (multiplications and additions of the model in a step, as torch
        counts them) and megabytes (the most that this process ever held, or the GPU where there is one).
    """
    made = RECIPES[recipe](*shape.load(dataset["train"]["captions"]), dataset)
    first, *rows = batches(len(dataset["train"]), shape.batch)
    with FlopCounterMode(display=False) as counter:
        made.step(first)
    chosen = [rows[(repeat * shape.steps + i) % len(rows)] for i in range(shape.steps)]
    began = clock()
    steps = [made.step(each) for each in chosen]
    seconds = (clock() - began) / shape.steps
    parts = {part: statistics.mean(step[part] for step in steps) for part in steps[0]}
    return parts | {
        "step": seconds,
        "pictures_a_second": shape.batch / seconds,
        "outside": 1 - (parts["model"] + parts["optimizer"]) / seconds,
        "operations": counter.get_total_flops(),
        "megabytes": torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else memory("VmHWM"),
    }


def in_a_process(name: str, recipe: str, repeat: int) -> dict[str, float]:
    """`one_repeat` in a process of its own, where the memory of the other recipe cannot slow it."""
    command = [sys.executable, "-m", "benchmarks.recipes", "--one", name, recipe, str(repeat)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def side_by_side(
    name: str, repeats: int = REPEATS, ask: Callable[..., dict[str, float]] = in_a_process
) -> dict[str, list[dict[str, float]]]:
    """Both recipes in turn: for each, what `one_repeat` gave each time."""
    found: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in RECIPES}
    for repeat in range(repeats):
        for recipe in RECIPES:
            found[recipe].append(ask(name, recipe, repeat))
    return found


def evaluation_bytes(
    model: PreTrainedModel, *, pictures: int, caption_tokens: int, padded_tokens: int, max_new_tokens: int
) -> dict[str, int]:
    """What an evaluation keeps until it is scored, counted from shapes.

    Args:
        model: a GIT, whose logits cover the picture's positions too.
        pictures: how many are evaluated.
        caption_tokens: of the longest caption, to which our labels are padded.
        padded_tokens: to which the popular recipe pads.
        max_new_tokens: the most that are generated of a caption, after its start token.

    Returns:
        Bytes of the popular recipe (logits and labels of every position) and of ours (token ids and labels).
    """
    positions = picture_tokens(model) + padded_tokens
    logits = positions * model.config.vocab_size * BYTES_A_LOGIT
    return {
        "popular": pictures * (logits + padded_tokens * BYTES_AN_ID),
        "ours": pictures * (1 + max_new_tokens + caption_tokens) * BYTES_AN_ID,
    }


def captioning(
    model: PreTrainedModel, pixel_values: torch.Tensor, *, num_beams: int = BEAMS, repeats: int = REPEATS
) -> dict[str, list[float]]:
    """Seconds that `generate` takes, as it is and with each picture read once, in turn; the captions are identical."""
    seconds: dict[str, list[float]] = {"popular": [], "ours": []}
    length = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
    for _ in range(repeats):
        said = []
        for name, reading in {"popular": nullcontext(), "ours": pictures_read_once(model, num_beams)}.items():
            began = clock()
            with torch.inference_mode(), reading:
                said.append(model.generate(pixel_values=pixel_values, num_beams=num_beams, do_sample=False, **length))
            seconds[name].append(clock() - began)
        if not torch.equal(*said):
            raise AssertionError("The two ways say different captions.")
    return seconds


def spread(popular: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """How many times as much the popular recipe takes: min, median and max over repeats."""
    ratios = [theirs / own for theirs, own in zip(popular, ours, strict=True)]
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}


def pictures() -> DatasetDict:
    """What is trained on: the first pictures of Pocket Creatures."""
    dataset = load_captions("data/pocket-creatures")
    return DatasetDict(train=dataset["train"].select(range(PICTURES)), validation=dataset["validation"].select([0]))


def trained(name: str) -> dict[str, Any]:
    """Everything about training a shape: each recipe's repeats and memory, and the ratios."""
    found = side_by_side(name)
    steps = [[repeat["step"] for repeat in found[recipe]] for recipe in RECIPES]
    megabytes = {recipe: statistics.median(repeat["megabytes"] for repeat in found[recipe]) for recipe in RECIPES}
    return {"batch": SHAPES[name].batch, "repeats": found, "speed": spread(*steps), "megabytes": megabytes}


def rows_of(found: dict[str, Any]) -> list[dict[str, str]]:
    """The table that is printed and shown: a row a quantity, with both recipes and how many times as much."""

    def row(what: str, pair: Sequence[float], form: str, times: str) -> dict[str, str]:
        return {"": what, "popular recipe": form.format(pair[0]), "ours": form.format(pair[1]), "ratio": times}

    def times(ratio: dict[str, float]) -> str:
        return f"{ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})"

    rows = []
    for name, result in found["training"].items():
        middle = {
            part: [statistics.median(each[part] for each in result["repeats"][recipe]) for recipe in RECIPES]
            for part in result["repeats"]["ours"][0]
        }
        memories = [result["megabytes"][recipe] / 1000 for recipe in RECIPES]
        rows += [
            row(f"{name}: seconds a step", middle["step"], "{:.2f}", times(result["speed"])),
            row(f"{name}: pictures a second", middle["pictures_a_second"], "{:.2f}", times(result["speed"])),
            row(f"{name}: outside the model", middle["outside"], "{:.1%}", ""),
            row(f"{name}: memory, GB", memories, "{:.1f}", f"{memories[0] / memories[1]:.1f}"),
        ]
    kept = [found["evaluation"][recipe] / 1e6 for recipe in RECIPES]
    rows.append(
        row(f"git-base: evaluating {EVALUATED:,} pictures, MB kept", kept, "{:,.1f}", f"{kept[0] / kept[1]:,.0f}")
    )
    seconds = [statistics.median(found["generation"]["seconds"][recipe]) for recipe in RECIPES]
    what = f"git-base: {CAPTIONED} captions with {BEAMS} beams, seconds"
    return [*rows, row(what, seconds, "{:.2f}", times(found["generation"]["speed"]))]


def machine() -> str:
    """Where this was measured, in words."""
    return (
        f"{processor_name()}, {len(os.sched_getaffinity(0))} cores; {device_name()}; "
        f"torch {version('torch')}, transformers {version('transformers')}"
    )


def measure() -> dict[str, Any]:
    """Everything, as it is written."""
    dataset = pictures()
    results: dict[str, Any] = {"machine": machine(), "training": {name: trained(name) for name in SHAPES}}
    model, processor = git_base(dataset["train"]["captions"])
    tokenizer = tokenizer_of(processor)
    results["evaluation"] = evaluation_bytes(
        model,
        pictures=EVALUATED,
        caption_tokens=max(len(tokenizer(captions[0]).input_ids) for captions in dataset["train"]["captions"]),
        padded_tokens=tokenizer.model_max_length,
        max_new_tokens=Settings.full().max_new_tokens,
    )
    pixels = normalized_pixels(picture_pixels(dataset["train"][:CAPTIONED]["image"], processor), processor)
    seconds = captioning(model.to(best_device()), pixels.to(best_device()))
    results["generation"] = {"seconds": seconds, "speed": spread(*seconds.values())}
    return results | {"table": rows_of(results)}


def main() -> None:
    """Measures, prints and writes; or, in a process of its own, makes one repeat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args().one
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CAPTIONING_ARTIFACTS"] = folder
        if asked:
            name, recipe, repeat = asked
            print(json.dumps(one_repeat(SHAPES[name], recipe, pictures(), int(repeat))))
            return
        results = measure()
    print(results["machine"])
    for row in results["table"]:
        print("{:<50} {:>14} {:>14} {:>22}".format(*row.values()))
    keep("recipes", results)


if __name__ == "__main__":
    main()
