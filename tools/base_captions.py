"""The captions that the base model git-tiny learns from: loose ones, as several people would write them of one picture.

A caption names at most half of the facts that are there, each in one of several wordings, among words that say nothing
of them; and now and then it belongs to another drawing. The creatures of its world lack some values: `UNSEEN`.
"""

import random
from collections import Counter
from collections.abc import Iterable

from helpers.creatures.captions import in_a_row, with_article
from helpers.creatures.facts import facts_of_creature, pieces_of
from helpers.creatures.wordings import (
    ASIDES,
    BEFORE,
    COAT,
    COLORS,
    ENDINGS,
    LOOSE,
    MARKS,
    NOUNS,
    OPENERS,
    SECOND,
    THAT,
    UNSEEN,
    WITH,
    Fact,
)

CAPTIONS = 5  # of each drawing, as in COCO
MISTAKEN = 0.05  # the share of captions that belong to another drawing


def in_base_world(creature: dict[str, str]) -> bool:
    """Whether a creature has none of the values that the base model never sees."""
    return not any(fact in UNSEEN for fact in creature.items())


def loose_caption(creature: dict[str, str], rng: random.Random) -> str:
    """One caption of a creature of the base model's world, as somebody in passing might write it."""
    there = facts_of_creature(creature)
    most = len(there) // 2
    named = rng.sample(there, rng.randint(max(1, most - 1), most))
    said: dict[str, list[str]] = {BEFORE: [], WITH: [], THAT: []}
    for place, phrase in _wordings(named, rng):
        said[place].append(phrase)
    for phrases in said.values():
        rng.shuffle(phrases)
    return _sentence(said, rng)


def _wordings(named: list[Fact], rng: random.Random) -> list[tuple[str, str]]:
    """Each fact in words, with the place that they take; a pattern and its colour may share a phrase."""
    facts, wordings = dict(named), []
    if "pattern" in facts and "second_color" in facts:
        wordings.append(
            (WITH, rng.choice(MARKS[facts.pop("pattern")]).format(rng.choice(COLORS[facts.pop("second_color")])))
        )
    for part, forms in (("color", COAT), ("second_color", SECOND)):
        if part in facts:
            place, form = rng.choice(forms)
            wordings.append((place, form.format(rng.choice(COLORS[facts.pop(part)]))))
    return [*wordings, *(rng.choice(LOOSE[fact]) for fact in facts.items())]


def _sentence(said: dict[str, list[str]], rng: random.Random) -> str:
    aside = [rng.choice(ASIDES)] if rng.random() < 0.4 else []
    noun = " ".join([*aside, *said[BEFORE], rng.choice(NOUNS)])
    ending = f" {rng.choice(ENDINGS)}" if rng.random() < 0.3 else ""
    opener = f"{opener} " if (opener := rng.choice(OPENERS)) else ""
    listed, verbs = said[WITH], said[THAT]
    form = rng.randrange(4)
    if verbs:
        owns = f" and has {in_a_row(listed)}" if listed else ""
        return f"{opener}{with_article(noun)} that {' and '.join(verbs)}{owns}{ending}"
    if not listed:
        return f"{opener}{with_article(noun)}{ending}"
    if form == 0:
        return f"{noun}, {', '.join(listed)}{ending}"
    if form == 1:
        return f"{' and '.join(listed)} on {with_article(noun)}{ending}"
    if form == 2:
        return f"the {noun} has {in_a_row(listed)}{ending}"
    return f"{opener}{with_article(noun)} with {in_a_row(listed)}{ending}"


def loose_captions(creature: dict[str, str], another: dict[str, str], rng: random.Random) -> list[str]:
    """`CAPTIONS` captions of a creature, of which one in twenty is of `another`."""
    return [loose_caption(another if rng.random() < MISTAKEN else creature, rng) for _ in range(CAPTIONS)]


def caption_statistics(rows: Iterable[tuple[dict[str, str], list[str]]]) -> dict[str, float]:
    """What the captions of drawings say and leave unsaid; of each drawing its creature and its captions.

    Returns:
        captions and facts there (numbers); facts that a caption names (a mean); the shares of the facts there that one
        caption and that all captions of a drawing together name; the share of captions that name something which is
        not there; and of all words the share that stands in phrases of facts.
    """
    count = Counter()
    for creature, captions in rows:
        there, heard = set(facts_of_creature(creature)), set()
        for pieces in map(pieces_of, captions):
            named = {fact for _, facts in pieces for fact in facts}
            heard |= named
            count["words"] += sum(len(words) for words, _ in pieces)
            count["words of facts"] += sum(len(words) for words, facts in pieces if facts)
            count["named"] += len(named)
            count["true"] += len(named & there)
            count["false"] += not named <= there
        count["captions"] += len(captions)
        count["there"] += len(there)
        count["there, for each caption"] += len(there) * len(captions)
        count["heard"] += len(heard & there)
    return {
        "captions": count["captions"],
        "facts_there": count["there"],
        "facts_named_per_caption": round(count["named"] / count["captions"], 3),
        "facts_named_by_one_caption": round(count["true"] / count["there, for each caption"], 4),
        "facts_named_by_any_caption": round(count["heard"] / count["there"], 4),
        "captions_naming_what_is_not_there": round(count["false"] / count["captions"], 4),
        "words_of_facts": round(count["words of facts"] / count["words"], 4),
    }
