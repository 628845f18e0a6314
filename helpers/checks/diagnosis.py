"""Checks of notebook 9: a diagnosis of each case, and three searches for faults in the data and in captions."""

import io
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Integral
from typing import Any, NamedTuple

from PIL import Image

from helpers.checks.verdicts import Verdict, almost, check, not_yet, right, tried
from helpers.creatures import captions_of, facts_of, facts_of_creature, random_creature
from helpers.data import load_captions
from helpers.faults import FAULTS, SETTINGS
from helpers.laboratory import measured_rows
from helpers.creatures.facts import ABSENT
from helpers.symptoms import CASES, Evidence, drawn, evidence_of, healthy_beside

OBJECTS = "Did you compare objects? A picture that was stored and read again is another object with the same pixels."


class Hallmark(NamedTuple):
    """What tells a fault from all others."""

    expected: str  # what a training with this fault shows
    found: str  # what a training shows in this respect, with its own values: a template for the fields of `Evidence`
    shown: Callable[[Evidence], bool]  # whether it shows it


HALLMARKS = {
    1: Hallmark(
        "the loss is almost zero, and no caption is right",
        "the validation loss is {loss:.4f}, and {right:.0%} of the captions are right",
        lambda e: e.loss < 0.01 and e.right == 0,
    ),
}


@cache
def _evidence(draw: int) -> dict[str, tuple[int, Evidence]]:
    """Letter → the number of its fault, and what it shows."""
    rows, dataset = measured_rows(), load_captions(SETTINGS.dataset)
    return {
        letter: (row["fault"], evidence_of(row, healthy_beside(rows, row), dataset))
        for letter, row in drawn(rows, draw).items()
    }


def said_of(number: int, evidence: Evidence) -> str:
    """What speaks for or against a fault, with the values of a case."""
    hallmark = HALLMARKS[number]
    found = hallmark.found.format(**evidence._asdict())
    return found if hallmark.shown(evidence) else f"with fault {number}, {hallmark.expected}; here {found}"


@check
def check_diagnosis(answers: Mapping[str, int | None], draw: int = 1) -> Verdict:
    """`answers`: the number of a fault, 1 to 9, for each case that you have diagnosed; `draw`: that of the cases."""
    if not isinstance(answers, Mapping) or not set(answers) <= set(CASES):
        return not_yet(f"Give a dict with a number for each of the letters {', '.join(CASES)}.")
    given = {letter: number for letter, number in answers.items() if number is not None}
    if strange := [letter for letter, number in given.items() if number not in FAULTS or not isinstance(number, Integral)]:
        return almost(f"The answer to case {strange[0]} is no number of a fault; give one of 1 to {len(FAULTS)}.")
    if not given:
        return not_yet("No case has an answer so far.")
    cases = _evidence(draw)
    wrong = [letter for letter, number in given.items() if cases[letter][0] != number]
    agreed = [letter for letter in given if letter not in wrong]
    if wrong:
        letter, others = wrong[0], f" Right so far: {', '.join(agreed)}." if agreed else ""
        more = f" {len(wrong) - 1} more of your answers do not fit." if wrong[1:] else ""
        against = said_of(given[letter], cases[letter][1])
        return almost(f"Against {given[letter]} for case {letter}: {against}.{more}{others}")
    told = "; ".join(f"{letter}: {said_of(number, cases[letter][1])}" for letter, number in given.items())
    if len(given) < len(CASES):
        return not_yet(f"{len(given)} of {len(CASES)} cases are diagnosed, and rightly. {told}.")
    return right(f"{told}.")


@check
def check_contradictions(contradictions: Callable[[list[str], list[dict[str, str]]], list[int]]) -> Verdict:
    """`contradictions(captions, creatures)`: the rows whose caption names what its creature has not."""

    def solution(captions: list[str], creatures: list[dict[str, str]]) -> list[int]:
        pairs = enumerate(zip(captions, creatures, strict=True))
        return [i for i, (text, one) in pairs if any(one[part] != value for part, value in facts_of(text).named)]

    rng = random.Random(9)
    creatures = [random_creature(rng) for _ in range(12)]
    captions = [captions_of(creature)[i % 3] for i, creature in enumerate(creatures)]
    moved = [*captions[:4], *captions[5:8], captions[4], *captions[8:]]  # of four, each has the next one's
    ears = {**creatures[0], "ears": "none"}
    short, with_ears = "a drawing of a creature", "a creature with long ears"
    cases = [(captions, creatures), (moved, creatures), ([short, with_ears], [creatures[0], ears])]
    cases.append(([with_ears, with_ears], [{**ears, "ears": "round"}, {**ears, "ears": "long"}]))

    def by_parts(captions: list[str], creatures: list[dict[str, str]], absent: bool) -> list[int]:
        """As a wrong solution: what is left out counts too (`absent`), or a part that is not there does not."""
        found = []
        for i, (text, one) in enumerate(zip(captions, creatures, strict=True)):
            named, true = set(facts_of(text).named), set(facts_of_creature(one))
            parts = {part for part, _ in true}
            if (named != true) if absent else any(fact[0] in parts and fact not in true for fact in named):
                found.append(i)
        return found

    mistakes = [
        (lambda *case: by_parts(*case, True), "Did you count what a caption leaves out? That contradicts nothing."),
        (lambda *case: by_parts(*case, False), "A part that is not there has the value none. Did you count it as well?"),
        (lambda *case: [i for i in range(len(case[0])) if i not in solution(*case)], "Are these the rows that agree?"),
        (lambda *case: len(solution(*case)), "Give the rows, not how many there are."),
    ]
    return tried(contradictions, solution, cases, "Wrong captions are found without any model.", mistakes)


@check
def check_never_named(never_named: Callable[..., Any]) -> Verdict:
    """`never_named(captions, truth)`: the facts that pictures have and that none of these pictures' captions names."""

    def solution(captions: list[str], truth: dict[str, list[str]], anywhere: bool = False) -> list[tuple[str, str]]:
        named = [set(facts_of(text).named) for text in captions]
        said = set().union(*named) if anywhere else None
        there = dict.fromkeys((part, value) for part in truth for value in truth[part] if value not in ABSENT)
        rows = {fact: [i for i, value in enumerate(truth[fact[0]]) if value == fact[1]] for fact in there}
        return sorted(
            fact for fact in there if (fact not in said if anywhere else not any(fact in named[i] for i in rows[fact]))
        )

    def given(*case: Any) -> Any:
        found = never_named(*case)
        return sorted(tuple(each) for each in found) if isinstance(found, list | set | tuple) else found

    plain = {"tail": ["curly", "spiky", "none"], "ears": ["long", "none", "long"]}
    cases = [
        (["a red creature with long ears", "one with a spiky tail", "a creature with long ears"], plain),
        (["long ears and a curly tail", "a spiky tail", "a red creature"], plain),
        # Long ears are named, but of the one picture that has none.
        (["a curly tail", "long ears", "a spiky tail"], plain),
    ]
    mistakes = [
        (lambda *case: solution(*case, anywhere=True), "Did you look in all captions? Take those of the pictures alone."),
        (
            lambda captions, truth: sorted([*solution(captions, truth), *((p, "none") for p in truth if "none" in truth[p])]),
            "No caption names none or plain: they are no facts.",
        ),
    ]
    return tried(given if callable(never_named) else never_named, solution, cases, "One value at zero stands out, where a mean hides it.", mistakes)


@check
def check_leaked(leaked: Callable[[list[Any], list[Any]], list[int]]) -> Verdict:
    """`leaked(train, test)`, lists of pictures: the places in `test` of those whose pixels are in `train` too."""

    def solution(train: list[Any], test: list[Any], key: str = "pixels") -> list[int]:
        def seen(picture: Any) -> Any:
            whole = {"size": picture.size, "bytes": picture.tobytes()}
            return whole.get(key, tuple(whole.values()))

        known = {seen(picture) for picture in train}
        return [i for i, picture in enumerate(test) if seen(picture) in known]

    def stored(picture: Image.Image) -> Image.Image:
        """The same picture after it was saved as a file and read again: another object."""
        return Image.open(io.BytesIO(_png(picture)))

    pictures = [Image.new("RGB", (4, 3), (40 * k, 200, 90)) for k in range(6)]
    nearly = pictures[1].copy()
    nearly.putpixel((3, 2), (41, 200, 90))
    turned = Image.new("RGB", (3, 4), (0, 200, 90))  # the bytes of the first one in another shape
    cases = [
        (pictures[:3], [pictures[4], pictures[2].copy(), pictures[5], pictures[0].copy()]),
        (pictures[:3], [stored(pictures[1]), nearly, turned, stored(pictures[3])]),
        (pictures[3:], pictures[:3]),
    ]
    mistakes = [
        (lambda train, test: [i for i, one in enumerate(test) if any(one is other for other in train)], OBJECTS),
        (lambda train, test: [i for i, one in enumerate(test) if one in train], OBJECTS),
        (lambda *case: solution(*case, key="size"), "Do these have only the size in common? Compare all pixels."),
        (lambda *case: solution(*case, key="bytes"), "Pixels in another shape are another picture. Compare sizes, too."),
        (lambda train, test: solution(test, train), "Are these places in `train`? Give those in `test`."),
        (lambda *case: len(solution(*case)), "Give the places, not how many there are."),
    ]
    return tried(leaked, solution, cases, "Copies are found by their pixels; nearly equal pictures need more.", mistakes)


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
