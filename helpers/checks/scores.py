"""Checks of notebook 4: faults of a caption, word errors by hand and by a program, the bootstrap, a fooled score."""

import random
from collections.abc import Callable
from functools import cache, partial
from itertools import product, zip_longest
from numbers import Integral
from typing import Any

import numpy as np

from helpers.checks.verdicts import Verdict, almost, check, difference, not_yet, right, tried
from helpers.creatures import attributes_of, captions_of, facts_of, judge, random_creature
from helpers.metrics import align_words, word_errors

BY_HAND = ("a square creature, all red, that frowns", "a red creature that frowns and has wings")
ROUND = attributes_of("a round creature, all green, that smiles and has long ears")


@check
def check_faults(faults: Callable[[dict[str, str], dict[str, str]], tuple[int, int, int]]) -> Verdict:
    """`faults(named, truth)`, both part → value of what is there: how many are wrong, left out, invented."""

    def solution(named: dict[str, str], truth: dict[str, str], of: str = "wli") -> tuple[int, ...]:
        # l and i: parts of one alone; a: facts that are true and not named, b: facts that are named and not true
        found = {"l": len(truth.keys() - named), "i": len(named.keys() - truth)}
        found |= {"a": len(truth.items() - named.items()), "b": len(named.items() - truth.items())}
        return tuple({"w": found["a"] - found["l"], **found}[each] for each in of)

    def facts(text: str) -> dict[str, str]:
        return dict(fact.split("=") for fact in text.split())

    blue, green = facts("color=blue horns=one wings=wings"), facts("color=green ears=long tail=curly mouth=open")
    red, square = facts("color=red ears=round tail=curly"), facts("color=red body=round tail=spiky")
    cases = [(blue, green), (red, square), ({}, red), (square, dict(reversed(square.items())))]
    twice = "Did you count a wrong fact as left out or invented, too? Its part is named."
    wider = "Did you count as wrong what is left out or invented, too? A wrong fact needs its part in both."
    asked = {
        "wil": "Did you swap what is left out and what is invented?",
        "lwi": "Did you swap what is wrong and what is left out?",
        **dict.fromkeys(("wai", "wlb", "wab"), twice),
        **dict.fromkeys(("".join(each) for each in product("ab", "la", "ib")), wider),
    }
    mistakes = [(partial(solution, of=of), question) for of, question in asked.items()]
    return tried(faults, solution, cases, "Each fault is counted once: wrong, left out or invented.", mistakes)


@check
def check_alignment(substituted: int | None, deleted: int | None, inserted: int | None) -> Verdict:
    """The numbers of an alignment of `BY_HAND`, reference and caption, with the fewest errors."""
    wanted, said = (text.replace(",", "").split() for text in BY_HAND)

    @cache
    def splits(i: int, j: int) -> set[tuple[int, int, int]]:
        """The numbers of every alignment of the first i words of the reference and the first j of the caption."""
        if not i or not j:
            return {(0, i, j)}
        paired = {(s + (wanted[i - 1] != said[j - 1]), d, n) for s, d, n in splits(i - 1, j - 1)}
        return (
            paired | {(s, d + 1, n) for s, d, n in splits(i - 1, j)} | {(s, d, n + 1) for s, d, n in splits(i, j - 1)}
        )

    given, possible = (substituted, deleted, inserted), splits(len(wanted), len(said))
    fewest = min(map(sum, possible))
    if None in given:
        return not_yet("A number is missing.")
    if not all(isinstance(number, Integral) and number >= 0 for number in given):
        return almost("Give three whole numbers, 0 or more.")
    if given in possible and sum(given) == fewest:
        rate = f"{fewest} errors in {len(wanted)} words, a rate of {fewest / len(wanted):.3f}"
        return right(f"{rate}. Alignments may differ in their numbers; the smallest sum is the same for all.")
    if given in possible:
        return almost("One alignment has these numbers, but they are not the fewest errors.")
    if (substituted, inserted, deleted) in possible:
        return almost("Did you swap the last two? A deleted word stands in the reference alone.")
    order = "The words of both keep their order." if inserted - deleted == 1 else "The caption is one word longer."
    return almost(
        f"{'The sum is right, but no' if sum(given) == fewest else 'No'} alignment has these numbers. {order}"
    )


@check
def check_word_errors(errors_of: Callable[[str, str], int]) -> Verdict:
    """`errors_of(reference, caption)`, texts without capitals and punctuation: the fewest errors, a whole number."""

    def solution(reference: str, caption: str) -> int:
        found = align_words(reference, caption)
        return found.substitutions + found.deletions + found.insertions

    def table(wanted: str | list[str], said: str | list[str], swap: int = 1, first: int = 1, left: int = 1) -> int:
        row = [first * j for j in range(len(said) + 1)]
        for i, word in enumerate(wanted, 1):
            above, row = row, [left * i]
            for j, other in enumerate(said, 1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + swap * (word != other)))
        return row[-1]

    cases = [
        ("a red creature with a red horn and a red tail", "a creature with a red tail and a tail"),
        ("a tall red creature with two horns", "a creature with one red horn and red wings"),
        ("a gray creature that frowns", ""),
        ("", "two horns"),
    ]
    mistakes = [
        (
            lambda a, b: sum(one != other for one, other in zip_longest(a.split(), b.split())),
            "Did you compare place by place? One word more shifts all that follow.",
        ),
        (lambda a, b: len(set(a.split()) ^ set(b.split())), "Did you compare sets? Order and repetition count."),
        (lambda a, b: table(a.split(), b.split(), 2), "Does a substitution count 2? It is one error."),
        (table, "Did you compare letters? Split the texts into words."),
        *(
            (lambda a, b, edges=edges: table(a.split(), b.split(), 1, *edges), "Is the first row, or column, all 0?")
            for edges in ((0, 1), (1, 0), (0, 0))
        ),
    ]
    return tried(errors_of, solution, cases, "Your count is jiwer's, with empty and repeated words too.", mistakes)


@check
def check_interval(interval: Callable[[list[float], int, int], tuple[float, float]]) -> Verdict:
    """`interval(values, repeats, seed)`: the middle 95 % of the means of so many bootstrap samples, low and high.

    Both ends may be off by 0.055. With 4,000 repeats, and widths near 1 as here, an end varies by 0.015 from seed to
    seed (one standard deviation, at most); in place of 95 %, 90 % moves it by 0.08.
    """

    def solution(values: list[float], repeats: int, seed: int, low: float = 0.025) -> list[float]:
        drawn = np.random.default_rng(seed).choice(values, (5 * repeats, len(values)))
        return np.quantile(drawn.mean(axis=1), (low, 1 - low)).tolist()

    def given(*case: Any) -> Any:
        ends = interval(*case)
        return ends.tolist() if hasattr(ends, "tolist") else ends

    def where(looks_so: Callable[..., bool]) -> Callable[..., Any]:
        """What was given, where it looks like a mistake whose draws cannot be repeated here."""

        def ends_or_nothing(*case: Any) -> Any:
            ends = given(*case)
            return ends if np.shape(ends) == (2,) and looks_so(ends, solution(*case, low=0.001)) else None

        return ends_or_nothing

    rng = np.random.default_rng(4)
    skewed, few = rng.gamma(1.6, 1.0, 25).round(2).tolist(), rng.normal(2, 0.77, 9).round(2).tolist()
    # Of the last, no mean is below 0, as the end of a formula's interval would be.
    cases = [(skewed, 4000, 3), (few, 4000, 8), ([0.0] * 9 + [3.0], 4000, 5)]
    mistakes = [
        (
            lambda values, *_: [np.mean(values)] * 2,
            "The means hardly differ. Draw as many as there are values, with repetition.",
        ),
        (lambda values, *_: np.quantile(values, (0.025, 0.975)).tolist(), "Are these single values? Take means."),
        (lambda *case: solution(*case, low=0.05), "Did you keep 90 %? For 95 %, leave out 2.5 % on each side."),
        (lambda *case: solution(*case)[::-1], "Did you swap the ends?"),
        (where(lambda ends, _: ends[0] == ends[1]), "Are all samples the same? Seed once, before the loop."),
        (
            where(lambda ends, far: all(-0.01 < sign * (ends[k] - far[k]) < 0.7 for k, sign in ((0, -1), (1, 1)))),
            "Are these the least and the largest mean? Leave out 2.5 % on each side.",
        ),
    ]
    shows = "Drawing alone, without a formula, tells how far a mean might have moved with other pictures."
    verdict = tried(given if callable(interval) else interval, solution, cases, shows, mistakes, bound=0.055)
    if verdict:
        first, again, other = (given(skewed, 4000, seed) for seed in (1, 1, 90_000))
        if difference(again, first, 0) or not difference(other, first, 0):
            return almost("The same seed has to give the same draws, and another one others. Do you use it?")
        if difference(*given(skewed, 1, 3), 0):
            return almost("The mean of one sample is both ends. Do you draw as many samples as `repeats` says?")
    return verdict


def rate_of_others() -> float:
    """The word error rate of captions of a hundred other creatures, against the references of `ROUND`."""
    rng = random.Random(0)
    others = [captions_of(random_creature(rng))[0] for _ in range(100)]
    errors, words = word_errors(others, [captions_of(ROUND)] * 100).sum(axis=0)
    return errors / words


@check
def check_contradiction(good_score: str, good_facts: str) -> Verdict:
    """Two captions of `ROUND`, scored against its nearest reference: every fact wrong, and every fact right.

    The first has to score better than captions of other creatures do on average, the second worse.
    """
    if not all(isinstance(text, str) and text.strip() for text in (good_score, good_facts)):
        return not_yet("A caption is missing.")
    errors, words = word_errors([good_score, good_facts], [captions_of(ROUND)] * 2).T
    (low, high), average = errors / words, rate_of_others()
    first, second = judge(good_score, ROUND), judge(good_facts, ROUND)
    beyond = f"captions of other creatures have {average:.3f} on average"
    if first.all_right and second.wrong:
        return almost("Did you swap the two?")
    if not second.all_right:
        unknown = f"; unknown words: {', '.join(facts_of(good_facts).unknown)}" if second.unknown else ""
        return almost(f"In good_facts not everything is right: {second}{unknown}.")
    if first.right or first.left_out:
        return almost(f"In good_score every part should be named, with another value: {first}.")
    if low >= average:
        return almost(f"The rate of good_score is {low:.3f}; {beyond}. Keep the words between the facts.")
    if high <= average:
        return almost(f"The rate of good_facts is {high:.3f}; {beyond}. Go further from all three references.")
    found = f"Word error rate {low:.3f} with every fact wrong, {high:.3f} with every fact right"
    return right(f"{found}; {beyond}. The score reads words, not what they mean.")
