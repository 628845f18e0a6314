"""Saving and loading a trained captioner: whole, with its record, and trained first where there is none."""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from safetensors import SafetensorError
from transformers import PreTrainedModel, set_seed

from helpers.data import fingerprint, load_captions
from helpers.device import check_weights, processes
from helpers.errors import CheckpointError, SettingsError, first_line
from helpers.families import load_checkpoint
from helpers.paths import RECORD, beside, captioner_folder, check_output, move_aside, resolve
from helpers.reading.given import own_splits
from helpers.reading.locate import fingerprint_of_file, fingerprint_of_weights
from helpers.resuming import other_base, unfinished
from helpers.settings import Settings, own_settings, profile_name
from helpers.training import CaptionTrainer

logger = logging.getLogger(__name__)


def read_record(output: str | Path) -> dict | None:
    """What was written beside the captioner in `output` when it was trained, or None.

    Where saving was stopped before its last step, it is the record of the captioner that `finish_saving` puts there.
    """
    folder = captioner_folder(output)
    place = (folder if folder.exists() else beside(folder, "new")) / RECORD
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        record = json.loads(place.read_text(encoding="utf-8"))
        known = {field.name for field in fields(Settings)}
        record["settings"] = {name: value for name, value in record["settings"].items() if name in known}
        Settings(**record["settings"])
        kinds = {"profile": str, "steps": int, "planned_steps": int, "interrupted": bool}
        if all(isinstance(record[name], kind) for name, kind in kinds.items()):
            return record
    if place.exists():
        logger.warning("%s cannot be read, so %s is taken for no captioner of ours.", place, output)
    return None


def finish_saving(output: str | Path) -> dict | None:
    """Does the last step of a save that was stopped before it, and returns the record of what is saved there."""
    with processes().main_process_first():
        folder, record = captioner_folder(output), read_record(output)
        if record is not None and not folder.exists():
            beside(folder, "new").rename(folder)
        return record


def saved_settings(output: str = "artifacts/captioner") -> Settings:
    """The settings that the saved captioner was trained with, or `Settings.from_environment()` where there is none.

    Where CAPTIONING_PROFILE names another profile than the saved captioner's, the environment wins. So it does for the
    course's own captioner where its base has changed since: values that suited the old base may not suit the new one.
    """
    record, profile = read_record(output), os.environ.get("CAPTIONING_PROFILE")
    if record is None or (profile and profile != record["profile"]):
        return Settings.from_environment()
    settings, preset = Settings(**record["settings"]), Settings.from_environment()
    own = any(getattr(settings, name) != getattr(preset, name) for name in ("dataset", "checkpoint", "output"))
    afresh = not own and other_base(record, settings, fingerprint_of_weights(settings.checkpoint))
    return preset if afresh else settings


def differences(record: Mapping[str, Any], settings: Settings, data: str | None = None, base: str | None = None) -> str:
    """In what a saved captioner's training differs: "" or "other settings (epochs 8 → 3, seed 0 → 1)".

    Args:
        record: what lies beside the captioner.
        settings, data, base: what is wanted; None for the fingerprint of the training split where it does not matter,
            and for that of the base model's weights where it cannot be told.
    """
    # A value that an older release did not know was the default then.
    saved, now, reasons = asdict(Settings()) | record["settings"], settings.training_values(), []
    if saved["checkpoint"] == settings.checkpoint and (why := other_base(record, settings, base)):
        reasons.append(why)
    if changed := [f"{name} {saved[name]} → {value}" for name, value in now.items() if saved[name] != value]:
        reasons.append(f"other settings ({', '.join(changed)})")
    elif data and record.get("data", data) != data:
        reasons.append("other pictures or captions")
    return " and ".join(reasons)


def save_captioner(trainer: Any) -> Path:
    """Saves the model of a trained CaptionTrainer, its processor, the settings and the history; returns the folder.

    Everything is written beside the old captioner first and then renamed, so what is there is always whole. A
    captioner that was trained with other values is moved aside, not overwritten. Of several processes the first writes.

    Raises:
        SettingsError: it could not be written, or a weight is no number; the old captioner is as it was, and the new
            one still in memory.
    """
    settings = trainer.settings
    check_output(settings.output, settings.checkpoint)
    model = check_weights(trainer.model)
    before, folder = finish_saving(settings.output), captioner_folder(settings.output)
    if not processes().is_main_process:
        return folder
    fresh, old = beside(folder, "new"), beside(folder, "old")
    record = {"settings": asdict(settings), "profile": profile_name(), "data": trainer.data, "base": trainer.base}
    record |= {"steps": trainer.state.global_step, "planned_steps": trainer.state.max_steps}
    record |= {"interrupted": trainer.interrupted, "processes": processes().num_processes}
    record |= {"seconds": round(trainer.seconds, 1)}
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        model.save_pretrained(fresh)
        trainer.processing_class.save_pretrained(fresh)
        (fresh / "history.json").write_text(json.dumps(trainer.state.log_history, indent=1), encoding="utf-8")
        # The record comes last: a folder that has one is whole.
        (fresh / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        strange = folder.is_dir() and {path.name for path in folder.iterdir()} - {path.name for path in fresh.iterdir()}
        worse = before and trainer.interrupted and not before["interrupted"]
        other = before is None or differences(before, settings, trainer.data, trainer.base)
        if folder.exists() and (other or strange or worse):
            aside = move_aside(folder)
            logger.warning("The captioner that was in %s was moved to %s.", settings.output, aside.name)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise SettingsError(
            f"The captioner could not be saved in {settings.output} ({first_line(error)}); it "
            "is still in memory: mend that, and run save_captioner(trainer) again."
        ) from None
    return folder


def fingerprint_of(folder: str | Path) -> str:
    """16 hexadecimal digits that change with any weight of the captioner in a folder."""
    return fingerprint_of_file(resolve(folder) / "model.safetensors")


def load_or_train(
    settings: Settings, *, dataset: DatasetDict | None = None, resume: bool = False
) -> tuple[PreTrainedModel, Any]:
    """The captioner that these settings train: loaded if it is there, trained and saved if it is not.

    Args:
        settings: what to train. Values that training does not depend on may differ from the saved ones.
        dataset: what `load_captions(settings.dataset)` gave, where you have it. A saved captioner that learnt from
            another training split is not used then: a picture that it learnt from may be a test picture now.
        resume: continue a training that was interrupted, where its captioner would be used as it is. A training that
            left no captioner, because its process died, is continued in any case.

    Returns:
        The model in evaluation mode and its processor.

    Raises:
        SettingsError: these are no Settings, or what they name cannot be written to.
    """
    settings = own_settings(settings)
    dataset = None if dataset is None else own_splits(dataset, "train", "validation")
    record = finish_saving(settings.output)
    data = fingerprint(dataset["train"]) if record and dataset else None
    why = differences(record, settings, data, fingerprint_of_weights(settings.checkpoint)) if record else ""
    if record and not why and not (resume and record["interrupted"]):
        if record["interrupted"]:
            steps = record["steps"], record["planned_steps"]
            logger.warning("This captioner was stopped at step %d of %d; it is used as it is.", *steps)
        try:
            return load_checkpoint(settings.output)
        except CheckpointError as error:
            record = None
            if processes().is_main_process:
                aside = move_aside(captioner_folder(settings.output))
                logger.warning("%s It was moved to %s; training another.", error, aside.name)
    if why:
        logger.warning("The saved captioner was trained with %s. Training again.", why)
    elif not record:
        logger.warning("There is no finished captioner in %s yet: training one first.", settings.output)
    with processes().main_process_first():  # the others find what it has fetched and prepared
        dataset = dataset or load_captions(settings.dataset)
        set_seed(settings.seed)
        model, processor = load_checkpoint(settings.checkpoint)
    trainer = CaptionTrainer(model, processor, dataset, settings, data)
    if checkpoint := unfinished(settings, trainer.data, trainer.base):
        logger.warning("Continuing the training that was stopped, from step %s.", checkpoint.name.rpartition("-")[2])
    elif record and not why:
        logger.warning("Nothing is left of the training that was stopped; beginning it anew.")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_captioner(trainer)
    return trainer.model, processor
