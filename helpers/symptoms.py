"""Symptoms of a training in the laboratory's results: what its losses, its captions and its data show, as numbers."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict

from helpers.creatures import attribute_columns, fact_counts, judge, value_recall
from helpers.faults import FAULTS, HEALTHY
from helpers.trials import Row

CASES = "ABCDEF"
MOST_PICTURES = 20  # a value of fewer test pictures may go unnamed by chance


def draw_cases(rows: Sequence[Row], draw: int) -> tuple[dict[str, Row], Row]:
    """Six faults in an order that a seed gives, each as its row without the fault's number, and the healthy row.

    Args:
        rows: of the laboratory.
        draw: the seed. It draws the seed of the trainings, too, which is the same for all.
    """
    found = drawn(rows, draw)
    plain = {letter: {key: value for key, value in row.items() if key != "fault"} for letter, row in found.items()}
    return plain, next(row for row in rows if row["fault"] == HEALTHY and row["seed"] == found["A"]["seed"])


def drawn(rows: Sequence[Row], draw: int) -> dict[str, Row]:
    """The whole rows of the cases that `draw_cases` gives."""
    rng = random.Random(draw)
    seed, faults = rng.choice(sorted({row["seed"] for row in rows})), rng.sample(sorted(FAULTS), len(CASES))
    by_fault = {row["fault"]: row for row in rows if row["seed"] == seed}
    return {letter: by_fault[fault] for letter, fault in zip(CASES, faults, strict=True)}


def symptoms(row: Row, test: Dataset) -> dict[str, float]:
    """What a row shows, as numbers: of losses in nats per token, of captions as shares or means.

    Args:
        row: of the laboratory.
        test: the test split that its captions were made for.
    """
    said, truth, measured = row["said"], attribute_columns(test), row["validation"]
    facts = {count: float(fact_counts(count, said, truth).mean()) for count in ("wrong", "left_out", "invented")}
    return {
        "validation loss before": measured["loss"][0],
        "validation loss": measured["loss"][-1],
        "test loss": row["test_loss"],
        "training loss": row["loss"][-1][1],
        "right, validation": measured["right"][-1],
        "right, test": float(fact_counts("all_right", said, truth).mean()),
        **{f"facts {count.replace('_', ' ')}, test": mean for count, mean in facts.items()},
        "different captions, test": len(set(said)),
        "words per caption, test": sum(len(text.split()) for text in said) / len(said),
        "share that end, test": sum(row["ended"]) / len(said),
    }
