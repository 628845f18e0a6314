"""The pointing game: how often the top patch of attention, and of occlusion, lies on the part that decides a word.

A part's place is known from the same picture without it; so is the word that it decides. A method points at its top
patch, and hits where the part is (Zhang et al., 2016). Beside it stand a patch at random, the one patch that holds the
part in most other pictures, and a model with random weights, whose maps should find nothing (Adebayo et al., 2018).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.attention.maps import occlusion, patch_grid, word_attention, word_falls
from helpers.reading.pictures import load_image
from helpers.transforms import picture_pixels

DECIDES = np.log(2)  # nats: without the part, the word is at most half as likely
SEEN = 8  # of 255: what changes less, such as the rim that resizing leaves, is no part
HOLDS = 0.1  # of a patch's pixels: where fewer change, the patch does not hold the part

Scene = tuple[Any, Mapping[str, Any]]  # a picture; for each part, the same picture without it


class Pointing(NamedTuple):
    """How often the top patch lies on a part."""

    pictures: int  # with this part, which decides a word of the caption
    chance: float  # share of the patches that hold it: the hits of a patch at random, 0 to 1
    hits: dict[str, int]  # method → pictures whose top patch holds the part
    words: dict[str, int]  # the words that the part decided → pictures, the most frequent first


def changed_patches(before: np.ndarray, after: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The patches in which two pictures differ.

    Args:
        before, after: uint8, (3, height, width).
        grid: rows and columns of patches, which divide height and width.

    Returns:
        bool, (rows, columns): whether a tenth of the patch's pixels differ by more than `SEEN` in any colour.
    """
    differ = np.abs(before.astype(int) - after).max(axis=0) > SEEN  # (height, width)
    rows, columns = grid
    patches = differ.reshape(rows, differ.shape[0] // rows, columns, differ.shape[1] // columns)
    return patches.mean(axis=(1, 3)) >= HOLDS


def pointing_game(
    model: PreTrainedModel, processor: Any, scenes: Sequence[Scene], *, twin: PreTrainedModel
) -> dict[str, Pointing]:
    """Plays the pointing game with the captions that a model generates.

    The word of a part is the one that becomes least likely when the part is taken away; a part without a word that
    falls by `DECIDES`, or without a patch, does not count.

    Args:
        model, processor: a GIT captioner and its processor.
        scenes: pictures, each with the same picture without a part, for one part or more. Each costs two forward
            passes for each patch.
        twin: a model of the same architecture with random weights, which is given the same captions.

    Returns:
        Part → its Pointing, with the hits of "attention", "occlusion", both "of random weights", and "one fixed patch":
        the one that holds the part in most of the other pictures.

    Raises:
        CaptioningError: as for `occlusion`.
    """
    grid = patch_grid(model)
    found: dict[str, list[tuple[str, np.ndarray, dict[str, int]]]] = {}  # part → word, patches with it, top patches
    for picture, without in tqdm(scenes, desc="Covering pictures", unit="picture"):
        looks = word_attention(model, processor, picture)
        pixels = picture_pixels([load_image(image) for image in (picture, *without.values())], processor)
        if not looks.words:
            continue
        maps = {  # (words, rows, columns) each
            "attention": looks.maps,
            "occlusion": occlusion(model, processor, picture, looks),
            "attention of random weights": word_attention(twin, processor, picture, caption=looks).maps,
            "occlusion of random weights": occlusion(twin, processor, picture, looks),
        }
        falls = word_falls(model, processor, pixels, looks)  # (parts, words)
        for part, fall, after in zip(without, falls, pixels[1:], strict=True):
            word, on = fall.argmax(), changed_patches(pixels[0], after, grid)
            if fall[word] >= DECIDES and on.any():
                tops = {name: int(values[word].argmax()) for name, values in maps.items()}
                found.setdefault(part, []).append((looks.words[word], on.ravel(), tops))
    return {part: _counted(rows) for part, rows in found.items()}


def _counted(rows: Sequence[tuple[str, np.ndarray, dict[str, int]]]) -> Pointing:
    words, patches, tops = zip(*rows, strict=True)
    on = np.array(patches)  # (pictures, patches)
    others = on.sum(axis=0) - on  # the same shape: in how many of the other pictures the patch holds the part
    hits = {name: sum(int(held[top[name]]) for held, top in zip(on, tops, strict=True)) for name in tops[0]}
    hits["one fixed patch"] = int(np.take_along_axis(on, others.argmax(axis=1)[:, None], axis=1).sum())
    return Pointing(len(rows), float(on.mean()), hits, dict(Counter(words).most_common()))
