"""Facts: what a caption names, read exactly, and its verdict against a creature, which only the truth improves."""

import random
import time
from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.creatures import (
    ATTRIBUTES,
    Verdict,
    attributes_of,
    captions_of,
    creature_of,
    facts_of,
    facts_of_creature,
    judge,
    random_creature,
)
from helpers.creatures.wordings import COAT, COLORS, FILLER, LOOSE, MARKS, SECOND, phrases
from tools.base_captions import in_base_world, loose_caption

PHRASES = {" ".join(words): facts for words, facts in phrases().items()}
CREATURE = creature_of("orange-green-striped-tall-pointy-two-none-none-open")
TRUE = "a tall orange and green striped creature with pointy ears, two horns and an open mouth"
# Words that stand in no phrase, those that deny or count among them.
STRANGE = ("no", "not", "without", "never", "three", "3", "nose", "réd", "two_horns", "红", "ｒｅｄ")
seeds = st.integers(0, 2**32)


def creature(seed):
    return random_creature(random.Random(seed))


def expected(named, true):
    """The verdict part by part, of facts alone."""
    total = Counter()
    for part in ATTRIBUTES:
        said, there = [v for p, v in named if p == part], dict(true).get(part)
        right, wrong = there in said, bool(there and said and there not in said)
        total += Counter(right=right, wrong=wrong, left_out=bool(there and not said))
        total += Counter(invented=len(said) - right - wrong)
    return tuple(total[name] for name in ("right", "wrong", "left_out", "invented"))


class Noting(random.Random):
    """Remembers the last sample drawn: the facts that a loose caption is to name."""

    def sample(self, *args, **more):
        self.sampled = super().sample(*args, **more)
        return self.sampled


def test_every_caption_of_the_data_set_is_read_exactly_and_is_right(creatures):
    for split in creatures.values():
        for row in split.remove_columns("image"):
            there = sorted(facts_of_creature(row))
            for caption in row["captions"]:
                named, unknown = facts_of(caption)
                assert (sorted(named), unknown) == (there, [])
                assert judge(caption, row) == (len(there), 0, 0, 0, 0)
                assert judge(caption, row).all_right


@settings(deadline=None, max_examples=200)
@given(seeds, seeds)
def test_a_caption_is_right_of_its_own_creature_alone(one, other):
    one, other = creature(one), creature(other)
    for caption in captions_of(one):
        assert judge(caption, one).all_right
        assert judge(caption, other).all_right == (one == other)
        for name, values in ATTRIBUTES.items():
            others = [{**one, name: value} for value in values if value != one[name]]
            assert not any(judge(caption, each).all_right for each in others)


def test_every_loose_caption_is_read_exactly():
    for seed in range(9_000):
        rng = Noting(seed)
        if in_base_world(drawn := random_creature(rng)):
            caption = loose_caption(drawn, rng)
            named, unknown = facts_of(caption)
            assert (sorted(named), unknown) == (sorted(rng.sampled), []), caption


@pytest.mark.parametrize(
    ("caption", "verdict"),
    [
        (TRUE, (7, 0, 0, 0, 0)),
        (f"{TRUE} and two horns", (7, 0, 0, 1, 0)),
        (f"{TRUE} and one horn", (7, 0, 0, 1, 0)),
        (f"one horn, one horn, {TRUE}", (7, 0, 0, 2, 0)),
        (f"{TRUE} and wings", (7, 0, 0, 1, 0)),
        (f"{TRUE} in a forest", (7, 0, 0, 0, 1)),
        (TRUE.replace("two horns", "one horn"), (6, 1, 0, 0, 0)),
        (TRUE.replace("two horns", "one horn, one horn"), (6, 1, 0, 1, 0)),
        (TRUE.replace("two horns", "big"), (6, 0, 1, 0, 0)),
        (TRUE.replace("two horns", "two big horns"), (6, 0, 1, 0, 2)),
        (TRUE.replace("two horns", "horns two"), (6, 0, 1, 0, 2)),
        (TRUE.replace("pointy ears", "round funny ears"), (6, 0, 1, 1, 1)),
        (TRUE.replace("orange and green", "green and orange"), (5, 2, 0, 0, 0)),
        (TRUE.replace("orange and green", "orange green"), (6, 0, 1, 1, 0)),
        (TRUE.replace("orange and green striped", "orange"), (5, 0, 2, 0, 0)),
        ("a creature with no two horns", (1, 0, 6, 0, 1)),
        ("one horn and two horns", (1, 0, 6, 1, 0)),
        ("", (0, 0, 7, 0, 0)),
        ("a creature", (0, 0, 7, 0, 0)),
        ("?!", (0, 0, 7, 0, 0)),
    ],
)
def test_verdicts(caption, verdict):
    found = judge(caption, CREATURE)
    assert found == verdict
    assert found.all_right == (verdict == (7, 0, 0, 0, 0))


def test_plain_and_no_second_colour_are_one_fact_that_is_not_named():
    plain = {**CREATURE, "pattern": "plain", "second_color": "none"}
    assert facts_of_creature(plain) == [
        ("color", "orange"),
        ("body", "tall"),
        ("ears", "pointy"),
        ("horns", "two"),
        ("mouth", "open"),
    ]
    assert judge(TRUE.replace("orange and green striped", "orange"), plain) == (5, 0, 0, 0, 0)
    assert judge(TRUE, plain) == (5, 0, 0, 2, 0)
    assert judge(TRUE.replace("striped", "plain striped"), plain).unknown == 1


@settings(deadline=None, max_examples=200)
@given(seeds, st.lists(st.sampled_from(sorted(PHRASES)), max_size=12), st.randoms(use_true_random=False))
def test_a_list_of_phrases_in_any_order(seed, said, rng):
    true = facts_of_creature(creature(seed))
    facts = [fact for phrase in said for fact in PHRASES[phrase]]
    caption = " and ".join(said)
    assert facts_of(caption) == (facts, [])
    verdict = judge(caption, dict(true))
    assert verdict == (*expected([f for f in facts if f[0] in dict(true)], true), 0)
    verdict = judge(caption, creature(seed))
    assert verdict == (*expected(facts, true), 0)
    assert judge(" and ".join(rng.sample(said, len(said))), creature(seed)) == verdict


@settings(deadline=None, max_examples=200)
@given(seeds, st.sampled_from(sorted(PHRASES)), st.sampled_from(STRANGE), st.integers(0, 2), st.integers(0, 40))
def test_nothing_can_be_added_to_a_right_caption(seed, phrase, word, which, place):
    drawn = creature(seed)
    words = (caption := captions_of(drawn)[which]).split()
    longer = judge(f"{caption} and {phrase}", drawn)
    assert longer == judge(caption, drawn)._replace(invented=len(PHRASES[phrase]))
    assert not longer.all_right
    strange = judge(" ".join([*words[:place], word, *words[place:]]), drawn)
    assert strange.unknown >= 1
    assert not strange.all_right


@settings(deadline=None, max_examples=200)
@given(seeds, st.text() | st.lists(st.sampled_from(sorted({*FILLER, *STRANGE, *" ".join(PHRASES).split()}))))
def test_any_text_at_all(seed, text):
    text = text if isinstance(text, str) else " ".join(text)
    drawn, (named, unknown) = creature(seed), facts_of(text)
    true, verdict = facts_of_creature(drawn), judge(text, drawn)
    assert verdict == (*expected(named, true), len(unknown))
    assert verdict.right + verdict.wrong + verdict.left_out == len(true)
    assert verdict.right + verdict.wrong + verdict.invented == len(named)
    assert verdict.all_right == (sorted(named) == sorted(true) and not unknown)
    assert all(attributes_of(text)[part] == dict(reversed(named))[part] for part, _ in named)


@settings(deadline=None)
@given(seeds, st.integers(0, 2), st.sampled_from([" ", "\n", ", ", " , ", "... ", "-", " (", '" ']))
def test_capital_letters_and_punctuation_are_not_read(seed, which, between):
    drawn = creature(seed)
    caption = captions_of(drawn)[which]
    for text in (caption.upper(), caption.title(), f"  {between.join(caption.split())}."):
        assert facts_of(text) == facts_of(caption)


def test_every_phrase_names_its_own_facts_and_no_others():
    known = dict(PHRASES)
    for fact, wordings in LOOSE.items():
        for _, phrase in wordings:
            assert known.pop(phrase.removeprefix("a ")) == (fact,)
    for value, names in COLORS.items():
        second = ("second_color", value)
        for name, (part, forms) in product(names, (("color", {*COAT}), ("second_color", SECOND))):
            for _, form in forms:
                assert known.pop(form.format(name).removeprefix("a ")) == ((part, value),)
        for name, (pattern, marks) in product(names, MARKS.items()):
            for mark in marks:
                assert known.pop(mark.format(name)) == (second, ("pattern", pattern))
            for main, others in COLORS.items():
                for other in others:
                    facts = (("color", main), second, ("pattern", pattern))
                    assert known.pop(f"{other} and {name} {pattern}") == facts
    assert known == {
        "open mouth": (("mouth", "open"),),
        "opens its mouth": (("mouth", "open"),),
        "smiles": (("mouth", "smile"),),
        "frowns": (("mouth", "frown"),),
        "long ears": (("ears", "long"),),
        "round body": (("body", "round"),),
        "tall body": (("body", "tall"),),
        "square body": (("body", "square"),),
    }


def test_every_phrase_is_read_alone_and_before_and_after_every_other():
    for phrase, facts in PHRASES.items():
        assert facts_of(phrase) == facts_of(f"a {phrase}") == ([*facts], [])
    others = {word for value, names in COLORS.items() if value != "green" for name in names for word in name.split()}
    few = {phrase: facts for phrase, facts in PHRASES.items() if not others & {*phrase.split()}}
    assert {"round", "round ears", "green", "green and grass green striped", "bit of leafy"} <= {*few}
    for a, b in product(few, few):
        for glue in (" and ", " with ", " creature, "):
            assert facts_of(f"{a}{glue}{b}") == ([*few[a], *few[b]], [])


def test_no_word_around_the_phrases_denies_or_names_a_fact():
    assert not FILLER & {*STRANGE, "none", "plain", "but", "instead", "hardly", "lacks", "neither", "nor", "or"}
    assert not FILLER & {*PHRASES}
    assert not FILLER & {value for values in ATTRIBUTES.values() for value in values}


def test_parts_of_which_a_data_set_has_no_column_do_not_count():
    assert judge("a red creature with two horns", {"color": "red"}) == Verdict(1, 0, 0, 0, 0)
    assert judge("a red creature with two horns", {"color": "blue", "number": 3}) == Verdict(0, 1, 0, 0, 0)


def test_a_thousand_captions_are_read_well_below_a_second(creatures):
    captions = [captions[0] for split in creatures.values() for captions in split["captions"]]
    assert len(captions) == 1000
    facts_of(captions[0])
    began = time.perf_counter()
    for caption in captions:
        facts_of(caption)
    assert time.perf_counter() - began < 0.5
