"""The comparison of ways to fine-tune: what training lacks, what a row holds, and the rows that are shipped."""

import json
from functools import partial
from itertools import product

import numpy as np
import pytest
from tqdm import tqdm

from helpers.creatures import ATTRIBUTES, UNSEEN, key_of
from helpers.creatures.fresh import is_reserved
from helpers.experiments import fine_tuning as module
from helpers.experiments.fine_tuning import (
    MEASURED,
    SETTINGS,
    STEPS,
    Answer,
    answers,
    bands,
    best_rate,
    compared,
    drawn_splits,
    group_of,
    heard,
    rate_trials,
    told_apart,
    trial,
)
from helpers.experiments.trials import made_from, read_rows, some_pictures
from helpers.experiments.ways import WAYS
from helpers.metrics import paired_difference
from tools import fine_tuning as tool


@pytest.fixture(scope="module")
def drawn():
    return drawn_splits()


@pytest.fixture(scope="module")
def creatures(drawn):
    return {name: list(split.select_columns(list(ATTRIBUTES))) for name, split in drawn.items()}


def test_training_lacks_the_value_and_the_combination_but_holds_their_parts(creatures):
    for split in ("train", "validation"):
        for one in creatures[split]:
            assert "blue" not in (one["color"], one["second_color"])
            assert (one["tail"], one["mouth"]) != ("curly", "frown")
    assert sum(one["tail"] == "curly" for one in creatures["train"]) > 100
    assert sum(one["mouth"] == "frown" for one in creatures["train"]) > 100


def test_test_creatures_are_of_three_groups_and_nobody_has_seen_them(creatures):
    groups = [group_of(one) for one in creatures["test"]]
    assert groups == ["ordinary"] * 300 + ["combination"] * 100 + ["value"] * 100
    combination, value = creatures["test"][300:400], creatures["test"][400:]
    assert all((one["tail"], one["mouth"]) == ("curly", "frown") for one in combination)
    assert all("blue" in (one["color"], one["second_color"]) for one in value)
    keys = [key_of(one) for split in creatures.values() for one in split]
    assert len(keys) == len(set(keys)) == 800 + 100 + 500
    assert all(map(is_reserved, keys))


def test_of_one_seed_the_larger_choice_holds_the_smaller_one(drawn):
    few, more, other = (
        {tuple(captions) for captions in some_pictures(drawn["train"], *each)["captions"]}
        for each in ((24, 1), (100, 1), (24, 2))
    )
    assert few < more
    assert few != other


def test_what_is_heard_comes_back_as_answers(drawn):
    said = [captions[0] for captions in drawn["test"]["captions"]]
    said[1], said[2] = "a creature", f"{said[2]} and two horns and one horn"
    row = heard(said, drawn["test"])
    found = answers(row)
    assert found[0] == Answer(found[0].creature, found[0].creature, True)
    assert found[1] == Answer(found[1].creature, dict.fromkeys(ATTRIBUTES, "none") | {"pattern": "plain"}, False)
    assert [one.right for one in found] == [True, False, False] + [True] * 497
    assert [one.group for one in found][299:301] == ["ordinary", "combination"]


def test_a_training_and_what_needs_none(drawn, artifacts):
    few = {name: split.select(range(size)) for (name, split), size in zip(drawn.items(), (6, 4, 5), strict=True)}
    run = trial(SETTINGS.with_changes(batch_size=2), few)
    bar = tqdm(disable=True)
    row = run({"way": "LoRA", "pictures": 4, "seed": 0, "steps": 2, "learning_rate": 1e-3}, bar)
    assert row.keys() == {"right", "said", "parameters", "megabytes", "seconds", "validation"}
    assert row["validation"].keys() == set(module.SCORES)
    assert row["seconds"] > 0
    copied = run({"way": "nearest picture", "pictures": 1, "seed": 0}, bar)["said"]
    assert {name: len(set(signs)) for name, signs in copied.items()} == dict.fromkeys(ATTRIBUTES, 1)
    assert run({"way": "base"}, bar)["right"] == "00000"


def test_bands_hold_all_seeds_and_only_what_is_asked(monkeypatch):
    made = {"a": [True] * 3 + [False], "b": [True, False] * 2}
    monkeypatch.setattr(module, "answers", lambda row: made[row["name"]])
    rows = [{"pictures": 24, "name": "a"}, {"pictures": 24, "name": "b"}, {"pictures": 8, "name": "b"}]
    found = bands(rows, lambda answer: [answer])
    assert list(found) == [8, 24]
    assert found[8] == pytest.approx((0.150, 0.5, 0.850), abs=1e-3)
    assert found[24] == pytest.approx((0.150, 0.625, 0.954), abs=1e-3)
    assert bands(rows, lambda answer: [answer] if answer else [])[24][1] == 1


def test_ways_are_told_apart_where_their_spans_share_nothing():
    assert told_apart((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert told_apart((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    assert not told_apart((0.1, 0.2, 0.5), (0.4, 0.5, 0.6))


def scores(right, wrong=0.0, wer=0.1):
    return dict(zip(module.SCORES, (right, wrong, 0.0, 0.0, wer), strict=True))


def test_the_best_rate_is_of_the_most_right_captions_then_of_the_fewest_faults():
    tried = [{"learning_rate": rate, "validation": each} for rate, each in (
        (3e-3, scores(0.5)), (1e-3, scores(0.6, 2.0)), (3e-4, scores(0.6, 1.0, 0.9)), (1e-4, scores(0.6, 1.0, 0.9))
    )]  # fmt: skip
    assert best_rate(tried) == 1e-4
    assert best_rate(tried[:3]) == 3e-4
    assert best_rate(tried[:1]) == 3e-3


def test_a_rate_is_looked_for_until_the_best_is_in_the_middle(monkeypatch):
    best, asked = {"everything": 1e-3, "decoder alone": 1e-4, "LoRA": 3e-2, "random decoder": 3e-4}, []

    def run_trials(file, origin, keys, run, *, steps, title):
        asked.extend(keys)
        return [
            key | {"validation": scores(-abs(key.get("learning_rate", 0) - best.get(key["way"], 3e-3)))} for key in keys
        ]

    monkeypatch.setattr(tool, "drawn_splits", dict)
    monkeypatch.setattr(tool, "made_from", lambda *_: {})
    monkeypatch.setattr(tool, "trial", lambda *_: None)
    monkeypatch.setattr(tool, "run_trials", run_trials)
    tool.measure()
    rates = {way: {key["learning_rate"] for key in asked if key["way"] == way} for way in WAYS}
    assert rates == {
        "everything": {3e-4, 1e-3, 3e-3},
        "decoder alone": {1e-4, 3e-4, 1e-3, 3e-3},
        "LoRA": {3e-4, 1e-3, 3e-3, 1e-2, 3e-2},
        "random decoder": {1e-4, 3e-4, 1e-3, 3e-3},
        "from scratch": {3e-4, 1e-3, 3e-3, 1e-2},
    }
    assert {key["learning_rate"] for key in asked if key["way"] == "LoRA" and key["pictures"] == 800} == {3e-2}


def test_the_shipped_rows_are_whole_and_of_these_pictures_weights_and_settings(drawn):
    written = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert written["made_from"].items() <= made_from(SETTINGS, drawn).items()
    assert MEASURED.stat().st_size < 500_000
    rows = compared()
    places = {name: [(row["pictures"], row["seed"]) for row in rows[name]] for name in rows}
    for name in (*WAYS, "nearest picture"):
        assert places.pop(name) == list(product(tool.SIZES, tool.SEEDS))
    longer = [f"{way}, 750 steps" for way in WAYS]
    assert places == {"base": [(0, 0)]} | {name: [(800, 0)] for name in longer}
    for way in WAYS:
        rates = [row["learning_rate"] for row in rate_trials(read_rows(MEASURED), way)]
        best = rates.index(rows[way][0]["learning_rate"])
        assert rates[0] == tool.RATES[0] or best > 0
        assert rates[-1] == tool.RATES[-1] or best < len(rates) - 1
        assert {row["steps"] for row in rows[way]} == {STEPS}


def share(row, asked):
    marks = [mark for answer in answers(row) for mark in asked(answer)]
    return sum(marks) / len(marks)


def test_what_notebook_10_says_is_in_the_shipped_rows():
    rows = compared()

    def right(answer):
        return [answer.right] if answer.group == "ordinary" else []

    def blue(answer):
        return [answer.said[part] == "blue" for part in ("color", "second_color") if answer.creature[part] == "blue"]

    def new(answer):
        facts = [(part, answer.creature[part]) for part in ATTRIBUTES if answer.group == "ordinary"]
        return [answer.said[part] == value for part, value in facts if (part, value) in UNSEEN]

    def seen(answer):
        facts = [(part, answer.creature[part]) for part in dict(UNSEEN) if answer.group == "ordinary"]
        return [answer.said[part] == value for part, value in facts if value != "none" and (part, value) not in UNSEEN]

    def other_colors(answer):
        colors = [(part, answer.creature[part]) for part in ("color", "second_color")]
        kept = [
            (part, value) for part, value in colors if value not in ("none", "blue") and (part, value) not in UNSEEN
        ]
        return [answer.said[part] == value for part, value in kept]

    def both(answer, group):
        known = answer.group == group and answer.creature["tail"] != "none" and answer.creature["mouth"] != "open"
        return [all(answer.said[part] == answer.creature[part] for part in ("tail", "mouth"))] if known else []

    assert share(rows["base"][0], right) == 0
    assert share(rows["base"][0], blue) > 0.4
    assert max(share(row, blue) for way in WAYS for row in rows[way]) <= 0.01
    assert not any(share(row, blue) for row in rows["LoRA"])
    before = share(rows["base"][0], other_colors)
    for way in WAYS:
        assert all((mean > before) == (way != "from scratch") for _, mean, _ in bands(rows[way], other_colors).values())
    assert told_apart(bands(rows["from scratch"], seen)[24], bands(rows["from scratch"], new)[24])
    few = {way: bands(rows[way], right)[24][1] for way in WAYS}
    assert max(few, key=few.get) == "decoder alone"
    for pair in zip(rows["decoder alone"][:3], rows["everything"][:3], strict=True):
        marks = [np.array([mark for answer in answers(row) for mark in right(answer)]) for row in pair]
        assert paired_difference(*marks)[0] > 0
    assert not any(share(row, right) for name in rows if "scratch" in name for row in rows[name])
    for size in tool.SIZES:
        assert told_apart(*(bands(rows[way], right)[size] for way in ("decoder alone", "random decoder")))
    named = {way: bands(rows[way], new)[800][1] for way in WAYS}
    assert named["decoder alone"] < min(named["everything"], named["LoRA"])
    longer = {way: share(rows[f"{way}, 750 steps"][0], new) for way in WAYS}
    assert longer["decoder alone"] < 0.8
    assert min(longer["everything"], longer["LoRA"]) > 0.95
    after = {way: share(rows[f"{way}, 750 steps"][0], right) for way in WAYS}
    assert bands(rows["decoder alone"], right)[800][1] < after["random decoder"] < after["decoder alone"]
    assert after["decoder alone"] + 0.2 < min(after["everything"], after["LoRA"])
    for name in ("base", *WAYS):
        old, fresh = (bands(rows[name], partial(both, group=group)) for group in ("ordinary", "combination"))
        assert all((fresh[size][1] < old[size][1]) == (name != "base") for size in old), name
    falls = {
        name: share(rows[name][-1], partial(both, group="ordinary"))
        - share(rows[name][-1], partial(both, group="combination"))
        for name in rows
        if name.endswith("750 steps")
    }
    assert max(falls[f"{way}, 750 steps"] for way in ("everything", "LoRA")) < 0.01
    assert max(falls, key=falls.get) == "decoder alone, 750 steps"
    pairs = zip(rows["LoRA"], rows["everything"], strict=True)
    gaps = [
        [np.array([each[0] for a in answers(row) if (each := both(a, "combination"))]) for row in pair]
        for pair in pairs
    ]
    above = [paired_difference(*gap)[0] > 0 for gap in gaps]
    assert any(0 < sum(above[size : size + 3]) < 3 for size in (0, 3, 6))
    seconds = {way: sum(row["seconds"] for row in rows[way]) for way in WAYS}
    assert seconds["decoder alone"] < min(seconds["everything"], seconds["LoRA"])
