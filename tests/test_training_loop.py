"""The training loop that notebook 3 shows is the Trainer's: the same losses, step by step."""

import copy
import math

import pytest
import torch

from helpers.families import load_checkpoint
from helpers.training import CaptionTrainer, caption_loss
from tools import notebooks as tool


@pytest.fixture(scope="module")
def train_by_hand():
    """The function as it stands in the notebook's cell."""
    [cell] = [cell for cell in tool.read(tool.FOLDER / "03_train.ipynb").cells if cell.id == "by-hand"]
    names = {"torch": torch, "math": math, "caption_loss": caption_loss}
    exec(cell.source, names)
    return names["train_by_hand"]


@pytest.mark.parametrize("warmup", [0.3, 0])
def test_an_epoch_of_the_shown_loop_gives_the_trainers_losses(
    train_by_hand, settings, creatures, checkpoint, artifacts, warmup
):
    few = creatures.copy()
    few["train"], few["validation"] = creatures["train"].select(range(26)), creatures["validation"].select(range(4))
    values = settings.with_changes(warmup=warmup, weight_decay=0.1, learning_rate=0.02, max_new_tokens=2)
    model, processor = load_checkpoint(checkpoint)
    trainer = CaptionTrainer(model, processor, few, values)
    pupil, batches, losses = copy.deepcopy(trainer.model.double()), [], []
    collated, stepped = trainer.data_collator, trainer.training_step

    def collate(rows):
        batch = collated(rows)
        return {**batch, "pixel_values": batch["pixel_values"].double()}

    def step(model, inputs, *args, **kwargs):
        batches.append(inputs)
        losses.append(stepped(model, inputs, *args, **kwargs).item())
        return torch.tensor(losses[-1])

    trainer.data_collator, trainer.training_step = collate, step
    trainer.args.logging_steps, trainer.args.logging_nan_inf_filter = 1, False
    trainer.train()
    assert [len(batch["labels"]) for batch in batches] == [4, 4, 4, 4, 4, 4, 2]
    assert max(row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row) > 1.2  # clipping matters
    assert train_by_hand(pupil, batches, values) == pytest.approx(losses, abs=1e-6, rel=0)
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert logged == pytest.approx(losses, abs=1e-6)
