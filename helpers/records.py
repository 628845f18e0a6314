"""What is written about a captioner, and read back: its settings, its history, its scores."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset

from helpers.data import fingerprint
from helpers.settings import RECORD, Settings, profile_name, read_record, resolve

logger = logging.getLogger(__name__)


def same_training(record: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a saved captioner was trained with these values."""
    return not changed_values(record, settings)


def changed_values(record: Mapping[str, Any], settings: Settings) -> str:
    """The values that training depends on and that differ, as "epochs 8 → 3, seed 0 → 1"."""
    saved = record["settings"]
    now = settings.training_values()
    return ", ".join(f"{name} {saved.get(name)} → {value}" for name, value in now.items() if saved.get(name) != value)


def save_captioner(trainer: Any) -> Path:
    """Saves the model, its processor, the settings and the history.

    Everything is written beside the old captioner first and then renamed, so what is there is always whole. A
    captioner that was trained with other values is moved aside, not overwritten.

    Args:
        trainer: a CaptionTrainer after its training.

    Returns:
        The captioner's folder.
    """
    settings = trainer.settings
    folder = resolve(settings.output)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    trainer.model.save_pretrained(fresh)
    trainer.processing_class.save_pretrained(fresh)
    record = {
        "settings": asdict(settings),
        "profile": profile_name(),
        "steps": trainer.state.global_step,
        "planned_steps": trainer.state.max_steps,
        "interrupted": trainer.interrupted,
        "seconds": round(trainer.seconds, 1),
    }
    (fresh / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
    old = read_record(settings.output)
    if old and not same_training(old, settings):
        aside = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}-{n}")).exists())
        folder.rename(aside)
        logger.warning("The captioner trained with other settings was moved to %s.", aside.name)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    history = folder.with_name("history.json")
    history.write_text(json.dumps(trainer.state.log_history, indent=1), encoding="utf-8")
    return folder


def save_evaluation(
    settings: Settings,
    test: Dataset,
    systems: Mapping[str, Any],
    *,
    attributes: Mapping[str, float] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Path:
    """Writes what was measured to artifacts/evaluation.json.

    Args:
        settings: of the captioner that was measured.
        test: the split that it was measured on.
        systems: name → metric → {"value", "low", "high"}; one of the names is "trained".
        attributes: name → accuracy of the trained captioner, where the data set has attributes.
        seconds: what was timed.

    Returns:
        The file.
    """
    record = read_record(settings.output) or {"steps": 0}
    weights = resolve(settings.output) / "model.safetensors"
    result = {
        "dataset": {
            "name": settings.dataset,
            "fingerprint": fingerprint(test),
            "split": "test",
            "pictures": len(test),
        },
        "captioner": {
            "checkpoint": settings.checkpoint,
            "fingerprint": hashlib.sha256(weights.read_bytes()).hexdigest()[:16],
            "settings": asdict(settings),
            "steps": record["steps"],
        },
        "systems": systems,
        "attributes": attributes or {},
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets")},
        "seconds": {"training": record.get("seconds"), **(seconds or {})},
    }
    path = resolve("artifacts/evaluation.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
