"""The captions of the fresh split that lie in docs/: which pictures, and that their scores are those that are shown."""

import hashlib
import json

import pytest

from helpers.creatures import captions_of, creature_of, fresh_creatures, key_of, keys_of
from helpers.creatures.fresh import SEEDING, is_reserved, seed_of
from helpers.metrics import caption_metrics
from helpers.paths import ROOT
from helpers.settings import Settings
from tools import fresh, results
from tools.rescore import read_captions, rescored

WEIGHTS = ROOT / "models" / "git-tiny" / "model.safetensors"


@pytest.fixture(scope="module")
def written():
    return read_captions(fresh.FILE)


def test_the_seed_is_made_of_the_weights_and_the_settings(written):
    about, _, _ = written
    values = Settings.tiny().training_values()
    assert about["settings"] == values
    del values["lora_rank"]  # younger than the seed; it counts where it differs from its default
    content = WEIGHTS.read_bytes() + json.dumps(values, sort_keys=True).encode()
    assert about["seed"] == int(hashlib.sha256(content).hexdigest()[:8], 16)
    assert about["seed"] == seed_of(WEIGHTS, Settings.tiny())


def test_a_value_that_is_added_later_counts_where_it_differs_from_its_default(monkeypatch):
    before = seed_of(WEIGHTS, Settings.tiny())
    monkeypatch.setattr("helpers.creatures.fresh.SEEDING", tuple(name for name in SEEDING if name != "warmup"))
    without = seed_of(WEIGHTS, Settings.tiny())
    assert without != before
    assert seed_of(WEIGHTS, Settings.tiny().with_changes(warmup=0.2)) != without


def test_another_weight_or_value_gives_another_seed(tmp_path):
    seed = seed_of(WEIGHTS, Settings.tiny())
    assert seed == seed_of(WEIGHTS, Settings.tiny().with_changes(num_beams=4, push_to="somebody/something"))
    assert seed != seed_of(WEIGHTS, Settings.tiny().with_changes(seed=1))
    other = tmp_path / "model.safetensors"
    other.write_bytes(WEIGHTS.read_bytes()[:-1] + b"?")
    assert seed != seed_of(other, Settings.tiny())


def test_the_pictures_are_those_that_the_seed_draws(written, creatures):
    about, keys, _ = written
    known = keys_of(creatures)
    development = {key_of(creature) for creature in fresh_creatures(fresh.DEVELOPMENT, fresh.PICTURES, without=known)}
    drawn = fresh_creatures(about["seed"], fresh.PICTURES, without=known | development)
    assert keys == [key_of(creature) for creature in drawn]
    assert len({*keys}) == about["pictures"] == len(development) == 1000
    assert not {*keys} & (known | development)
    assert len(known) == 1000
    assert all(map(is_reserved, keys))


def test_every_system_of_the_pages_captions_every_picture(written):
    _, keys, by_system = written
    assert {*by_system} == {*results.NAMES}
    assert all(
        len(captions) == len(keys) and all(isinstance(text, str) for text in captions)
        for captions in by_system.values()
    )


def test_the_figures_that_are_shown_come_from_these_captions(written, tmp_path):
    shown = json.loads(results.FILE.read_text(encoding="utf-8"))["fresh"]["systems"]
    _, keys, by_system = written
    assert {*shown} == {*by_system}
    few = {name: by_system[name] for name in ("base", "probes", "trained")}  # all of them take seconds
    fresh.write_captions(tmp_path / "few.gz", {}, keys, few)
    for name, values in rescored(tmp_path / "few.gz", caption_metrics).items():
        for metric, value in values.items():
            assert value == pytest.approx(shown[name][metric]["value"], abs=1e-9), (name, metric)


def test_perfect_and_foreign_captions_are_scored(tmp_path):
    keys = [key_of(creature) for creature in fresh_creatures(3, 20)]
    first = [captions_of(creature_of(key))[1] for key in keys]
    fresh.write_captions(tmp_path / "said.gz", {"seed": 3}, keys, {"all": first, "next": first[1:] + first[:1]})
    about, read, by_system = read_captions(tmp_path / "said.gz")
    assert (about, read, by_system["all"]) == ({"seed": 3}, keys, first)
    scores = rescored(tmp_path / "said.gz")
    assert [scores["all"][name]["value"] for name in ("right", "wrong", "left_out", "invented", "wer")] == [
        1,
        0,
        0,
        0,
        0,
    ]
    assert scores["next"]["right"]["value"] == 0
    again = tmp_path / "again.gz"
    fresh.write_captions(again, {"seed": 3}, keys, {"all": first, "next": first[1:] + first[:1]})
    assert again.read_bytes() == (tmp_path / "said.gz").read_bytes()
