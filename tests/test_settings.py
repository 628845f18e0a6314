import re
from dataclasses import FrozenInstanceError, asdict
from json import dumps
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.captioner import saved_settings
from helpers.errors import SettingsError
from helpers.paths import ROOT, artifacts_folder, resolve
from helpers.reading.locate import fingerprint_of_weights
from helpers.settings import Settings

RIGHT = Settings.tiny()


def save_record(artifacts, settings, profile="tiny", **more):
    folder = artifacts / "captioner"
    folder.mkdir(parents=True)
    record = {"settings": {**asdict(settings), **more}, "profile": profile}
    record |= {"steps": 1, "planned_steps": 1, "interrupted": False}
    record |= {"base": fingerprint_of_weights(settings.checkpoint)}
    (folder / "training.json").write_text(dumps(record), encoding="utf-8")


def test_tiny_needs_nothing_but_the_project():
    assert (RIGHT.dataset, RIGHT.checkpoint, RIGHT.push_to) == ("data/pocket-creatures", "models/git-tiny", None)
    assert (ROOT / RIGHT.dataset).is_dir()


def test_full_fine_tunes_git_base_on_the_same_data():
    full = Settings.full()
    assert full.checkpoint == "microsoft/git-base"
    assert full.dataset == RIGHT.dataset
    assert full.learning_rate < RIGHT.learning_rate


@pytest.mark.parametrize(
    ("profile", "expected"),
    [(None, Settings.tiny()), ("", Settings.tiny()), ("tiny", Settings.tiny()), ("full", Settings.full())],
)
def test_the_environment_names_the_preset(monkeypatch, profile, expected):
    if profile is not None:
        monkeypatch.setenv("CAPTIONING_PROFILE", profile)
    assert Settings.from_environment() == expected


def test_a_wrong_profile_names_the_profiles(monkeypatch):
    monkeypatch.setenv("CAPTIONING_PROFILE", "huge")
    with pytest.raises(SettingsError, match=r"(?=.*huge)(?=.*tiny)(?=.*full)"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", "8"),
        ("epochs", float("nan")),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("batch_size", "8"),
        ("batch_size", np.float64(8)),
        ("num_beams", np.array([4])),
        ("learning_rate", 0),
        ("learning_rate", 2),
        ("warmup", 1.5),
        ("weight_decay", -0.1),
        ("max_new_tokens", 0),
        ("num_beams", 0),
        ("seed", -1),
        ("precision", "int8"),
        ("freeze_vision", 1),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(SettingsError, match=f"(?=.*{name})(?=.*{re.escape(repr(value))})"):
        RIGHT.with_changes(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0.5), ("warmup", 0), ("weight_decay", 0), ("num_beams", 64), ("precision", "bf16")]
)
def test_a_value_at_the_edge_is_kept(name, value):
    assert getattr(RIGHT.with_changes(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), [("batch_size", 8), ("learning_rate", 0.25)])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda value: np.asarray(value)[()]])
def test_a_number_of_numpy_or_torch_is_taken_as_one_of_python(kind, name, value):
    kept = getattr(RIGHT.with_changes(**{name: kind(value)}), name)
    assert kept == value
    assert type(kept) is type(value)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"(?=.*epoch\b)(?=.*learning_rate)"):
        RIGHT.with_changes(epoch=3)


def test_settings_do_not_change_in_place():
    with pytest.raises(FrozenInstanceError):
        RIGHT.epochs = 3
    assert RIGHT.with_changes(epochs=3).epochs == 3
    assert RIGHT.epochs == Settings.tiny().epochs


def test_only_what_changes_the_training_counts_as_a_training_value():
    spoken = RIGHT.with_changes(num_beams=4, output="artifacts/other", push_to="me/captioner")
    assert spoken.training_values() == RIGHT.training_values()
    kept = {"dataset", "checkpoint", "epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "seed"}
    assert kept | {"freeze_vision", "max_new_tokens"} < set(RIGHT.training_values())


def test_artifacts_lie_in_the_folder_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path))
    assert artifacts_folder() == tmp_path
    assert resolve("artifacts/captioner") == tmp_path / "captioner"
    monkeypatch.delenv("CAPTIONING_ARTIFACTS")
    assert resolve("artifacts/captioner") == ROOT / "artifacts" / "captioner"


def test_names_mean_the_project_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert resolve("data/pocket-creatures") == ROOT / "data" / "pocket-creatures"
    (tmp_path / "mine.csv").touch()
    assert resolve("mine.csv") == tmp_path / "mine.csv"
    assert resolve(str(tmp_path / "absent")) == tmp_path / "absent"


def test_without_a_captioner_its_settings_are_the_environments(artifacts, monkeypatch):
    assert saved_settings() == Settings.tiny()
    monkeypatch.setenv("CAPTIONING_PROFILE", "full")
    assert saved_settings() == Settings.full()


@pytest.mark.parametrize("asked", [None, "tiny"])
def test_a_saved_captioner_brings_its_settings(artifacts, monkeypatch, asked):
    save_record(artifacts, RIGHT.with_changes(epochs=3), a_value_of_another_version=1)
    if asked:
        monkeypatch.setenv("CAPTIONING_PROFILE", asked)
    assert saved_settings() == RIGHT.with_changes(epochs=3)


def test_another_profile_wins_over_the_saved_captioner(artifacts, monkeypatch):
    save_record(artifacts, RIGHT.with_changes(epochs=3))
    monkeypatch.setenv("CAPTIONING_PROFILE", "full")
    assert saved_settings() == Settings.full()


@pytest.mark.parametrize("name", ["me/captioner", "captioner", "my-team/cats_1.0", None])
def test_a_repository_to_share_to_is_a_name_with_or_without_an_owner(name):
    assert Settings(push_to=name).push_to == name


@pytest.mark.parametrize(
    "name", ["https://huggingface.co/me/captioner", "me/my captioner", "a/b/c", "me/", "/tmp/x", "a..b"]
)
def test_anything_else_to_share_to_is_refused(name):
    with pytest.raises(SettingsError, match=r"push_to.*owner/name"):
        Settings(push_to=name)


def test_paths_and_truth_values_of_a_neighbouring_kind_are_taken(tmp_path):
    settings = Settings(output=tmp_path, dataset=Path("data/mine"), freeze_vision=np.True_)
    assert (settings.output, settings.dataset, settings.freeze_vision) == (str(tmp_path), "data/mine", True)
    assert dumps(asdict(settings))
