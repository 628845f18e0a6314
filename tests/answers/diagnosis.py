"""Answers to the exercises of notebook 9."""

from helpers.creatures import attributes_of, facts_of, judge

RIGHT = {"A": 6, "B": 5, "C": 2, "D": 7, "E": 1, "F": 3}  # of draw 9


def named(caption):
    return set(facts_of(caption).named)


def true(creature):
    return {fact for fact in creature.items() if fact[1] not in ("none", "plain")}


def rows_where(test):
    return lambda captions, creatures: [
        i for i, pair in enumerate(zip(captions, creatures, strict=True)) if test(*pair)
    ]


def there(captions, truth):
    return {(part, value) for part, values in truth.items() for value in values if value not in ("none", "plain")}


def said(captions):
    return set().union(*map(named, captions))


def places(same):
    return lambda train, test: [i for i, one in enumerate(test) if any(same(one, other) for other in train)]


WRONG = {
    "check_diagnosis": [
        *(({**RIGHT, letter: number},) for letter, number in (("A", 9), ("B", 8), ("C", 4), ("D", 9), ("E", 3))),
        ({"A": 6},),
        ({**RIGHT, "F": None},),
        (dict.fromkeys(RIGHT, 4),),
        ({**RIGHT, "A": 10},),
        ({**RIGHT, "A": "6"},),
        ({**RIGHT, "A": 6.0},),
        ({**RIGHT, "G": 8},),
        (list(RIGHT.values()),),
        (RIGHT, 8),
        (RIGHT, "9"),
    ],
    "check_contradictions": [
        rows_where(lambda caption, creature: attributes_of(caption) != dict(creature)),
        rows_where(lambda caption, creature: named(caption) != true(creature)),
        rows_where(lambda caption, creature: judge(caption, creature).wrong > 0),
        rows_where(lambda caption, creature: named(caption) <= true(creature)),
        rows_where(lambda caption, creature: not named(caption) & true(creature)),
        rows_where(lambda caption, creature: creature["color"] not in caption),
        lambda captions, creatures: [],
        lambda captions, creatures: len(rows_where(lambda c, k: not named(c) <= true(k))(captions, creatures)),
    ],
    "check_never_named": [
        lambda captions, truth: there(captions, truth) - said(captions),
        lambda captions, truth: {(part, v) for part, values in truth.items() for v in values} - said(captions),
        lambda captions, truth: there(captions, truth),
        lambda captions, truth: there(captions, truth) & said(captions),
        lambda captions, truth: {value for _, value in there(captions, truth) - said(captions)},
        lambda captions, truth: [],
        lambda captions, truth: len(there(captions, truth) - said(captions)),
    ],
    "check_leaked": [
        places(lambda one, other: one is other),
        places(lambda one, other: one == other),
        places(lambda one, other: one.size == other.size),
        places(lambda one, other: one.tobytes() == other.tobytes()),
        places(lambda one, other: one.getpixel((0, 0)) == other.getpixel((0, 0))),
        lambda train, test: places(lambda one, other: one.size == other.size and one.tobytes() == other.tobytes())(
            test, train
        ),
        lambda train, test: len(test),
        lambda train, test: [],
    ],
}
