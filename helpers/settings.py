"""What is trained on what, and for how long: one frozen dataclass, two presets."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import reprlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from helpers.errors import SettingsError

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
RECORD = "training.json"  # what lies beside a captioner: its settings and the steps it did
# These change what is said or shared, not what is trained.
NOT_TRAINING = ("max_new_tokens", "num_beams", "output", "push_to")


@dataclass(frozen=True)
class Settings:
    """Every value of a run. Change one with `dataclasses.replace(settings, epochs=3)`.

    Attributes:
        dataset: a folder, a file or a Hub id, as `load_captions` takes it.
        checkpoint: a folder or a Hub id of the base model.
        epochs: passes over the training split.
        batch_size: pictures a step.
        learning_rate: the highest learning rate, reached after the warm-up.
        warmup: share of the steps in which the learning rate rises, 0 to 1.
        weight_decay: AdamW's weight decay.
        freeze_vision: leave the vision encoder as it is and train the text decoder alone.
        max_new_tokens: the most tokens that a generated caption may have, its end token included.
        num_beams: how many captions the search keeps at a time; 1 is greedy.
        precision: "auto", "fp32", "bf16" or "fp16"; "auto" takes what the device does best.
        seed: of the weights that start at random, the order of the pictures and the captions chosen.
        output: the folder of the trained captioner.
        push_to: a Hub repository to share to, owner/name or a name alone, or None to share nothing.
    """

    dataset: str = "data/pocket-creatures"
    checkpoint: str = "models/git-tiny"
    epochs: float = 8
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    freeze_vision: bool = True
    max_new_tokens: int = 48
    num_beams: int = 1
    precision: str = "auto"
    seed: int = 0
    output: str = "artifacts/captioner"
    push_to: str | None = None

    def __post_init__(self) -> None:
        ranges = {
            "epochs": (0, 1000),
            "batch_size": (1, 4096),
            "learning_rate": (0, 1),
            "warmup": (0, 1),
            "weight_decay": (0, 1),
            "max_new_tokens": (1, 512),
            "num_beams": (1, 64),
            "seed": (0, 2**32 - 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            whole = name in ("batch_size", "max_new_tokens", "num_beams", "seed")
            above = name in ("epochs", "learning_rate")
            reach = f"above {low} up to {high}" if above else f"from {low} to {high}"
            wanted = f"give {'a whole number' if whole else 'a number'} {reach}"
            number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high or (above and value == low):
                raise SettingsError(f"Settings.{name} is {reprlib.repr(value)}; {wanted}.")
        for name in ("dataset", "checkpoint", "output", "push_to"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value.strip()) and not (name == "push_to" and value is None):
                raise SettingsError(f"Settings.{name} is {value!r}; give a name in quotation marks.")
        try:
            validate_repo_id(self.push_to or "name")
        except HFValidationError:
            raise SettingsError(
                f"Settings.push_to is {self.push_to!r}; give owner/name, or a name alone for your own account."
            ) from None
        if not isinstance(self.freeze_vision, bool):
            raise SettingsError(f"Settings.freeze_vision is {self.freeze_vision!r}; give True or False.")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"Settings.precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}.")

    @classmethod
    def tiny(cls) -> Settings:
        """The shipped data set and model: about a minute on two CPU cores."""
        return cls()

    @classmethod
    def full(cls) -> Settings:
        """microsoft/git-base on one GPU of 16 GB; needs the network once, to fetch the checkpoint."""
        return cls(
            checkpoint="microsoft/git-base",
            epochs=6,
            batch_size=16,
            learning_rate=5e-5,
            weight_decay=0.05,
            freeze_vision=False,
            num_beams=4,
        )

    @classmethod
    def from_environment(cls) -> Settings:
        """The preset that CAPTIONING_PROFILE names: "tiny" (the default) or "full"."""
        profile = profile_name()
        presets = {"tiny": cls.tiny, "full": cls.full}
        if profile not in presets:
            raise SettingsError(f"CAPTIONING_PROFILE is {profile!r}; set it to one of {', '.join(presets)}.")
        return presets[profile]()

    @classmethod
    def of_captioner(cls, output: str = "artifacts/captioner") -> Settings:
        """The settings that the saved captioner was trained with, or `from_environment()` where there is none.

        Where CAPTIONING_PROFILE names another profile than the saved captioner's, the environment wins.
        """
        record = read_record(output)
        asked = os.environ.get("CAPTIONING_PROFILE")
        if record is None or (asked and asked != record["profile"]):
            return cls.from_environment()
        return cls(**record["settings"])

    def training_values(self) -> dict[str, object]:
        """The values that training depends on: a change of one of them trains again."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_TRAINING}

    def with_changes(self, **changes: object) -> Settings:
        """The same settings with some values changed."""
        unknown = sorted(set(changes) - {field.name for field in fields(self)})
        if unknown:
            names = ", ".join(field.name for field in fields(self))
            raise SettingsError(f"Settings has no value named {unknown[0]!r}; the names are {names}.")
        return replace(self, **changes)


def profile_name() -> str:
    """The word in CAPTIONING_PROFILE, "tiny" where it is not set."""
    return os.environ.get("CAPTIONING_PROFILE") or "tiny"


def artifacts_folder() -> Path:
    """Where the notebooks write: CAPTIONING_ARTIFACTS, or artifacts/ in the project's root.

    Raises:
        SettingsError: a file stands in its place.
    """
    folder = Path(os.environ.get("CAPTIONING_ARTIFACTS") or ROOT / "artifacts").expanduser().resolve()
    for place in (folder, *folder.parents):
        if place.is_dir():
            break
        if place.exists():
            raise SettingsError(
                f"{place} is a file where a folder is needed; move it away, or name another with CAPTIONING_ARTIFACTS."
            )
    return folder


def resolve(name: str | Path) -> Path:
    """The place that a relative name means, wherever the kernel was started.

    A name under artifacts/ lies in `artifacts_folder()`; any other lies in the current folder if it is there, and
    in the project's root otherwise.
    """
    try:
        path = Path(name).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.stat()
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{reprlib.repr(name)} is no name of a file or folder ({reason}); give another.") from None
    if path.is_absolute():
        return path
    if path.parts[:1] == ("artifacts",):
        return artifacts_folder().joinpath(*path.parts[1:])
    return path.resolve() if path.exists() else ROOT / path


def read_record(output: str | Path) -> dict | None:
    """What was written beside the captioner in `output` when it was trained, or None.

    Saving writes beside the captioner and renames twice; where it was stopped between the two, this does the second.
    """
    folder = captioner_folder(output)
    fresh = beside(folder, "new")
    if not folder.exists() and _record_in(fresh) is not None:
        fresh.rename(folder)
    record = _record_in(folder)
    if record is None and (folder / RECORD).exists():
        logger.warning("%s cannot be read, so %s is taken for no captioner of ours.", folder / RECORD, output)
    return record


def captioner_folder(output: str | Path) -> Path:
    """Where a captioner lies: what `resolve` says, or where a link at that place leads."""
    return resolve(output).resolve()


def beside(folder: Path, what: str) -> Path:
    """A hidden folder next to a captioner's, by a name that nobody gives to things of their own."""
    return folder.parent / f".{folder.name or 'root'}.{what}"


def _record_in(folder: Path) -> dict | None:
    """The record in a folder, if it is whole and its settings can be used."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Settings)}
        record["settings"] = {name: value for name, value in record["settings"].items() if name in known}
        Settings(**record["settings"])
        kinds = {"profile": str, "steps": int, "planned_steps": int, "interrupted": bool}
        return record if all(isinstance(record[name], kind) for name, kind in kinds.items()) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
