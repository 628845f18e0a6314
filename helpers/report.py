"""The report and the evaluation on disk: an HTML page that holds its figures, and JSON files of what was measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from helpers.captioner import fingerprint_of, read_record
from helpers.data import fingerprint
from helpers.metrics import METRICS
from helpers.notebook import cell_text
from helpers.paths import resolve, write_whole
from helpers.plotting.figure import DescribedFigure, html_table
from helpers.settings import Settings

SYSTEMS = {
    "most frequent": "one training caption, the same for every picture",
    "nearest picture": "the caption of the training picture that looks most alike",
    "base": "the model before this training",
    "zero-shot": "a published model without this training",
    "trained": "the model after it",
}
BEFORE_USE = (
    "A caption is a suggestion: decide first whether the picture needs alt text, then let a person who sees it read "
    "and mend the caption before it is used; what it says of people is guessed from looks, so ask them."
)
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }}
table {{ border-collapse: collapse; margin: 0.5em 0; }}
th, td {{ padding: 0.2em 0.8em; text-align: left; border-bottom: 1px solid #ddd; }}
img {{ max-width: 100%; }}
</style>
<h1>{title}</h1>
{parts}
<p>{before_use}</p>
</html>
"""


def write_report(file: str | Path, title: str, parts: Mapping[str, Sequence[Any]]) -> Path:
    """Writes a page, which ends with what to do before a caption is used.

    Args:
        file: where to, as `resolve` takes it.
        title: of the page.
        parts: heading → what stands under it, in order: a text is a paragraph, a list of rows with the same keys a
            table ("None." where there are no rows), and a figure what its `html` gives.

    Returns:
        The file.
    """
    sections = [f"<h2>{escape(heading)}</h2>\n" + "\n".join(map(_html, things)) for heading, things in parts.items()]
    path = resolve(file)
    write_whole(path, PAGE.format(title=escape(title), parts="\n".join(sections), before_use=BEFORE_USE))
    return path


def about(settings: Settings, dataset: DatasetDict) -> str:
    """What was fine-tuned, on what, on which day, and how many pictures each split has, for the top of a page."""
    counts = ", ".join(f"{len(split)} for {name}" for name, split in dataset.items())
    return f"{settings.checkpoint} fine-tuned on {Path(settings.dataset).name}, {date.today()}. Pictures: {counts}."


def summary(evaluation: Mapping[str, Any]) -> str:
    """Of what `save_evaluation` gave: what was trained for how long, and how well it does before and after."""
    systems, data, captioner = evaluation["systems"], evaluation["dataset"], evaluation["captioner"]
    metric, label = ("right", "Captions right") if "right" in systems["trained"] else ("wer", "Word error rate")
    before, after = systems["base"][metric]["value"], systems["trained"][metric]["value"]
    return (
        f"Trained {captioner['checkpoint']} on {data['name']}: {captioner['steps']} steps, "
        f"{evaluation['seconds']['training']:.0f} seconds.\n"
        f"{label}, {data['pictures']} test pictures: {before:.3f} before, {after:.3f} after."
    )


def how_to_read(systems: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the systems are, where they are known, and what their scores mean: two paragraphs for a page."""
    told = "; ".join(f"{name}: {SYSTEMS[name]}" for name in systems if name in SYSTEMS)
    measured = {name: METRICS[name] for scores in systems.values() for name in scores}
    meaning = (f"{m} ({row.label}): {row.better} is better, {row.best:g} is perfect." for m, row in measured.items())
    return [f"{told}.", "With 95 % intervals. " + " ".join(meaning)]


def score_rows(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[dict[str, str]]:
    """A row for each system with its scores and intervals, from name → metric → {"value", "low", "high"}."""
    return [
        {"system": name} | {m: f"{s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for m, s in scores.items()}
        for name, scores in systems.items()
    ]


def _html(thing: str | DescribedFigure | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(thing, str):
        return f"<p>{escape(thing)}</p>"
    if isinstance(thing, DescribedFigure):
        return thing.html()
    if not thing:
        return "<p>None.</p>"
    return html_table([{name: cell_text(value) for name, value in row.items()} for row in thing])


def save_evaluation(
    settings: Settings,
    test: Dataset,
    systems: Mapping[str, Any],
    *,
    attributes: Mapping[str, float] | None = None,
    file: str = "artifacts/evaluation.json",
) -> dict[str, Any]:
    """Writes what was measured, and on what, to a JSON file.

    Args:
        settings: of the captioner that was measured.
        test: the split that it was measured on.
        systems: name → metric → {"value", "low", "high"}; one of the names is "trained".
        attributes: name → accuracy of the trained captioner, where the data set has attributes.
        file: where to; the default is the evaluation of the course's captioner.

    Returns:
        What was written, as `share` takes it.
    """
    record = read_record(settings.output) or {"steps": 0}
    captioner = {"checkpoint": settings.checkpoint, "fingerprint": fingerprint_of(settings.output)}
    evaluation = {
        "dataset": {"name": settings.dataset, "fingerprint": fingerprint(test), "split": "test", "pictures": len(test)},
        "captioner": captioner | {"settings": asdict(settings), "steps": record["steps"]},
        "systems": systems,
        "attributes": attributes or {},
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets")},
        "seconds": {"training": record.get("seconds")},
    }
    write_whole(resolve(file), json.dumps(evaluation, indent=2) + "\n")
    return evaluation


def save_numbers(settings: Settings, numbers: Mapping[str, Any]) -> Path:
    """Writes what notebook 7 measured, and of which captioner, to artifacts/behind_the_numbers.json."""
    path = resolve("artifacts/behind_the_numbers.json")
    write_whole(path, json.dumps({"captioner": fingerprint_of(settings.output), **numbers}, indent=2) + "\n")
    return path
