"""Loading a captioned folder beside decoding its pictures once with Pillow: seconds, memory, what each part takes.

`python -m benchmarks.reading` makes 20,000 JPEG pictures of 512 pixels (or as many as its argument says) and a table of
captions, times both in turn, each in a process of its own, prints their ratio and writes it to
benchmarks/results/reading.json. Both use a thread for each core. Loading also checks captions, looks for copies and
divides; a second loading decodes nothing. Needs Linux, which tells a process the most memory that it ever held.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.data import load_captions
from helpers.paths import ROOT
from tools.machine import keep, memory, processor_name

PICTURES, SIDE, REPEATS = 20_000, 512, 3


def make(folder: Path, count: int) -> None:
    """Writes pictures of 40 to 80 kB, no two alike, and a table with a caption for each."""
    chance = np.random.default_rng(0)
    bases = []
    for _ in range(200):
        spots = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE))
        grain = chance.normal(0, chance.uniform(12, 20), (SIDE, SIDE, 1))
        bases.append(np.clip(np.asarray(spots) + grain, 0, 255).astype(np.uint8))

    def write(i: int) -> None:
        turned = np.roll(bases[i % len(bases)], (37 * (i // 200), 101 * (i // 200)), (0, 1))
        Image.fromarray(turned).save(folder / f"{i}.jpg", quality=75)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))
    rows = "".join(f"{i}.jpg,spots number {i}\n" for i in range(count))
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}", encoding="utf-8")


def decode(folder: Path) -> None:
    """Decodes every picture once, whole."""

    def load(path: Path) -> None:
        with Image.open(path) as picture:
            picture.load()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(load, folder.glob("*.jpg")):
            pass


def load(folder: Path) -> None:
    """Loads the folder as a captioned set: checked, copies together, divided."""
    load_captions(str(folder))


PARTS = {"decode": decode, "load": load}


def timed(part: str, folder: Path, cache: Path) -> dict[str, float]:
    """Seconds and MB of a part, in a process of its own that has the libraries imported."""
    command = [sys.executable, "-m", "benchmarks.reading", part, str(folder)]
    environment = os.environ | {"HF_DATASETS_CACHE": str(cache)}
    return json.loads(subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True).stdout)


def main(count: int) -> None:
    """Measures both, prints and keeps what was found."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        make(folder, count)
        size = sum(file.stat().st_size for file in folder.glob("*.jpg")) / count / 1e3
        timed("decode", folder, Path(place))  # from then on all files lie in the memory of the system
        repeats: dict[str, list[dict[str, float]]] = {"decode": [], "load": [], "load again": []}
        for i in range(REPEATS):
            for name in repeats:
                repeats[name].append(timed(name.split()[0], folder, Path(place) / f"cache-{i}"))
    middle = {name: statistics.median(each["seconds"] for each in runs) for name, runs in repeats.items()}
    more = statistics.median(each["megabytes"] for each in repeats["load"]) * 1e3 / count
    ratio = {name: middle[name] / middle["decode"] for name in ("load", "load again")}
    print(f"{count} pictures of {size:.0f} kB, {os.cpu_count()} threads; seconds (median of {REPEATS}):")
    print(
        "\n".join(f"  {name:11} {seconds:7.2f}  {seconds / middle['decode']:.2f}" for name, seconds in middle.items())
    )
    print(f"  kB of memory for each picture: {more:.1f}")
    machine = f"{processor_name()}, {os.cpu_count()} cores"
    keep("reading", {"machine": machine, "pictures": count, "kilobytes": size, "ratio": ratio,
                     "kilobytes_of_memory_a_picture": more, "repeats": repeats})  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        before, start = memory("VmRSS"), time.perf_counter()
        PARTS[sys.argv[1]](Path(sys.argv[2]))
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "megabytes": memory("VmHWM") - before}))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else PICTURES)
