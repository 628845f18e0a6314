"""Trials: several trainings with one progress bar, a row of results for each in a file, continued after a stop."""

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm
from transformers import TrainerCallback
from transformers.trainer import DEFAULT_PROGRESS_CALLBACK

from helpers.data import fingerprint
from helpers.paths import move_aside, resolve, write_whole
from helpers.reading.locate import fingerprint_of_weights
from helpers.settings import Settings

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]  # of a trial: its key, and what was measured


def run_trials(
    file: str | Path,
    origin: Mapping[str, Any],
    keys: Iterable[Mapping[str, Any]],
    run: Callable[[Mapping[str, Any], tqdm], dict[str, Any] | None],
    *,
    steps: int,
    title: str,
) -> list[Row]:
    """Runs each trial that its file does not hold yet, and writes its row when it is done.

    After a stop, the same call goes on behind the last row.

    Args:
        file: of the rows, as `resolve` takes it. One that was made from something else is moved aside.
        origin: what all rows depend on; see `made_from`.
        keys: of the trials: a few values that tell them apart, such as the pictures and the seed.
        run: one trial: its key and the bar → its row without the key, or None where it was stopped; then no other
            trial begins.
        steps: of one trial, for the bar; see `train_quietly`.
        title: of the bar.

    Returns:
        The rows of these keys, in the order of the file.
    """
    path, origin, keys, rows = resolve(file), dict(origin), list(keys), []
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["made_from"].items() <= origin.items():  # an older version may have written fewer settings
            rows = before["rows"]
        else:
            aside = move_aside(path).name
            logger.warning("%s is of other pictures, captions, weights or settings; it is now %s.", path.name, aside)
    to_do = [key for key in keys if not any(key.items() <= row.items() for row in rows)]
    with tqdm(total=len(to_do) * steps, desc=title, unit="step", leave=False, disable=not to_do) as bar:
        for key in to_do:
            if (found := run(key, bar)) is None:
                break
            rows.append(dict(key) | found)
            write_whole(path, json.dumps({"made_from": origin, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    return [row for row in rows if any(key.items() <= row.items() for key in keys)]


def read_rows(file: Path) -> list[Row]:
    """The rows that a file of trials holds."""
    return json.loads(file.read_text(encoding="utf-8"))["rows"]


def made_from(settings: Settings, dataset: DatasetDict) -> dict[str, Any]:
    """What trials depend on: the settings, and the fingerprints of the splits and of the base model's weights."""
    values = settings.training_values() | {"num_beams": settings.num_beams}
    del values["seed"]  # each row has its own
    prints = {split: fingerprint(dataset[split]) for split in ("train", "validation", "test")}
    return values | prints | {"base": fingerprint_of_weights(settings.checkpoint)}


def some_pictures(train: Dataset, pictures: int, seed: int) -> Dataset:
    """So many training pictures, chosen by a seed; of one seed, the larger choice holds the smaller one."""
    return train.shuffle(seed=seed).select(range(pictures))


def epochs_for(steps: int, pictures: int, batch_size: int) -> float:
    """The epochs in which a training on so many pictures makes so many steps.

    Half a step less, since the Trainer rounds up, and a fraction may come out a hair too large.
    """
    return (steps - 0.5) / math.ceil(pictures / batch_size)


def train_quietly(trainer: Any, bar: tqdm) -> bool:
    """Trains with the bar of all trials in place of the Trainer's own; False where it was stopped."""
    trainer.remove_callback(DEFAULT_PROGRESS_CALLBACK)
    trainer.add_callback(_Steps(bar))
    trainer.train()
    return not trainer.interrupted


class _Steps(TrainerCallback):
    def __init__(self, bar: tqdm):
        self.bar = bar

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.bar.update()
