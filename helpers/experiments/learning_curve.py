"""Learning curve: training on fewer and more pictures, and what the scores allow to be said of still more."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from tqdm.auto import tqdm

from helpers.baselines import nearest_captions
from helpers.errors import DataError
from helpers.experiments.trials import Row, epochs_for, made_from, read_rows, run_trials, some_pictures, train_quietly
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.metrics import METRICS, score
from helpers.metrics.intervals import FEW
from helpers.paths import ROOT, resolve
from helpers.reading.given import own_splits
from helpers.settings import Settings
from helpers.training import CaptionTrainer

MEASURED = ROOT / "docs" / "learning-curve.json"  # by `python -m tools.curve`


def learning_curve(
    settings: Settings,
    dataset: DatasetDict,
    sizes: Sequence[int],
    *,
    seeds: Sequence[int] = (0, 1),
    file: str | Path = "artifacts/learning-curve.json",
) -> list[dict[str, Any]]:
    """Trains on each number of pictures with each seed, and scores what each captioner says of the test split.

    Every training makes the steps that `settings` make on the whole split, so that a larger size is not a longer
    training. Each row is written to the file when it is done: after a stop, the same call goes on behind the last one.

    Args:
        settings: of the training.
        dataset: the splits train, validation and test. All sizes share the validation split.
        sizes: numbers of pictures of the training split.
        seeds: each chooses the pictures, their order and their captions. Of one seed, the larger choice holds the
            smaller one.
        file: of the rows, as `resolve` takes it. One that was made from other data, weights or settings is moved aside.

    Returns:
        A row for each seed and size: pictures, seed, test (pictures), and for "trained" and "nearest picture", which
        is chosen among the same pictures by the same model, the scores of `score`.

    Raises:
        DataError: a size is no number of pictures of the training split.
    """
    splits = own_splits(dataset, "train", "validation", "test")
    train, test, references = splits["train"], splits["test"], list(splits["test"]["captions"])
    if wrong := [size for size in sizes if not 1 <= size <= len(train)]:
        raise DataError(f"There is no choice of {wrong[0]} pictures of {len(train)}; give sizes of 1 to {len(train)}.")
    values = settings.with_changes(output=f"artifacts/{resolve(file).stem}")  # nothing is saved there but checkpoints
    steps = math.ceil(settings.epochs * math.ceil(len(train) / settings.batch_size))

    def run(key: Row, bar: tqdm) -> dict[str, Any] | None:
        size, seed = key["pictures"], key["seed"]
        fewer = DatasetDict({**splits, "train": some_pictures(train, size, seed)})
        model, processor = load_checkpoint(settings.checkpoint)
        own = values.with_changes(seed=seed, epochs=epochs_for(steps, size, settings.batch_size))
        if not train_quietly(CaptionTrainer(model, processor, fewer, own), bar):
            return None
        options = {"num_beams": settings.num_beams, "max_new_tokens": settings.max_new_tokens}
        said = [caption.text for caption in caption_images(model, processor, test["image"], **options)]
        looked_up = nearest_captions(model, processor, fewer["train"], test)
        scores = {"trained": score(said, references), "nearest picture": score(looked_up, references)}
        return {"test": len(test)} | scores

    keys = [{"pictures": size, "seed": seed} for seed in seeds for size in sizes]
    return run_trials(file, made_from(settings, splits), keys, run, steps=steps, title="Learning curve")


def measured_curve() -> list[Row]:
    """The rows that `python -m tools.curve` measured, on Pocket Creatures in the words of notebook 6's example."""
    return read_rows(MEASURED)


Span = tuple[float, float, float]  # the lowest end of the seeds' intervals, the mean of their values, the highest end


def spans(rows: Sequence[Row], system: str, metric: str) -> dict[int, Span]:
    """Pictures → the lowest end of all seeds' intervals, the mean of their values, the highest end; few pictures first.

    An interval holds the choice of test pictures alone; together, those of several seeds say what these change.
    """
    found = {}
    for size in sorted({row["pictures"] for row in rows}):
        scores = [row[system][metric] for row in rows if row["pictures"] == size]
        low, value, high = ([score[end] for score in scores] for end in ("low", "value", "high"))
        found[size] = min(low), sum(value) / len(value), max(high)
    return found


def reading(rows: Sequence[Row], metric: str = "wer") -> str:
    """What a curve allows to be said of more pictures, and of its seeds: a sentence on each line.

    Two sizes are told apart where their `spans` are. Where fewer than `FEW` test captions differ from their references,
    an interval is too narrow and little is left to gain, so nothing is said of more pictures.
    """
    by_size = spans(rows, "trained", metric)
    *smaller, most = by_size
    largest = [row for row in rows if row["pictures"] == most]
    test, exact = largest[0]["test"], max(row["trained"]["exact_match"]["value"] for row in largest)
    wrong, (low, _, high) = test - round(test * exact), by_size[most]
    lower = METRICS[metric].better == "lower"
    worse = [size for size in smaller if (high < by_size[size][0] if lower else low > by_size[size][2])]
    if wrong < FEW:
        left = "the ceiling of this test" if not wrong else "too few to show a gain"
        said = f"At {most} pictures, {wrong} of {test} test captions differ from their references: {left}."
        said += "\nAsk for more test pictures first."
    elif not worse:
        said = f"No smaller number of pictures is told apart from {most}.\nAsk for more test pictures first."
    elif worse[-1] == smaller[-1]:
        said = f"{most} pictures are clearly better than {worse[-1]}.\nStill more will probably help."
    else:
        said = f"{most} pictures are clearly better than {worse[-1]}, but not told apart from {smaller[-1]}."
    seeds = {size: [row["trained"][metric]["value"] for row in rows if row["pictures"] == size] for size in by_size}
    if min(map(len, seeds.values())) < 2:
        return f"{said}\nA size with one seed does not show what other pictures or another training would change."
    apart = max(max(values) - min(values) for values in seeds.values())
    return f"{said}\nSeeds of one size lie up to {apart:.3f} apart."
