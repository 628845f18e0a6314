"""Answers to the exercises of notebook 4."""

import itertools
import random
from collections import Counter

import numpy as np


def pops_what_is_named(named, truth):
    wrong = left_out = 0
    for part, value in truth.items():
        said = named.pop(part, None)
        wrong += said is not None and said != value
        left_out += said is None
    return wrong, left_out, len(named)


def counters(named, truth):
    """By the facts as pairs, and the parts that both speak of."""
    said, true = Counter(named.items()), Counter(truth.items())
    wrong = len({part for part, _ in said - true} & truth.keys())
    return [wrong, sum((true - said).values()) - wrong, sum((said - true).values()) - wrong]


def table_of(wanted, said, *, swap=1, border=1, first=1):
    table = [[border * (i + first * j) for j in range(len(said) + 1)] for i in range(len(wanted) + 1)]
    for i, j in itertools.product(range(1, len(wanted) + 1), range(1, len(said) + 1)):
        same = wanted[i - 1] == said[j - 1]
        diagonal = table[i - 1][j - 1] + (0 if same else swap)
        table[i][j] = min(diagonal, table[i - 1][j] + 1, table[i][j - 1] + 1)
    return table[-1][-1]


def in_words(solution):
    return lambda reference, caption: solution(reference.split(), caption.split())


def by_recursion(wanted, said):
    if not wanted or not said:
        return len(wanted) + len(said)
    if wanted[0] == said[0]:
        return by_recursion(wanted[1:], said[1:])
    return 1 + min(by_recursion(wanted[a:], said[b:]) for a, b in ((1, 0), (0, 1), (1, 1)))


def places(wanted, said):
    return sum(a != b for a, b in zip(wanted, said, strict=False)) + abs(len(wanted) - len(said))


def drawn(values, repeats, seed, *, ends=(0.025, 0.975), size=None):
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(values, k=size or len(values))) / (size or len(values)) for _ in range(repeats))
    return tuple(means[int(end * repeats)] for end in ends)


def without_repetition(values, repeats, seed):
    rng = random.Random(seed)
    means = sorted(sum(rng.sample(values, len(values))) / len(values) for _ in range(repeats))
    return means[int(0.025 * repeats)], means[int(0.975 * repeats)]


def seeded_inside(values, repeats, seed):
    means = sorted(np.mean(random.Random(seed).choices(values, k=len(values))) for _ in range(repeats))
    return means[int(0.025 * repeats)], means[int(0.975 * repeats)]


def by_formula(values, repeats, seed):
    half = 1.96 * np.std(values, ddof=1) / len(values) ** 0.5
    return np.mean(values) - half, np.mean(values) + half


def shuffles_in_place(values, repeats, seed):
    found = drawn(values, repeats, seed)
    values.sort()
    return found


ALL_WRONG = "a tall creature, all red, that frowns and has pointy ears"
ALL_RIGHT = "look at this happy grass green friend, ball shaped, with long ears"

WRONG = {
    "check_faults": [
        pops_what_is_named,
        lambda named, truth: (counters(named, truth)[0], *counters(named, truth)[:0:-1]),
        lambda named, truth: (
            sum(named.get(part) != value for part, value in truth.items()),
            len(truth.keys() - named.keys()),
            len(named.keys() - truth.keys()),
        ),
        lambda named, truth: (
            counters(named, truth)[0],
            len(truth.items() - named.items()),
            len(named.items() - truth.items()),
        ),
        lambda named, truth: (len(named.items() - truth.items()), *counters(named, truth)[1:]),
        lambda named, truth: (counters(named, truth)[0], len(truth.items() - named.items()), len(named.keys() - truth)),
        lambda named, truth: [counters(named, truth)[k] for k in (1, 0, 2)],
        lambda named, truth: sum(counters(named, truth)),
        lambda named, truth: (1, 3, 2),
        lambda named, truth: dict(zip(("wrong", "left_out", "invented"), counters(named, truth), strict=True)),
    ],
    "check_alignment": [
        (3, 1, 2),  # its sum is right
        (6, 0, 0),
        (1, 3, 2),
        (7, 0, 1),
        (2, 2, 3),
        (1, 1, 1),
        (1, 2, None),
        (0.857, 2, 3),
        ("1", "2", "3"),
        (-1, 3, 4),
    ],
    "check_word_errors": [
        table_of,  # of letters
        in_words(places),
        lambda reference, caption: sum(a != b for a, b in zip(reference.split(), caption.split(), strict=False)),
        lambda reference, caption: len(set(reference.split()) ^ set(caption.split())),
        lambda reference, caption: sum((Counter(reference.split()) - Counter(caption.split())).values()),
        in_words(lambda wanted, said: table_of(wanted, said, swap=2)),
        in_words(lambda wanted, said: table_of(wanted, said, border=0)),
        in_words(lambda wanted, said: table_of(wanted, said, first=0)),
        in_words(lambda wanted, said: table_of(wanted, said) / max(1, len(wanted))),
        in_words(lambda wanted, said: str(table_of(wanted, said))),
        in_words(lambda wanted, said: table_of(wanted, said) / len(wanted)),
    ],
    "check_interval": [
        without_repetition,
        lambda values, repeats, seed: np.quantile(values, (0.025, 0.975)),
        lambda values, repeats, seed: drawn(values, repeats, seed, ends=(0.05, 0.95)),
        lambda values, repeats, seed: drawn(values, repeats, seed, ends=(0.975, 0.025)),
        lambda values, repeats, seed: drawn(values, repeats, seed, size=20),
        lambda values, repeats, seed: drawn(values, repeats, seed, ends=(0, 1 - 1 / repeats)),
        seeded_inside,
        lambda values, repeats, seed: drawn(values, repeats, seed=0),
        lambda values, repeats, seed: drawn(values, repeats, seed=None),
        lambda values, repeats, seed: drawn(values, repeats, seed)[1] - drawn(values, repeats, seed)[0],
        by_formula,
        shuffles_in_place,
    ],
    "check_contradiction": [
        (ALL_RIGHT, ALL_WRONG),
        (ALL_WRONG, "a round creature, all green, that smiles and has long ears"),
        (ALL_WRONG, "a smiling round green animal with long ears"),
        (ALL_WRONG, "look at this happy emerald friend, ball shaped, with long ears"),
        (ALL_WRONG, f"{ALL_RIGHT} and wings"),
        ("a tall creature, all green, that frowns and has pointy ears", ALL_RIGHT),
        ("a creature", ALL_RIGHT),
        ("meet my sad scarlet fellow, slim, who owns ears like a cat, here and there, at home, on paper", ALL_RIGHT),
        ([ALL_WRONG], [ALL_RIGHT]),
    ],
}
