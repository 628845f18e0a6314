"""Compares a stock transformers Trainer with ours, and the popular recipe beside them: speed, memory, bf16, beams.

`python -m benchmarks.compare` measures at git-base's shape (random weights) and with git-tiny, and writes a table, with
every repeat, to benchmarks/results/recipes.json. A repeat takes each recipe in turn, on the same pictures; the order
turns round from one repeat to the next, and the first step of each is thrown away. A ratio is the median of paired
repeats. It takes a quarter of an hour on two cores, 18 GB of memory, and Linux, which tells a process the most memory
that it ever held. `--repeats 1` is a trial.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks.git_base import git_base
from benchmarks.pairs import Ask, in_turn, spread, worker
from benchmarks.recipes import EVALUATED, RECIPES, SHAPES, clock, matrix_speed, pictures
from helpers.device import best_device, choose_precision, cpu_has_bf16, device_name
from helpers.inference import pictures_read_once
from helpers.notebook import start
from helpers.settings import Settings
from helpers.transforms import normalized_pixels, picture_pixels
from tools.machine import keep, processor_name

REPEATS = 5
BEAMS, LENGTHS = 4, (10, 20, 40)  # new tokens of a caption
CAPTIONED = 2  # pictures at a time with beams; without, all that are evaluated
COLUMNS = {"popular": "popular recipe", "stock": "stock, padded to the longest", "ours": "ours"}


def bf16_is_fast() -> bool:
    """Whether the device multiplies bf16 by itself; where it does not, bf16 is left out."""
    return choose_precision() == "bf16" if torch.cuda.is_available() else cpu_has_bf16()


def several(ask: Ask, steps: int, batch: int) -> dict[str, float]:
    """A repeat: the means of so many steps, with what follows from them."""
    asked = [ask() for _ in range(steps)]
    means = {part: statistics.fmean(step[part] for step in asked) for part in asked[0]}
    share = means["operations"] / means["step"] / 1e9 / means["matrix"]
    outside = 1 - (means["model"] + means["optimizer"]) / means["step"]
    return means | {"pictures_a_second": batch / means["step"], "share": share, "outside": outside}


def trained(name: str, recipes: Sequence[tuple[str, str]], repeats: int) -> dict[str, Any]:
    """Everything about training a shape: the repeats of each recipe and precision, ratios to stock in fp32, memory."""
    shape = SHAPES[name]
    with ExitStack() as stack:
        first = {
            recipe if precision == "fp32" else f"{recipe} {precision}": stack.enter_context(
                worker(name, recipe, precision)
            )
            for recipe, precision in recipes
        }
        asks = {recipe: partial(several, ask, shape.steps, shape.batch) for recipe, ask in first.items()}
        found = in_turn(asks, repeats, f"{name}, {', '.join(asks)}", first)
    steps = {recipe: [each["step"] for each in found[recipe]] for recipe in found}
    return {
        "batch": shape.batch,
        "repeats": found,
        "speed": {recipe: spread(steps["stock"], steps[recipe]) for recipe in steps},  # against stock in fp32
        "megabytes": {recipe: max(each["megabytes"] for each in found[recipe]) for recipe in found},
    }


def saying(
    model: PreTrainedModel, pixels: torch.Tensor, reading: Callable[[], AbstractContextManager], beams: int, length: int
) -> tuple[float, torch.Tensor]:
    """Seconds that `generate` takes for captions of so many new tokens, and the captions."""
    began = clock()
    with torch.inference_mode(), reading():
        said = model.generate(
            pixel_values=pixels, num_beams=beams, do_sample=False, max_new_tokens=length, min_new_tokens=length
        )
    return clock() - began, said


def captioning(model: PreTrainedModel, pixels: torch.Tensor, length: int, repeats: int = REPEATS) -> dict[str, Any]:
    """Seconds with beams, of `generate` as it is and with each picture read once; the captions are identical."""
    ways = {"stock": nullcontext, "ours": lambda: pictures_read_once(model, BEAMS)}
    asks = {name: partial(saying, model, pixels, reading, BEAMS, length) for name, reading in ways.items()}
    found = in_turn(asks, repeats, f"captions of {length} tokens with {BEAMS} beams")
    if not all(torch.equal(theirs[1], own[1]) for theirs, own in zip(*found.values(), strict=True)):
        raise AssertionError("The two ways say different captions.")
    seconds = {name: [each[0] for each in found[name]] for name in found}
    return {"length": length, "pictures": len(pixels), "seconds": seconds, "speed": spread(*seconds.values())}


def greedily(model: PreTrainedModel, pixels: torch.Tensor, bf16: bool, repeats: int = REPEATS) -> dict[str, Any]:
    """Seconds of greedy captions: `generate` in fp32, where ours does the same, and ours with weights in bf16."""
    models = {"stock": (model, pixels)}
    if bf16:
        models["ours bf16"] = (git_base([])[0].to(model.device, torch.bfloat16), pixels.bfloat16())
    asks = {name: partial(saying, *each, nullcontext, 1, LENGTHS[1]) for name, each in models.items()}
    found = in_turn(asks, repeats, f"greedy captions of {LENGTHS[1]} tokens")
    seconds = {name: [each[0] for each in found[name]] for name in found}
    speed = {name: spread(seconds["stock"], seconds[name]) for name in seconds}
    return {"length": LENGTHS[1], "pictures": len(pixels), "seconds": seconds, "speed": speed}


def times(ratio: Mapping[str, float]) -> str:
    """A ratio as it stands in the table."""
    return "{median:.2f} ({min:.2f} to {max:.2f})".format(**ratio)


def said_a_second(result: Mapping[str, Any], way: str) -> float:
    """Captions a second, by the median of the seconds."""
    return result["pictures"] / statistics.median(result["seconds"][way])


def rows_of(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """The table that is printed and shown: one row per quantity, each recipe, and ours against stock."""

    def row(what: str, values: Mapping[str, float], form: str, ratio: str = "") -> dict[str, str]:
        cells = {title: form.format(values[name]) if name in values else "" for name, title in COLUMNS.items()}
        return {"": what, **cells, "ours against stock": ratio}

    def middle(repeats: Mapping[str, list], part: str, mark: str = "") -> dict[str, float]:
        found = {name: repeats.get(f"{name}{mark}", []) for name in COLUMNS}
        return {name: statistics.median(each[part] for each in found[name]) for name in found if found[name]}

    rows = []
    for name, result in results["training"].items():
        repeats, speed = result["repeats"], times(result["speed"]["ours"])
        memory = {recipe: megabytes / 1000 for recipe, megabytes in result["megabytes"].items()}
        operations = {recipe: count / 1e9 for recipe, count in middle(repeats, "operations").items()}
        fewer = operations["stock"] / operations["ours"]
        rows += [
            row(f"{name}: seconds a step", middle(repeats, "step"), "{:.2f}", speed),
            row(f"{name}: pictures a second", middle(repeats, "pictures_a_second"), "{:.2f}", speed),
            row(f"{name}: billion operations a step", operations, "{:,.0f}", f"{fewer:.2f}"),
            row(f"{name}: share of a matrix product's speed", middle(repeats, "share"), "{:.0%}"),
            row(f"{name}: outside the model", middle(repeats, "outside"), "{:.1%}"),
            row(f"{name}: memory, GB", memory, "{:.1f}", f"{memory['stock'] / memory['ours']:.2f}"),
        ]
    for name, bf16 in results["bf16"].items():
        repeats = bf16["repeats"]
        pair = [[each["step"] for each in repeats[recipe]] for recipe in ("stock bf16", "ours bf16")]
        fast, slow = (middle(repeats, "pictures_a_second", mark) for mark in (" bf16", ""))
        mixed = {"stock": slow["stock"], "ours": fast["ours"]}
        what = f"{name}: pictures a second, stock in fp32, ours in bf16"
        rows += [
            row(f"{name}: pictures a second, both in bf16", fast, "{:.2f}", times(spread(*pair))),
            row(what, mixed, "{:.2f}", times(bf16["speed"]["ours bf16"])),
            row(f"{name}: share of a matrix product's speed in bf16", middle(repeats, "share", " bf16"), "{:.0%}"),
        ]
    if not results["bf16"]:
        rows.append(row("bf16 is left out: this device has no instructions for it", {}, ""))
    speeds = ", ".join(f"{each:,.0f} in {kind}" for kind, each in results["matrix"].items())
    rows.append(row(f"matrix product, GFLOP/s: {speeds}", {}, ""))
    greedy = results["greedy"]
    for name, speed in greedy["speed"].items():
        said = {"stock": said_a_second(greedy, "stock"), "ours": said_a_second(greedy, name)}
        how = "" if name == "stock" else ", stock in fp32, ours in bf16"
        ratio = "the same" if name == "stock" else times(speed)
        rows.append(row(f"git-base: greedy captions a second, {greedy['length']} tokens{how}", said, "{:.2f}", ratio))
    for beams in results["beams"]:
        said = {name: said_a_second(beams, name) for name in beams["seconds"]}
        what = f"git-base: captions a second, {BEAMS} beams, {beams['length']} tokens"
        rows.append(row(what, said, "{:.2f}", times(beams["speed"])))
    kept = results["evaluation"]
    what = f"git-base: memory that an evaluation of {EVALUATED} pictures adds, MB"
    rows.append(row(what, kept, "{:,.0f}", f"{kept['stock'] / kept['ours']:.2f}"))
    what = f"a ratio is the median of {results['repeats']} paired repeats (lowest to highest), not the ratio of medians"
    return [*rows, row(what, {}, "")]


def machine() -> str:
    """Where this was measured, in words."""
    return (
        f"{processor_name()}, {len(os.sched_getaffinity(0))} cores; {device_name()}; "
        f"torch {version('torch')}, transformers {version('transformers')}"
    )


def measure(repeats: int = REPEATS) -> dict[str, Any]:
    """Everything, as it is written."""
    fast = bf16_is_fast()
    precisions = ("fp32", "bf16") if fast else ("fp32",)
    all_three = [(recipe, "fp32") for recipe in RECIPES]
    results: dict[str, Any] = {"machine": machine(), "repeats": repeats}
    results["training"] = {name: trained(name, all_three, repeats) for name in SHAPES}
    in_bf16 = [("stock", "fp32"), ("stock", "bf16"), ("ours", "bf16")]
    results["bf16"] = {name: trained(name, in_bf16, repeats) for name in SHAPES if fast}
    results["evaluation"] = {}
    for recipe in RECIPES:
        with worker("git-base", recipe, what="evaluate") as ask:
            results["evaluation"][recipe] = ask()["megabytes"]
    dataset = pictures()
    model, processor = git_base(dataset["train"]["captions"])
    pixels = normalized_pixels(picture_pixels(dataset["validation"][:]["image"], processor), processor)
    model, pixels = model.to(best_device()), pixels.to(best_device())
    results["greedy"] = greedily(model, pixels, fast, repeats)
    results["beams"] = [captioning(model, pixels[:CAPTIONED], length, repeats) for length in LENGTHS]
    results["matrix"] = {precision: matrix_speed(precision) for precision in precisions}
    return results | {"table": rows_of(results)}


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each pair; fewer are a trial")
    asked = parser.parse_args(arguments)
    start(Settings.full())
    results = measure(asked.repeats)
    print(results["machine"])
    for row in results["table"]:
        print("{:<75} {:>14} {:>28} {:>8} {:>24}".format(*row.values()))
    keep("recipes", results)


if __name__ == "__main__":
    main(sys.argv[1:])
