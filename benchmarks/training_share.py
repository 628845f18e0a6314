"""How much of the training time, evaluations left out, goes into forward, backward and optimizer.

`python -m benchmarks.training_share` trains git-tiny on Pocket Creatures three times for two epochs, prints the
share of each run and writes them to benchmarks/results/training_share.json.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from typing import Any

from transformers.utils import logging

from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.paths import ROOT
from helpers.settings import Settings
from helpers.training import CaptionTrainer

RUNS, EPOCHS = 3, 2
FILE = ROOT / "benchmarks" / "results" / "training_share.json"


class TimedTrainer(CaptionTrainer):
    """Adds up the time inside forward and backward (`training_step`) and inside the optimizer's step."""

    inside = 0.0

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Forward and backward, timed."""
        began = time.perf_counter()
        try:
            return super().training_step(*args, **kwargs)
        finally:
            self.inside += time.perf_counter() - began

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """The optimizer, with its step timed."""
        optimizer = super().create_optimizer(*args, **kwargs)
        step = optimizer.step

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments, **options)
            finally:
                self.inside += time.perf_counter() - began

        optimizer.step = timed
        return optimizer


def share(seed: int) -> dict[str, float]:
    """One training without evaluations: seconds in all, and the share inside the model and the optimizer."""
    settings = Settings.tiny().with_changes(epochs=EPOCHS, seed=seed)
    model, processor = load_checkpoint(settings.checkpoint)
    trainer = TimedTrainer(model, processor, load_captions(settings.dataset), settings)
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.eval_on_start = trainer.args.load_best_model_at_end = False
    steps = trainer.get_train_dataloader()  # opening the files is not part of a step
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "seconds_a_step": seconds / (EPOCHS * len(steps)), "share": trainer.inside / seconds}


def main() -> None:
    """Measures, prints and writes."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CAPTIONING_ARTIFACTS"] = folder
        runs = [share(seed) for seed in range(RUNS)]
    for run in runs:
        print({name: round(value, 3) for name, value in run.items()})
    print(f"median share {statistics.median(run['share'] for run in runs):.3f}")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
