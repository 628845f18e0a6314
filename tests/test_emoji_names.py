"""Notebook 11's divisions, what is counted of names in five languages, and the trials that are shipped."""

import json

import pytest
from tqdm import tqdm

from helpers.experiments import emoji_names as module
from helpers.experiments.emoji_names import (
    ARTISTS,
    GROUPS,
    LANGUAGES,
    MEASURED,
    PLAIN,
    RULES,
    all_pictures,
    by_rule,
    divided,
    error_rates,
    exactly,
    measured,
    names_of,
    origin,
    part_shares,
    parts_of,
    rows_of,
    trial,
)
from helpers.experiments.trials import read_rows
from helpers.metrics import normalize
from tools import emoji_names as tool

SEEN, NEW, KNOWN = GROUPS
PARTS = {"kept": "fluent", "names": "parts"}


@pytest.fixture(scope="module")
def pictures():
    return all_pictures("ko")


@pytest.fixture(scope="module")
def split(pictures):
    return divided(pictures, "fluent")


def test_the_kept_artist_and_the_new_names_are_not_learnt(pictures, split):
    assert {group: len(rows) for group, rows in split.items()} == {"train": 780, SEEN: 252, NEW: 56, KNOWN: 176}
    artists = {group: set(rows["artist"]) for group, rows in split.items()}
    assert artists["train"] == artists[KNOWN] == set(ARTISTS) - {"fluent"}
    assert artists[SEEN] == artists[NEW] == {"fluent"}
    names = {group: set(names_of(rows)) for group, rows in split.items()}
    assert names[SEEN] <= names["train"]
    assert not (names[NEW] | names[KNOWN]) & names["train"]
    firsts, seconds = ({(each[0], each[i]) for each in parts_of(split["train"])} for i in (1, 2))
    for family, first, second in parts_of(split[NEW]) + parts_of(split[KNOWN]):
        assert (family, first) in firsts
        assert (family, second) in seconds
    everything = divided(pictures, "fluent", parts=False)
    assert len(everything["train"]) == 5041
    assert set(split["train"]["emoji"]) < set(everything["train"]["emoji"])
    assert everything[KNOWN]["emoji"][:] == split[KNOWN]["emoji"][:]


def test_a_picture_has_a_name_in_each_language(split):
    row = split[SEEN]["emoji"][:].index("🐄")
    names = [names_of(split[SEEN], language)[row] for language in LANGUAGES]
    assert names == ["cow", "젖소", "奶牛", "بقرة", "vaca"]


def test_names_are_compared_after_normalisation():
    assert exactly(["Woman: Bald", "o'clock", "heart"], ["woman bald", "o’clock", "red heart"]) == [True, True, False]


def test_one_wrong_sign_is_a_whole_wrong_word_only_between_spaces():
    rates = error_rates(["红心"], ["蓝心"])
    assert rates == {"words between spaces": 1, "words": 0.5, "characters": 0.5}
    rates = error_rates(["red heart"], ["blue heart"])
    assert (rates["words between spaces"], rates["words"]) == (0.5, 0.5)
    assert rates["characters"] == pytest.approx(4 / 9)


def test_a_name_may_be_half_right(pictures, split):
    rows = split[NEW].filter(lambda name: name in ("blue heart", "yellow heart"), input_columns="name_en")
    names = names_of(rows, "en")
    assert part_shares(names, rows, pictures, "en") == {"family": 1, "first": 1, "second": 1, "all": 1}
    said = [{"blue heart": "Blue Circle", "yellow heart": "green heart"}[name] for name in names]
    found = part_shares(said, rows, pictures, "en")
    assert found == {"family": 1, "first": names.count("blue heart") / len(names),
                     "second": names.count("yellow heart") / len(names), "all": 0}  # fmt: skip
    assert set(part_shares(["heart blue"] * len(names), rows, pictures, "en").values()) == {0}


def test_a_trial_says_a_name_for_each_picture_of_its_groups(pictures, monkeypatch):
    few = pictures.select([i for i, family in enumerate(pictures["family"]) if family in PLAIN])
    monkeypatch.setattr(module, "all_pictures", lambda language: few)
    key = tool.key("captioner", "ko") | {"steps": [2, 2]}
    found = trial(key, tqdm(disable=True))
    own = divided(few, "fluent")
    assert {group: len(names) for group, names in found["said"].items()} == {group: len(own[group]) for group in GROUPS}
    assert 0 <= found["trained"] <= 1
    rule = trial(tool.key("nearest picture"), tqdm(disable=True))
    assert set(rule) == {"said"}
    assert set(rule["said"][NEW]) <= set(names_of(own["train"]))


def test_the_shipped_trials_are_all_there_and_of_these_pictures_and_this_base():
    written = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert written["made_from"] == origin()
    rows = read_rows(MEASURED)
    assert [{name: row[name] for name in tool.key("captioner")} for row in rows] == tool.keys()


def test_the_shipped_rows_of_the_rules_are_what_the_rules_say(pictures, split):
    for rule in RULES:
        (row,) = rows_of(rule, **PARTS)
        said = by_rule(rule, split, pictures)
        known = dict(zip(names_of(pictures), names_of(pictures, "en"), strict=True))
        assert {group: [known[name] for name in names] for group, names in said.items()} == row["said"]


def test_what_was_measured_is_what_the_rows_say(split):
    found = measured(split, language="ko", **PARTS)
    rows = rows_of("captioner", language="ko", **PARTS)
    assert len(rows) == len(tool.SEEDS)
    right = [sum(exactly(row["said"][SEEN], names_of(split[SEEN]))) for row in rows]
    low, mean, high = found["captioner"][SEEN]
    assert mean == pytest.approx(sum(right) / 3 / 252)
    assert low < min(right) / 252 < max(right) / 252 < high
    assert found["nearest picture"][NEW][1] == found["nearest picture"][KNOWN][1] == 0
    assert not {normalize(name) for row in rows_of("nearest picture") for name in row["said"][NEW]} & {
        normalize(name) for name in names_of(split[NEW], "en")
    }


def test_what_notebook_11_says_of_its_figures(pictures, split):
    found = {code: measured(split, language=code, **PARTS) for code in LANGUAGES}
    for groups in found.values():
        assert groups["captioner"][SEEN][2] < groups["nearest picture"][SEEN][1]
    rows = [row for code in LANGUAGES for row in rows_of("captioner", language=code, **PARTS)]
    right = [sum(exactly(row["said"][NEW], names_of(split[NEW], row["language"]))) for row in rows]
    assert max(right) == 4
    means = {code: groups["captioner"][KNOWN][1] for code, groups in found.items()}
    rule = found["en"]["voting rule"][KNOWN]
    assert max(means, key=means.get) == "en"
    assert 1.8 < means["en"] / rule[1] < 2.4
    assert found["en"]["captioner"][KNOWN][0] < rule[2]
    assert min(found[code]["captioner"][KNOWN][2] for code in ("ko", "ar")) > rule[0]
    assert max(means["ko"], means["ar"]) < rule[1] < min(means[code] for code in ("en", "zh", "es"))
    for row in rows:
        if row["seed"] == 0:
            shares = part_shares(row["said"][KNOWN], split[KNOWN], pictures, row["language"])
            assert 0.88 < shares["family"] < 0.92
            assert max(shares["first"], shares["second"]) <= 0.5
            assert shares["all"] < 0.1


def test_what_notebook_11_says_of_other_artists_and_all_names(pictures):
    none = 0
    for kept in ARTISTS:
        found = measured(divided(pictures, kept), language="en", kept=kept, names="parts")
        assert found["nearest picture"][SEEN][1] > found["captioner"][SEEN][1]
        assert found["nearest picture"][NEW][1] == found["nearest picture"][KNOWN][1] == 0
        assert found["captioner"][KNOWN][1] > found["voting rule"][KNOWN][1]
        none += found["captioner"][NEW][1] == 0
    assert none == 3
    everything = measured(divided(pictures, "fluent", parts=False), language="en", kept="fluent", names="all")
    assert everything["captioner"][SEEN][1] < 0.1 < 0.5 < everything["nearest picture"][SEEN][1]
    assert sum(tool.STEPS["all"]) > 2 * sum(tool.STEPS["parts"])
