"""Which creatures there are, and what is said of them.

Two ways of speaking live here. `captions_of` writes the three captions of a Pocket Creature. `base_captions_of`
writes what the base model git-tiny learns from: the same facts as lists, in other orders and partly in other words.
"""

from __future__ import annotations

import random
from itertools import pairwise

from helpers.analysis import ATTRIBUTES

MOUTHS = {"smile": "a smile", "frown": "a frown", "open": "an open mouth"}
# In which order the base model's captions name things; none of them is an order of `captions_of`.
BASE_ORDERS = (
    ("mouth", "tail", "wings", "horns", "ears", "coat", "body"),
    ("wings", "ears", "coat", "mouth", "horns", "body", "tail"),
    ("ears", "horns", "mouth", "wings", "tail", "body", "coat"),
    ("coat", "tail", "body", "ears", "wings", "mouth", "horns"),
    ("horns", "body", "tail", "coat", "mouth", "ears", "wings"),
    ("tail", "mouth", "ears", "body", "wings", "horns", "coat"),
)


def random_creature(rng: random.Random) -> dict[str, str]:
    """A creature drawn at random: every attribute alike likely, two colours always different."""
    creature = {name: rng.choice(values) for name, values in ATTRIBUTES.items()}
    others = [color for color in ATTRIBUTES["color"] if color != creature["color"]]
    creature["second_color"] = "none" if creature["pattern"] == "plain" else rng.choice(others)
    return creature


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}"


def in_a_row(phrases: list[str]) -> str:
    """["x", "y", "z"] → "x, y and z"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def captions_of(creature: dict[str, str]) -> list[str]:
    """The three captions of a creature: each names every attribute that is there, and none that is not."""
    color, second, body = creature["color"], creature["second_color"], creature["body"]
    stripes = _pattern_of(creature)
    parts = [part for part in _parts_of(creature).values() if part]
    mouth = MOUTHS[creature["mouth"]]
    verb = {"smile": "smiles", "frown": "frowns", "open": "opens its mouth"}[creature["mouth"]]

    coat = f"{color} and {second} {creature['pattern']}" if stripes else color
    first = f"a drawing of {with_article(f'{body} {coat} creature')} with {in_a_row([*parts, mouth])}"
    listed = [stripes] if stripes else []
    second_caption = f"{with_article(f'{color} creature')} with {in_a_row([*listed, f'a {body} body', *parts, mouth])}"
    dress = f"{color} with {stripes}" if stripes else f"all {color}"
    owns = f" and has {in_a_row(parts)}" if parts else ""
    third = f"{with_article(f'{body} creature')}, {dress}, that {verb}{owns}"
    return [first, second_caption, third]


def base_captions_of(creature: dict[str, str]) -> list[str]:
    """The captions of a creature as the base model learns them, one for each of `BASE_ORDERS`."""
    pattern = _pattern_of(creature)
    said = {
        **_parts_of(creature),
        "mouth": MOUTHS[creature["mouth"]],
        "body": f"{creature['body']} shape",
        "coat": f"{creature['color']} fur" + (f" under {pattern}" if pattern else ""),
    }
    return [", ".join(["monster", *(said[name] for name in order if said[name])]) for order in BASE_ORDERS]


def _pattern_of(creature: dict[str, str]) -> str | None:
    """The pattern as a phrase, such as green stripes, or None for a plain coat."""
    kinds = {"plain": None, "spotted": "spots", "striped": "stripes"}
    kind = kinds[creature["pattern"]]
    return f"{creature['second_color']} {kind}" if kind else None


def _parts_of(creature: dict[str, str]) -> dict[str, str | None]:
    """What sticks out of the body, from top to bottom, each as a phrase or None."""
    return {
        "ears": None if creature["ears"] == "none" else f"{creature['ears']} ears",
        "horns": {"none": None, "one": "one horn", "two": "two horns"}[creature["horns"]],
        "wings": None if creature["wings"] == "none" else "wings",
        "tail": None if creature["tail"] == "none" else f"a {creature['tail']} tail",
    }


def repeats(caption: str) -> bool:
    """Whether a word stands twice in a row or a phrase between commas is said twice."""
    words = caption.replace(",", "").split()
    phrases = [phrase.strip() for phrase in caption.replace(" and ", ",").split(",")]
    return any(a == b for a, b in pairwise(words)) or len(set(phrases)) < len(phrases)
