import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerCallback

from helpers.captioner import (
    differences,
    fingerprint_of,
    finish_saving,
    load_or_train,
    read_record,
    save_captioner,
    saved_settings,
)
from helpers.data import load_captions
from helpers.errors import DataError, SettingsError
from helpers.families import load_checkpoint
from helpers.paths import ROOT, check_output, resolve, write_whole
from helpers.report import save_evaluation
from helpers.resuming import begun, checkpoints_folder, kept_row, unfinished
from helpers.settings import Settings
from helpers.training import CaptionTrainer


def test_where_no_captioner_is_there_is_no_record(artifacts):
    assert read_record("artifacts/captioner") is None


def test_changed_values_are_told_by_name(settings):
    record = {"settings": settings.with_changes(epochs=5, num_beams=3).__dict__}
    assert differences(record, settings.with_changes(epochs=5)) == ""
    changes = differences(record, settings.with_changes(seed=9))
    assert "epochs 5" in changes
    assert "seed 0" in changes
    assert "num_beams" not in changes


def test_a_record_that_names_no_pictures_goes_with_any(settings):
    record = {"settings": settings.__dict__}
    assert differences(record, settings, "first") == ""
    assert differences({**record, "data": "first"}, settings) == ""
    assert "pictures" in differences({**record, "data": "first"}, settings, "second")


def test_a_value_that_an_older_record_lacks_was_the_default(settings):
    record = {"settings": {name: value for name, value in settings.__dict__.items() if name != "lora_rank"}}
    assert differences(record, settings) == ""
    assert "lora_rank 0 → 4" in differences(record, settings.with_changes(lora_rank=4))


def test_a_captioner_of_other_pictures_is_not_taken_for_one_of_these(
    captioner, settings, artifacts, dataset, log, monkeypatch
):
    first, _ = captioner
    log.clear()
    again, _ = load_or_train(settings, dataset=dataset)
    assert log.messages == []
    fewer = dataset.copy()
    fewer["train"] = dataset["train"].select(range(4))
    monkeypatch.setattr("helpers.training.fingerprint", None)  # it is known already
    other, _ = load_or_train(settings, dataset=fewer)
    assert "other pictures or captions" in log.text
    assert (artifacts / "captioner-1").is_dir()
    assert read_record(settings.output)["data"] != read_record("artifacts/captioner-1")["data"]
    weights = [model.state_dict()["output.bias"] for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.fixture
def changing(captioner, settings, artifacts, tmp_path):
    """Saved by these settings, whose base can be changed: settings, its folder, and a function that changes it."""
    base = tmp_path / "models" / "base"
    shutil.copytree(settings.checkpoint, base)
    settings = settings.with_changes(checkpoint=str(base))
    load_or_train(settings)

    def change():
        model, _ = load_checkpoint(str(base))
        with torch.no_grad():
            model.output.bias += 1
        model.save_pretrained(base)

    return settings, base, change


def test_a_captioner_of_other_weights_of_its_base_is_trained_again(changing, artifacts, log):
    settings, base, change = changing
    assert read_record(settings.output)["base"] == fingerprint_of(base)
    weights = (artifacts / "captioner" / "model.safetensors").read_bytes()
    log.clear()
    load_or_train(settings)
    assert not log.messages
    change()
    load_or_train(settings)
    sentence = f"with another base model (the weights of {base} have changed). Training again."
    assert sentence in log.messages[0]
    assert "was moved to captioner-2" in log.text
    assert (artifacts / "captioner-2" / "model.safetensors").read_bytes() == weights
    assert read_record(settings.output)["base"] == fingerprint_of(base) != read_record("artifacts/captioner-2")["base"]
    log.clear()
    load_or_train(settings)
    assert not log.messages


def test_a_captioner_whose_base_is_gone_is_used(changing, log):
    settings, base, _ = changing
    shutil.rmtree(base)
    log.clear()
    load_or_train(settings)
    assert not log.messages


def test_a_base_that_changes_while_it_trains_is_recorded_as_it_was(changing, artifacts):
    settings, base, change = changing
    before = fingerprint_of(base)
    trainer = CaptionTrainer(*load_checkpoint(str(base)), load_captions(settings.dataset), settings)
    change()
    save_captioner(trainer)
    assert read_record(settings.output)["base"] == before


@pytest.mark.parametrize(("stop_at", "measured"), [(3, False), (4, True)])
def test_the_history_of_a_stopped_training_says_whether_its_weights_were_measured(
    settings, artifacts, dataset, stop_at, measured
):
    class Stop(TrainerCallback):
        def on_evaluate(self, args, state, control, **_):
            if state.global_step == stop_at:
                raise KeyboardInterrupt

        def on_step_end(self, args, state, control, **_):
            if state.global_step == stop_at == 3:
                raise KeyboardInterrupt

    model, processor = load_checkpoint(settings.checkpoint)
    trainer = CaptionTrainer(model, processor, dataset, settings.with_changes(epochs=4))
    trainer.add_callback(Stop())
    trainer.train()
    assert trainer.state.log_history[-1] == {"interrupted": True, "step": stop_at}
    assert (kept_row(trainer.state.log_history) or {}).get("step") == (stop_at if measured else None)


@pytest.fixture
def two_checkpoints(settings, artifacts):
    """The older and the newer one of a training that did not come to its end."""
    write_whole(checkpoints_folder(settings) / "begun.json", begun(settings, "first", "of then"))
    older = artifacts / ".captioner.checkpoints" / "checkpoint-9"
    shutil.copytree(resolve(settings.checkpoint), older)
    (older / "trainer_state.json").write_text("{}")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({}, older / name)
    return older, shutil.copytree(older, older.with_name("checkpoint-10"))


def test_a_training_is_not_continued_on_other_pictures(settings, two_checkpoints):
    _, newer = two_checkpoints
    assert unfinished(settings, "first", "of then") == newer
    assert unfinished(settings, "second", "of then") is None
    (newer.parent / "begun.json").unlink()
    assert unfinished(settings, "first", "of then") is None


def test_a_training_that_an_older_release_began_is_continued_with_its_own_values(settings, two_checkpoints):
    _, newer = two_checkpoints
    written = json.loads((newer.parent / "begun.json").read_text(encoding="utf-8"))
    del written["values"]["lora_rank"]
    (newer.parent / "begun.json").write_text(json.dumps(written), encoding="utf-8")
    assert unfinished(settings, "first", "of then") == newer
    assert unfinished(settings.with_changes(lora_rank=4), "first", "of then") is None


def test_a_training_is_not_continued_from_another_base(settings, two_checkpoints, log):
    _, newer = two_checkpoints
    assert unfinished(settings, "first", None) == newer
    assert not log.messages
    assert unfinished(settings, "first", "of now") is None
    assert "began with another base model" in log.text
    assert settings.checkpoint in log.text


@pytest.mark.parametrize(
    "name", ["trainer_state.json", "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
)
@pytest.mark.parametrize("damage", ["missing", "half"])
def test_a_checkpoint_that_was_cut_off_is_left_out(settings, two_checkpoints, name, damage):
    older, newer = two_checkpoints
    content = (newer / name).read_bytes()
    (newer / name).unlink()
    if damage == "half":
        (newer / name).write_bytes(content[: len(content) // 2])
    assert unfinished(settings, "first", "of then") == older


def test_an_evaluation_says_what_was_measured_on_what(captioner, settings, artifacts, dataset):
    systems = {"trained": {"wer": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    first = save_evaluation(settings, dataset["test"], systems)
    assert first["systems"] == systems
    assert (first["dataset"]["name"], first["dataset"]["pictures"]) == (settings.dataset, 4)
    assert first["captioner"]["settings"]["epochs"] == 1
    assert first["captioner"]["steps"] == 2
    load_or_train(settings.with_changes(seed=1))
    other = save_evaluation(settings, dataset["validation"], systems, attributes={"color": 0.5})
    assert json.loads((artifacts / "evaluation.json").read_text(encoding="utf-8")) == other
    assert other["attributes"] == {"color": 0.5}
    assert other["dataset"]["fingerprint"] != first["dataset"]["fingerprint"]
    assert other["captioner"]["fingerprint"] != first["captioner"]["fingerprint"]


class Written(SimpleNamespace):
    """In place of a model or a processor: saves one file."""

    def parameters(self):
        return iter(())

    def float(self):
        return self

    def save_pretrained(self, folder):
        folder.mkdir(exist_ok=True)
        (folder / self.name).write_text(self.text)


def saving(folder, dies_at, weights, epochs=1):
    """Saves in a copy of this process that is killed at one of the steps that change the disk; whether it ended."""
    count = 0

    def step(event, args):
        nonlocal count
        changes = ("os.rename", "os.mkdir", "os.rmdir", "os.remove")
        if event in changes or (event == "open" and isinstance(args[1], str) and "w" in args[1]):
            count += str(args[0]).startswith(str(folder))
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    trainer = SimpleNamespace(
        settings=Settings(epochs=epochs),
        state=SimpleNamespace(global_step=2, max_steps=2, log_history=[]),
        model=Written(name="model.safetensors", text=f"weights of {weights}"),
        processing_class=Written(name="config.json", text="{}"),
        interrupted=False,
        seconds=1.0,
        data="0",
        base="0",
    )
    child = os.fork()
    if not child:
        try:
            sys.addaudithook(step)
            save_captioner(trainer)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == 0


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2])
def test_saving_may_be_killed_at_any_step(tmp_path, monkeypatch, epochs):
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path))
    assert saving(tmp_path, -1, "first")
    epochs_saved = set()
    for dies_at in range(1, 100):
        ended = saving(tmp_path, dies_at, f"{dies_at}", epochs)
        finish_saving("artifacts/captioner")
        record = read_record("artifacts/captioner")
        assert record is not None
        assert (tmp_path / "captioner" / "model.safetensors").read_text().startswith("weights of")
        assert (tmp_path / "captioner" / "config.json").is_file()
        everything = {path.read_text() for path in tmp_path.rglob("model.safetensors")}
        if epochs == 2:  # what was trained with other values is never lost
            assert "weights of first" in everything
        epochs_saved.add(record["settings"]["epochs"])
        if ended:
            break
    assert dies_at > 5
    assert (tmp_path / "captioner" / "model.safetensors").read_text() == f"weights of {dies_at}"
    assert epochs_saved == {1, epochs}


def test_a_save_stopped_between_its_two_renames_is_finished(captioner, settings, artifacts):
    whole = read_record(settings.output)
    (artifacts / "captioner").rename(artifacts / ".captioner.new")
    assert read_record(settings.output) == whole
    assert saved_settings() == settings
    assert sorted(path.name for path in artifacts.iterdir()) == [".captioner.new"]  # reading never writes
    load_or_train(settings)
    assert sorted(path.name for path in artifacts.iterdir()) == ["captioner"]
    assert read_record(settings.output) == whole


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", '{"settings": 3}', '{"settings": {"epochs": -1}, "profile": "tiny"}']
)
def test_a_record_that_cannot_be_read_is_none(artifacts, log, broken):
    (artifacts / "captioner").mkdir(parents=True)
    (artifacts / "captioner" / "training.json").write_text(broken)
    assert read_record("artifacts/captioner") is None
    assert "training.json" in log.text
    assert saved_settings() == Settings.tiny()


def test_an_unfinished_new_captioner_does_not_become_the_captioner(artifacts):
    (artifacts / ".captioner.new").mkdir(parents=True)
    (artifacts / ".captioner.new" / "model.safetensors").touch()
    assert read_record("artifacts/captioner") is None
    assert not (artifacts / "captioner").exists()


def test_a_captioner_that_is_not_ours_is_moved_aside_and_not_deleted(settings, artifacts):
    (artifacts / "captioner").mkdir(parents=True)
    (artifacts / "captioner" / "config.json").write_text("somebody's")
    (artifacts / "captioner" / "model.safetensors").touch()
    saved_again(settings)
    assert (artifacts / "captioner-1" / "config.json").read_text() == "somebody's"
    assert read_record(settings.output)["settings"]["epochs"] == 1


@pytest.mark.parametrize("place", ["artifacts", "artifacts/captioner", "artifacts/above/captioner"])
def test_a_file_in_the_way_is_said_before_any_training(settings, artifacts, monkeypatch, place):
    output = place if place != "artifacts" else settings.output
    in_the_way = {"artifacts": artifacts, "artifacts/captioner": artifacts / "captioner"}.get(
        place, artifacts / "above"
    )
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("oops")
    monkeypatch.setattr("helpers.training.CaptionTrainer.train", None)
    with pytest.raises(SettingsError) as caught:
        load_or_train(settings.with_changes(output=output))
    assert "\n" not in str(caught.value)
    assert in_the_way.read_text() == "oops"


@pytest.mark.parametrize("output", [".", "models/git-tiny", "models/mine", "notebooks", "data", "/", str(ROOT)])
def test_what_the_project_ships_is_never_an_output(settings, output):
    with pytest.raises(SettingsError, match="name another"):
        check_output(output, settings.checkpoint)


def test_a_checkpoint_is_never_trained_over(settings):
    with pytest.raises(SettingsError, match="name another"):
        check_output(settings.checkpoint, settings.checkpoint)


def test_checkpoints_beside_a_captioner_are_its_own(settings, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.txt").write_text("a learner's own")
    load_or_train(settings.with_changes(output=str(tmp_path / "captioner")))
    assert (tmp_path / "checkpoints" / "mine.txt").read_text() == "a learner's own"


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file.json"
    write_whole(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            write_whole(path, "new")
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("output", ["artifacts", "artifacts/..", "x" * 300, "a\0b", "~nobody-at-all/x"])
def test_what_is_no_place_for_a_captioner_is_said(settings, artifacts, output):
    with pytest.raises(SettingsError) as caught:
        check_output(output, settings.checkpoint)
    assert "\n" not in str(caught.value)


def test_a_folder_that_only_looks_like_a_captioner_is_left_alone(settings, artifacts):
    (artifacts / "site").mkdir(parents=True)
    (artifacts / "site" / "config.json").write_text("of a web site")
    with pytest.raises(SettingsError, match="other things"):
        load_or_train(settings.with_changes(output="artifacts/site"))


def saved_again(settings, interrupted=False):
    model, processor = load_checkpoint(settings.checkpoint)
    trainer = CaptionTrainer(model, processor, load_captions(settings.dataset), settings)
    trainer.interrupted = interrupted
    save_captioner(trainer)


def test_notes_in_a_captioners_folder_are_kept(captioner, settings, artifacts):
    (artifacts / "captioner" / "my-notes.txt").write_text("important")
    saved_again(settings)
    assert (artifacts / "captioner-1" / "my-notes.txt").read_text() == "important"


def test_folders_beside_a_captioner_are_left_alone(captioner, settings, artifacts):
    for name in ("captioner.old", "captioner.new", "captioner.checkpoints", "checkpoints"):
        (artifacts / name).mkdir(parents=True)
        (artifacts / name / "thesis.txt").write_text(name)
    saved_again(settings)
    for name in ("captioner.old", "captioner.new", "captioner.checkpoints", "checkpoints"):
        assert (artifacts / name / "thesis.txt").read_text() == name


def test_a_finished_captioner_is_not_lost_to_an_interrupted_one(captioner, settings, artifacts, log):
    saved_again(settings, interrupted=True)
    assert read_record("artifacts/captioner")["interrupted"]
    assert not read_record("artifacts/captioner-1")["interrupted"]
    assert "captioner-1" in log.text


def test_a_captioner_behind_a_link_stays_there(settings, artifacts, tmp_path):
    artifacts.mkdir()
    (tmp_path / "large-disk").mkdir()
    (artifacts / "captioner").symlink_to(tmp_path / "large-disk" / "captioner")
    saved_again(settings)
    assert (artifacts / "captioner").is_symlink()
    assert (tmp_path / "large-disk" / "captioner" / "model.safetensors").is_file()
    assert read_record(settings.output)["settings"]["epochs"] == 1


def test_one_split_is_no_data_set_to_train_on(captioner, settings, dataset):
    with pytest.raises(DataError, match="no splits"):
        load_or_train(settings, dataset=dataset["train"])
