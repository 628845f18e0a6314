"""What is written about a captioner, and read back: its settings, its history, its scores."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from datasets import Dataset
from safetensors import SafetensorError, safe_open

from helpers.data import fingerprint
from helpers.errors import SettingsError
from helpers.settings import (
    RECORD,
    ROOT,
    Settings,
    artifacts_folder,
    beside,
    captioner_folder,
    profile_name,
    read_record,
    resolve,
)

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"  # stands beside a captioner's folder while it is trained


def differences(record: Mapping[str, Any], settings: Settings, data: str | None = None) -> str:
    """In what a saved captioner's training differs: "" or "other settings (epochs 8 → 3, seed 0 → 1)".

    Args:
        record: what lies beside the captioner.
        settings: the values that are wanted.
        data: the fingerprint of the training split that is wanted; None where it does not matter.
    """
    saved, now = record["settings"], settings.training_values()
    changed = [f"{name} {saved.get(name)} → {value}" for name, value in now.items() if saved.get(name) != value]
    if changed:
        return f"other settings ({', '.join(changed)})"
    return "other pictures or captions" if data and record.get("data", data) != data else ""


def begin_checkpoints(settings: Settings, data: str) -> None:
    """Writes into the folder of a training's checkpoints what it trains, and the pictures' fingerprint."""
    write_whole(beside(captioner_folder(settings.output), CHECKPOINTS) / "begun.json", _begun(settings, data))


def _begun(settings: Settings, data: str) -> str:
    return json.dumps({"values": settings.training_values(), "data": data}, indent=2)


def unfinished(settings: Settings, data: str) -> Path | None:
    """The newest whole checkpoint of a training that did not come to its end, or None.

    Checkpoints are written in place, so the last one may have been cut off; it is left out then.

    Args:
        settings: the values that it was begun with.
        data: the fingerprint of the pictures and captions that it was begun with.
    """
    folder = beside(captioner_folder(settings.output), CHECKPOINTS)
    try:
        if (folder / "begun.json").read_text(encoding="utf-8") != _begun(settings, data):
            return None
    except (OSError, ValueError):
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.rpartition("-")[2]))
    return next((path for path in found if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    """Whether all files of a Trainer's checkpoint are there and can be read to their ends."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        with safe_open(checkpoint / "model.safetensors", "pt"):
            pass
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
            with ZipFile(checkpoint / name) as file:
                if file.testzip():
                    return False
    except (OSError, ValueError, BadZipFile, SafetensorError):
        return False
    return True


def check_output(settings: Settings) -> None:
    """Makes sure, before an hour of training and not after it, that the captioner can be saved.

    Raises:
        SettingsError: the output folder is a file, holds other things than a captioner, or cannot be written to.
    """
    folder = captioner_folder(settings.output)
    shipped = [resolve(settings.checkpoint), *(ROOT / name for name in ("models", "data", "helpers", "notebooks"))]
    inside = any(folder.is_relative_to(place) for place in shipped)
    if inside or any(place.is_relative_to(folder) for place in (*shipped, artifacts_folder())):
        raise SettingsError(f"Settings.output is {settings.output}, where the project's own files are; name another.")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"Settings.output is {settings.output}, which is a file; move it away, or name another.")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names and RECORD not in names and not {"config.json", "model.safetensors"} <= names:
        raise SettingsError(f"Settings.output is {settings.output}, a folder of other things; name a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise SettingsError(f"{folder.parent} cannot be written to ({error.strerror}); name another output.") from None


def learnt(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a step had fewer word errors on the validation split than the model before training.

    The Trainer does not count the test before the first step: it keeps the best of the later ones in any case.

    Args:
        history: the Trainer's log_history.
    """
    before = [row["eval_wer"] for row in history if "eval_wer" in row and row.get("step", 0) == 0]
    after = [row["eval_wer"] for row in history if "eval_wer" in row and row.get("step", 0) > 0]
    return not before or not after or min(after) < before[0]


def save_captioner(trainer: Any) -> Path:
    """Saves the model, its processor, the settings and the history.

    Everything is written beside the old captioner first and then renamed, so what is there is always whole. A
    captioner that was trained with other values is moved aside, not overwritten.

    Args:
        trainer: a CaptionTrainer after its training.

    Returns:
        The captioner's folder.

    Raises:
        SettingsError: it could not be written; the old captioner is as it was, and the new one still in memory.
    """
    settings = trainer.settings
    check_output(settings)
    folder = captioner_folder(settings.output)
    fresh, old = beside(folder, "new"), beside(folder, "old")
    record = {
        "settings": asdict(settings),
        "profile": profile_name(),
        "steps": trainer.state.global_step,
        "planned_steps": trainer.state.max_steps,
        "data": trainer.data,
        "interrupted": trainer.interrupted,
        "seconds": round(trainer.seconds, 1),
    }
    before = read_record(settings.output)
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        trainer.model.save_pretrained(fresh)
        trainer.processing_class.save_pretrained(fresh)
        (fresh / "history.json").write_text(json.dumps(trainer.state.log_history, indent=1), encoding="utf-8")
        # The record comes last: a folder that has one is whole.
        (fresh / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        strange = folder.is_dir() and {path.name for path in folder.iterdir()} - {path.name for path in fresh.iterdir()}
        worse = before and trainer.interrupted and not before["interrupted"]
        if folder.exists() and (before is None or strange or worse or differences(before, settings, trainer.data)):
            aside = move_aside(folder)
            logger.warning("The captioner that was in %s was moved to %s.", settings.output, aside.name)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        trainer.model.name_or_path = str(folder)  # as if it had been loaded from there
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"The captioner could not be saved in {settings.output} ({reason}); it is still in memory: mend that, and "
            "run save_captioner(trainer) again."
        ) from None
    return folder


def move_aside(folder: Path) -> Path:
    """Renames a folder to the first free name of folder-1, folder-2, … and returns that."""
    aside = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}-{n}")).exists())
    folder.rename(aside)
    return aside


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place and renames it, so that a reader finds the old text or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def save_evaluation(
    settings: Settings,
    test: Dataset,
    systems: Mapping[str, Any],
    *,
    attributes: Mapping[str, float] | None = None,
    seconds: Mapping[str, float] | None = None,
    file: str = "artifacts/evaluation.json",
) -> Path:
    """Writes what was measured.

    Args:
        settings: of the captioner that was measured.
        test: the split that it was measured on.
        systems: name → metric → {"value", "low", "high"}; one of the names is "trained".
        attributes: name → accuracy of the trained captioner, where the data set has attributes.
        seconds: what was timed.
        file: where to; the default is the evaluation of the course's captioner.

    Returns:
        The file.
    """
    record = read_record(settings.output) or {"steps": 0}
    result = {
        "dataset": {
            "name": settings.dataset,
            "fingerprint": fingerprint(test),
            "split": "test",
            "pictures": len(test),
        },
        "captioner": {
            "checkpoint": settings.checkpoint,
            "fingerprint": fingerprint_of(settings),
            "settings": asdict(settings),
            "steps": record["steps"],
        },
        "systems": systems,
        "attributes": attributes or {},
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets")},
        "seconds": {"training": record.get("seconds"), **(seconds or {})},
    }
    path = resolve(file)
    write_whole(path, json.dumps(result, indent=2) + "\n")
    return path


def save_numbers(settings: Settings, numbers: Mapping[str, Any]) -> Path:
    """Writes what notebook 7 measured, and of which captioner, to artifacts/behind_the_numbers.json."""
    path = resolve("artifacts/behind_the_numbers.json")
    write_whole(path, json.dumps({"captioner": fingerprint_of(settings), **numbers}, indent=2) + "\n")
    return path


def fingerprint_of(settings: Settings) -> str:
    """16 hexadecimal digits that change with any weight of the saved captioner."""
    weights = resolve(settings.output) / "model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
