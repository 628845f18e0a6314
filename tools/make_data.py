"""Draws Pocket Creatures from its seed: `python -m tools.make_data [folder]`.

Each picture depends on the seed and its own number alone, so any of them can be redrawn by itself.
"""

import io
import random
import sys
from pathlib import Path

import imagehash
from datasets import Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as PillowImage
from tqdm.auto import tqdm

from helpers.creatures import ATTRIBUTES, captions_of, draw_creature, key_of, random_creature
from helpers.creatures.canvas import SIZE
from helpers.paths import ROOT
from helpers.reading.copies import NEAR
from helpers.reading.looks import perceptual_hash
from tools.data_card import head_of_card, write_splits

SEED = 2026
FOLDER = ROOT / "data" / "pocket-creatures"
SPLITS = {"train": 800, "validation": 100, "test": 100}

Row = dict[str, object]


def creatures() -> list[dict[str, str]]:
    """The 1,000 creatures, no two alike, in the order train, validation, test."""
    rng = random.Random(SEED)
    found: dict[str, dict[str, str]] = {}
    while len(found) < sum(SPLITS.values()):
        creature = random_creature(rng)
        found.setdefault(key_of(creature), creature)
    return list(found.values())


def draw(number: int, creature: dict[str, str], attempt: int = 0) -> PillowImage.Image:
    """The picture of the creature with this number; another attempt draws it in another scene and size."""
    return draw_creature(creature, random.Random(f"{SEED}-{number}-{attempt}"))


def make() -> DatasetDict:
    """Draws every creature; one that looks too much like an earlier one is drawn again."""
    rows: list[Row] = []
    hashes: list[imagehash.ImageHash] = []
    for number, creature in enumerate(tqdm(creatures(), desc="Drawing", unit="picture")):
        for attempt in range(100):
            picture = draw(number, creature, attempt)
            seen = perceptual_hash(picture)
            if all(seen - other > NEAR for other in hashes):
                break
        hashes.append(seen)
        content = io.BytesIO()
        picture.save(content, "PNG", optimize=True)
        rows.append(
            {
                "image": {"bytes": content.getvalue(), "path": f"{number:04}.png"},
                "captions": captions_of(creature),
                **creature,
                "number": number,
                "attempt": attempt,
            }
        )
    text = {name: Value("string") for name in ATTRIBUTES}
    numbers = {"number": Value("int32"), "attempt": Value("int32")}
    features = Features({"image": Image(), "captions": List(Value("string")), **text, **numbers})
    splits, start = DatasetDict(), 0
    for split, count in SPLITS.items():
        splits[split] = Dataset.from_list(rows[start : start + count], features=features)
        start += count
    return splits


ABOUT = """
license: cc0-1.0
language:
- en
task_categories:
- image-to-text
pretty_name: Pocket Creatures
size_categories:
- 1K<n<10K
"""
CARD = """
# Pocket Creatures

1,000 drawings of small friendly creatures, each with three captions. Every drawing was made by a program from a
seed, so nothing here belongs to anybody else, and nothing can be taken down. It was made to teach image captioning:
small enough to travel inside a repository, and labelled so that a mistake can be traced to its cause.

## What a row holds

| column | what it is |
| --- | --- |
| `image` | a picture of {size} x {size} pixels, RGB |
| `captions` | three English captions that say the same in different wording |
{columns}
| `number`, `attempt` | what the program needs to draw this picture again |

Every caption names every attribute that is there, and none that is not. `second_color` is `none` when the pattern is
plain. Size, position, background and small details vary, and no caption speaks of them.

## Splits

| split | pictures | captions |
| --- | --- | --- |
{counts}

No two creatures have the same attributes, so no split holds a creature of another. Some test creatures differ from
a training creature in one attribute alone. Any two pictures differ by more than {nearest} bits of a 256-bit
perceptual hash.

The base model [git-tiny](../../models/git-tiny/README.md) never saw anything purple or gray, long ears or open mouths.

## How it was made

`make data` in the project's folder draws it again: `helpers/creatures/` chooses the attributes, writes the
captions and draws. Each attribute is chosen with equal chances and independently of the others, except
that the two colours differ. The seed is {seed}.

## Limits

This is a toy. The drawings share one style and one view; the captions follow three patterns and use {words} different
words. A model that does well here has learnt to see these creatures. It has not learnt to see photographs, and no
score on this set says anything about one. Colours are named as most people name them, which is not how everybody sees
them.

## Licence

CC0 1.0: use it for anything, without asking.
"""


def card(splits: DatasetDict, sizes: dict[str, int]) -> str:
    """The data set card, in the Hub's format."""
    words = {
        word
        for split in splits.values()
        for group in split["captions"]
        for text in group
        for word in text.replace(",", "").split()
    }
    return head_of_card(ABOUT, splits, sizes) + CARD.format(
        columns="\n".join(f"| `{name}` | {', '.join(values)} |" for name, values in ATTRIBUTES.items()),
        counts="\n".join(f"| {s} | {len(d):,} | {sum(map(len, d['captions'])):,} |" for s, d in splits.items()),
        size=SIZE,
        nearest=NEAR,
        seed=SEED,
        words=len(words),
    )


def main(folder: Path = FOLDER) -> None:
    """Writes the three parquet files and the card into a folder."""
    splits = make()
    sizes = write_splits(splits, folder)
    (folder / "README.md").write_text(card(splits, sizes), encoding="utf-8")
    print(f"{folder}: {sum(sizes.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
