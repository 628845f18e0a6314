"""The model card of a shared captioner: its metadata, scores, examples and limits."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData

from helpers.metrics import METRICS
from helpers.notebook import markdown_cell, markdown_text
from helpers.paths import resolve
from helpers.reading.locate import PATIENCE
from helpers.report import BEFORE_USE
from helpers.resuming import kept_row
from helpers.settings import Settings

logger = logging.getLogger(__name__)

CARD = """
# {name}

{trained}
{examples}
## Scores

{scores}

## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor
model, processor = AutoModelForImageTextToText.from_pretrained("{repo_id}"), AutoProcessor.from_pretrained("{repo_id}", backend="pil")
inputs = processor(images="picture.png", return_tensors="pt")  # a file, an address or a PIL picture in RGB
print(processor.batch_decode(model.generate(**inputs, {generation}), skip_special_tokens=True)[0])
```

{before_use}

## Limits

It describes pictures like those it was trained on. Of any other picture it speaks with the same confidence, and is
wrong. A score tells how often it errs, not which picture it errs on. It needs transformers 5.18 or newer; older
releases generate other captions.
"""  # noqa: E501 (the four lines are four)
VALIDATION_SCORES = """Not measured on the test split. These are the scores of training, on the validation split, greedy
captions. The step to keep was chosen by them, so they flatter a little:

| metric | value |
| --- | --- |"""
RIGHT = """

A caption is right when it says every fact of its picture, nothing else, and only in words of the data set's grammar."""
INTERVALS = "\n\n| metric | value | 95 % interval |\n| --- | --- | --- |"


def model_card(
    repo_id: str,
    settings: Settings | None = None,
    *,
    dataset: DatasetDict | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    license: str | None = None,
    examples: str = "",
) -> ModelCard:
    """The card that is shared beside a captioner: of what `share` takes, and the description of examples.png."""
    name, used = repo_id.split("/")[-1], settings or Settings()
    base, pictures = (settings.checkpoint, settings.dataset) if settings else ("", "")
    kept, licence = validation_scores(history or ()), _base_licence(base) if base else {}
    scores = evaluation["systems"]["trained"] if evaluation else {metric: {"value": kept[metric]} for metric in kept}
    if license and licence and license != licence["license"]:
        message = "The licence on the card is that of %s, %s, and not %s; the repository's page changes it."
        logger.warning(message, _public(base), licence["license"], license)
    data = ModelCardData(
        model_name=name,
        library_name="transformers",
        pipeline_tag="image-to-text",
        tags=["image-captioning"],
        language="en" if pictures == Settings().dataset else None,
        base_model=_hub_id(base),
        datasets=[pictures] if _hub_id(pictures) else None,
        eval_results=_model_index(settings, evaluation, scores),
        **(licence or {"license": license}),
    )
    trained = "An image captioner. What it was trained on is not known."
    if settings:
        steps = (evaluation or {}).get("captioner", {}).get("steps") or (history[-1]["step"] if history else 0)
        trained = f"An image captioner: `{_public(base)}` fine-tuned on the data set `{_public(pictures)}`"
        trained += f" for {steps:,} steps." if steps else "."
    if dataset:
        counts = ", ".join(f"{len(split):,} for {part}" for part, split in dataset.items())
        trained += f" Pictures: {counts}."
    if examples:
        alt = markdown_text(examples)
        trained += "\n\nWhat it says of pictures of the test split, which it was not trained on:"
        examples = f"\n![{alt}](examples.png)\n"
    # A checkpoint may bring other values of its own; these are those of `caption_images`.
    generation = f"max_new_tokens={used.max_new_tokens}, num_beams={used.num_beams}, do_sample=False"
    parts = {"trained": trained, "examples": examples, "scores": _score_table(evaluation, scores)}
    text = CARD.format(name=name, repo_id=repo_id, generation=generation, before_use=BEFORE_USE, **parts)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")


def validation_scores(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The scores on the validation split, by metric, of the weights that were kept; empty if they were not measured."""
    last = kept_row(history) or {}
    return {metric: last[f"eval_{metric}"] for metric in METRICS if f"eval_{metric}" in last}


def _score_table(evaluation: Mapping[str, Any] | None, scores: Mapping[str, Mapping[str, float]]) -> str:
    if not scores:
        return "Not measured."
    head = VALIDATION_SCORES
    if evaluation:
        split, beams = evaluation["dataset"], evaluation.get("captioner", {}).get("settings", {}).get("num_beams", 1)
        kind = "greedy captions" if beams == 1 else f"captions of {beams} beams"
        head = f"On the {split['split']} split ({split['pictures']} pictures), {kind}:{INTERVALS}"
    row = "| {label} | {value:.3f} |" + (" {low:.3f} to {high:.3f} |" if evaluation else "")
    rows = [row.format(label=markdown_cell(_named(metric, "label")), **score) for metric, score in scores.items()]
    return "\n".join([head, *rows]) + (RIGHT if "right" in scores else "")


def _named(metric: str, kind: str) -> str:
    """The label of a metric, or the Hub's name for it; the metric's own name where no row of `METRICS` has it."""
    return getattr(METRICS.get(metric), kind, metric)


def _model_index(
    settings: Settings | None, evaluation: Mapping[str, Any] | None, scores: Mapping[str, Mapping[str, float]]
) -> list[EvalResult] | None:
    """The same scores as the Hub reads them."""
    measured = {"name": settings.dataset if settings else "unknown", "split": "validation"}
    measured |= evaluation["dataset"] if evaluation else {}
    name, ending = measured["name"], "" if evaluation else ", while training"
    return [
        EvalResult(
            task_type="image-to-text",
            task_name="Image captioning",
            dataset_type=_hub_id(name) or re.sub(r"[^\w.-]+", "-", Path(name).name),
            dataset_name=_public(name),
            dataset_split=measured["split"],
            metric_type=_named(metric, "hub"),
            metric_name=_named(metric, "label") + ending,
            metric_value=round(score["value"], 4),
        )
        for metric, score in scores.items()
    ] or None


def _base_licence(base: str) -> dict[str, str]:
    """The licence that a base model's own card names, as metadata; empty if it names none or cannot be read."""
    card, data = resolve(base) / "README.md", {}
    with suppress(Exception):  # the Hub's client has many errors, and a card can do without a licence
        if card.is_file():
            data = ModelCard.load(card, ignore_metadata_errors=True).data
        elif _hub_id(base):
            data = HfApi().model_info(base, timeout=PATIENCE).card_data
        if isinstance(data.get("license"), str):
            return {name: data.get(name) for name in ("license", "license_name", "license_link")}
    return {}


def _hub_id(name: str) -> str | None:
    """The name if it is an id on the Hub, and no folder of this machine or the project."""
    is_id = re.fullmatch(r"(?!data/|models/|artifacts/)[\w.-]+/[\w.-]+", name)
    return name if is_id and not resolve(name).exists() else None


def _public(name: str) -> str:
    """A name without the folders that only this machine has."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or ".." in path.parts else name
