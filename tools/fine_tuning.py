"""Five ways to fine-tune on 24, 100 and 800 pictures, as notebook 10 shows them: `python -m tools.fine_tuning`.

It writes docs/fine-tuning.json row by row, and goes on behind the last row after a stop. To measure all of it anew,
delete the file. It takes about 40 minutes of one core.
"""

import torch
from datasets.utils.logging import disable_progress_bar

from helpers.experiments.fine_tuning import CHOSEN_AT, LONGER, MEASURED, SETTINGS, STEPS, best_rate, drawn_splits, trial
from helpers.experiments.trials import Row, made_from, run_trials
from helpers.experiments.ways import WAYS

SIZES = (24, 100, 800)
SEEDS = (0, 1, 2)
# Each way tries the middle three, and goes on to the next one while the best is the lowest or the highest tried.
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def training(way: str, pictures: int, seed: int, rate: float, steps: int = STEPS) -> dict[str, object]:
    """The key of a training."""
    return {"way": way, "pictures": pictures, "seed": seed, "learning_rate": rate, "steps": steps}


def measure() -> None:
    """Runs what the file lacks: for each way the learning rate first, then all sizes and seeds."""
    dataset = drawn_splits()
    origin, run = made_from(SETTINGS, dataset), trial(SETTINGS, dataset)

    def rows(keys: list[dict[str, object]], title: str, steps: int = STEPS) -> list[Row]:
        found = run_trials(MEASURED, origin, keys, run, steps=steps, title=title)
        if len(found) < len(keys):
            raise SystemExit("Stopped; the same command goes on.")
        return found

    untrained = [{"way": "base", "pictures": 0, "seed": 0}]
    untrained += [{"way": "nearest picture", "pictures": size, "seed": seed} for seed in SEEDS for size in SIZES]
    rows(untrained, "without training", 0)
    rates = {}
    for way in WAYS:
        low, high = 1, 4
        while True:
            tried = RATES[low:high]
            keys = [training(way, rate=rate, **CHOSEN_AT) for rate in tried]
            rates[way] = best_rate(rows(keys, f"{way}: learning rate"))
            if rates[way] == tried[0] and low > 0:
                low -= 1
            elif rates[way] == tried[-1] and high < len(RATES):
                high += 1
            else:
                break
    for seed in SEEDS:
        for size in SIZES:
            rows([training(way, size, seed, rate) for way, rate in rates.items()], f"{size} pictures, seed {seed}")
    for way in WAYS:
        rows([training(way, rate=rates[way], **LONGER)], f"{way}: longer", LONGER["steps"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    disable_progress_bar()
    measure()
