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


def by_picture(captions, truth, names, absent=("none", "plain")):
    facts = [
        (i, part, value) for part, values in truth.items() for i, value in enumerate(values) if value not in absent
    ]
    return {(part, value) for _, part, value in facts} - {(p, v) for i, p, v in facts if names(captions[i], p, v)}


def same(one, other):
    return (one.size, one.tobytes()) == (other.size, other.tobytes())


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
        rows_where(lambda caption, creature: any(value not in creature.values() for _, value in named(caption))),
        rows_where(
            lambda caption, creature: [*map(creature.items().__contains__, facts_of(caption).named)][-1:] == [False]
        ),
        rows_where(lambda caption, creature: not dict(facts_of(caption).named).items() <= creature.items()),
        rows_where(lambda caption, creature: not named(caption) or not named(caption) <= true(creature)),
        lambda captions, creatures: [],
        lambda captions, creatures: len(rows_where(lambda c, k: not named(c) <= true(k))(captions, creatures)),
    ],
    "check_never_named": [
        lambda captions, truth: there(captions, truth) - said(captions),
        lambda captions, truth: {(part, v) for part, values in truth.items() for v in values} - said(captions),
        lambda captions, truth: there(captions, truth),
        lambda captions, truth: there(captions, truth) & said(captions),
        lambda captions, truth: {value for _, value in there(captions, truth) - said(captions)},
        lambda captions, truth: by_picture(captions, truth, lambda text, part, value: value in text),
        lambda captions, truth: by_picture(captions, truth, lambda text, part, value: part in dict(named(text))),
        lambda captions, truth: by_picture(
            captions, truth, lambda text, part, value: value in dict(named(text)).values()
        ),
        lambda captions, truth: by_picture(captions, truth, lambda text, *fact: fact in named(text), absent=("none",)),
        lambda captions, truth: [],
        lambda captions, truth: len(there(captions, truth) - said(captions)),
    ],
    "check_leaked": [
        places(lambda one, other: one is other),
        places(lambda one, other: one == other),
        places(lambda one, other: one.size == other.size),
        places(lambda one, other: one.tobytes() == other.tobytes()),
        places(lambda one, other: one.getpixel((0, 0)) == other.getpixel((0, 0))),
        lambda train, test: places(same)(test, train),
        places(lambda one, other: one.size == other.size and sorted(one.tobytes()) == sorted(other.tobytes())),
        lambda train, test: [i for i, pair in enumerate(zip(train, test, strict=False)) if same(*pair)],
        lambda train, test: [i for i, one in enumerate(test) for other in train if same(one, other)],
        lambda train, test: sorted(
            {next(i for i, y in enumerate(test) if same(x, y)) for x in train if any(same(x, y) for y in test)}
        ),
        lambda train, test: [i for i, x in enumerate(test) if any(same(x, y) for y in [*train, *test[:i]])],
        lambda train, test: sorted(
            {y.tobytes(): i for i, y in enumerate(test) if any(same(x, y) for x in train)}.values()
        ),
        lambda train, test: len(test),
        lambda train, test: [],
    ],
}
