"""Laboratory: healthy and faulty trainings as rows of a results file: losses, captions, what is hardest to learn."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm

from helpers.experiments.faults import (
    FAULTS,
    HEALTHY,
    MISSING,
    PICTURES,
    SETTINGS,
    FaultyTrainer,
    chosen,
    line,
    rate,
    rate_too_high,
)
from helpers.experiments.trials import Row, epochs_for, made_from, read_rows, run_trials, train_quietly
from helpers.families import load_checkpoint
from helpers.metrics import decode
from helpers.paths import ROOT
from helpers.transforms import CaptionTransform, prepare_pictures

MEASURED = ROOT / "docs" / "laboratory.json"  # by `python -m tools.laboratory`
STEPS = 156  # the epochs of `SETTINGS` on `PICTURES`; every training makes as many
LEAST_LIKELY = 6  # training captions of a row


def train_with(dataset: DatasetDict, fault: int, seed: int, bar: tqdm) -> dict[str, Any] | None:
    """Trains the shipped base with a fault, or `HEALTHY`: its row without the key, or None where it was stopped."""
    began = time.process_time()
    places = {name: [f"{name} {i}" for i in range(len(split))] for name, split in dataset.items()}
    dataset = DatasetDict({name: split.add_column("place", places[name]) for name, split in dataset.items()})
    pictures = len(line(fault, chosen)(dataset, seed))
    settings = SETTINGS.with_changes(seed=seed, epochs=epochs_for(STEPS, pictures, SETTINGS.batch_size))
    model, processor = load_checkpoint(settings.checkpoint)
    trainer = FaultyTrainer(model, processor, dataset, settings, fault)
    if not train_quietly(trainer, bar):
        return None
    history = trainer.state.log_history
    logged = [entry for entry in history if "loss" in entry]
    evaluated = [entry for entry in history if "eval_loss" in entry]
    names = ("loss", "right", "wrong", "left_out", "invented", "wer")
    trainer.compute_metrics = None  # its references are those of the validation split
    made = trainer.predict(_plain(dataset["test"], processor))
    return {
        "training": {"step": [entry["step"] for entry in logged]}
        | {"loss": [round(entry["loss"], 4) for entry in logged]},
        "validation": {"step": [entry["step"] for entry in evaluated]}
        | {name: [round(entry[f"eval_{name}"], 4) for entry in evaluated] for name in names},
        "test_loss": round(made.metrics["test_loss"], 4),
        "said": decode(processor, made.predictions),
        "ended": "".join(str(int(row)) for row in (made.predictions == trainer.end).any(axis=1)),
        "least_likely": least_likely(trainer, LEAST_LIKELY),
        "cpu_seconds": round(time.process_time() - began),
    }


@torch.inference_mode()
def least_likely(trainer: FaultyTrainer, most: int) -> list[list[Any]]:
    """The pictures whose first caption has the highest loss per token: place, caption, loss."""
    split, losses = trainer.learnt, []
    for batch in trainer.get_test_dataloader(_plain(split, trainer.processing_class)):
        each, counts = trainer.token_losses(trainer.model.eval(), batch)  # (batch, positions) both
        losses += (each.sum(dim=1) / counts.sum(dim=1)).tolist()
    rows = sorted(range(len(losses)), key=losses.__getitem__, reverse=True)[:most]
    return [[split["place"][row], split["captions"][row][0], round(losses[row], 4)] for row in rows]


def _plain(split: Dataset, processor: Any) -> Dataset:
    """A split as a trainer evaluates it: the first caption of each picture."""
    return prepare_pictures(split, processor).with_transform(CaptionTransform(processor, sample=False))


def run_laboratory(dataset: DatasetDict, seeds: Sequence[int], *, file: str | Path = MEASURED) -> list[Row]:
    """Trains healthy and with each fault, with each seed; each row is written to the file when it is done."""
    keys = [{"fault": fault, "seed": seed} for seed in seeds for fault in (HEALTHY, *FAULTS)]

    def run(key: Row, bar: tqdm) -> dict[str, Any] | None:
        return train_with(dataset, key["fault"], key["seed"], bar)

    return run_trials(file, laboratory_origin(dataset), keys, run, steps=STEPS, title="Laboratory")


def laboratory_origin(dataset: DatasetDict) -> dict[str, Any]:
    """What the rows depend on; see `made_from`."""
    own = {"pictures": PICTURES, "steps": STEPS, "missing": list(MISSING), "rates": [rate(), rate_too_high()]}
    return made_from(SETTINGS, dataset) | own


def measured_rows() -> list[Row]:
    """The rows that `python -m tools.laboratory` measured."""
    return read_rows(MEASURED)
