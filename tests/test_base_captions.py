"""The captions and creatures that the base model git-tiny learns from: loose, of a world with gaps, none set aside."""

import random
import re
from collections import Counter, defaultdict
from itertools import pairwise, product
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch

from helpers.creatures import ATTRIBUTES, UNSEEN, draw_creature, facts_of, facts_of_creature, fresh, key_of
from helpers.creatures.facts import ABSENT, pieces_of
from helpers.creatures.wordings import FILLER
from helpers.transforms import picture_pixels
from tools import base_captions, make_base_model, make_data
from tools.base_captions import CAPTIONS, caption_statistics, in_base_world, loose_caption, loose_captions

SEEN = [
    (part, value)
    for part, values in ATTRIBUTES.items()
    for value in values
    if value not in ABSENT and (part, value) not in UNSEEN
]
BARE = fresh.creature_of("red-none-plain-tall-none-none-none-none-frown")
FULL = fresh.creature_of("blue-pink-spotted-round-pointy-one-wings-curly-smile")


@pytest.fixture(scope="module")
def rows():
    """The first 3,000 rows of the base model: each a creature and its captions."""
    return [make_base_model.base_row(number)[:2] for number in range(3_000)]


@pytest.fixture(scope="module")
def wordings(rows):
    """(part, value) → the phrases that name it alone, and how often each was heard."""
    heard = defaultdict(Counter)
    for _, captions in rows:
        for words, facts in (piece for caption in captions for piece in pieces_of(caption)):
            if len(facts) == 1:
                heard[facts[0]][words] += 1
    return heard


def test_no_caption_names_more_than_half_of_what_is_there(rows):
    rng, counts = random.Random(0), set()
    for creature, _ in [*rows, (BARE, []), (FULL, [])]:
        there, named = facts_of_creature(creature), facts_of(loose_caption(creature, rng)).named
        assert 1 <= len(named) <= len(there) / 2
        assert len({*named}) == len(named)
        assert {*named} <= {*there}
        counts.add(len(named))
    assert counts == {1, 2, 3, 4}


def test_every_fact_has_at_least_three_wordings_some_of_several_words(wordings):
    assert set(wordings) == set(SEEN)
    for fact in SEEN:
        often = [words for words, count in wordings[fact].items() if count >= 10]
        assert len(often) >= 3, fact
        assert any(len(words) > 1 for words in often), fact


def test_some_words_are_shared_between_facts(wordings):
    facts_with = defaultdict(set)
    for fact, phrases in wordings.items():
        for word in {word for words in phrases for word in words} - FILLER:
            facts_with[word].add(fact)
    assert {("body", "round"), ("ears", "round")} <= facts_with["round"]
    assert {("horns", "two"), ("wings", "wings")} <= facts_with["pair"]
    assert len([word for word, facts in facts_with.items() if len(facts) > 1]) >= 20


def test_a_part_of_the_words_names_nothing(rows):
    statistics = caption_statistics(rows)
    assert 0.4 < statistics["words_of_facts"] < 0.6
    for _, captions in rows:
        assert all(any(not facts for _, facts in pieces_of(caption)) for caption in captions)


def test_no_caption_repeats_a_word_at_once_or_takes_the_wrong_article(rows):
    for caption in (caption for _, captions in rows for caption in captions):
        assert re.fullmatch(r"[a-z]+(,? [a-z]+)*", caption)
        assert all(a != b for a, b in pairwise(caption.replace(",", "").split())), caption
        assert not re.search(r"\ba [aeio]|\ban [^aeio]", caption), caption


def test_every_word_is_one_token(rows):
    words = {word for _, captions in rows for caption in captions for word in re.findall(r"\w+", caption)}
    assert words <= set(make_base_model.vocabulary())


def test_one_caption_in_twenty_belongs_to_another_drawing():
    rng, others = random.Random(0), 0
    for _ in range(4_000):
        captions = loose_captions(FULL, BARE, rng)
        assert len(captions) == CAPTIONS
        others += sum({*facts_of(caption).named} <= {*facts_of_creature(BARE)} for caption in captions)
    assert others / (4_000 * CAPTIONS) == pytest.approx(1 / 20, abs=0.005)  # three standard errors


def test_what_the_base_model_never_sees_is_in_no_creature_and_in_no_caption(rows):
    assert {(part, creature[part]) for creature, _ in rows for part in ATTRIBUTES} == {
        (part, value) for part, values in ATTRIBUTES.items() for value in values if (part, value) not in UNSEEN
    }
    captions = [caption for _, captions in rows for caption in captions]
    assert {fact for caption in captions for fact in facts_of(caption).named} == set(SEEN)
    words = {word for caption in captions for word in re.findall(r"\w+", caption)}
    assert not words & {"purple", "gray", "grey", "violet", "open", "opens"}
    assert not any("long ears" in caption for caption in captions)


def test_of_each_part_with_a_gap_two_kinds_are_left():
    for part, value in UNSEEN:
        left = {fact for fact in product([part], ATTRIBUTES[part]) if fact not in UNSEEN and fact[1] not in ABSENT}
        assert len(left) >= 2
        assert not in_base_world({**FULL, part: value})
    assert in_base_world(FULL)
    parts = [part for part, _ in UNSEEN]
    assert parts.count("color") >= 2
    assert {"ears", "mouth"} <= set(parts)


def test_no_creature_is_set_aside_or_in_pocket_creatures(rows, monkeypatch):
    known = {key_of(creature) for creature in make_data.creatures()}
    for creature, _ in rows:
        assert not fresh.is_reserved(key_of(creature))
        assert key_of(creature) not in known

    def mostly_known(rng):
        return rng.choice([*in_world, *fresh_world, BARE])

    in_world = [creature for creature in make_data.creatures() if in_base_world(creature)]
    fresh_world = [creature for creature in fresh.fresh_creatures(0, 200) if in_base_world(creature)]
    monkeypatch.setattr(make_base_model, "random_creature", mostly_known)
    assert make_base_model.base_creature(random.Random(0)) == BARE


def test_a_row_depends_on_the_seed_and_its_number_alone(rows, monkeypatch):
    creature, captions, rng = make_base_model.base_row(2_999)
    assert (creature, captions) == rows[2_999]
    assert rng.random() == make_base_model.base_row(2_999)[2].random()
    assert len({repr(row) for row in rows}) == len(rows)
    assert rows[0][1] == [
        "a funny boxy spotted toy with a tail full of spikes",
        "square fellow, a tail like a dragon, some sunny",
        "a bit of sunny and a spiky tail on a funny doll",
        "look at a silly boxy blue friend at home",
        "cute blue fellow, a smile, yellow here and there in the middle",
    ]
    monkeypatch.setattr(make_base_model, "SEED", 44)
    assert make_base_model.base_row(2_999)[:2] != rows[2_999]


def test_drawings_are_drawn_once_and_read_from_the_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(make_base_model, "DRAWINGS", 4)
    monkeypatch.setattr(make_base_model, "Pool", ThreadPool)
    pixels = make_base_model.make_drawings(tmp_path)
    assert (pixels.shape, pixels.dtype) == ((4, 3, 96, 96), np.uint8)
    for number in range(4):
        creature, _, rng = make_base_model.base_row(number)
        drawn = picture_pixels([draw_creature(creature, rng)], make_base_model.make_processor())
        assert np.array_equal(pixels[number], drawn[0])
    monkeypatch.setattr(make_base_model, "draw_creature", None)
    assert np.array_equal(make_base_model.make_drawings(tmp_path), pixels)


def test_statistics_of_captions_counted_by_hand():
    rows = [
        (BARE, ["a red thing at home", "look at a sad red doll", "a happy red doll"]),
        (FULL, ["a creature that can fly", "some pink and pink spots on a thing", "a creature"]),
    ]
    assert base_captions.caption_statistics(rows) == {
        "captions": 6,
        "facts_there": 12,
        "facts_named_per_caption": 1.333,  # 1 + 2 + 2 + 1 + 2 + 0, a fact named twice counted once
        "facts_named_by_one_caption": 0.1944,  # 1 + 2 + 1 of 3 x 3, 1 + 2 + 0 of 3 x 9
        "facts_named_by_any_caption": 0.4167,  # color and mouth of 3, wings, second_color and pattern of 9
        "captions_naming_what_is_not_there": 0.1667,
        "words_of_facts": 0.3667,  # 1 of 5, 2 of 6, 2 of 4; 2 of 5, 4 of 8, 0 of 2
    }


def test_a_stage_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setitem(make_base_model.STAGES, "see", {"steps": 6, "learning_rate": 1e-2})
    monkeypatch.setattr(make_base_model, "KEPT_EVERY", 2)
    drawings = torch.randn(make_base_model.DRAWINGS, 4, generator=torch.Generator().manual_seed(0))
    seen = []

    def train(folder, stop_at=None):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        module = torch.nn.Linear(4, 4)

        def loss_of(rows, _):
            if len(seen) == stop_at:
                raise KeyboardInterrupt
            seen.append(rows)
            return module(drawings[rows]).square().mean()

        report = make_base_model.train("see", module, loss_of, folder)
        return report["losses"], module.state_dict()

    losses, weights = train(tmp_path / "whole")
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", stop_at=5)
    seen.clear()
    again, resumed = train(tmp_path / "stopped")
    assert len(seen) == 2  # from step 4, the last that was kept
    assert again == losses
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def near(creature, keys):
    """Whether one of the creatures with these keys differs from a creature in a single attribute."""
    others = ({**creature, part: value} for part, values in ATTRIBUTES.items() for value in values)
    return any(key_of(other) in keys for other in others if other != creature)


def test_some_test_creatures_are_near_a_training_creature_as_the_card_says(creatures):
    split = {name: [dict(row) for row in creatures[name].select_columns(list(ATTRIBUTES))] for name in creatures}
    keys = {key_of(creature) for creature in split["train"]}
    assert 0 < sum(near(creature, keys) for creature in split["test"]) < 50


@pytest.mark.slow
def test_most_test_creatures_are_near_one_of_the_bases_drawings_as_its_card_says(creatures):
    test = [dict(row) for row in creatures["test"].select_columns(list(ATTRIBUTES))]
    keys = {key_of(make_base_model.base_row(number)[0]) for number in range(make_base_model.DRAWINGS)}
    assert not keys & {key_of(creature) for creature in test}
    found = [near(creature, keys) for creature in test]
    assert 0.7 <= sum(found) / len(found) < 0.8  # three of four
    assert all(is_near for is_near, creature in zip(found, test, strict=True) if in_base_world(creature))
