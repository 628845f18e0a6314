"""Drawings with one part changed: nothing else moves, and what the captions say of them is counted rightly."""

import random
from collections import Counter

import numpy as np
import pytest

from helpers.creatures import (
    ATTRIBUTES,
    PARTS,
    Effect,
    captions_of,
    draw_creature,
    draw_edits,
    edit_effects,
    edited_creatures,
    fresh_creatures,
    scenes_without,
)
from helpers.creatures.fresh import creature_of
from helpers.creatures.pen import BODIES

WHOLE = creature_of("orange-green-striped-tall-pointy-one-wings-curly-open")
BARE = creature_of("blue-none-plain-round-none-none-none-none-smile")


def differing(before, after):
    """The box that holds all pixels that differ: left, upper, right, lower."""
    rows, columns = np.nonzero((np.asarray(before) != np.asarray(after)).any(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_the_first_picture_is_the_drawing_as_it_always_was():
    [plain] = draw_edits(WHOLE, [], "7-3")
    assert np.array_equal(plain, draw_creature(WHOLE, random.Random("7-3")))


# Each part of `WHOLE` that is taken away, and the box in which anything may change.
@pytest.mark.parametrize(
    ("edit", "box"),
    [
        ({"wings": "none"}, (0, 20, 127, 100)),
        ({"horns": "none"}, (45, 0, 85, 60)),
        ({"ears": "none"}, (20, 0, 110, 60)),
        ({"tail": "none"}, (0, 50, 127, 120)),
        ({"mouth": "frown"}, (45, 50, 85, 90)),
    ],
)
def test_a_part_is_taken_away_and_nothing_changes_elsewhere(edit, box):
    for seed in range(10):
        found = differing(*draw_edits(WHOLE, [edit], seed))
        assert all(end >= first for end, first in zip(found[:2], box[:2], strict=True)), (seed, found)
        assert all(end <= last for end, last in zip(found[2:], box[2:], strict=True)), (seed, found)


@pytest.mark.parametrize("edit", [{"wings": "wings"}, {"pattern": "spotted", "second_color": "red"}, {"horns": "one"}])
def test_a_part_that_draws_numbers_does_not_move_the_face(edit):
    moved = 0
    for seed in range(5):
        before, after = draw_edits(BARE, [edit], seed)
        face = in_the_face(BARE, random.Random(seed))
        assert not (np.asarray(before) != np.asarray(after))[face].any()
        moved += (np.asarray(before) != np.asarray(draw_creature({**BARE, **edit}, random.Random(seed))))[face].any()
    assert moved == 5  # without the kept states


def in_the_face(creature, rng):
    """The pixels well inside the face, which is drawn over everything: bool, (height, width)."""
    size = rng.uniform(0.88, 1.08)
    _, half_height, *_, look, wide = BODIES[creature["body"]]
    x, floor = 64 + rng.uniform(-6, 6), 116 + rng.uniform(-4, 2)
    y = floor - 1.5 - half_height * size * (1 - look)
    rows, columns = np.indices((128, 128)) + 0.5
    return np.hypot(columns - x, rows - y) < 0.85 * wide * size


def test_edits_come_and_go_in_any_order():
    one, two = {"wings": "none"}, {"horns": "none"}
    first, second = draw_edits(WHOLE, [one, two], 1), draw_edits(WHOLE, [two, one], 1)
    assert np.array_equal(first[1], second[2])
    assert np.array_equal(first[2], second[1])


def test_the_scenes_are_of_creatures_that_have_every_part():
    [(picture, without)] = scenes_without([BARE, WHOLE], 5)
    assert np.array_equal(picture, draw_creature(WHOLE, random.Random("5-1")))
    assert tuple(without) == PARTS
    for part, image in without.items():
        away = "smile" if part == "mouth" else "none"  # WHOLE opens its mouth
        assert np.array_equal(image, draw_edits(WHOLE, [{part: away}], "5-1")[1])
        assert not np.array_equal(image, picture)


def test_each_attribute_is_changed_to_another_value_that_can_be_drawn():
    creatures = fresh_creatures(3, 40)
    edits = edited_creatures(creatures, 3)
    counts = Counter(edit.part for edit in edits)
    patterned = sum(creature["pattern"] != "plain" for creature in creatures)
    expected = dict.fromkeys(["", "scene", *ATTRIBUTES], 40) | {"pattern": patterned, "second_color": patterned}
    assert counts == expected
    for edit in edits:
        if edit.part in ATTRIBUTES:
            creature = creatures[edit.creature]
            assert edit.old == creature[edit.part] != edit.new
            after = {**creature, edit.part: edit.new}
            assert after["color"] != after["second_color"]
            assert (after["pattern"] == "plain") == (after["second_color"] == "none")
            assert edit.new in ATTRIBUTES[edit.part]
            assert np.array_equal(edit.image, draw_edits(creature, [{edit.part: edit.new}], f"3-{edit.creature}")[1])


def test_what_the_captions_do_is_counted():
    edits = edited_creatures([WHOLE, BARE], 0)
    creatures, captions = [WHOLE, BARE], []
    for edit in edits:
        said = {**creatures[edit.creature]} | ({edit.part: edit.new} if edit.part in ATTRIBUTES else {})
        if edit.creature == 1 and edit.part == "tail":
            said["tail"] = "none"  # the captioner does not see the new tail
        if edit.creature == 1 and edit.part in ("mouth", "scene"):
            said["body"] = "square"
        captions.append(captions_of(said)[edit.creature])
    effects = edit_effects(edits, captions)
    assert effects["ears"] == Effect(pictures=2, follow=2, others=0, by_scene=1)
    assert effects["tail"] == Effect(pictures=2, follow=1, others=0, by_scene=1)
    assert effects["mouth"] == Effect(pictures=2, follow=2, others=1, by_scene=1)
    assert effects["body"].by_scene == 0  # it is no other attribute
    assert effects["pattern"] == Effect(pictures=1, follow=1, others=0, by_scene=0)


def test_a_fact_that_was_wrong_before_does_not_follow():
    edits = [edit for edit in edited_creatures([WHOLE], 0) if edit.part in ("", "scene", "tail")]
    after = captions_of({**WHOLE, "tail": edits[2].new})[0]
    wrong = captions_of({**WHOLE, "tail": "spiky" if edits[2].new == "none" else "none"})[0]
    assert edit_effects(edits, [wrong, wrong, after])["tail"].follow == 0


def test_without_creatures_there_is_nothing_to_count():
    assert edit_effects(edited_creatures([], 0), []) == {}
