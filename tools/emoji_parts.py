"""Names of emoji that are made of two parts ("blue heart", "woman singer"), and which of them a split holds out.

A pair is held out whole, by every artist, while both of its parts are seen apart in training.
"""

import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from tools.emoji_sources import Emoji

TEST, VALIDATION = 1 / 6, 1 / 12  # the shares of each family's names that are held out, about

COLORS = "light blue|red|orange|yellow|green|blue|purple|brown|black|white|pink|grey"
PATTERNS = (
    ("colour × thing", rf"(?P<first>{COLORS}) (?P<second>heart|circle|square|book|question mark|exclamation mark)"),
    ("size × diamond", r"(?P<first>large|small) (?P<second>(?:orange|blue) diamond)"),
    ("size × square", r"(?P<second>black|white) (?P<first>large|medium|medium-small|small) square"),
    ("hour × clock", r"(?P<first>\w+)[ -](?P<second>o’clock|thirty)"),
    ("phase × moon", r"(?P<first>waxing|waning) (?P<second>crescent|gibbous) moon"),
    ("phase × moon", r"(?P<first>first|last) (?P<second>quarter moon(?: face)?)"),
    ("phase × moon", r"(?P<first>new|full) (?P<second>moon(?: face)?)"),
    ("flag × mailbox", r"(?P<second>open|closed) mailbox with (?P<first>raised|lowered) flag"),
    ("direction × hand", r"(?P<second>backhand index) pointing (?P<first>left|right|up|down)"),
    ("direction × hand", r"(?P<first>left|right)-facing (?P<second>fist)"),
    ("direction × hand", r"(?P<first>left|right)wards (?P<second>hand|pushing hand)"),
)
HAIR = re.compile(r"(person|man|woman): (.+)")
PEOPLE = re.compile(r"(person|man|woman|people|men|women) (.+)")
ONE = {"people": "person", "men": "man", "women": "woman"}


class Parts(NamedTuple):
    """What a name is made of: the family of such names, and its two parts."""

    family: str
    first: str
    second: str


def combinations(listed: Iterable[Emoji]) -> dict[str, Parts]:
    """Name → its parts, for names whose parts both come back in other names of the family."""
    by_name = {emoji.name: emoji for emoji in listed}
    found: dict[str, Parts] = {}
    for name, emoji in by_name.items():
        for family, pattern in PATTERNS:
            if hit := re.fullmatch(pattern, name):
                found[name] = Parts(family, hit["first"], hit["second"])
        if emoji.group == "People & Body":
            if hit := HAIR.fullmatch(name):
                found[name] = Parts("hair × who", hit[2], hit[1])
            elif hit := PEOPLE.fullmatch(name):
                found[name] = Parts("what they do × who", hit[2], ONE.get(hit[1], hit[1]))
            elif {f"man {name}", f"woman {name}"} <= by_name.keys():
                found[name] = Parts("what they do × who", name, "person")
        # The other half of such a pair has a plain name: "smiling face" beside "smiling cat", "cow" beside "cow face".
        if emoji.subgroup == "cat-face" and (face := re.sub(r"\bcat\b", "face", name)) in by_name:
            expression = " ".join(face.replace("face", "").split())
            found[face], found[name] = (Parts("expression × face", expression, whose) for whose in ("face", "cat"))
        animal = name.removesuffix(" face")
        if animal != name and emoji.group == "Animals & Nature" and animal in by_name:
            found[name], found[animal] = (Parts("part × animal", part, animal) for part in ("face", "whole"))
        vehicle = name.removeprefix("oncoming ")
        if vehicle != name and vehicle in by_name:
            views = ("oncoming", "from the side")
            found[name], found[vehicle] = (Parts("view × vehicle", view, vehicle) for view in views)
    while (kept := {name: parts for name, parts in found.items() if min(shared(parts, found.values())) > 1}) != found:
        found = kept
    return found


def shared(parts: Parts, others: Collection[Parts]) -> tuple[int, int]:
    """How many of these names have the same first part in the same family, and how many the same second part."""
    family = [other for other in others if other.family == parts.family]
    return sum(o.first == parts.first for o in family), sum(o.second == parts.second for o in family)


def checksum(text: str) -> int:
    """A number that orders texts in a way that is fixed, and not in step with anything in them."""
    return zlib.crc32(text.encode())


def held_out(found: dict[str, Parts], share: float, taken: Collection[str] = ()) -> set[str]:
    """Draws about this share of each family's names, so that both parts of each stay in other names that are left.

    Each part stays at least once, and twice where it stands in three names or more. The order of the draw is that of a
    checksum of the names.

    Args:
        found: every name that is made of parts.
        share: of each family, at least one name where the parts allow it.
        taken: names that another split has already.

    Returns:
        The names.
    """
    left = {name: parts for name, parts in found.items() if name not in taken}
    sizes, drawn, held = Counter(parts.family for parts in found.values()), Counter(), set()
    for name in sorted(left, key=checksum):
        parts = found[name]
        rest = {other: its for other, its in left.items() if other != name}
        enough = all(
            stays >= max(1, min(2, had - 1))
            for stays, had in zip(shared(parts, rest.values()), shared(parts, found.values()), strict=True)
        )
        if enough and drawn[parts.family] < max(1, round(sizes[parts.family] * share)):
            held.add(name)
            drawn[parts.family] += 1
            left = rest
    return held
