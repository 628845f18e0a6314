"""Faults of a training: each does what its name says, by one line, and nothing else."""

import ast
import inspect
from collections import Counter
from textwrap import dedent

import pytest
import torch

from helpers.experiments import faults
from helpers.experiments.faults import FAULTS, HEALTHY, LENGTH, MISSING, PICTURES, FaultyTrainer, line
from helpers.families import load_checkpoint
from helpers.training import caption_loss
from helpers.transforms import IGNORED, CaptionCollator, CaptionTransform, prepare_pictures

PREDICTED = torch.arange(4)[None, :, None]  # logits of one caption of four tokens: each tells its own place
TOKENS, MASK = torch.tensor([[2, 7, 8, 3, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]])  # start, two words, end; padding


@pytest.mark.parametrize(("fault", "ahead"), [(HEALTHY, 1), (1, 0), (2, 2)])
def test_a_prediction_is_compared_with_a_token_so_many_places_ahead(fault, ahead):
    logits, labels = line(fault, faults.paired)(PREDICTED, torch.arange(4)[None])
    assert (labels - logits[..., 0]).unique().tolist() == [ahead]
    assert labels.shape[1] == 4 - ahead


@pytest.mark.parametrize(
    ("fault", "labels"),
    [
        (HEALTHY, [2, 7, 8, 3, IGNORED, IGNORED]),
        (3, [2, 7, 8, 3, 0, 0]),
        (4, [2, 7, 8, IGNORED, IGNORED, IGNORED]),
    ],
)
def test_what_has_a_label(fault, labels):
    assert line(fault, faults.labelled)(TOKENS, MASK, 3).tolist() == [labels]


def own_captions(split, creatures):
    """The captions of each picture in the data set, by the picture's file."""
    return {row["image"].tobytes(): row["captions"] for name in ("train", "test") for row in creatures[name]}


@pytest.fixture(scope="module")
def splits(creatures):
    """Fault → the training split that a training with it has."""
    return {fault: line(fault, faults.chosen)(creatures, 0) for fault in (HEALTHY, 5, 6, 7, 9)}


@pytest.mark.parametrize(("fault", "wrong"), [(HEALTHY, 0), (5, PICTURES), (6, PICTURES // 5), (7, 0), (9, 0)])
def test_how_many_pictures_have_the_captions_of_another(fault, wrong, splits, creatures):
    own = own_captions(splits[fault], creatures)
    given = [row["captions"] != own[row["image"].tobytes()] for row in splits[fault]]
    assert sum(given) == wrong


@pytest.mark.parametrize("fault", [5, 6])
def test_captions_are_exchanged_and_none_is_lost(fault, splits, creatures):
    before, after = splits[HEALTHY], splits[fault]
    assert Counter(map(tuple, before["captions"])) == Counter(map(tuple, after["captions"]))
    assert before["color"][:] == after["color"][:]
    assert line(fault, faults.chosen)(creatures, 1)["captions"][:] != after["captions"][:]


def test_test_pictures_are_learnt_with_one_fault_alone(splits, creatures):
    tested = {picture.tobytes() for picture in creatures["test"]["image"]}
    held = {fault: sum(image.tobytes() in tested for image in split["image"]) for fault, split in splits.items()}
    assert held == {HEALTHY: 0, 5: 0, 6: 0, 7: len(creatures["test"]), 9: 0}
    assert {fault: len(split) for fault, split in splits.items()} == dict.fromkeys(splits, PICTURES) | {
        7: PICTURES + len(creatures["test"])
    }


def test_one_value_is_missing_with_one_fault_alone(splits):
    part, value = MISSING
    assert {fault for fault, split in splits.items() if value not in split[part][:]} == {9}


def test_the_rate_is_far_higher_with_one_fault_alone():
    rates = [line(fault, faults.rate)() for fault in (HEALTHY, *FAULTS)]
    assert [rate >= 10 * rates[0] for rate in rates] == [fault == 8 for fault in (HEALTHY, *FAULTS)]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_one_line(fault):
    for function in (fault.right, fault.wrong):
        [body] = ast.parse(dedent(inspect.getsource(function))).body
        words, returned = body.body
        assert isinstance(words, ast.Expr)
        assert isinstance(returned, ast.Return)
        assert returned.lineno == returned.end_lineno


@pytest.fixture
def trainer_of(checkpoint, dataset, settings, monkeypatch):
    monkeypatch.setattr(faults, "PICTURES", 5)

    def trainer(fault):
        return FaultyTrainer(*load_checkpoint(checkpoint), dataset, settings, fault)

    return trainer


def batch_of(trainer, dataset, processor):
    rows = prepare_pictures(dataset["train"], processor).with_transform(CaptionTransform(processor, sample=False))
    return CaptionCollator(processor)(list(rows))


def test_without_a_fault_the_loss_is_the_courses(trainer_of, dataset, processor):
    trainer = trainer_of(HEALTHY)
    batch = batch_of(trainer, dataset, processor)
    with torch.inference_mode():
        loss, expected = trainer.compute_loss(trainer.model, batch), caption_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_how_many_positions_count(trainer_of, dataset, processor):
    counted = {}
    for fault in (HEALTHY, 1, 2, 3, 4, 5):
        batch = batch_of(trainer := trainer_of(fault), dataset, processor)
        with torch.inference_mode():
            losses, counts = trainer.token_losses(trainer.model, batch)
        assert not losses[~counts].any()
        counted[fault] = counts.sum().item()
    pictures, tokens = len(dataset["train"]), batch["attention_mask"].sum().item()
    right = tokens - pictures  # the start token is given
    assert counted == {
        HEALTHY: right, 1: tokens, 2: right - pictures, 3: pictures * (LENGTH - 1), 4: right - pictures, 5: right,
    }  # fmt: skip


def test_a_training_has_its_faults_rate_and_pictures_and_keeps_the_last_step(trainer_of, log):
    trainer = trainer_of(8)
    trainer.train()
    assert "is kept" not in log.text  # it is not: the last one is
    assert trainer.args.learning_rate == faults.rate_too_high()
    assert len(trainer.train_dataset) == 5
    assert trainer.state.best_model_checkpoint is None
    assert "eval_right" in trainer.state.log_history[0]
