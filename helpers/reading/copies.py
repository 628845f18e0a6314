"""Copies of pictures, found by a perceptual hash, and divisions into splits that share none.

Two pictures are taken for copies where their 256-bit perceptual hashes differ in at most `NEAR` bits. That finds
pictures that were saved again in good quality or resized. It misses what was cropped, and most of what was saved in
very poor quality. Any two of Pocket Creatures' drawings differ in more bits, so no two creatures are taken for one.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset, Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from helpers.errors import ImageError
from helpers.reading.looks import BYTES, Look, looks

NEAR = 8  # bits of 256
DIGEST = 16  # bytes
_known: dict[str, np.ndarray] = {}  # of the last sets that were loaded, by the fingerprints of their splits


def sources(dataset: Dataset) -> Iterator[bytes | Path]:
    """Each picture's file, which a Dataset holds or names, in the column image."""
    for row in dataset.select_columns("image").cast_column("image", Image(decode=False)):
        yield Path(row["image"]["path"]) if row["image"]["bytes"] is None else row["image"]["bytes"]


def contents(dataset: Dataset) -> Iterator[bytes]:
    """The bytes of each picture's file."""
    return (source if isinstance(source, bytes) else source.read_bytes() for source in sources(dataset))


def seen(dataset: Dataset, split: str) -> np.ndarray:
    """What is known of each picture of a split, as `packed` gives it; ImageError where one cannot be read."""
    if (known := _known.get(dataset._fingerprint)) is not None:
        return known
    found = list(looks(sources(dataset), len(dataset), f"Looking for copies in {split}"))
    if faults := [look.why for look in found if look.why]:
        raise ImageError(faults[0])
    return packed(found)


def remember(dataset: Dataset, known: np.ndarray) -> None:
    """Keeps what is known of the pictures of a split that was read just now, so that nothing reads them again."""
    _known[dataset._fingerprint] = known
    while len(_known) > 32:
        del _known[next(iter(_known))]


def repeated(dataset: Dataset, split: str) -> int:
    """How many pictures of a split stand in it more than once, byte for byte."""
    digests = np.ascontiguousarray(seen(dataset, split)[:, :DIGEST])
    counts = np.unique(digests, axis=0, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def packed(found: list[Look]) -> np.ndarray:
    """The digests of pictures, and their perceptual hashes behind them: uint8 (pictures, 48)."""
    return np.frombuffer(b"".join(look.digest + look.hash for look in found), np.uint8).reshape(-1, DIGEST + BYTES)


def groups_of_copies(hashes: np.ndarray) -> np.ndarray:
    """Numbers the groups of pictures that are copies of each other, directly or by way of others.

    Hashes that differ in at most `NEAR` bits are equal in at least one of `NEAR` + 1 stretches of bytes, so only those
    that share a stretch are compared.

    `hashes` are uint8 (pictures, 32). The groups, int64 (pictures,), are numbered in the order of their first pictures.
    """
    different, which = np.unique(np.ascontiguousarray(hashes), axis=0, return_inverse=True)
    labels, words = np.arange(len(different)), different.view(np.uint64)  # (different, 4)
    for stretch in np.array_split(np.arange(BYTES), NEAR + 1):
        keys = np.unique(different[:, stretch], axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(keys, kind="stable")
        keys, places, shift = keys[order], np.arange(len(order) - 1), 1
        # Those that share the stretch lie in a row: each is compared with the next, the one after, …
        while len(places):
            places = places[keys[places] == keys[places + shift]]
            pairs = order[np.stack([places, places + shift])]
            pairs = pairs[:, labels[pairs[0]] != labels[pairs[1]]]
            near = np.bitwise_count(words[pairs[0]] ^ words[pairs[1]]).sum(axis=1) <= NEAR
            if near.any():
                labels = _joined(labels, pairs[:, near])
            shift += 1
            places = places[places + shift < len(order)]
    _, first, group = np.unique(labels[which.ravel()], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group.ravel()]


def _joined(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """One label for all that the pairs (2, pairs) connect."""
    ends = labels[pairs]
    graph = coo_array((np.ones(ends.shape[1], bool), (ends[0], ends[1])), (len(labels), len(labels)))
    return connected_components(graph, directed=False)[1][labels]


def chosen_groups(sizes: np.ndarray, target: int, most: int, seed: int) -> list[int]:
    """Draws groups that have, together, about the wanted number of pictures.

    The groups come in an order drawn by the seed, and each that still fits is taken; where none fits, the smallest is.

    `sizes` are the groups' pictures, `target` the pictures wanted, `most` the largest number of groups to draw. The
    numbers of the groups are returned, at least one.
    """
    order = np.random.default_rng(seed).permutation(len(sizes)).tolist()
    drawn, left = [], target
    for group in order:
        if len(drawn) < most and sizes[group] <= left:
            drawn.append(group)
            left -= sizes[group]
    return drawn or [min(order, key=sizes.__getitem__)]


def in_other_splits(groups: dict[str, np.ndarray]) -> dict[str, int]:
    """How many pictures of each split have a copy in another; `groups` numbers them across the splits."""
    splits = Counter(group for part in groups.values() for group in set(part.tolist()))
    return {split: sum(splits[group] > 1 for group in part.tolist()) for split, part in groups.items()}


def groups_by_split(splits: dict[str, Dataset]) -> dict[str, np.ndarray]:
    """The group of each picture, numbered across the splits: split → (pictures,)."""
    known = [seen(dataset, split) for split, dataset in splits.items()]
    groups = groups_of_copies(np.concatenate(known)[:, DIGEST:])
    return dict(zip(splits, np.split(groups, np.cumsum([len(part) for part in known])[:-1]), strict=True))
