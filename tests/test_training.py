import json
from collections import defaultdict
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from helpers import training
from helpers.captioner import load_or_train, read_record
from helpers.creatures import attribute_columns
from helpers.data import load_captions
from helpers.device import choose_precision
from helpers.errors import SettingsError
from helpers.families import load_checkpoint, parameters_by_part, picture_tokens
from helpers.inference import caption_images
from helpers.resuming import kept_row
from helpers.training import CaptionTrainer, caption_loss, overfit_one_batch, training_arguments
from helpers.transforms import IGNORED, CaptionCollator, CaptionTransform, prepare_pictures
from tests.toolbox import small_settings


@pytest.fixture(scope="module")
def batch(dataset, processor):
    prepared = prepare_pictures(dataset["train"], processor).with_transform(CaptionTransform(processor))
    made = CaptionCollator(processor)(list(prepared))
    assert (made["labels"] == IGNORED).any()
    return made


class Steps(list):
    """Every training step that is done, by its tokens, pictures and loss; `stop_at` interrupts before a step."""

    stop_at = None
    stop_with = KeyboardInterrupt


@pytest.fixture
def steps(monkeypatch):
    return recorded_steps(monkeypatch)


def recorded_steps(monkeypatch):
    done, original = Steps(), CaptionTrainer.training_step

    def training_step(self, model, inputs, *args, **kwargs):
        if self.state.global_step + 1 == done.stop_at:
            model.train()
            raise done.stop_with
        loss = original(self, model, inputs, *args, **kwargs)
        done.append((inputs["input_ids"].tolist(), inputs["pixel_values"].sum().item(), loss.item()))
        return loss

    monkeypatch.setattr(CaptionTrainer, "training_step", training_step)
    return done


@pytest.fixture(scope="module")
def uninterrupted(checkpoint, dataset_folder, tmp_path_factory):
    """The steps and the weights of a training of two epochs that nothing stops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path_factory.mktemp("uninterrupted")))
        steps = recorded_steps(patch)
        model, _ = load_or_train(small_settings(checkpoint, dataset_folder).with_changes(epochs=2))
        return list(steps), weights(model)


def loss_by_hand(model, batch):
    """The mean over every token after the first of -log p(token | picture, tokens before it)."""
    with torch.inference_mode():
        logits = model(pixel_values=batch["pixel_values"], input_ids=batch["input_ids"], use_cache=False).logits
    start, losses = picture_tokens(model), []
    for row, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
        for place in range(length - 1):
            right = batch["input_ids"][row, place + 1]
            losses.append(-torch.log_softmax(logits[row, start + place], dim=0)[right])
    return torch.stack(losses).mean().item()


def loss_of(model, batch):
    with torch.inference_mode():
        return caption_loss(model, batch).item()


def padded(batch, more, pad=0):
    def wider(values, fill):
        return torch.cat([values, torch.full((len(values), more), fill)], dim=1)

    fills = {"input_ids": pad, "attention_mask": 0, "labels": IGNORED}
    return {**batch, **{name: wider(batch[name], fill) for name, fill in fills.items()}}


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_weights(one, two):
    return all(torch.equal(value, two[name]) for name, value in one.items())


def messages(log):
    return [record.getMessage() for record in log.records if record.name.startswith("helpers")]


@pytest.mark.parametrize("which", ["model", "talker"])
def test_the_loss_is_that_of_the_next_token_by_hand(request, which, batch):
    model = request.getfixturevalue(which)
    assert loss_of(model, batch) == pytest.approx(loss_by_hand(model, batch), abs=1e-5)


def test_the_loss_is_the_models_own(talker, batch):
    with torch.inference_mode():
        assert loss_of(talker, batch) == pytest.approx(talker(**batch).loss.item(), abs=1e-5)


def test_padding_is_never_in_the_loss(talker, batch):
    expected = loss_of(talker, batch)
    assert loss_of(talker, padded(batch, 9)) == pytest.approx(expected, abs=1e-5)
    assert loss_of(talker, padded(batch, 9, pad=77)) == pytest.approx(expected, abs=1e-5)
    other = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, 99)
    assert loss_of(talker, {**batch, "input_ids": other}) == pytest.approx(expected, abs=1e-5)


def test_the_end_token_is_in_the_loss(talker, batch):
    without = {**batch, "labels": batch["labels"].masked_fill(batch["labels"] == 3, IGNORED)}
    assert loss_of(talker, without) != pytest.approx(loss_of(talker, batch), abs=1e-3)


@pytest.mark.parametrize(
    ("cuda", "bf16", "asked", "chosen"),
    [
        (False, False, "auto", "fp32"),
        (True, True, "auto", "bf16"),
        (True, False, "auto", "fp16"),
        (True, True, "fp32", "fp32"),
        (False, False, "bf16", "bf16"),
    ],
)
def test_the_precision_is_what_the_device_does_best(monkeypatch, cuda, bf16, asked, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation)
    assert choose_precision(asked) == chosen


def test_the_arguments_are_those_of_the_settings(settings, artifacts):
    changed = settings.with_changes(epochs=3, learning_rate=3e-4, warmup=0.2, weight_decay=0.03, seed=7)
    found = training_arguments(changed)
    assert (found.num_train_epochs, found.per_device_train_batch_size, found.seed) == (3, 4, 7)
    assert (found.learning_rate, found.weight_decay, found.get_warmup_steps(50)) == (3e-4, 0.03, 10)
    assert (found.bf16, found.fp16) == (False, False)
    assert (found.metric_for_best_model, found.greater_is_better) == ("best_step", True)
    assert found.load_best_model_at_end
    assert found.output_dir.startswith(str(artifacts))
    assert found.report_to in ([], "none", ["none"])


def test_the_trainer_shows_every_caption_of_every_picture(settings, dataset, checkpoint, steps):
    model, processor = load_checkpoint(checkpoint)
    CaptionTrainer(model, processor, dataset, settings.with_changes(epochs=3)).train()
    assert len(steps) == 6
    said = [processor.tokenizer.decode(ids, skip_special_tokens=True) for group, _, _ in steps for ids in group]
    assert sorted(said) == sorted(caption for group in dataset["train"]["captions"] for caption in group)


def test_the_trainer_learns_by_our_loss(settings, dataset, checkpoint, monkeypatch):
    losses = []

    def recorded(model, batch, tokens):
        loss = caption_loss(model, batch, tokens)
        if torch.is_grad_enabled():
            losses.append(loss.item())
        return loss

    monkeypatch.setattr(training, "caption_loss", recorded)
    model, processor = load_checkpoint(checkpoint)
    trainer = CaptionTrainer(model, processor, dataset, settings.with_changes(epochs=5, learning_rate=0.01))
    trainer.train()
    assert len(losses) == 10
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])], rel=1e-3)
    assert np.mean(losses[5:]) < np.mean(losses[:5]) - 0.3


@pytest.mark.parametrize("freeze", [True, False])
def test_the_vision_encoder_learns_unless_it_is_frozen(settings, dataset, checkpoint, freeze):
    model, processor = load_checkpoint(checkpoint)
    before = weights(model)
    CaptionTrainer(model, processor, dataset, settings.with_changes(freeze_vision=freeze)).train()
    changed = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
    seeing = {name for name in changed if name.startswith("git.image_encoder.")}
    assert bool(seeing) != freeze
    assert changed - seeing


def test_evaluation_keeps_token_ids_and_shows_the_picture_alone(settings, dataset, talker, processor, monkeypatch):
    asked, original = [], talker.generate

    def generate(*args, **kwargs):
        asked.append((args, kwargs))
        return original(*args, **kwargs)

    monkeypatch.setattr(talker, "generate", generate)
    trainer = CaptionTrainer(talker, processor, dataset, settings)
    found = trainer.predict(trainer.eval_dataset)
    assert np.issubdtype(found.predictions.dtype, np.integer)
    assert found.predictions.ndim == 2
    assert len(found.predictions) == len(dataset["validation"])
    assert asked
    for args, kwargs in asked:
        assert args == ()
        assert "pixel_values" in kwargs
        assert not {"input_ids", "labels", "attention_mask", "inputs"} & set(kwargs)


def test_evaluation_scores_what_the_model_says(settings, dataset, talker, processor):
    from helpers.metrics import caption_metrics

    trainer = CaptionTrainer(talker, processor, dataset, settings)
    found = trainer.evaluate()
    said = caption_images(talker, processor, dataset["validation"]["image"][:], max_new_tokens=settings.max_new_tokens)
    validation = dataset["validation"]
    texts = [caption.text for caption in said]
    expected = caption_metrics(texts, validation["captions"], attribute_columns(validation))
    assert next(name for name in found if name.removeprefix("eval_") in expected) == "eval_right"
    assert {name: found[f"eval_{name}"] for name in expected} == pytest.approx(expected)
    firsts = prepare_pictures(dataset["validation"], processor).with_transform(
        CaptionTransform(processor, sample=False)
    )
    assert found["eval_loss"] == pytest.approx(loss_by_hand(talker, CaptionCollator(processor)(list(firsts))), abs=1e-4)


def test_a_captioner_is_trained_once_and_loaded_from_then_on(settings, artifacts, steps, log, pictures):
    model, processor = load_or_train(settings)
    assert not model.training
    assert len(steps) == 2
    record = read_record(settings.output)
    assert (record["steps"], record["planned_steps"], record["interrupted"]) == (2, 2, False)
    assert not same_weights(weights(model), weights(load_checkpoint(settings.checkpoint)[0]))
    assert sorted(path.name for path in artifacts.iterdir()) == ["captioner"]
    history = json.loads((artifacts / "captioner" / "history.json").read_text(encoding="utf-8"))
    assert [entry["step"] for entry in history if "eval_wer" in entry][-1] == 2

    log.clear()
    again, its_processor = load_or_train(settings)
    assert len(steps) == 2
    assert messages(log) == []
    assert not again.training
    assert same_weights(weights(model), weights(again))
    said = caption_images(model, processor, pictures[:2], max_new_tokens=4)
    assert caption_images(again, its_processor, pictures[:2], max_new_tokens=4) == said


def test_what_does_not_change_the_training_does_not_train_again(captioner, settings, steps):
    load_or_train(settings, resume=True)
    load_or_train(settings.with_changes(num_beams=4, push_to="me/captioner"))
    assert steps == []


def test_other_settings_train_again_and_move_the_old_captioner_aside(captioner, settings, artifacts, steps, log):
    old = weights(captioner[0])
    longer = settings.with_changes(epochs=2)
    log.clear()
    load_or_train(longer)
    assert len(steps) == 4
    assert any("epochs" in message for message in messages(log))
    assert read_record("artifacts/captioner")["settings"]["epochs"] == 2
    assert read_record("artifacts/captioner-1")["settings"]["epochs"] == 1
    assert same_weights(old, weights(load_checkpoint("artifacts/captioner-1")[0]))
    load_or_train(settings)
    assert read_record("artifacts/captioner-2")["settings"]["epochs"] == 2
    assert not (artifacts / ".captioner.new").exists()


@pytest.mark.parametrize("rate", [1e-9, 1e-2])
def test_a_training_that_taught_nothing_says_so(settings, artifacts, dataset, log, rate):
    bare = dataset.select_columns(["image", "captions"])  # words come right long before facts do
    load_or_train(settings.with_changes(learning_rate=rate, epochs=10, max_new_tokens=12), dataset=bare)
    assert ("No step was better" in log.text) == (rate == 1e-9)


def test_where_no_step_was_better_the_best_of_them_is_kept(settings, artifacts, dataset, model, processor):
    trainer = CaptionTrainer(model, processor, dataset, settings.with_changes(learning_rate=1e-9))
    trainer.train()
    assert trainer.state.best_global_step == 1
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        (  # the most captions right, on a tie the fewest faulty facts, then the fewest word errors; not before training
            [
                {"right": 0.9, "wrong": 0, "left_out": 0, "invented": 0, "wer": 0.0},
                {"right": 0.2, "wrong": 1, "left_out": 0, "invented": 0, "wer": 0.1},
                {"right": 0.5, "wrong": 2, "left_out": 1, "invented": 0, "wer": 0.3},
                {"right": 0.5, "wrong": 1, "left_out": 0, "invented": 1, "wer": 0.9},
                {"right": 0.5, "wrong": 0, "left_out": 1, "invented": 1, "wer": 0.95},
            ],
            3,
        ),
        ([{"wer": 0.1}, {"wer": 0.5}, {"wer": 0.2}, {"wer": 0.3}, {"wer": 0.2}], 2),
    ],
)
def test_the_step_kept_is_the_best_by_facts_then_by_words(
    settings, artifacts, dataset, model, processor, monkeypatch, scores, best
):
    measured = iter(scores)
    monkeypatch.setattr(training, "make_compute_metrics", lambda *_: lambda prediction: dict(next(measured)))
    trainer = CaptionTrainer(model, processor, dataset, settings.with_changes(epochs=2))
    trainer.train()
    assert next(measured, None) is None
    assert trainer.state.best_global_step == best
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    assert kept_row(trainer.state.log_history)["step"] == best
    assert not any("best_step" in name for row in trainer.state.log_history for name in row)


def test_without_attributes_words_alone_are_measured(settings, artifacts, dataset, model, processor):
    bare = dataset.select_columns(["image", "captions"])
    found = CaptionTrainer(model, processor, bare, settings).evaluate()
    assert "eval_wer" in found
    assert "eval_right" not in found


def test_an_interrupted_training_keeps_the_model_as_far_as_it_got(settings, artifacts, steps, log):
    longer = settings.with_changes(epochs=2)
    steps.stop_at = 3
    model, _ = load_or_train(longer)
    assert not model.training
    record = read_record(longer.output)
    assert (record["interrupted"], record["steps"], record["planned_steps"]) == (True, 2, 4)
    assert not (artifacts / ".captioner.new").exists()
    assert any("2 of 4" in message for message in messages(log))

    log.clear()
    used, _ = load_or_train(longer)
    assert len(steps) == 2
    assert same_weights(weights(model), weights(used))
    assert any("2 of 4" in message for message in messages(log))


@pytest.mark.parametrize("stop_at", [1, 4])
def test_resuming_ends_where_an_uninterrupted_training_does(settings, artifacts, steps, uninterrupted, stop_at):
    longer = settings.with_changes(epochs=2)
    steps.stop_at = stop_at
    load_or_train(longer)
    steps.stop_at = None
    resumed, _ = load_or_train(longer, resume=True)
    record = read_record(longer.output)
    assert (record["interrupted"], record["steps"]) == (False, 4)
    assert sorted(path.name for path in artifacts.iterdir()) == ["captioner"]
    whole_steps, whole = uninterrupted
    assert list(steps) == whole_steps
    assert same_weights(weights(resumed), whole)


def killed(settings, steps, stop_at):
    """A training whose process dies before a step: checkpoints are left, and no captioner."""
    steps.stop_at, steps.stop_with = stop_at, SystemExit
    with pytest.raises(SystemExit):
        load_or_train(settings)
    steps.stop_at, steps.stop_with = None, KeyboardInterrupt
    assert read_record(settings.output) is None


@pytest.mark.parametrize("damage", [None, "optimizer.pt"])
def test_a_training_that_was_killed_goes_on_from_its_newest_whole_checkpoint(
    settings, artifacts, steps, uninterrupted, log, damage
):
    longer = settings.with_changes(epochs=2)
    killed(longer, steps, stop_at=4)
    found = sorted(path.name for path in (artifacts / ".captioner.checkpoints").glob("checkpoint-*"))
    best, last = (int(name.rpartition("-")[2]) for name in found)
    assert best < last == 3
    if damage:
        file = artifacts / ".captioner.checkpoints" / "checkpoint-3" / damage
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    steps.clear()
    continued, _ = load_or_train(longer)
    assert len(steps) == 4 - (best if damage else last)
    assert f"from step {best if damage else last}" in log.text
    assert sorted(path.name for path in artifacts.iterdir()) == ["captioner"]
    assert same_weights(weights(continued), uninterrupted[1])


def test_a_killed_training_with_other_values_is_not_continued(settings, steps):
    killed(settings.with_changes(epochs=2), steps, stop_at=4)
    steps.clear()
    load_or_train(settings.with_changes(epochs=3))
    assert len(steps) == 6


def test_a_killed_training_of_more_processes_is_not_continued(settings, steps, artifacts):
    longer = settings.with_changes(epochs=2)
    killed(longer, steps, stop_at=4)
    began = artifacts / ".captioner.checkpoints" / "begun.json"
    began.write_text(json.dumps(json.loads(began.read_text(encoding="utf-8")) | {"processes": 2}), encoding="utf-8")
    steps.clear()
    load_or_train(longer)
    assert len(steps) == 4


def test_a_training_never_goes_on_from_another_ones_checkpoint(settings, steps):
    steps.stop_at = 4
    load_or_train(settings.with_changes(epochs=2))
    other = settings.with_changes(epochs=4)
    steps.stop_at = 1
    load_or_train(other)
    steps.clear()
    steps.stop_at = None
    load_or_train(other, resume=True)
    assert len(steps) == 8


def test_the_stop_button_works_while_evaluating_too(settings, artifacts):
    class Stop(TrainerCallback):
        def on_evaluate(self, args, state, control, **_):
            if state.global_step == 1:
                raise KeyboardInterrupt

    model, processor = load_checkpoint(settings.checkpoint)
    trainer = CaptionTrainer(model, processor, load_captions(settings.dataset), settings)
    trainer.add_callback(Stop())
    trainer.train()
    assert trainer.interrupted
    assert trainer.state.global_step == 1


@pytest.mark.parametrize("given", ["data/pocket-creatures", None, {"epochs": 1}])
def test_what_is_no_settings_is_said(given):
    with pytest.raises(SettingsError, match="Settings"):
        load_or_train(given)


def test_other_errors_are_not_swallowed(settings, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(training, "caption_loss", fails)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        load_or_train(settings)
    assert read_record(settings.output) is None


def test_a_save_that_fails_leaves_the_old_captioner_whole(captioner, settings, artifacts, monkeypatch):
    old = weights(captioner[0])
    write = Path.write_text

    def no_space(path, *arguments, **options):
        if path.name == "training.json":
            raise OSError("No space left on device")
        return write(path, *arguments, **options)

    longer = settings.with_changes(epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", no_space)
        with pytest.raises(SettingsError, match=r"(?=.*No space)(?=.*save_captioner)"):
            load_or_train(longer)
    assert read_record(settings.output)["settings"]["epochs"] == 1
    assert same_weights(old, weights(load_or_train(settings)[0]))
    load_or_train(longer)
    assert read_record(settings.output)["settings"]["epochs"] == 2
    assert not (artifacts / ".captioner.new").exists()


def test_learning_by_heart_reports_the_loss_before_each_step(model, batch):
    before = loss_of(model, batch)
    losses = overfit_one_batch(model, batch, steps=3, learning_rate=1e-3)
    assert len(losses) == 3
    assert losses[0] == pytest.approx(before, abs=1e-4)
    assert all(b < a for a, b in pairwise(losses))
    assert not model.training


def test_parameters_are_counted_once_each(model):
    counted = defaultdict(int)
    for row in parameters_by_part(model):
        counted[row["part"]] += int(row["parameters"].replace(",", ""))
    assert sum(counted.values()) == sum(p.numel() for p in model.parameters())
    assert counted["output"] == sum(p.numel() for p in model.output.parameters())


def test_to_continue_where_nothing_was_stopped_is_to_begin(model, processor, dataset, settings):
    trainer = CaptionTrainer(deepcopy(model), processor, dataset, settings)
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 2


class Table(TrainerCallback):
    """What the notebook's table is given at each evaluation, after our own callback."""

    def __init__(self):
        self.rows = []

    def on_evaluate(self, args, state, control, metrics, **_):
        self.rows.append(dict(metrics))


@pytest.fixture
def speaker(settings, artifacts, dataset, talker, processor):
    """A trainer of a model that says something else of each picture, and its table."""
    trainer, table = CaptionTrainer(deepcopy(talker), processor, dataset, settings), Table()
    trainer.add_callback(table)
    return trainer, table


def test_the_table_shows_what_is_said_of_the_first_picture_at_each_evaluation(speaker, dataset, processor, settings):
    trainer, table = speaker
    asked = trainer.model.generate
    trainer.model.generate = lambda *args, **kwargs: generated.append(asked(*args, **kwargs)) or generated[-1]
    generated, pictures = [], dataset["validation"]["image"][:]
    [before] = caption_images(deepcopy(trainer.model), processor, pictures[:1], max_new_tokens=settings.max_new_tokens)
    generated.clear()
    trainer.train()
    logged = [row for row in trainer.state.log_history if "eval_wer" in row]
    assert len(logged) == len(table.rows) == len(generated)  # one batch each: nothing is generated besides
    for row, shown, ids in zip(logged, table.rows, generated, strict=True):
        assert row["eval_first_picture"] == shown["eval_first_picture"]
        assert row["eval_first_picture"] == processor.decode(ids[0], skip_special_tokens=True)
        facts = ["eval_right", "eval_wrong", "eval_left_out", "eval_invented"]
        assert list(shown) == ["eval_loss", *facts, "eval_wer", "eval_first_picture"]  # a caption needs the room
    assert logged[0]["eval_first_picture"] == before.text != ""
    saved = json.loads(json.dumps(trainer.state.log_history))
    assert kept_row(saved)["eval_first_picture"]


def test_a_caption_in_the_table_is_text_and_no_markup(speaker, monkeypatch):
    trainer, table = speaker
    monkeypatch.setattr(training, "decode", lambda *_: ["<b>5 & $6</b>"])
    found = trainer.evaluate()
    assert found["eval_first_picture"] == trainer.state.log_history[-1]["eval_first_picture"] == "<b>5 & $6</b>"
    assert {"eval_rouge_l", "eval_cider_d", "eval_exact_match"} <= found.keys()
    assert "&lt;b&gt;5 &amp; &#36;6&lt;/b&gt;" in table.rows[0]["eval_first_picture"]
    assert "<b>" not in table.rows[0]["eval_first_picture"]
