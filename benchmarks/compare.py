"""Compares the popular recipe with ours: training, the bytes of an evaluation, captions with beams.

`python -m benchmarks.compare` runs both in turn, on the same pictures and seed, at git-base's shape (random weights)
and with git-tiny; prints a table and writes it, with every repeat, to benchmarks/results/recipes.json. Needs Linux,
which tells a process the most memory that it ever held.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks.git_base import git_base
from benchmarks.recipes import RECIPES, SHAPES, clock, pictures
from helpers.device import best_device, device_name
from helpers.families import picture_tokens, tokenizer_of
from helpers.inference import pictures_read_once
from helpers.notebook import start
from helpers.paths import ROOT
from helpers.settings import Settings
from helpers.transforms import normalized_pixels, picture_pixels
from tools.machine import keep, processor_name

REPEATS, EVALUATED = 3, 1000
BEAMS, NEW_TOKENS, CAPTIONED = 4, 20, 4
BYTES_A_LOGIT, BYTES_AN_ID = 4, 8


def in_a_process(name: str, recipe: str, repeat: int) -> dict[str, float]:
    """`one_repeat` in a process of its own, where the memory of the other recipe cannot slow it."""
    command = [sys.executable, "-m", "benchmarks.recipes", name, recipe, str(repeat)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def side_by_side(
    name: str, repeats: int = REPEATS, ask: Callable[..., dict[str, float]] = in_a_process
) -> dict[str, list[dict[str, float]]]:
    """Both recipes in turn: for each, what `one_repeat` gave each time."""
    asked = [(recipe, ask(name, recipe, repeat)) for repeat in range(repeats) for recipe in RECIPES]
    return {recipe: [each for other, each in asked if other == recipe] for recipe in RECIPES}


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
        captions = []
        for name, reading in {"popular": nullcontext(), "ours": pictures_read_once(model, num_beams)}.items():
            began = clock()
            with torch.inference_mode(), reading:
                captions.append(
                    model.generate(pixel_values=pixel_values, num_beams=num_beams, do_sample=False, **length)
                )
            seconds[name].append(clock() - began)
        if not torch.equal(*captions):
            raise AssertionError("The two ways say different captions.")
    return seconds


def spread(popular: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """How many times as much the popular recipe takes: min, median and max over repeats."""
    ratios = [theirs / own for theirs, own in zip(popular, ours, strict=True)]
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}


def trained(name: str) -> dict[str, Any]:
    """Everything about training a shape: each recipe's repeats and memory, and the ratios."""
    repeats = side_by_side(name)
    steps = [[each["step"] for each in repeats[recipe]] for recipe in RECIPES]
    megabytes = {recipe: statistics.median(each["megabytes"] for each in repeats[recipe]) for recipe in RECIPES}
    return {"batch": SHAPES[name].batch, "repeats": repeats, "speed": spread(*steps), "megabytes": megabytes}


def rows_of(results: dict[str, Any]) -> list[dict[str, str]]:
    """The table that is printed and shown: one row per quantity, with both recipes and how many times as much."""

    def row(what: str, pair: Sequence[float], form: str, ratio: dict[str, float] | str = "") -> dict[str, str]:
        times = ratio if isinstance(ratio, str) else "{median:.1f} ({min:.1f} to {max:.1f})".format(**ratio)
        return {"": what, "popular recipe": form.format(pair[0]), "ours": form.format(pair[1]), "ratio": times}

    rows = []
    for name, result in results["training"].items():
        middle = {
            part: [statistics.median(each[part] for each in result["repeats"][recipe]) for recipe in RECIPES]
            for part in result["repeats"]["ours"][0]
        }
        memories = [result["megabytes"][recipe] / 1000 for recipe in RECIPES]
        rows += [
            row(f"{name}: seconds a step", middle["step"], "{:.2f}", result["speed"]),
            row(f"{name}: pictures a second", middle["pictures_a_second"], "{:.2f}", result["speed"]),
            row(f"{name}: outside the model", middle["outside"], "{:.1%}"),
            row(f"{name}: memory, GB", memories, "{:.1f}", f"{memories[0] / memories[1]:.1f}"),
        ]
    kept = [results["evaluation"][recipe] / 1e6 for recipe in RECIPES]
    seconds = [statistics.median(results["generation"]["seconds"][recipe]) for recipe in RECIPES]
    what = f"git-base: {CAPTIONED} captions with {BEAMS} beams, seconds"
    return [
        *rows,
        row(f"git-base: evaluating {EVALUATED:,} pictures, MB kept", kept, "{:,.1f}", f"{kept[0] / kept[1]:,.0f}"),
        row(what, seconds, "{:.2f}", results["generation"]["speed"]),
    ]


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
    """Measures, prints and writes."""
    start(Settings.full())
    results = measure()
    print(results["machine"])
    for row in results["table"]:
        print("{:<50} {:>14} {:>14} {:>22}".format(*row.values()))
    keep("recipes", results)


if __name__ == "__main__":
    main()
