"""What pictures look like, in numbers that nobody learnt: outlines (HOG), a little colour; two rules naming by them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

SIDE, CELL, ANGLES = 64, 8, 9  # pixels of a picture and of a cell; directions of outlines
WEIGHTS = {"outlines": 1.0, "pixels": 0.5, "colours": 0.2}
NEIGHBOURS = 15  # pictures that vote


def trimmed(picture: Image.Image) -> Image.Image:
    """What is drawn on white, in the middle of a white square, (SIDE, SIDE)."""
    drawn = np.asarray(picture.convert("RGB")).min(axis=2) < 243  # (height, width)
    if drawn.any():
        (rows,), (columns,) = np.nonzero(drawn.any(axis=1)), np.nonzero(drawn.any(axis=0))
        picture = picture.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    square = Image.new("RGB", (max(picture.size),) * 2, "white")
    square.paste(picture, tuple((square.width - side) // 2 for side in picture.size))
    return square.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def outlines(gray: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs, 2005): where the outlines of a picture run, and how strongly.

    Args:
        gray: (SIDE, SIDE).

    Returns:
        (blocks * 4 * ANGLES,): the histograms of four neighbouring cells, brought to one length, cut at 0.2, and again.
    """
    gray = gray.astype(float)
    down, across = np.zeros_like(gray), np.zeros_like(gray)
    down[1:-1], across[:, 1:-1] = gray[2:] - gray[:-2], gray[:, 2:] - gray[:, :-2]
    strength, angle = np.hypot(across, down), np.degrees(np.arctan2(down, across)) % 180
    bins, cells = np.minimum(angle * ANGLES // 180, ANGLES - 1), SIDE // CELL
    parted = [np.where(bins == i, strength, 0).reshape(cells, CELL, cells, CELL).sum((1, 3)) for i in range(ANGLES)]
    cell = np.stack(parted, axis=-1)  # (cells, cells, ANGLES)
    block = np.concatenate([cell[:-1, :-1], cell[:-1, 1:], cell[1:, :-1], cell[1:, 1:]], axis=-1)
    return _unit(np.minimum(_unit(block), 0.2)).ravel()


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-9)


def looks(pictures: Sequence[Image.Image]) -> dict[str, np.ndarray]:
    """Kind of look → (pictures, numbers): the outlines, 24 x 24 pixels, and how much there is of 192 colours."""
    found = {kind: [] for kind in WEIGHTS}
    for picture in map(trimmed, pictures):
        found["outlines"].append(outlines(np.asarray(picture.convert("L"))))
        found["pixels"].append(np.asarray(picture.resize((24, 24), Image.Resampling.BOX), dtype=float).ravel())
        hue, saturation, value = np.asarray(picture.convert("HSV")).reshape(-1, 3).T.astype(int)
        colour = hue * 12 // 256 * 16 + saturation // 64 * 4 + value // 64
        found["colours"].append(np.bincount(colour, minlength=192) / colour.size)
    return {kind: np.stack(rows) for kind, rows in found.items()}


def likeness(asked: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> np.ndarray:
    """How alike pictures are: (asked, known), a weighted sum of the cosines of the looks, less those of the mean."""
    total = np.zeros((len(asked["outlines"]), len(known["outlines"])))
    for kind, weight in WEIGHTS.items():
        mean = known[kind].mean(axis=0)
        total += weight**2 * _unit(asked[kind] - mean) @ _unit(known[kind] - mean).T
    return total


def nearest_names(alike: np.ndarray, names: Sequence[str]) -> list[str]:
    """The name of the most alike known picture, for each picture that is asked: `alike` is (asked, known)."""
    return [names[i] for i in alike.argmax(axis=1)]


def voted_names(
    alike: np.ndarray, parts: Sequence[tuple[str, str, str]], names: dict[tuple[str, str, str], str]
) -> list[str]:
    """A rule that composes: the nearest picture gives the family, and its neighbours vote for each part.

    Args:
        alike: (asked, known).
        parts: of each known picture: family, first and second part.
        names: of all combinations that exist, those that were held out too, which no captioner is told.

    Returns:
        For each picture the name with the most votes for its two parts, among the names of the family.
    """
    said = []
    for row in alike:
        near = [parts[i] for i in row.argsort()[::-1]]
        family = near[0][0]
        voters = [each for each in near if each[0] == family][:NEIGHBOURS]
        first, second = (Counter(each[place] for each in voters) for place in (1, 2))
        own = [each for each in names if each[0] == family]
        said.append(names[max(own, key=lambda each: first[each[1]] + second[each[2]])])
    return said
