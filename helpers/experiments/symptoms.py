"""Symptoms of a training in the laboratory's results: what its losses, its captions and its data show, as numbers."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from datasets import DatasetDict

from helpers.creatures import attribute_columns, fact_counts, facts_of, value_recall
from helpers.experiments.faults import FAULTS, HEALTHY
from helpers.experiments.trials import Row

CASES = "ABCDEF"
FEWEST = 20  # pictures that have a value: of fewer, chance decides
SHOWN = (4, 7, 10, 13)  # test pictures whose captions are shown


class Symptoms(NamedTuple):
    """What a row shows: losses in nats per token, of captions shares or means over the test split."""

    loss_before: float  # of the validation split, before the first step
    loss: float  # of the validation split, at the end
    training_loss: float
    test_loss: float
    right: float  # of the validation split
    right_test: float
    wrong: float  # facts per caption
    left_out: float
    invented: float
    unknown: float  # words per caption that no caption of the data has
    different: int  # captions, of all
    words: float  # per caption
    ended: float  # share of captions that the end token ends
    contradicted: int  # training captions of those with the highest loss that name what their picture has not
    lost: str  # the value that it names most seldom beside the healthy training
    lost_named: int  # captions that name it, of the pictures that have it
    lost_healthy: int  # the same of the healthy training
    lost_of: int  # pictures that have it


# What a table shows of them: the words, and how a value is written.
LABELS = {
    "loss_before": ("validation loss before training", ".3f"),
    "loss": ("validation loss at the end", ".3f"),
    "test_loss": ("test loss at the end", ".3f"),
    "training_loss": ("training loss at the end", ".3f"),
    "right": ("captions right, validation", ".0%"),
    "right_test": ("captions right, test", ".0%"),
    "wrong": ("wrong facts per test caption", ".3f"),
    "left_out": ("facts left out per test caption", ".3f"),
    "invented": ("invented facts per test caption", ".3f"),
    "different": ("different captions, test", "d"),
    "words": ("words per test caption", ".3f"),
    "ended": ("test captions that end by themselves", ".0%"),
}


def symptom_table(systems: Mapping[str, Symptoms]) -> list[dict[str, str]]:
    """Rows for `markdown_table`: a symptom each, with a column for each system."""
    return [
        {"symptom": words} | {name: format(getattr(each, key), kind) for name, each in systems.items()}
        for key, (words, kind) in LABELS.items()
    ]


def symptoms(row: Row, healthy: Row, data: DatasetDict) -> Symptoms:
    """The symptoms of a row of the laboratory beside the healthy one, with the splits that both were measured on."""
    said, truth, measured = row["said"], attribute_columns(data["test"]), row["validation"]
    means = {
        name: float(fact_counts(name, said, truth).mean()) for name in ("wrong", "left_out", "invented", "unknown")
    }
    before, now = value_recall(healthy["said"], truth), value_recall(said, truth)
    often = [fact for fact, (_, of) in before.items() if of >= FEWEST]
    lost = min(often, key=lambda fact: (now[fact][0] - before[fact][0]) / now[fact][1])
    return Symptoms(
        loss_before=measured["loss"][0],
        loss=measured["loss"][-1],
        training_loss=row["training"]["loss"][-1],
        test_loss=row["test_loss"],
        right=measured["right"][-1],
        right_test=float(fact_counts("all_right", said, truth).mean()),
        **means,
        different=len(set(said)),
        words=sum(len(text.split()) for text in said) / len(said),
        ended=row["ended"].count("1") / len(said),
        contradicted=sum(contradicts(caption, creature_at(place, data)) for place, caption, _ in row["least_likely"]),
        lost=" ".join(lost).replace("_", " "),
        lost_named=now[lost][0],
        lost_healthy=before[lost][0],
        lost_of=now[lost][1],
    )


def pictures_of(row: Row, data: DatasetDict) -> tuple[list[tuple[Any, str]], list[tuple[Any, str]]]:
    """What `plot_case` shows of a row: test pictures with what it says, and training pictures with the highest loss."""
    said = [(data["test"][i]["image"], row["said"][i] or "(no word)") for i in SHOWN]
    hard = row["least_likely"][: len(SHOWN)]
    return said, [(creature_at(place, data)["image"], f"{loss:#.2g}: {caption}") for place, caption, loss in hard]


def creature_at(place: str, data: DatasetDict) -> Mapping[str, Any]:
    """The row of a picture that a `place` names: its split and its number, such as "train 17"."""
    split, number = place.split()
    return data[split][int(number)]


def contradicts(caption: str, creature: Mapping[str, Any]) -> bool:
    """Whether a caption names what a creature has not."""
    return any(creature[part] != value for part, value in facts_of(caption).named)


def drawn(rows: Sequence[Row], draw: int) -> dict[str, Row]:
    """Six faults in an order that a seed gives: letter → row. It draws the seed of the trainings, too."""
    rng = random.Random(draw)
    seed, faults = rng.choice(sorted({row["seed"] for row in rows})), rng.sample(sorted(FAULTS), len(CASES))
    by_fault = {row["fault"]: row for row in rows if row["seed"] == seed}
    return {letter: by_fault[fault] for letter, fault in zip(CASES, faults, strict=True)}


def healthy_beside(rows: Sequence[Row], row: Row) -> Row:
    """The healthy training with the same seed."""
    return next(each for each in rows if each["fault"] == HEALTHY and each["seed"] == row["seed"])


def draw_cases(rows: Sequence[Row], draw: int) -> tuple[dict[str, Row], Row]:
    """The cases of `drawn` without the numbers of their faults, and the healthy row beside them."""
    found = drawn(rows, draw)
    plain = {letter: {key: value for key, value in row.items() if key != "fault"} for letter, row in found.items()}
    return plain, healthy_beside(rows, found["A"])
