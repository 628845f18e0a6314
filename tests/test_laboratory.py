"""The laboratory: a row of each training, rows that survive a stop, and the file that is shipped."""

import json
from itertools import product

import pytest
from tqdm import tqdm

from helpers.experiments import faults, laboratory
from helpers.experiments.faults import FAULTS, HEALTHY
from helpers.experiments.laboratory import MEASURED, laboratory_origin, measured_rows, run_laboratory, train_with
from helpers.experiments.symptoms import contradicts, creature_at
from helpers.plotting.laboratory import LOSSES
from tools import laboratory as tool


@pytest.fixture
def small(settings, monkeypatch):
    """A laboratory of two steps on five pictures."""
    monkeypatch.setattr(faults, "PICTURES", 5)
    monkeypatch.setattr(laboratory, "STEPS", 2)
    monkeypatch.setattr(laboratory, "SETTINGS", settings.with_changes(output="artifacts/laboratory"))


def test_a_row_holds_curves_captions_and_the_hardest_pictures(small, dataset):
    with tqdm(disable=True) as bar:
        row = train_with(dataset, 7, 3, bar)
    assert row["validation"]["step"] == [0, 1, 2]
    assert len(row["training"]["loss"]) == len(row["training"]["step"])
    assert len(row["said"]) == len(row["ended"]) == len(dataset["test"])
    assert set(row["ended"]) <= {"0", "1"}
    places = [place for place, _, _ in row["least_likely"]]
    assert len(set(places)) == len(places) == laboratory.LEAST_LIKELY
    losses = [loss for _, _, loss in row["least_likely"]]
    assert losses == sorted(losses, reverse=True)
    for place, caption, _ in row["least_likely"]:
        assert creature_at(place, dataset)["captions"][0] == caption  # this fault moves none
    assert {place.split()[0] for place in places} == {"train", "test"}


def test_each_fault_and_seed_gets_a_row_that_is_not_trained_again(small, dataset, artifacts, monkeypatch):
    trained = []
    monkeypatch.setattr(laboratory, "train_with", lambda _, fault, seed, bar: trained.append((seed, fault)) or {})
    rows = run_laboratory(dataset, [4, 5], file="artifacts/laboratory.json")
    assert trained == list(product([4, 5], [HEALTHY, *FAULTS]))
    assert [(row["seed"], row["fault"]) for row in rows] == trained
    run_laboratory(dataset, [4, 5], file="artifacts/laboratory.json")
    assert len(trained) == 2 * (1 + len(FAULTS))


def test_the_shipped_rows_are_whole_and_of_these_data_weights_and_settings(creatures):
    written = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert written["made_from"] == laboratory_origin(creatures)
    assert sorted((row["seed"], row["fault"]) for row in measured_rows()) == sorted(
        product(tool.SEEDS, [HEALTHY, *FAULTS])
    )
    assert MEASURED.stat().st_size < 500_000


def test_a_figures_axis_has_room_for_every_loss():
    for row in measured_rows():
        losses = [*row["training"]["loss"], *row["validation"]["loss"]]
        assert LOSSES[0] < min(losses) <= max(losses) < LOSSES[1]


def test_only_wrong_captions_contradict_their_pictures(creatures):
    for row in measured_rows():
        assert len(row["said"]) == len(creatures["test"])
        hard = [(caption, creature_at(place, creatures)) for place, caption, _ in row["least_likely"]]
        assert any(contradicts(*each) for each in hard) == (row["fault"] in (5, 6)), (row["fault"], row["seed"])
