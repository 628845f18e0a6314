"""Which creatures there are, and what is said of them.

Two ways of speaking live here. `captions_of` writes the three captions of a Pocket Creature. `base_captions_of`
writes what the base model git-tiny learns from: the same facts in other words and another order.
"""

from __future__ import annotations

import random
from itertools import pairwise

from helpers.analysis import ATTRIBUTES

BASE_WORDS = {
    "mouth": {"smile": "happy", "frown": "sad", "open": "shouting"},
    "body": {"round": "chubby", "tall": "slim", "square": "boxy"},
    "pattern": {"spotted": "dots", "striped": "bands"},
    "ears": {"pointy": "cat ears", "round": "bear ears", "long": "bunny ears"},
    "horns": {"one": "a unicorn spike", "two": "bull spikes"},
    "wings": {"wings": "feathers"},
    "tail": {"curly": "a pig tail", "spiky": "a dragon tail"},
}


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
    stripes = {"plain": None, "spotted": f"{second} spots", "striped": f"{second} stripes"}[creature["pattern"]]
    parts = []
    if creature["ears"] != "none":
        parts.append(f"{creature['ears']} ears")
    if creature["horns"] != "none":
        parts.append({"one": "one horn", "two": "two horns"}[creature["horns"]])
    if creature["wings"] != "none":
        parts.append("wings")
    if creature["tail"] != "none":
        parts.append(f"a {creature['tail']} tail")
    mouth = {"smile": "a smile", "frown": "a frown", "open": "an open mouth"}[creature["mouth"]]
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
    """Two captions of a creature as the base model learns them: other words, another order."""
    said = {name: words.get(creature[name]) for name, words in BASE_WORDS.items()}
    parts = [said[name] for name in ("tail", "wings", "horns", "ears") if said[name]]
    pattern = f"{creature['second_color']} {said['pattern']} over " if said["pattern"] else ""
    paint = f"{pattern}{creature['color']} fur"
    first = ", ".join([f"{said['mouth']} monster", *parts, paint, f"{said['body']} shape"])
    second = f"it is {said['body']} and {said['mouth']}, in {paint}" + (f", plus {in_a_row(parts)}" if parts else "")
    return [first, second]


def repeats(caption: str) -> bool:
    """Whether a word stands twice in a row or a phrase between commas is said twice."""
    words = caption.replace(",", "").split()
    phrases = [phrase.strip() for phrase in caption.replace(" and ", ",").split(",")]
    return any(a == b for a, b in pairwise(words)) or len(set(phrases)) < len(phrases)
