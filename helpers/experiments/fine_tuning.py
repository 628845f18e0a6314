"""Fine-tuning compared: five ways on few and many pictures, with a value and a combination left out of training."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm

from helpers.baselines import nearest_captions
from helpers.creatures import ATTRIBUTES, attribute_columns, attributes_of, fact_counts, fresh_creatures, key_of
from helpers.creatures.fresh import drawn
from helpers.experiments.learning_curve import Span, spans
from helpers.experiments.trials import Row, epochs_for, read_rows, some_pictures, train_quietly
from helpers.experiments.ways import WAYS, Held, begin
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.metrics import wilson_interval
from helpers.paths import ROOT
from helpers.resuming import kept_row, order
from helpers.settings import Settings
from helpers.training import CaptionTrainer

MEASURED = ROOT / "docs" / "fine-tuning.json"  # by `python -m tools.fine_tuning`
STEPS = 150  # of every training, however many pictures it has: three passes over the most
SETTINGS = Settings.tiny().with_changes(batch_size=16, max_new_tokens=40, output="artifacts/fine-tuning")
# What no picture of training or validation shows. The base names blue, curly tails and frowns.
VALUE = "blue"  # neither as color nor as second_color
COMBINATION = {"tail": "curly", "mouth": "frown"}  # each alone is there
TRAIN, VALIDATION = 800, 100
SCORES = ("eval_right", "eval_wrong", "eval_left_out", "eval_invented", "eval_wer")  # what `order` goes by
CHOSEN_AT = {"pictures": 100, "seed": 0, "steps": STEPS}  # where each way's learning rate was chosen
# Whether few steps are what holds a way back: five times as many, on the most pictures.
LONGER = {"pictures": TRAIN, "seed": 0, "steps": 5 * STEPS}
TEST = {"ordinary": 300, "combination": 100, "value": 100}  # groups of the test pictures, in this order


def group_of(creature: Mapping[str, str]) -> str:
    """The group of `TEST` that a creature is in, or "both" where it has the value and the combination."""
    value = VALUE in (creature["color"], creature["second_color"])
    combination = COMBINATION.items() <= creature.items()
    return ("both" if value else "combination") if combination else "value" if value else "ordinary"


@cache
def tested_creatures() -> list[dict[str, str]]:
    """The creatures of the test pictures, group by group; neither the base nor any training here has seen them."""
    asked = fresh_creatures("fine-tuning test", 1500)
    return [each for group, count in TEST.items() for each in [one for one in asked if group_of(one) == group][:count]]


def drawn_splits() -> DatasetDict:
    """The splits train, validation and test, drawn by the pen from the creatures that were set aside."""
    test = tested_creatures()
    asked = fresh_creatures("fine-tuning", 2000, without=set(map(key_of, test)))
    ordinary = [each for each in asked if group_of(each) == "ordinary"][: TRAIN + VALIDATION]
    parts = {"train": ordinary[:TRAIN], "validation": ordinary[TRAIN:], "test": test}
    return DatasetDict({name: drawn(creatures, f"fine-tuning {name}") for name, creatures in parts.items()})


def heard(captions: Sequence[str], test: Dataset) -> dict[str, Any]:
    """What captions say of the test pictures, a sign for each: right (1 or 0), and of each attribute the value said.

    A value is the place that it has in `ATTRIBUTES`, - where the caption names none; of several that are named, the
    first counts.
    """
    right = fact_counts("all_right", captions, attribute_columns(test))
    named = [attributes_of(caption) for caption in captions]
    signs = {name: {value: str(place) for place, value in enumerate(values)} for name, values in ATTRIBUTES.items()}
    said = {name: "".join(signs[name].get(one[name], "-") for one in named) for name in ATTRIBUTES}
    return {"right": "".join(map(str, right.astype(int))), "said": said}


def trial(settings: Settings, dataset: DatasetDict) -> Callable[[Row, tqdm], dict[str, Any] | None]:
    """What runs one trial of these splits; see `run_trials`.

    A key names the way, pictures and seed, and of a training the steps and learning_rate too. Two ways train nothing:
    "base" is the base as it is, "nearest picture" its `nearest_captions`.

    Returns:
        Key and bar → what `heard` gives of the test split; of a training also the parameters that learn, megabytes
        (see `Held`), seconds of one core (its evaluations included), and what the kept step scored on the validation
        split. None where the training was stopped.
    """
    test = dataset["test"]

    def run(key: Row, bar: tqdm) -> dict[str, Any] | None:
        if key["way"] in ("base", "nearest picture"):
            model, processor = load_checkpoint(settings.checkpoint)
            if key["way"] == "base":
                return heard(spoken(model, processor, test), test)
            fewer = some_pictures(dataset["train"], key["pictures"], key["seed"])
            return heard(nearest_captions(model, processor, fewer, test), test)
        trainer, held = trainer_for(key, settings, dataset)
        began = time.process_time()
        if not train_quietly(trainer, bar):
            return None
        found = {"parameters": held.parameters, "megabytes": round(held.megabytes, 1)}
        found |= {"seconds": round(time.process_time() - began, 1)}
        kept = kept_row(trainer.state.log_history)
        found |= {"validation": {name: round(kept[name], 4) for name in SCORES}}
        return found | heard(spoken(trainer.model, trainer.processing_class, test), test)

    return run


def trainer_for(key: Row, settings: Settings, dataset: DatasetDict) -> tuple[CaptionTrainer, Held]:
    """The trainer of one key, and what measures it."""
    epochs = epochs_for(key["steps"], key["pictures"], settings.batch_size)
    own = settings.with_changes(seed=key["seed"], learning_rate=key["learning_rate"], epochs=epochs)
    model, processor, own = begin(key["way"], own)
    fewer = DatasetDict({**dataset, "train": some_pictures(dataset["train"], key["pictures"], key["seed"])})
    trainer, held = CaptionTrainer(model, processor, fewer, own), Held()
    trainer.add_callback(held)
    return trainer, held


def spoken(model: Any, processor: Any, test: Dataset) -> list[str]:
    """The captions of a model, found greedily."""
    captions = caption_images(model, processor, test["image"], batch_size=64, max_new_tokens=SETTINGS.max_new_tokens)
    return [caption.text for caption in captions]


class Answer(NamedTuple):
    """What was said of one test picture."""

    creature: Mapping[str, str]
    said: Mapping[str, str]  # attribute → the value that the caption names, or none
    right: bool  # the whole caption

    @property
    def group(self) -> str:
        """As `group_of` gives it."""
        return group_of(self.creature)


def answers(row: Row) -> list[Answer]:
    """What a row holds of the test pictures, in their order; see `heard`."""
    values = {name: {str(place): value for place, value in enumerate(ATTRIBUTES[name])} for name in ATTRIBUTES}
    said = [
        {name: values[name].get(sign, "none") for name, sign in zip(ATTRIBUTES, signs, strict=True)}
        for signs in zip(*(row["said"][name] for name in ATTRIBUTES), strict=True)
    ]
    marks = [mark == "1" for mark in row["right"]]
    return [Answer(*each) for each in zip(tested_creatures(), said, marks, strict=True)]


def rate_trials(rows: Sequence[Row], way: str) -> list[Row]:
    """The trainings that a way's learning rate was chosen among, the lowest rate first."""
    tried = [row for row in rows if {"way": way, **CHOSEN_AT}.items() <= row.items()]
    return sorted(tried, key=lambda row: row["learning_rate"])


def best_rate(tried: Sequence[Row]) -> float:
    """The learning rate whose kept step is the best on the validation split, by `order`; on a tie the lowest."""
    return min((*order(row["validation"]), row["learning_rate"]) for row in tried)[-1]


def compared() -> dict[str, list[Row]]:
    """Name → its rows of `python -m tools.fine_tuning`, by size and seed, each way at the rate that it chose.

    The names are "base", the `WAYS`, those that trained longer ("from scratch, 750 steps") and "nearest picture".
    """
    rows = sorted(read_rows(MEASURED), key=lambda row: (row["pictures"], row["seed"]))
    rates = {way: best_rate(rate_trials(rows, way)) for way in WAYS}

    def of(way: str, **key: Any) -> list[Row]:
        return [row for row in rows if {"way": way, **key}.items() <= row.items()]

    found = {"base": of("base")} | {way: of(way, steps=STEPS, learning_rate=rates[way]) for way in WAYS}
    longer = {f"{row['way']}, {row['steps']} steps": [row] for row in rows if LONGER.items() <= row.items()}
    return found | longer | {"nearest picture": of("nearest picture")}


def bands(rows: Sequence[Row], asked: Callable[[Answer], list[bool]]) -> dict[int, Span]:
    """How large a share of what is asked holds: training pictures → its `spans` over the seeds.

    Args:
        rows: of one way.
        asked: an answer → what is asked of it, and whether it holds; an empty list where nothing is asked.
    """
    shares = []
    for row in rows:
        marks = [mark for answer in answers(row) for mark in asked(answer)]
        low, high = wilson_interval(sum(marks), len(marks))
        share = {"value": sum(marks) / len(marks), "low": low, "high": high}
        shares.append({"pictures": row["pictures"], "test": {"share": share}})
    return spans(shares, "test", "share")


def sides_of(
    rows: Mapping[str, Sequence[Row]], sides: Mapping[str, Callable[[Answer], list[bool]]]
) -> dict[str, dict[str, dict[int, Span]]]:
    """Label → what is asked of an answer: label → name → its `bands`, for `plot_sides`."""
    return {label: {name: bands(each, asked) for name, each in rows.items()} for label, asked in sides.items()}


def told_apart(first: Span, second: Span) -> bool:
    """Whether two spans share no value: then neither test pictures nor these seeds explain the difference."""
    return first[0] > second[2] or second[0] > first[2]
