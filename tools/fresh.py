"""Scores on creatures that nobody could look at: `python -m tools.fresh`, or `development` after it to choose by.

The fresh split is drawn by a seed that is made of the base's weights and the shipped settings, when both are chosen.
Every system's caption of every picture is written to docs/fresh.jsonl.gz, from which `tools.rescore` scores.
"""

import gzip
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.baselines import most_frequent_caption, nearest_captions, shuffled_pictures
from helpers.captioner import load_or_train, read_record
from helpers.creatures import UNSEEN, attribute_columns, key_of, keys_of, value_recall
from helpers.creatures.fresh import fresh_creatures, fresh_split, seed_of
from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.metrics import caption_metrics
from helpers.paths import ROOT, resolve, write_whole
from helpers.probes import fact_baselines
from helpers.settings import Settings

FILE = ROOT / "docs" / "fresh.jsonl.gz"
DEVELOPMENT_FILE = ROOT / "docs" / "development.json"
PICTURES = 1000
DEVELOPMENT = "development"  # the seed of the split that choices were made on
SEEDS = (0, 1, 2)  # of fine-tuning


def draw_split(dataset: DatasetDict, settings: Settings, *, development: bool = False) -> tuple[int | str, Dataset]:
    """The seed and the pictures of the fresh split, or of the development split; they share no creature."""
    known = keys_of(dataset)
    if development:
        return DEVELOPMENT, fresh_split(DEVELOPMENT, PICTURES, without=known)
    known |= {key_of(creature) for creature in fresh_creatures(DEVELOPMENT, PICTURES, without=known)}
    seed = seed_of(resolve(settings.checkpoint) / "model.safetensors", settings)
    return seed, fresh_split(seed, PICTURES, without=known)


def untrained_captions(settings: Settings, dataset: DatasetDict, test: Dataset) -> dict[str, list[str]]:
    """What the systems say that no fine-tuning has seen: name → a caption for each picture."""
    base, processor = load_checkpoint(settings.checkpoint)
    return {
        "most frequent": [most_frequent_caption(dataset["train"]["captions"], seed=settings.seed)] * len(test),
        "base": spoken(base, processor, test, settings),
        **fact_baselines(base, processor, dataset, test),
    }


def trained_captions(settings: Settings, dataset: DatasetDict, test: Dataset) -> dict[str, list[str]]:
    """What the captioner of these settings says, trained first where there is none, and what its features find."""
    model, processor = load_or_train(settings, dataset=dataset)
    said = spoken(model, processor, test, settings)
    return {
        "nearest picture": nearest_captions(model, processor, dataset["train"], test),
        "wrong picture": shuffled_pictures(said, seed=settings.seed),
        "trained": said,
    }


def decoder_alone(settings: Settings) -> Settings:
    """The same fine-tuning with the vision encoder left as it is."""
    return settings.with_changes(freeze_vision=True, output=f"{settings.output}-decoder-alone")


def spoken(model: PreTrainedModel, processor: Any, test: Dataset, settings: Settings) -> list[str]:
    """A caption for each picture, as notebook 4 has them written."""
    options = {"num_beams": settings.num_beams, "max_new_tokens": settings.max_new_tokens, "batch_size": 50}
    return [caption.text for caption in caption_images(model, processor, test["image"], **options)]


def write_captions(file: Path, about: dict[str, Any], keys: list[str], by_system: dict[str, list[str]]) -> None:
    """Writes what the split is, then a line for each picture: its creature's key, and what each system says of it."""
    rows = [about]
    for key, *captions in zip(keys, *by_system.values(), strict=True):
        rows.append({"key": key, **dict(zip(by_system, captions, strict=True))})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same bytes for the same captions


def fresh() -> None:
    """Draws the fresh split, lets every system caption it, and writes what they said."""
    settings = Settings.tiny()
    dataset = load_captions(settings.dataset)
    seed, test = draw_split(dataset, settings)
    by_system = untrained_captions(settings, dataset, test) | trained_captions(settings, dataset, test)
    model, processor = load_or_train(decoder_alone(settings), dataset=dataset)
    by_system["decoder alone"] = spoken(model, processor, test, settings)
    about = {"seed": seed, "pictures": PICTURES, "settings": settings.training_values()}
    write_captions(FILE, about, [key_of(row) for row in test.remove_columns("image")], by_system)


def development() -> None:
    """Fine-tunes with three seeds, all of the model and the decoder alone, and scores them on the development split."""
    settings = Settings.tiny()
    dataset = load_captions(settings.dataset)
    _, test = draw_split(dataset, settings, development=True)
    truth, references = attribute_columns(test), list(test["captions"])

    def row(captions: list[str], seconds: float | None = None) -> dict[str, Any]:
        scores = caption_metrics(captions, references, truth)
        recall = {" ".join(fact): counts for fact, counts in value_recall(captions, truth, UNSEEN).items()}
        return scores | {"seconds": seconds, "recall": recall}

    results = {name: row(said) for name, said in untrained_captions(settings, dataset, test).items()}
    for name, recipe in {"trained": settings, "decoder alone": decoder_alone(settings)}.items():
        results[name] = []
        for seed in tqdm(SEEDS, desc=name):
            run = recipe.with_changes(seed=seed, output=f"artifacts/development/{name.replace(' ', '-')}-{seed}")
            model, processor = load_or_train(run, dataset=dataset)
            seconds = read_record(run.output)["seconds"]
            results[name].append(row(spoken(model, processor, test, settings), seconds))
        results[f"{name}, median"] = statistics.median(each["right"] for each in results[name])
    write_whole(DEVELOPMENT_FILE, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    development() if sys.argv[1:] == ["development"] else fresh()
