"""Training on several processes is training on one: the loss of each token, the captions, the captioner."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import psutil
import pytest
import torch

from helpers.captioner import read_record
from helpers.families import load_checkpoint
from helpers.settings import Settings
from helpers.train import main, settings_of
from helpers.training import CaptionTrainer, caption_loss
from helpers.transforms import IGNORED
from tests.divided_training import TORCHRUN
from tests.toolbox import FAMILIES, ended, small_settings

PICTURES = 101  # an odd number, which two processes cannot share evenly


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_that_the_trainer_counts_are_those_of_the_loss(family, dataset, dataset_folder, tmp_path, artifacts):
    texts = [caption for group in dataset["train"]["captions"] for caption in group]
    FAMILIES[family].save(base := tmp_path / "base", texts)
    settings = small_settings(str(base), dataset_folder)
    trainer = CaptionTrainer(*load_checkpoint(str(base)), dataset, settings)
    batches, count = trainer.get_batch_samples(iter(trainer.get_train_dataloader()), 2, torch.device("cpu"))
    assert any((batch["labels"] == IGNORED).any() for batch in batches)
    whole = [caption_loss(trainer.model, batch) for batch in batches]
    shares = [trainer.compute_loss(trainer.model, batch, num_items_in_batch=count) for batch in batches]
    tokens = [float(share / mean * count) for share, mean in zip(shares, whole, strict=True)]
    assert sum(tokens) == pytest.approx(float(count))  # the mean over all tokens: nothing counted twice, nothing lost


def test_a_step_of_two_batches_is_a_step_of_one(dataset, checkpoint, dataset_folder, artifacts):
    def trained(batch_size, batches):
        settings = small_settings(checkpoint, dataset_folder).with_changes(batch_size=batch_size, epochs=2)
        trainer = CaptionTrainer(*load_checkpoint(checkpoint), dataset, settings)
        trainer.args.gradient_accumulation_steps, trainer.args.logging_steps = batches, 1
        trainer.accelerator.gradient_accumulation_steps = batches
        trainer.train()
        return [row["loss"] for row in trainer.state.log_history if "loss" in row], trainer.model.state_dict()

    (whole, weights), (parts, others) = trained(8, 1), trained(4, 2)
    assert parts == pytest.approx(whole, abs=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=0, atol=1e-4, msg=name)


def test_every_value_is_a_flag(monkeypatch, capsys):
    monkeypatch.setenv("CAPTIONING_PROFILE", "full")
    assert settings_of([]) == Settings.full()
    given = {"epochs": "3", "batch-size": "4", "freeze_vision": "true", "lora_rank": "2", "dataset": "mine.csv"}
    found = settings_of([part for name, value in given.items() for part in (f"--{name}", value)])
    assert found == Settings.full().with_changes(
        epochs=3, batch_size=4, freeze_vision=True, lora_rank=2, dataset="mine.csv"
    )
    with pytest.raises(SystemExit):
        settings_of(["--help"])
    text = capsys.readouterr().out
    assert all(f"--{name}" in text and f"\n    {name}: " in text for name in asdict(found))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--epochs", "-1"], "Settings.epochs is -1"),
        (["--push_to", "me/mine"], "--push_to"),
        (["--no-such-flag", "1"], "--no-such-flag"),
        (["--dataset", "no/such/folder"], "no/such/folder"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments, named, capsys, artifacts):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    said = capsys.readouterr().err + str(caught.value)
    assert named in said
    assert "Traceback" not in said
    assert caught.value.code not in (0, None)


def test_the_command_trains_and_scores(dataset_folder, checkpoint, artifacts, capsys):
    command = ["--dataset", dataset_folder, "--checkpoint", checkpoint, "--epochs", "1", "--max_new_tokens", "8"]
    main(command)
    first = capsys.readouterr().out.splitlines()[-2:]
    assert first[0].startswith(f"Trained {checkpoint} on {dataset_folder}: 1 steps")
    assert first[1].startswith("Captions right, 4 test pictures")
    assert read_record("artifacts/captioner")["settings"]["max_new_tokens"] == 8
    written = json.loads((artifacts / "captioner-evaluation.json").read_text(encoding="utf-8"))
    assert set(written["systems"]) == {"base", "trained"}
    assert written["dataset"]["pictures"] == 4
    weights = (artifacts / "captioner" / "model.safetensors").stat()
    main(command)
    assert capsys.readouterr().out.splitlines()[-2:] == first
    assert (artifacts / "captioner" / "model.safetensors").stat() == weights


@pytest.fixture(scope="module")
def divided(tmp_path_factory, creatures, talker, processor):
    """What `divided_training` leaves: of one process with batches of 16, of each of two with batches of 8."""
    folder = tmp_path_factory.mktemp("divided")
    (folder / "data").mkdir()
    for split, count in {"train": 64, "validation": PICTURES, "test": PICTURES}.items():
        start = {"train": 0, "validation": 200, "test": 400}[split]
        rows = creatures["train"].select(range(start, start + count))
        rows.to_parquet(folder / "data" / f"{split}.parquet")
    talker.save_pretrained(folder / "base")
    processor.save_pretrained(folder / "base")
    found = {}
    for name, size, launcher in (("one", "16", [sys.executable]), ("two", "8", TORCHRUN)):
        (out := folder / name).mkdir()
        command = [*launcher, "-m", "tests.divided_training", folder / "data", folder / "base", size, out]
        ended(command, environment={"CAPTIONING_ARTIFACTS": str(out), "CUDA_VISIBLE_DEVICES": ""})
        found[name] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("?.json"))]
    return found


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(divided):
    (one,), (first, second) = divided["one"], divided["two"]
    assert (one["processes"], first["processes"]) == (1, 2)
    assert len(one["losses"]) == 8
    assert one["losses"][-1] < one["losses"][0] - 0.5
    assert first["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert first["weights"] == pytest.approx(one["weights"], abs=1e-5)
    assert second["weights"] == pytest.approx(first["weights"], abs=1e-12)
    assert first["held"] == second["held"] == 0  # or a process may never end: see `trained`


@pytest.mark.slow
def test_two_processes_caption_each_picture_once_and_in_order(divided):
    (one,), two = divided["one"], divided["two"]
    assert len(one["said"]) == 5  # before the first step, and four times
    assert len({tuple(ids) for ids in one["said"][0]}) > PICTURES / 2  # in another order they would differ
    for each in two:
        assert [len(said) for said in each["said"]] == [PICTURES] * 5
        assert each["said"][0] == one["said"][0]
        assert each["captions"] == one["captions"]
        assert len(each["captions"]) == PICTURES


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "rank"), [("torchrun", 4), ("accelerate", 0)])
def test_the_command_on_two_processes_leaves_one_whole_captioner(launcher, rank, dataset_folder, checkpoint, artifacts):
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    accelerate += ["--main_process_port", "0"]
    start = {"torchrun": TORCHRUN, "accelerate": accelerate}[launcher]
    flags = ["--dataset", dataset_folder, "--checkpoint", checkpoint, "--epochs", "2", "--batch_size", "4"]
    flags += ["--lora_rank", str(rank), "--max_new_tokens", "8"]
    command = [*start, "-m", "helpers.train", *flags]
    done = ended(command, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.stdout.count("Trained ") == done.stdout.count("4 test pictures") == 1
    record = read_record("artifacts/captioner")
    assert (record["steps"], record["processes"], record["interrupted"]) == (2, 2, False)
    load_checkpoint("artifacts/captioner")
    assert sorted(path.name for path in artifacts.iterdir()) == ["captioner", "captioner-evaluation.json"]


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on(dataset_folder, checkpoint, artifacts):
    flags = ["--dataset", dataset_folder, "--checkpoint", checkpoint, "--epochs", "200", "--batch_size", "4"]
    command = [*TORCHRUN, "-m", "helpers.train", *flags, "--max_new_tokens", "4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as begun:
        while not list(artifacts.glob(".captioner.checkpoints/checkpoint-100/*")):  # so that the one before is whole
            assert begun.poll() is None
            time.sleep(0.1)
        for process in [*psutil.Process(begun.pid).children(recursive=True), begun]:
            process.kill()
    assert read_record("artifacts/captioner") is None
    done = ended(command, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.stderr.count("Continuing the training that was stopped, from step") == 1
    assert read_record("artifacts/captioner")["steps"] == 200
