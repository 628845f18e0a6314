"""What release 0.1.0 saved is used as it is, or made again with a sentence.

tests/fixtures/captioner-0.1.0 is the artifacts folder that it wrote for the small data set: a captioner of two steps,
its scores, and a training of four steps whose process died after the first. Its records say nothing of the base's
weights: those of models/git-tiny have changed since, those of any other checkpoint are taken for the same.
"""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from helpers.captioner import load_or_train, read_record, saved_settings
from helpers.data import load_captions
from helpers.hub import share
from helpers.inference import caption_images
from helpers.plotting import plot_scores
from helpers.report import score_rows
from helpers.settings import Settings
from tools.notebooks import ending

SAVED = Path(__file__).parent / "fixtures" / "captioner-0.1.0"
STOPPED = Path(".interrupted.checkpoints")


@pytest.fixture
def shipped(artifacts, dataset_folder, tmp_path, monkeypatch):
    """The artifacts of 0.1.0, where the names in its records mean the small data set and a base model of that size."""
    shutil.copytree(SAVED, artifacts)
    shutil.copytree(SAVED / "captioner", tmp_path / "models" / "git-tiny")
    shutil.copytree(dataset_folder, tmp_path / "data" / "pocket-creatures")
    monkeypatch.chdir(tmp_path)
    return artifacts


@pytest.fixture
def old(shipped, tmp_path):
    """The same, where the base model is one of a learner's own."""
    (tmp_path / "models" / "git-tiny").rename(tmp_path / "models" / "mine")
    for record in (shipped / "captioner" / "training.json", shipped / STOPPED / "begun.json"):
        record.write_text(record.read_text(encoding="utf-8").replace("git-tiny", "mine"), encoding="utf-8")
    return shipped


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr("helpers.training.CaptionTrainer.train", None)


def test_an_old_captioner_is_loaded_and_says_what_it_said(old, no_training, log):
    settings = saved_settings()
    assert (settings.epochs, settings.batch_size, settings.max_new_tokens) == (1, 4, 4)
    load_or_train(settings)
    dataset = load_captions(settings.dataset)
    captioner = load_or_train(settings, dataset=dataset)
    captions = caption_images(*captioner, dataset["test"]["image"], max_new_tokens=settings.max_new_tokens)
    assert [caption.text for caption in captions] == ["v e square +"] * 4
    assert not log.messages


def test_old_scores_are_read(old, no_training, local_hub, monkeypatch):
    evaluation = json.loads((old / "evaluation.json").read_text(encoding="utf-8"))
    assert score_rows(evaluation["systems"])[1]["wer"] == "0.986 (0.950 to 1.000)"
    assert "0.986" in plot_scores(evaluation["systems"]).alt
    assert "2 steps" in ending(60)
    settings = saved_settings()
    history = json.loads((old / "captioner" / "history.json").read_text(encoding="utf-8"))
    monkeypatch.setenv("HF_TOKEN", "hf_" + "madeUp" * 5)
    with local_hub(users={"hf_" + "madeUp" * 5: "me"}) as server:
        share(*load_or_train(settings), "me/test", settings=settings, evaluation=evaluation)
        share(*load_or_train(settings), "me/validation", settings=settings, history=history)
        for split in ("test", "validation"):
            card = ModelCard(server.files(f"me/{split}")["README.md"].decode())
            assert {result.dataset_split for result in card.data.eval_results} == {split}
            assert "for 2 steps" in card.text


def test_an_old_training_that_died_goes_on(old, log):
    # Its record names no max_new_tokens, so those were the default's.
    values = {"epochs": 2, "max_new_tokens": Settings.max_new_tokens}
    settings = saved_settings().with_changes(output="artifacts/interrupted", **values)
    load_or_train(settings)
    assert "from step 1" in log.text
    assert read_record(settings.output)["steps"] == 4
    assert not (old / STOPPED).exists()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_old_captioner_of_the_shipped_base_is_trained_again_and_moved_aside_whole(shipped, log):
    settings = saved_settings()
    assert settings == Settings.tiny()
    load_or_train(settings)
    assert "another base model (the weights of models/git-tiny have changed) and other settings (epochs 1" in log.text
    assert contents(shipped / "captioner-1") == contents(SAVED / "captioner")
    assert saved_settings() == settings
    log.clear()
    load_or_train(settings)
    assert not log.messages


def test_an_old_captioner_of_ones_own_pictures_keeps_its_values(shipped, tmp_path, log):
    record = shipped / "captioner" / "training.json"
    (tmp_path / "data" / "pocket-creatures").rename(tmp_path / "data" / "mine")
    record.write_text(record.read_text(encoding="utf-8").replace("pocket-creatures", "mine"), encoding="utf-8")
    settings = saved_settings()
    assert (settings.dataset, settings.epochs) == ("data/mine", 1)
    load_or_train(settings)
    assert "with another base model (the weights of models/git-tiny have changed). Training again." in log.text


def test_an_old_training_from_the_shipped_base_begins_anew(shipped, log):
    values = json.loads((shipped / STOPPED / "begun.json").read_text(encoding="utf-8"))["values"]
    settings = Settings(**values, output="artifacts/interrupted")
    load_or_train(settings)
    assert "began with another base model (the weights of models/git-tiny have changed)" in log.text
    assert "from step" not in log.text
    assert read_record(settings.output)["steps"] == 4


@pytest.mark.parametrize("name", ["settings", "steps"])
def test_an_old_captioner_whose_record_lacks_a_field_is_made_again(old, log, name):
    settings, path = saved_settings(), old / "captioner" / "training.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record[name]
    path.write_text(json.dumps(record), encoding="utf-8")
    load_or_train(settings)
    assert "no finished captioner in artifacts/captioner yet" in log.text
    assert "was moved to captioner-1" in log.text
    assert read_record(settings.output)[name] is not None
