"""The settings (hyperparameters) of a run: one frozen dataclass, two presets, and which values are allowed."""

from __future__ import annotations

import os
import reprlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from huggingface_hub.utils import validate_repo_id

from helpers.errors import SettingsError, number, readable

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# A change of these trains nothing anew. max_new_tokens is none of them: it cuts the captions that choose the kept step.
NOT_TRAINING = ("num_beams", "output", "push_to")
WHOLE = ("batch_size", "lora_rank", "max_new_tokens", "num_beams", "seed")
RANGES = {"epochs": (0, 1000), "batch_size": (1, 4096), "learning_rate": (0, 1), "warmup": (0, 1)}
RANGES |= {"weight_decay": (0, 1), "max_new_tokens": (1, 512), "num_beams": (1, 64), "seed": (0, 2**32 - 1)}
RANGES |= {"lora_rank": (0, 1024)}


@dataclass(frozen=True)
class Settings:
    """Every value of a run. Change one with `settings.with_changes(epochs=3)`.

    Attributes:
        dataset: a folder, a file or a Hub id, as `load_captions` takes it.
        checkpoint: a folder or a Hub id of the base model.
        epochs: passes over the training split.
        batch_size: pictures a step, on each process.
        learning_rate: the highest learning rate, reached after the warm-up.
        warmup: share of the steps in which the learning rate rises, 0 to 1.
        weight_decay: AdamW's weight decay.
        freeze_vision: leave the vision encoder as it is and train the text decoder alone.
        lora_rank: train small matrices of this rank beside the model's own (LoRA), and not those; 0 for none.
        max_new_tokens: the most tokens that a generated caption may have, its end token included.
        num_beams: how many captions the search keeps at a time; 1 is greedy.
        precision: "auto", "fp32", "bf16" or "fp16"; "auto" takes what the device does best.
        seed: of the weights that start at random, the order of the pictures and the captions chosen.
        output: the folder of the trained captioner.
        push_to: a Hub repository to share to, owner/name or a name alone, or None to share nothing.
    """

    dataset: str = "data/pocket-creatures"
    checkpoint: str = "models/git-tiny"
    epochs: float = 16
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    freeze_vision: bool = False
    lora_rank: int = 0
    max_new_tokens: int = 48
    num_beams: int = 1
    precision: str = "auto"
    seed: int = 0
    output: str = "artifacts/captioner"
    push_to: str | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            above = name in ("epochs", "learning_rate")
            value = number(f"Settings.{name}", getattr(self, name), low, high, whole=name in WHOLE, above=above)
            object.__setattr__(self, name, value)  # of numpy or torch it would not go into the record
        for name in ("dataset", "checkpoint", "output", "push_to"):
            value = getattr(self, name)
            value = os.fspath(value) if isinstance(value, os.PathLike) else value
            object.__setattr__(self, name, value)
            if not (isinstance(value, str) and value.strip()) and not (name == "push_to" and value is None):
                raise SettingsError(f"Settings.{name} is {value!r}; give a name in quotation marks.")
        advice = "give owner/name, or a name alone for your own account"
        with readable(SettingsError, lambda _: f"Settings.push_to is {self.push_to!r}; {advice}."):
            validate_repo_id(self.push_to or "name")
        object.__setattr__(self, "freeze_vision", getattr(self.freeze_vision, "item", lambda: self.freeze_vision)())
        if not isinstance(self.freeze_vision, bool):
            raise SettingsError(f"Settings.freeze_vision is {self.freeze_vision!r}; give True or False.")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"Settings.precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}.")

    @classmethod
    def tiny(cls) -> Settings:
        """The shipped data set and model: one to two minutes on two CPU cores."""
        return cls()

    @classmethod
    def full(cls) -> Settings:
        """microsoft/git-base on one GPU of 16 GB; needs the network once, to fetch the checkpoint."""
        return cls(
            checkpoint="microsoft/git-base", epochs=6, batch_size=16, learning_rate=5e-5, weight_decay=0.05,
            num_beams=4,
        )  # fmt: skip

    @classmethod
    def from_environment(cls) -> Settings:
        """The preset that CAPTIONING_PROFILE names: "tiny" (the default) or "full"."""
        presets = {"tiny": cls.tiny, "full": cls.full}
        if (profile := profile_name()) not in presets:
            raise SettingsError(f"CAPTIONING_PROFILE is {profile!r}; set it to one of {', '.join(presets)}.")
        return presets[profile]()

    def training_values(self) -> dict[str, object]:
        """The values that training depends on: a change of one of them trains again."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_TRAINING}

    def with_changes(self, **changes: object) -> Settings:
        """The same settings with some values changed."""
        names = [field.name for field in fields(self)]
        if unknown := sorted(set(changes) - set(names)):
            raise SettingsError(f"Settings has no value named {unknown[0]!r}; the names are {', '.join(names)}.")
        return replace(self, **changes)


def own_settings(settings: Any) -> Settings:
    """The settings as they are, or SettingsError where they are none, as a Trainer's arguments or a dict."""
    if not isinstance(settings, Settings):
        advice = "give Settings.tiny(), or Settings(…) with values of your own"
        raise SettingsError(f"{reprlib.repr(settings)} is no Settings; {advice}.")
    return settings


def profile_name() -> str:
    """The word in CAPTIONING_PROFILE, "tiny" where it is not set."""
    return os.environ.get("CAPTIONING_PROFILE") or "tiny"
