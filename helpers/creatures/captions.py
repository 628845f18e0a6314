"""Captions of Pocket Creatures: three per creature, written from its attributes; and creatures drawn at random."""

import random

from helpers.creatures.attributes import ATTRIBUTES

MOUTHS = {"smile": "a smile", "frown": "a frown", "open": "an open mouth"}


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
    color, body, stripes = creature["color"], creature["body"], pattern_of(creature)
    parts = [part for part in parts_of(creature).values() if part]
    mouth = MOUTHS[creature["mouth"]]
    verb = {"smile": "smiles", "frown": "frowns", "open": "opens its mouth"}[creature["mouth"]]
    coat, dress, listed = color, f"all {color}", []
    if stripes:
        coat = f"{color} and {creature['second_color']} {creature['pattern']}"
        dress, listed = f"{color} with {stripes}", [stripes]
    owns = f" and has {in_a_row(parts)}" if parts else ""
    return [
        f"a drawing of {with_article(f'{body} {coat} creature')} with {in_a_row([*parts, mouth])}",
        f"{with_article(f'{color} creature')} with {in_a_row([*listed, f'a {body} body', *parts, mouth])}",
        f"{with_article(f'{body} creature')}, {dress}, that {verb}{owns}",
    ]


def pattern_of(creature: dict[str, str]) -> str | None:
    """The pattern as a phrase, such as green stripes, or None for a plain coat."""
    kind = {"plain": None, "spotted": "spots", "striped": "stripes"}[creature["pattern"]]
    return f"{creature['second_color']} {kind}" if kind else None


def parts_of(creature: dict[str, str]) -> dict[str, str | None]:
    """What sticks out of the body, from top to bottom, each as a phrase or None."""
    return {
        "ears": None if creature["ears"] == "none" else f"{creature['ears']} ears",
        "horns": {"none": None, "one": "one horn", "two": "two horns"}[creature["horns"]],
        "wings": None if creature["wings"] == "none" else "wings",
        "tail": None if creature["tail"] == "none" else f"a {creature['tail']} tail",
    }
