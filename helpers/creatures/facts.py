"""Facts of captions: what a caption says of a creature, and what of it is right, wrong, left out or invented.

A caption's facts are a multiset of (part, value). "two horns" twice, or beside "one horn", counts twice: naming every
value gains nothing. Capital letters and punctuation are not read. A phrase is broken by any word in it: "two big horns"
names no horns, and leaves two words that are not in the grammar.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from helpers.creatures.attributes import ATTRIBUTES
from helpers.creatures.wordings import FILLER, Fact, phrases
from helpers.text import visible

ABSENT = ("none", "plain")  # values that captions leave unsaid: no fact


class Facts(NamedTuple):
    """What a caption says."""

    named: list[Fact]  # in the order of the words, repetitions included
    unknown: list[str]  # words that neither name a fact nor stand around one in the captions that we know


class Verdict(NamedTuple):
    """A caption's facts against the true ones; `right` + `wrong` + `left_out` is the number of true facts."""

    right: int
    wrong: int  # the part is named, with another value
    left_out: int  # the part is not named
    invented: int  # named beyond: a part that is not there, a second value, a repetition
    unknown: int  # words that are not in the grammar

    @property
    def all_right(self) -> bool:
        """Whether the caption says every fact, nothing else, and only in words of the grammar."""
        return not any(self[1:])


@cache
def _grammar() -> tuple[dict[tuple[str, ...], tuple[Fact, ...]], int]:
    known = phrases()
    return known, max(map(len, known))


def pieces_of(caption: str) -> list[tuple[tuple[str, ...], tuple[Fact, ...]]]:
    """A caption's words from left to right: phrases with the facts that they name, and single words that name none.

    Of the phrases that begin at a word, the longest counts.
    """
    (known, longest), words = _grammar(), tuple(re.findall(r"\w+", visible(str(caption)).lower()))
    pieces, at = [], 0
    while at < len(words):
        ends = range(min(len(words), at + longest), at, -1)
        end = next((end for end in ends if words[at:end] in known), at + 1)
        pieces.append((words[at:end], known.get(words[at:end], ())))
        at = end
    return pieces


def facts_of(caption: str) -> Facts:
    """The facts that a caption names, and its words that are not in the grammar."""
    pieces = pieces_of(caption)
    unknown = [words[0] for words, facts in pieces if not facts and words[0] not in FILLER]
    return Facts([fact for _, facts in pieces for fact in facts], unknown)


def facts_of_creature(creature: Mapping[str, str]) -> list[Fact]:
    """The facts that are true of a creature, in the order of `ATTRIBUTES`; a part that is not there is no fact."""
    return [(name, creature[name]) for name in ATTRIBUTES if creature.get(name, "none") not in ABSENT]


def attributes_of(caption: str) -> dict[str, str]:
    """The Pocket Creatures attributes that a caption names.

    The first value named counts. What a caption does not name is "plain" for the pattern and "none" for all else,
    so a caption that forgets the mouth is wrong about the mouth.

    Returns:
        A value for each name in `ATTRIBUTES`.
    """
    first = dict(reversed(facts_of(caption).named))
    return {name: first.get(name, "plain" if name == "pattern" else "none") for name in ATTRIBUTES}


def judge(caption: str, creature: Mapping[str, str]) -> Verdict:
    """Counts a caption's facts against those of its creature; parts of which nothing is known do not count."""
    named, unknown = facts_of(caption)
    named = [(part, value) for part, value in named if part in creature]
    true, parts = facts_of_creature(creature), {part for part, _ in named}
    right = sum(fact in named for fact in true)
    wrong = sum(fact[0] in parts and fact not in named for fact in true)
    return Verdict(right, wrong, len(true) - right - wrong, len(named) - right - wrong, len(unknown))
