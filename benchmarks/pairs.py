"""Measurements in pairs: recipes in processes of their own, asked in turn, and the ratio of each pair."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tqdm.auto import tqdm

from helpers.paths import ROOT

Ask = Callable[[], dict[str, float]]


@contextmanager
def worker(name: str, recipe: str, precision: str = "fp32", what: str = "train") -> Iterator[Ask]:
    """A recipe in a process of its own, where no other is in its memory: each call gives what its next step took."""
    command = [sys.executable, "-m", "benchmarks.recipes", name, recipe, precision, what]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask() -> dict[str, float]:
        with suppress(BrokenPipeError):  # of one that stopped, which gives no answer
            print(file=process.stdin, flush=True)
        if not (line := process.stdout.readline()):
            raise RuntimeError(f"The recipe {recipe} at the shape {name} stopped; what it said stands above.")
        return json.loads(line)

    try:
        yield ask
    finally:
        process.kill()
        with suppress(BrokenPipeError):
            process.communicate()


def in_turn(
    asks: Mapping[str, Callable[[], Any]], repeats: int, title: str = "", first: Mapping[str, Callable[[], Any]] = {}
) -> dict[str, list[Any]]:
    """Asks each in turn, the order turned round from one repeat to the next.

    Args:
        asks: name → what gives a measurement.
        repeats: how many are kept of each.
        title: of the progress bar, or "" for none.
        first: what is called before, and thrown away, where that is not `asks`.
    """
    found: dict[str, list[Any]] = {name: [] for name in asks}
    for repeat in tqdm(range(repeats + 1), desc=title, disable=not title, unit="repeat"):
        for name in list(asks)[:: -1 if repeat % 2 else 1]:
            if repeat:
                found[name].append(asks[name]())
            else:
                first.get(name, asks[name])()
    return found


def spread(theirs: Sequence[float], own: Sequence[float]) -> dict[str, float]:
    """How many times as much they take, of each pair: min, median and max over repeats."""
    ratios = [other / each for other, each in zip(theirs, own, strict=True)]
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}
