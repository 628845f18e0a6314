"""Learning curves: equal steps, rows that survive a stop, what may be read from them, and the one that is shipped."""

import json
from itertools import product

import pytest

from helpers.errors import DataError
from helpers.experiments import learning_curve as module
from helpers.experiments import trials
from helpers.experiments.learning_curve import MEASURED, learning_curve, measured_curve, reading, spans
from helpers.experiments.trials import made_from
from tools import curve as tool


@pytest.fixture
def trainings(monkeypatch):
    """The trainings that are made."""
    made = []

    class Trainer(module.CaptionTrainer):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(module, "CaptionTrainer", Trainer)
    return made


def test_each_size_and_seed_makes_the_same_steps_and_a_row(settings, dataset, trainings, artifacts):
    rows = learning_curve(settings, dataset, [3, 8], seeds=[4], file="artifacts/curve.json")
    assert [(row["pictures"], row["seed"], row["test"]) for row in rows] == [(3, 4, 4), (8, 4, 4)]
    assert {trainer.state.global_step for trainer in trainings} == {2}  # what the settings make of all eight
    assert [len(trainer.train_dataset) for trainer in trainings] == [3, 8]
    assert {trainer.args.seed for trainer in trainings} == {4}
    for row in rows:
        for system in ("trained", "nearest picture"):
            assert row[system]["wer"]["low"] <= row[system]["wer"]["value"] <= row[system]["wer"]["high"]
    assert [path.name for path in artifacts.iterdir()] == ["curve.json"]


@pytest.fixture
def before(settings, dataset, artifacts):
    """Writes a curve of one row, made from these settings but for the changes; returns its file."""

    def write(**changes):
        artifacts.mkdir()
        file, origin = artifacts / "curve.json", made_from(settings, dataset) | changes
        del origin["lora_rank"]  # as an older version wrote it
        file.write_text(json.dumps({"made_from": origin, "rows": [row(1, 0.5)]}), encoding="utf-8")
        return file

    return write


def test_what_is_written_is_not_trained_again_and_a_stop_loses_one_training(
    settings, dataset, trainings, before, monkeypatch
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    file = before()
    monkeypatch.setattr(trials._Steps, "on_step_end", stop)
    assert learning_curve(settings, dataset, [1, 2], seeds=[0], file=file) == [row(1, 0.5)]
    assert len(trainings) == 1
    assert learning_curve(settings, dataset, [1], seeds=[0], file=file) == [row(1, 0.5)]
    assert len(trainings) == 1


def test_rows_of_other_settings_are_moved_aside(settings, dataset, before, log):
    file = before(learning_rate=0.5)
    assert learning_curve(settings, dataset, [], file=file) == []
    assert log.messages[-1].endswith("it is now curve.json-1.")
    assert json.loads((file.parent / "curve.json-1").read_text(encoding="utf-8"))["rows"] == [row(1, 0.5)]


@pytest.mark.parametrize("size", [0, 9])
def test_a_size_that_the_split_has_not_is_said_before_training(settings, dataset, trainings, size):
    with pytest.raises(DataError, match=f"no choice of {size} pictures of 8; give sizes of 1 to 8"):
        learning_curve(settings, dataset, [4, size])
    assert trainings == []


def row(pictures, value, seed=0, *, half=0.05, exact=0.5, test=100):
    wer = {"value": value, "low": value - half, "high": value + half}
    return {"pictures": pictures, "seed": seed, "test": test, "trained": {"wer": wer, "exact_match": {"value": exact}}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row(25, 0.6), row(50, 0.4), row(100, 0.2)],
            "100 pictures are clearly better than 50.\nStill more will probably",
        ),
        ([row(25, 0.6), row(50, 0.25), row(100, 0.2)], "better than 25, but not told apart from 50."),
        ([row(50, 0.25), row(100, 0.2)], "No smaller number of pictures is told apart from 100"),
        ([row(50, 0.1), row(100, 0.4)], "No smaller number of pictures is told apart from 100"),
        # One seed is far below, the other holds what 50 pictures reach.
        ([row(50, 0.4), row(100, 0.2), row(100, 0.34, 1)], "No smaller number of pictures is told apart from 100"),
        ([row(100, 0.2)], "No smaller number of pictures is told apart from 100"),
        ([row(50, 0.4), row(100, 0.0, exact=1)], "0 of 100 test captions differ from their references: the ceiling of"),
        (
            [row(40, 0.5, test=10), row(81, 0.1, test=10)],
            "5 of 10 test captions differ from their references: too few to show",
        ),
    ],
)
def test_what_a_curve_allows_to_be_said(rows, said):
    assert said in reading(rows)
    assert "will probably help" not in reading(rows) or "Still more" in said


def test_a_score_that_grows_is_read_the_other_way():
    rows = [row(50, 0.2), row(100, 0.6)]
    for each in rows:
        each["trained"]["rouge_l"] = each["trained"]["wer"]
    assert "clearly better" in reading(rows, "rouge_l")
    assert "clearly better" not in reading(rows)


def test_seeds_are_told_and_all_their_intervals_held():
    rows = [row(50, 0.4), row(50, 0.44, 1), row(100, 0.2), row(100, 0.21, 1)]
    assert spans(rows, "trained", "wer")[50] == pytest.approx((0.35, 0.42, 0.49))
    assert reading(rows).endswith("Seeds of one size lie up to 0.040 apart.")
    assert "A size with one seed" in reading(rows[:3])


def test_the_shipped_curve_is_whole_and_of_these_data_weights_and_settings(creatures):
    written = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert written["made_from"].items() <= made_from(tool.SETTINGS, tool.in_own_words(creatures)).items()
    assert [(row["seed"], row["pictures"]) for row in measured_curve()] == list(product(tool.SEEDS, tool.SIZES))
