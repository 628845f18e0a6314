"""Fresh creatures: which are set aside, and splits drawn from them alone."""

import hashlib
from itertools import product

import pytest

from helpers.creatures import ATTRIBUTES, fresh, fresh_creatures, key_of
from helpers.errors import DataError


@pytest.fixture(scope="module")
def keys():
    """The keys of all creatures."""
    creatures = (dict(zip(ATTRIBUTES, values, strict=True)) for values in product(*ATTRIBUTES.values()))
    return [
        key_of(creature)
        for creature in creatures
        if creature["color"] != creature["second_color"]
        and (creature["pattern"] == "plain") == (creature["second_color"] == "none")
    ]


def test_how_many_creatures_are_set_aside(keys):
    assert len({*keys}) == len(keys) == 99_144
    assert sum(map(fresh.is_reserved, keys)) == fresh.THERE_ARE == 6_146


def test_a_creature_is_set_aside_by_the_last_bits_of_its_hash(keys):
    for key in keys[::97]:
        assert fresh.is_reserved(key) == (hashlib.sha256(key.encode()).digest()[-1] % 16 == 0)


def test_fresh_creatures_are_set_aside_and_no_two_are_alike():
    made = [key_of(creature) for creature in fresh_creatures(0, 500)]
    assert len({*made}) == 500
    assert all(map(fresh.is_reserved, made))


def test_fresh_creatures_depend_on_the_seed_alone():
    assert fresh_creatures(7, 20) == fresh_creatures(7, 20) == fresh_creatures(7, 40)[:20]
    assert fresh_creatures("7a", 20) == fresh_creatures("7a", 20)
    assert fresh_creatures(7, 20) != fresh_creatures(8, 20)
    assert [key_of(creature) for creature in fresh_creatures(7, 2)] == [
        "yellow-none-plain-round-round-none-none-spiky-frown",
        "yellow-none-plain-tall-long-one-none-spiky-smile",
    ]


def test_fresh_creatures_leave_out_what_they_are_told():
    first = fresh_creatures(7, 40)
    without = [key_of(creature) for creature in first[::2]]
    assert fresh_creatures(7, 20, without=without) == first[1::2]


def test_all_that_are_set_aside_can_be_drawn_and_not_one_more(keys):
    kept = [key for key in keys if fresh.is_reserved(key)][:5]
    without = {*keys} - {*kept}
    assert sorted(key_of(creature) for creature in fresh_creatures(0, 5, without=without)) == sorted(kept)
    with pytest.raises(DataError, match="6 fresh creatures were asked for, but 5 are left"):
        fresh_creatures(0, 6, without=without)
    with pytest.raises(DataError, match="but 6,146 are left"):
        fresh_creatures(0, 6_147)
    assert fresh_creatures(0, 0) == []
