"""Counterfactual drawings: the same creature in the same scene with one part changed or taken away (an edit)."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from helpers.creatures.attributes import ATTRIBUTES
from helpers.creatures.facts import attributes_of
from helpers.creatures.pen import draw_creature

PARTS = ("ears", "horns", "wings", "tail", "mouth")  # what stands in one place of a drawing
SCENE = "scene"  # in place of a part: the same creature in another scene


class Edit(NamedTuple):
    """A drawing whose creature was drawn before, with one thing changed."""

    creature: int  # its place in the list
    part: str  # the attribute that was changed, or `SCENE`, or "" for the drawing before any change
    old: str
    new: str
    image: Image.Image


def draw_edits(creature: Mapping[str, str], edits: Sequence[Mapping[str, str]], seed: int | str) -> list[Image.Image]:
    """Draws a creature, and in the same scene the creature with each of the edits.

    Args:
        creature: a value for each name in `ATTRIBUTES`.
        edits: the values to change.
        seed: of the scene, as of `random.Random`.

    Returns:
        The creature as it is, then one picture for each edit: what an edit does not change is drawn alike.
    """
    drawn: dict[str, tuple] = {}
    return [draw_creature({**creature, **edit}, random.Random(seed), drawn) for edit in ({}, *edits)]


def scenes_without(
    creatures: Sequence[Mapping[str, str]], seed: int | str
) -> list[tuple[Image.Image, dict[str, Image.Image]]]:
    """Draws the creatures that have all of `PARTS`, each also without each part: the scenes of `pointing_game`.

    A face without a mouth is nothing that a captioner was shown; in its place another mouth is drawn.
    """
    scenes = []
    for i, creature in enumerate(creatures):
        if all(creature[part] != "none" for part in PARTS):
            away = dict.fromkeys(PARTS, "none") | {"mouth": "smile" if creature["mouth"] != "smile" else "frown"}
            whole, *without = draw_edits(creature, [{part: value} for part, value in away.items()], f"{seed}-{i}")
            scenes.append((whole, dict(zip(PARTS, without, strict=True))))
    return scenes


def edited_creatures(creatures: Sequence[Mapping[str, str]], seed: int | str) -> list[Edit]:
    """Draws each creature as it is, in another scene, and once for each attribute with another value of it.

    The new value is drawn at random, and of the two colours never the other one. A plain coat has no pattern and no
    second colour to change. An edited creature may be one that was trained on; its picture is new.
    """
    edits = []
    for i, creature in enumerate(creatures):
        rng, changes = random.Random(f"{seed}-{i}-edits"), {}
        for part in ATTRIBUTES:
            taken = {creature[part], "plain"}
            if part.endswith("color"):
                taken |= {creature["color"], creature["second_color"], "none"}
            if creature["pattern"] != "plain" or part not in ("pattern", "second_color"):
                changes[part] = rng.choice([value for value in ATTRIBUTES[part] if value not in taken])
        whole, *images = draw_edits(creature, [{part: new} for part, new in changes.items()], f"{seed}-{i}")
        elsewhere = draw_creature(creature, random.Random(f"{seed}-{i}-elsewhere"))
        edits += [Edit(i, "", "", "", whole), Edit(i, SCENE, "", "", elsewhere)]
        edits += [
            Edit(i, part, creature[part], new, image)
            for (part, new), image in zip(changes.items(), images, strict=True)
        ]
    return edits


class Effect(NamedTuple):
    """What the captions did when one attribute of a drawing was changed: counts of pictures."""

    pictures: int
    follow: int  # the caption names the old value before, and the new one after
    others: int  # another attribute is named otherwise than before
    by_scene: int  # another attribute is named otherwise when nothing but the scene is changed


def edit_effects(edits: Sequence[Edit], captions: Sequence[str]) -> dict[str, Effect]:
    """Which facts of a caption change when one part of the drawing is changed.

    Args:
        edits: as `edited_creatures` gives them.
        captions: one for each.

    Returns:
        Attribute → its Effect.
    """
    said = {(edit.creature, edit.part): attributes_of(text) for edit, text in zip(edits, captions, strict=True)}
    effects = {}
    for part in ATTRIBUTES:
        chosen = [edit for edit in edits if edit.part == part]
        rows = [[said[edit.creature, state] for state in ("", part, SCENE)] for edit in chosen]
        follow = sum((a[part], b[part]) == (e.old, e.new) for e, (a, b, _) in zip(chosen, rows, strict=True))
        others, by_scene = (
            sum(any(row[0][name] != row[state][name] for name in ATTRIBUTES if name != part) for row in rows)
            for state in (1, 2)
        )
        if chosen:
            effects[part] = Effect(len(chosen), follow, others, by_scene)
    return effects
