"""Scores captions that were written down, from the captions alone: `python -m tools.rescore docs/fresh.jsonl.gz`."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.creatures import ATTRIBUTES, captions_of, creature_of
from helpers.metrics import score


def read_captions(file: Path) -> tuple[dict[str, Any], list[str], dict[str, list[str]]]:
    """What `tools.fresh` wrote: about the split, the creatures' keys, and name → a caption for each picture."""
    about, *rows = map(json.loads, gzip.decompress(file.read_bytes()).decode().splitlines())
    return about, [row["key"] for row in rows], {name: [row[name] for row in rows] for name in rows[0] if name != "key"}


def rescored(file: Path, measure: Callable = score) -> dict[str, dict[str, Any]]:
    """Name → metric → each system's score, with its interval by `score`, without by `caption_metrics`."""
    _, keys, by_system = read_captions(file)
    creatures = [creature_of(key) for key in keys]
    truth = {name: [creature[name] for creature in creatures] for name in ATTRIBUTES}
    references = [captions_of(creature) for creature in creatures]
    return {name: measure(captions, references, attributes=truth) for name, captions in by_system.items()}


if __name__ == "__main__":
    for name, scores in rescored(Path(sys.argv[1])).items():
        print(name, json.dumps({metric: round(score["value"], 4) for metric, score in scores.items()}))
