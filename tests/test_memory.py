"""The memory that whole programs take, each in a process of its own: it is Linux that says how much it was."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.paths import ROOT
from tests.toolbox import ended

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its memory"),
]


def run(code, *arguments, **environment):
    """The lines that a program of one thread printed: without room, OpenMP ends it before torch can say anything."""
    return ended([sys.executable, "-c", code, *arguments], environment=environment, cwd=ROOT).stdout.splitlines()


LOAD = """
import re, sys
from pathlib import Path
from helpers.data import load_captions
from helpers.families import load_processor
from helpers.transforms import prepare_pictures
splits = load_captions(sys.argv[1])
processor = load_processor("models/git-tiny")
prepared = [prepare_pictures(split, processor) for split in splits.values()]
print(sum(map(len, prepared)))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def make(folder, pictures):
    """A folder of random pictures, uncompressed, which is quick, and a metadata.csv with captions of 15 words."""
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(pictures)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "caption_0", "caption_1"])
        for i in range(pictures):
            # 8 x 8 blocks, so that no two look alike and all are of few colours.
            blocks = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(blocks).save(folder / f"{i:05}.bmp")
            words = " ".join(f"word{drawn.integers(1000)}" for _ in range(14))
            table.writerow([f"{i:05}.bmp", f"one {words}", f"two {words}"])


def test_many_pictures_take_hardly_more_memory_than_few(tmp_path):
    most = {}
    for pictures in (500, 8_000):
        folder = tmp_path / f"{pictures}"
        make(folder / "pictures", pictures)
        prepared, most[pictures] = map(int, run(LOAD, folder / "pictures", HF_DATASETS_CACHE=str(folder / "cache")))
        assert prepared == pictures
    print(f"\n{most[500] / 1024:.0f} MB for 500 pictures, {most[8_000] / 1024:.0f} MB for 8,000")
    assert most[8_000] < 1.15 * most[500]


TRAIN = """
import resource, sys
from pathlib import Path
from helpers.data import load_captions
from helpers.errors import MemoryShortage
from helpers.families import load_checkpoint
from helpers.settings import Settings
from helpers.training import CaptionTrainer
settings = Settings(dataset=sys.argv[1], batch_size=256, epochs=1, freeze_vision=False)
dataset = load_captions(settings.dataset)
dataset["train"] = dataset["train"].select(list(range(8)) * 32)
trainer = CaptionTrainer(*load_checkpoint(settings.checkpoint), dataset, settings)
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 60_000_000, now + 60_000_000))
try:
    trainer.train()
except MemoryShortage as error:
    print(error)
"""


def test_a_training_without_room_says_what_to_lower(tmp_path):
    *_, told = run(TRAIN, "data/pocket-creatures", CAPTIONING_ARTIFACTS=str(tmp_path))
    assert told.startswith("There is too little memory for training; lower batch_size from 256 to 128")
