"""Names for pictures that people drew: the emoji set divided, captioners of five languages, and what they say."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jiwer
import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.data import load_captions
from helpers.experiments.learning_curve import Span
from helpers.experiments.looks import likeness, looks, nearest_names, voted_names
from helpers.experiments.stages import BATCH, learn_to_see, learn_to_speak
from helpers.experiments.trials import Row, read_rows
from helpers.experiments.ways import with_vocabulary
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.metrics import normalize, wilson_interval
from helpers.paths import ROOT
from helpers.reading.locate import fingerprint_of_file, fingerprint_of_weights
from helpers.settings import Settings
from helpers.transforms import picture_pixels
from helpers.vocabulary import new_tokenizer

MEASURED = ROOT / "docs" / "emoji-names.json"  # by `python -m tools.emoji_names`
LANGUAGES = {"en": "English", "ko": "Korean", "zh": "Chinese", "ar": "Arabic", "es": "Spanish"}
ARTISTS = ("noto", "twemoji", "fluent", "emojione", "blob")
SETTINGS = Settings.tiny().with_changes(dataset="data/emoji", batch_size=64, max_new_tokens=32)
PARTS = ("family", "first", "second")
PLAIN = ("colour × thing",)  # the families of the names that are learnt in the notebook
RULES = ("nearest picture", "voting rule")  # which learn nothing
GROUPS = ("seen names", "new names", "new names, known artists")  # of test pictures


def all_pictures(language: str) -> Dataset:
    """Every picture of the set, with its name in a language as its caption, and the words that stand for it besides."""
    divided = load_captions(SETTINGS.dataset, caption_columns=f"name_{language}", split_column="by_combination")
    return concatenate_datasets([divided[split] for split in ("train", "validation", "test")])


def divided(pictures: Dataset, kept: str, *, parts: bool = True) -> DatasetDict:
    """The pictures to learn from, of all artists but the one that is kept back, and the `GROUPS` to test on.

    Names that are made of two parts are divided by combination (data/emoji/README.md): a new name is one that no
    picture to learn from has, while each of its parts stands in another name that has. The names that the set holds
    back for choosing are in no split.

    Args:
        pictures: as `all_pictures` gives them.
        kept: the artist that is kept back.
        parts: only names that are made of two parts; else all names.
    """
    columns = pictures.select_columns(["artist", "by_combination", "family"])
    rows = [
        (i, row["artist"] == kept, row["by_combination"]) for i, row in enumerate(columns) if row["family"] or not parts
    ]

    def where(own: bool, split: str) -> Dataset:
        return pictures.select([i for i, of_kept, of_split in rows if (of_kept, of_split) == (own, split)])

    found = {"train": where(False, "train")}
    found |= dict(zip(GROUPS, (where(True, "train"), where(True, "test"), where(False, "test")), strict=True))
    return DatasetDict(found)


def names_of(split: Dataset, language: str = "") -> list[str]:
    """The name of each picture, in the language of the captions or in another one."""
    other = f"name_{language}"
    return split[other][:] if other in split.column_names else [name for [name] in split["captions"]]


def learnt_captioner(
    train: Dataset, language: str, *, see: int, speak: int, seed: int, bar: tqdm
) -> tuple[PreTrainedModel, Any]:
    """A captioner with the base's shape and its vision encoder, whose vocabulary and decoder learn the names anew.

    Args:
        train: the pictures to learn from.
        language: of their names.
        see, speak: steps of the two stages; see `helpers.experiments.stages`.
        seed: of the decoder's first weights and of all that is drawn by chance.
        bar: counts the steps.
    """
    torch.manual_seed(seed)
    names = names_of(train)
    model, processor = with_vocabulary(*load_checkpoint(SETTINGS.checkpoint), new_tokenizer(names))
    pixels = torch.from_numpy(picture_pixels(train["image"][:], processor))
    texts = [[name, *words] for name, words in zip(names, train[f"keywords_{language}"], strict=True)]
    learn_to_see(model, processor, pixels, texts, steps=see, highest=2e-3, seed=seed, bar=bar)
    learn_to_speak(model, processor, pixels, names, steps=speak, highest=2e-3, seed=seed, bar=bar)
    return model, processor


def spoken(model: PreTrainedModel, processor: Any, pictures: Sequence[Any]) -> list[str]:
    """The names that a captioner gives pictures, found greedily."""
    options = {"batch_size": SETTINGS.batch_size, "max_new_tokens": SETTINGS.max_new_tokens}
    return [caption.text for caption in caption_images(model, processor, pictures, **options)]


def by_rule(rule: str, split: Mapping[str, Dataset], pictures: Dataset) -> dict[str, list[str]]:
    """What a rule that learns nothing says of the test pictures: group → names; see `helpers.experiments.looks`.

    Args:
        rule: one of `RULES`; the "voting rule" is for names that are made of parts.
        split: as `divided` gives it.
        pictures: all pictures; their names are the combinations that exist, which the voting rule is told.
    """
    train, said = split["train"], {}
    known, names, parts = looks(train["image"][:]), names_of(train), parts_of(train)
    exist = dict(zip(parts_of(pictures), names_of(pictures), strict=True))
    for group in GROUPS:
        alike = likeness(looks(split[group]["image"][:]), known)
        said[group] = nearest_names(alike, names) if rule == RULES[0] else voted_names(alike, parts, exist)
    return said


def parts_of(split: Dataset) -> list[tuple[str, str, str]]:
    """Of each picture's name: its family, and its first and second part; empty where it is not made of parts."""
    return list(zip(split["family"], split["first"], split["second"], strict=True))


def origin() -> dict[str, Any]:
    """What all trials depend on: the fingerprints of the set's files and of the base's weights, and the batch size."""
    files = sorted((ROOT / SETTINGS.dataset / "data").glob("*.parquet"))
    prints = {file.stem: fingerprint_of_file(file) for file in files}
    return prints | {"base": fingerprint_of_weights(SETTINGS.checkpoint), "batch_size": BATCH}


def trial(key: Row, bar: tqdm) -> dict[str, Any]:
    """Runs one trial; see `run_trials`.

    Args:
        key: the system ("captioner", or one of `RULES`), its language, the kept artist, which names ("parts" or
            "all"), the seed, and the steps (see, speak).
        bar: counts the steps.

    Returns:
        said: group → the names that were said of its pictures, in their order. Of a captioner also `trained`, the share
        of its training pictures that it names right, and `seconds` of one core.
    """
    pictures = all_pictures(key["language"])
    split = divided(pictures, key["kept"], parts=key["names"] == "parts")
    if key["system"] != "captioner":
        return {"said": by_rule(key["system"], split, pictures)}
    began, (see, speak) = time.process_time(), key["steps"]
    model, processor = learnt_captioner(
        split["train"], key["language"], see=see, speak=speak, seed=key["seed"], bar=bar
    )
    found = {"seconds": round(time.process_time() - began, 1)}
    right = exactly(spoken(model, processor, split["train"]["image"][:]), names_of(split["train"]))
    found |= {"trained": round(sum(right) / len(right), 4)}
    return found | {"said": {group: spoken(model, processor, split[group]["image"][:]) for group in GROUPS}}


def exactly(said: Sequence[str], names: Sequence[str]) -> list[bool]:
    """Whether each name that was said is the picture's own, after normalisation."""
    return [normalize(one) == normalize(name) for one, name in zip(said, names, strict=True)]


def measured(split: Mapping[str, Dataset], **key: Any) -> dict[str, dict[str, Span]]:
    """The share of names that are exactly right in the measured trials: captioner and rules → group → span.

    A span reaches from the lowest to the highest end of the seeds' 95 % intervals (Wilson), and holds their mean.

    Args:
        split: as `divided` gives it for the kept artist.
        key: the language, kept and names of the captioner. A rule says the same picture's name in every language.
    """
    found = {}
    for system in ("captioner", *RULES):
        asked = key if system == "captioner" else key | {"language": "en"}
        if rows := rows_of(system, **asked):
            found[system] = {group: _span(rows, group, names_of(split[group], asked["language"])) for group in GROUPS}
    return found


def _span(rows: Sequence[Row], group: str, names: Sequence[str]) -> Span:
    right = [sum(exactly(row["said"][group], names)) for row in rows]
    ends = [wilson_interval(count, len(names)) for count in right]
    return min(low for low, _ in ends), sum(right) / len(right) / len(names), max(high for _, high in ends)


def rows_of(system: str, **key: Any) -> list[Row]:
    """The measured trials of a system with these values in their key; see `trial`."""
    return [row for row in read_rows(MEASURED) if {"system": system, **key}.items() <= row.items()]


def error_rates(said: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Error rates of words between spaces, of words as `normalize` has them, and of characters, spaces left out."""
    plain = [[normalize(text) for text in texts] for texts in (names, said)]
    return {
        "words between spaces": jiwer.wer([text.lower() for text in names], [text.lower() for text in said]),
        "words": jiwer.wer(*plain),
        "characters": jiwer.cer(*[[text.replace(" ", "") for text in texts] for texts in plain]),
    }


def part_shares(said: Sequence[str], split: Dataset, pictures: Dataset, language: str = "") -> dict[str, float]:
    """Of how many pictures a name says the right first part, the right second part, both, or is of the right family.

    A name counts by the parts of the picture in the set that has it; one that no picture has counts as all wrong.
    """
    known = {
        normalize(name): parts for name, parts in zip(names_of(pictures, language), parts_of(pictures), strict=True)
    }
    pairs = [(known.get(normalize(name), ("",) * 3), parts) for name, parts in zip(said, parts_of(split), strict=True)]
    shares = {part: sum(one[i] == true[i] for one, true in pairs) / len(pairs) for i, part in enumerate(PARTS)}
    return shares | {"all": sum(one == true for one, true in pairs) / len(pairs)}
