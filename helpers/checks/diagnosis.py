"""Checks of notebook 9: a diagnosis of each case, and three searches for faults in the data and in captions."""

import functools
import io
from collections.abc import Callable, Collection, Mapping
from functools import cache
from numbers import Integral
from typing import Any

from PIL import Image

from helpers.checks.verdicts import Verdict, almost, check, not_yet, right, tried
from helpers.creatures import facts_of, facts_of_creature, value_recall
from helpers.data import load_captions
from helpers.experiments.faults import FAULTS, SETTINGS
from helpers.experiments.hallmarks import HALLMARKS, speaks
from helpers.experiments.laboratory import measured_rows
from helpers.experiments.symptoms import CASES, Symptoms, contradicts, drawn, healthy_beside, symptoms

OBJECTS = "Did you compare objects? A picture that was stored and read again is another object with the same pixels."


@cache
def _evidence(draw: int) -> dict[str, tuple[int, Symptoms, Symptoms]]:
    """Letter → the number of its fault, its symptoms and those of the healthy training."""
    rows, data = measured_rows(), load_captions(SETTINGS.dataset)
    cases = drawn(rows, draw)
    healthy = healthy_beside(rows, cases["A"])
    beside = symptoms(healthy, healthy, data)
    return {letter: (row["fault"], symptoms(row, healthy, data), beside) for letter, row in cases.items()}


@check
def check_diagnosis(answers: Mapping[str, int | None], draw: int = 9) -> Verdict:
    """`answers`: the number of a fault, 1 to 9, for each case that you have diagnosed; `draw`: that of the cases."""
    if not isinstance(answers, Mapping) or not set(answers) <= set(CASES):
        return not_yet(f"Give a dict with a number for each of the letters {', '.join(CASES)}.")
    given = {letter: number for letter, number in answers.items() if number is not None}
    for letter, number in given.items():
        if number not in FAULTS or not isinstance(number, Integral):
            return almost(f"The answer to case {letter} is no number of a fault; give one of 1 to {len(FAULTS)}.")
    if not given:
        return not_yet("No case has an answer so far.")
    cases = _evidence(draw)
    agreed = [letter for letter, number in given.items() if cases[letter][0] == number]
    said = {letter: speaks(number, *cases[letter][1:])[1] for letter, number in given.items()}
    if wrong := [letter for letter in given if letter not in agreed]:
        letter, number = wrong[0], given[wrong[0]]
        against = f"Against {number} for case {letter}: there, {HALLMARKS[number].expected}; here, {said[letter]}."
        more = f" Of the others, {len(wrong) - 1} do not fit." if wrong[1:] else ""
        fit = f" These fit: {', '.join(agreed)}." if agreed else ""
        return almost(against + more + fit)
    told = "; ".join(f"{letter}: {text}" for letter, text in said.items())
    if len(given) < len(CASES):
        return not_yet(f"{len(given)} of {len(CASES)} cases have an answer, and it fits. {told}.")
    return right(f"All six fit. {told}.")


@check
def check_contradictions(contradictions: Callable[[list[str], list[dict[str, str]]], list[int]]) -> Verdict:
    """`contradictions(captions, creatures)`: the rows whose caption names what its creature has not."""

    def solution(captions: list[str], creatures: list[dict[str, str]]) -> list[int]:
        pairs = enumerate(zip(captions, creatures, strict=True))
        return [i for i, (text, one) in pairs if contradicts(text, one)]

    red = {"color": "red", "ears": "long", "tail": "none"}
    blue = {"color": "blue", "ears": "none", "tail": "spiky"}
    cases = [
        (["a red creature with long ears", "a blue creature with a curly tail"], [red, blue]),
        (["a red creature with a curly tail", "a red creature", "a blue creature"], [red, red, blue]),
        (["a creature with long ears", "a red creature with long ears", "a spiky tail"], [blue, blue, blue]),
        (["a blue creature with a spiky tail", "a creature with pointy ears"], [blue, red]),
        (["a red creature"] * 3, [red, blue, red]),
        # What is said of one part is true of another; the first fact alone, and the first of two ears, contradict.
        (
            [
                "a red creature with round ears",
                "a blue creature with long ears",
                "pointy ears and long ears",
                "a creature",
            ],
            [{"color": "red", "body": "round", "ears": "long"}] * 4,
        ),
    ]

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
        (lambda *case: by_parts(*case, False), "A part that is not there has the value none. Did you count it?"),
        (lambda *case: [i for i in range(len(case[0])) if i not in solution(*case)], "Are these the rows that agree?"),
        (lambda *case: len(solution(*case)), "Give the rows, not how many there are."),
    ]
    shows = "Wrong captions are found without any model."
    return tried(_in_order(contradictions), solution, cases, shows, mistakes)


@check
def check_never_named(never_named: Callable[..., Any]) -> Verdict:
    """`never_named(captions, truth)`: the facts that pictures have and that none of these pictures' captions names."""

    def solution(captions: list[str], truth: dict[str, list[str]], absent: bool = False) -> list[tuple[str, str]]:
        recall = value_recall(captions, truth)
        missing = [fact for fact, (named, _) in recall.items() if not named]
        return sorted([*missing, *((part, "none") for part in truth if absent and "none" in truth[part])])

    def anywhere(captions: list[str], truth: dict[str, list[str]]) -> list[tuple[str, str]]:
        said = set().union(*(facts_of(text).named for text in captions))
        return sorted(value_recall(captions, truth).keys() - said)

    plain = {"tail": ["curly", "spiky", "none"], "ears": ["long", "none", "long"]}
    cases = [
        (["a creature with long ears", "one with a spiky tail", "a creature with long ears"], plain),
        (["long ears and a curly tail", "a spiky tail", "a creature"], plain),
        # Long ears are named, but of the one picture that has none.
        (["a curly tail", "long ears", "a spiky tail"], plain),
        # The body is round and named, the ears are round and not; another tail is named; silence says "plain".
        (
            ["a smiling round creature with a spiky tail", "a round creature"],
            {"body": ["round"] * 2, "ears": ["round"] * 2, "tail": ["curly", "none"], "mouth": ["smile", "none"]}
            | {"pattern": ["plain"] * 2},
        ),
    ]
    mistakes = [
        (anywhere, "Did you look in all captions? Take those of the pictures that have the value."),
        (lambda *case: solution(*case, absent=True), "No caption names none or plain: they are no facts."),
    ]
    shows = "One value at zero stands out, where a mean hides it."
    return tried(_in_order(never_named), solution, cases, shows, mistakes)


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
        # One is in both splits twice, one twice in the test split alone; the same pixels, but in another order.
        (
            [nearly, pictures[0], pictures[0].copy()],
            [stored(pictures[0]), nearly.rotate(180), pictures[0].copy(), pictures[4], stored(pictures[4])],
        ),
    ]
    mistakes = [
        (lambda train, test: [i for i, one in enumerate(test) if any(one is other for other in train)], OBJECTS),
        (lambda train, test: [i for i, one in enumerate(test) if one in train], OBJECTS),
        (lambda *case: solution(*case, key="size"), "Do these have only the size in common? Compare all pixels."),
        (lambda *case: solution(*case, key="bytes"), "In another shape, the same bytes are another picture."),
        (lambda train, test: solution(test, train), "Are these places in `train`? Give those in `test`."),
        (lambda *case: len(solution(*case)), "Give the places, not how many there are."),
        (
            lambda *case: [i for i, (x, y) in enumerate(zip(*case, strict=False)) if solution([x], [y])],
            "Did you compare the pictures at the same place? A copy may stand anywhere in `train`.",
        ),
        (
            lambda *case: [
                i for i in solution(*case) if case[1][i].tobytes() not in [p.tobytes() for p in case[1][:i]]
            ],
            "A picture may stand in `test` more than once. Give all its places.",
        ),
    ]
    return tried(_in_order(leaked), solution, cases, "Copies are found by their pixels.", mistakes)


def _in_order(function: Any) -> Any:
    """The same function, whose set or list comes as a sorted list: no order is asked for."""

    @functools.wraps(function)
    def ordered(*case: Any) -> Any:
        found = function(*case)
        plain = isinstance(found, Collection) and not isinstance(found, str | Mapping)
        return sorted(tuple(each) if isinstance(each, list) else each for each in found) if plain else found

    return ordered if callable(function) else function


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
