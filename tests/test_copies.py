"""Copies are found, kept together, and divided as evenly as they allow."""

import numpy as np
import pytest
from datasets import Dataset, Features
from datasets import Image as ImageColumn

from helpers.reading.copies import NEAR, chosen_groups, groups_by_split, groups_of_copies, in_other_splits, seen
from helpers.reading.pictures import load_image
from tests.toolbox import encoded


def drawn(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flipped(hashes, bits, seed=0):
    """The hashes with that many bits of each changed."""
    changed = np.unpackbits(hashes, axis=1)
    for row, chance in zip(changed, np.random.default_rng(seed).spawn(len(hashes)), strict=True):
        row[chance.choice(256, bits, replace=False)] ^= 1
    return np.packbits(changed, axis=1)


def dataset_of(pictures):
    rows = {"image": [{"bytes": picture, "path": None} for picture in pictures]}
    return Dataset.from_dict(rows).cast_column("image", ImageColumn())


@pytest.mark.parametrize(("bits", "together"), [(0, True), (1, True), (NEAR, True), (NEAR + 1, False)])
def test_pictures_within_the_limit_are_one_group_and_beyond_it_are_two(bits, together):
    hashes = drawn(200)
    groups = groups_of_copies(np.concatenate([hashes, flipped(hashes, bits)]))
    assert (groups[:200] == np.arange(200)).all()
    assert (groups[200:] == groups[:200]).all() == together
    assert together or len(set(groups.tolist())) == 400


def test_groups_are_those_that_comparing_all_pairs_finds():
    hashes = drawn(60)
    for step in range(3):  # copies of copies: their ends may differ in more bits than the limit
        hashes = np.concatenate([hashes, flipped(hashes[:40], 3 + 3 * step, seed=step)])
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(2, dtype=int)
    expected = np.arange(len(hashes))
    for _ in hashes:
        expected = np.array([expected[near].min() for near in bits <= NEAR])
    groups = groups_of_copies(hashes)
    assert ((groups[:, None] == groups[None]) == (expected[:, None] == expected[None])).all()


def test_many_pictures_that_are_all_alike_are_one_group_without_comparing_all_in_python():
    alike = flipped(np.repeat(drawn(1), 2_000, axis=0), 2)
    groups = groups_of_copies(np.concatenate([drawn(20_000), alike]))
    assert set(groups[20_000:].tolist()) == {0}
    assert len(set(groups.tolist())) == 20_000


def test_no_pictures_have_no_groups():
    assert groups_of_copies(np.zeros((0, 32), np.uint8)).tolist() == []


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_drawn_until_none_that_is_left_fits(seed):
    chance = np.random.default_rng(seed)
    sizes = chance.integers(1, 8, 9)
    target, most = int(chance.integers(5, 20)), int(chance.integers(2, 9))
    drawn = chosen_groups(sizes, target, most, seed)
    assert 1 <= len(set(drawn)) == len(drawn) <= most
    missing = target - sizes[drawn].sum()
    assert 0 <= missing < np.delete(sizes, drawn).min() or (len(drawn) == most and missing >= 0)
    assert drawn == chosen_groups(sizes, target, most, seed)


def test_where_every_group_is_too_large_the_smallest_is_drawn():
    assert chosen_groups(np.array([5, 3, 4]), 2, 2, seed=0) == [1]


def test_another_seed_draws_other_groups():
    sizes = np.ones(50, int)
    assert set(chosen_groups(sizes, 5, 48, 0)) != set(chosen_groups(sizes, 5, 48, 1))


def test_copies_are_counted_in_both_splits():
    groups = {"train": np.array([0, 1, 1, 2]), "test": np.array([1, 3]), "validation": np.array([4])}
    assert in_other_splits(groups) == {"train": 2, "test": 1, "validation": 0}


def test_what_was_saved_again_or_resized_is_a_copy_and_another_creature_is_not(creatures):
    pictures = [load_image(picture) for picture in creatures["train"]["image"][:20]]
    ways = {
        "jpeg": lambda p: encoded(p, "JPEG", quality=90),
        "webp": lambda p: encoded(p, "WEBP", quality=90),
        "small": lambda p: encoded(p.resize((64, 64)), "PNG"),
        "large": lambda p: encoded(p.resize((500, 500)), "JPEG", quality=85),
    }
    every = [encoded(p, "PNG") for p in pictures] + [way(p) for way in ways.values() for p in pictures]
    groups = groups_by_split({"train": dataset_of(every)})["train"].reshape(-1, 20)
    assert (groups == np.arange(20)).all()


def test_no_pictures_have_no_hashes():
    empty = Dataset.from_dict({"image": []}, features=Features({"image": ImageColumn()}))
    assert seen(empty, "train").shape == (0, 48)
