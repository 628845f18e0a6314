"""How much memory loading and preparing 1,000 and 20,000 small pictures takes.

`python -m benchmarks.data_memory` makes two folders of pictures with a metadata.csv, loads and prepares each in a
process of its own, prints the most memory that each process held and their ratio, and writes them to
benchmarks/results/data_memory.json. Needs Linux, which tells a process the most memory that it ever held.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.paths import ROOT
from helpers.transforms import prepare_pictures
from tools.machine import keep, memory

FEW, MANY, SIDE, CAPTIONS = 1_000, 20_000, 32, 2


def make(folder: Path, pictures: int) -> None:
    """A folder of random pictures, uncompressed, which is quick, and a metadata.csv with captions of 15 words."""
    folder.mkdir()
    drawn = np.random.default_rng(pictures)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", *(f"caption_{i}" for i in range(CAPTIONS))])
        for i in range(pictures):
            name = f"{i:05}.bmp"
            # 8 x 8 blocks, so that no two look alike and all are of few colors.
            blocks = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(SIDE // 8, 0).repeat(SIDE // 8, 1)
            Image.fromarray(blocks).save(folder / name)
            words = " ".join(f"word{drawn.integers(1000)}" for _ in range(14))
            table.writerow([name, *(f"{number} {words}" for number in range(CAPTIONS))])


def load(folder: str) -> dict[str, float]:
    """Loads and prepares a folder, and says what that took."""
    imports, began = memory("VmRSS"), time.perf_counter()
    _, processor = load_checkpoint("models/git-tiny")
    splits = load_captions(folder)
    prepared = [prepare_pictures(split, processor) for split in splits.values()]
    return {
        "pictures": sum(map(len, prepared)),
        "seconds": time.perf_counter() - began,
        "megabytes_peak": memory("VmHWM"),
        "megabytes_imports": imports,
    }


def measured(pictures: int) -> dict[str, float]:
    """What loading that many pictures takes, in a process of its own and with nothing in its caches."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "pictures", pictures)
        command = [sys.executable, "-m", "benchmarks.data_memory", f"{folder}/pictures"]
        environment = {**os.environ, "HF_DATASETS_CACHE": f"{folder}/cache", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    """Measures, prints and writes."""
    runs = {str(pictures): measured(pictures) for pictures in (FEW, MANY)}
    ratio = runs[str(MANY)]["megabytes_peak"] / runs[str(FEW)]["megabytes_peak"]
    for pictures, values in runs.items():
        print(f"{pictures} pictures: {values['megabytes_peak']:.0f} MB at most, {values['seconds']:.0f} s")
    print(f"ratio {ratio:.2f}")
    keep("data_memory", {"runs": runs, "ratio": ratio})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(load(sys.argv[1])))
    else:
        main()
