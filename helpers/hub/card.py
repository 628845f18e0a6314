"""The model card that is shared beside a captioner."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from helpers.metrics import METRICS
from helpers.paths import resolve
from helpers.settings import Settings

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

## Limits

It describes pictures like those it was trained on. Of any other picture it speaks with the same confidence, and is
wrong. A score tells how often it errs, not which picture it errs on. It needs transformers 5.18 or newer; older
releases generate other captions.
"""  # noqa: E501 (the four lines are four)


def model_card(
    repo_id: str,
    settings: Settings | None,
    *,
    steps: int = 0,
    evaluation: Mapping[str, Any] | None = None,
    validation: Mapping[str, float] | None = None,
    dataset: DatasetDict | None = None,
    examples: str = "",
) -> ModelCard:
    """The card that is shared beside a captioner.

    Args:
        repo_id: owner/name.
        settings: what it was trained with; None where nothing was saved about that.
        steps: the training steps done.
        evaluation: what artifacts/evaluation.json holds, or None.
        validation: metric → value on the validation split, for a captioner that was not evaluated.
        dataset: what it was trained on, to count the pictures.
        examples: the description of examples.png, or an empty text where there is none.
    """
    name, used = repo_id.split("/")[-1], settings or Settings()
    data = ModelCardData(
        model_name=name,
        library_name="transformers",
        pipeline_tag="image-to-text",
        tags=["image-captioning"],
        language="en" if settings and settings.dataset == Settings().dataset else None,
        base_model=_hub_id(settings and settings.checkpoint),
        datasets=[found] if (found := _hub_id(settings and settings.dataset)) else None,
        eval_results=_model_index(settings, evaluation, validation),
    )
    trained = "An image captioner. What it was trained on was not saved beside it."
    if settings:
        base, pictures = _public(settings.checkpoint), _public(settings.dataset)
        trained = f"An image captioner: `{base}` fine-tuned on the data set `{pictures}` for {steps:,} steps."
    if dataset:
        counts = ", ".join(f"{len(split):,} for {part}" for part, split in dataset.items())
        trained += f" Pictures: {counts}."
    if examples:
        said = " ".join(re.sub(r"[\[\]]", "", examples).split())
        trained += "\n\nWhat it says of pictures of the test split, which it was not trained on:"
        examples = f"\n![{said}](examples.png)\n"
    # A checkpoint may bring other values of its own; these are those of `caption_images`.
    generation = f"max_new_tokens={used.max_new_tokens}, num_beams={used.num_beams}, do_sample=False"
    scores = "\n".join(_score_lines(evaluation, validation))
    text = CARD.format(
        name=name, repo_id=repo_id, trained=trained, examples=examples, scores=scores, generation=generation
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")


def validation_scores(history: Sequence[Mapping[str, Any]] | None, record: Mapping[str, Any]) -> dict[str, float]:
    """What a captioner scored on the validation split while it was trained.

    Args:
        history: what history.json holds.
        record: what training.json holds. An interrupted captioner has the weights of its last step; any other has
            those of the step with the fewest word errors.

    Returns:
        metric → value; empty where these weights were not measured.
    """
    rows = [row for row in history or () if "eval_wer" in row and row.get("step", 0) > 0]
    if record["interrupted"]:
        rows = [row for row in rows if row["step"] == record["steps"]]
    if not rows:
        return {}
    best = min(rows, key=lambda row: row["eval_wer"])["step"]
    last = [row for row in rows if row["step"] == best][-1]
    return {metric: last[f"eval_{metric}"] for metric in METRICS if f"eval_{metric}" in last}


def _score_lines(evaluation: Mapping[str, Any] | None, validation: Mapping[str, float] | None) -> list[str]:
    if evaluation:
        split, scores = evaluation["dataset"], evaluation["systems"]["trained"]
        beams = evaluation.get("captioner", {}).get("settings", {}).get("num_beams", 1)
        said = "greedy captions" if beams == 1 else f"captions of {beams} beams"
        lines = [f"On the {split['split']} split ({split['pictures']} pictures), {said}:", "",
                 "| metric | value | 95 % interval |", "| --- | --- | --- |"]  # fmt: skip
        rows = [(_label(m), s) for m, s in scores.items()]
        return lines + [f"| {m} | {s['value']:.3f} | {s['low']:.3f} to {s['high']:.3f} |" for m, s in rows]
    if validation:
        lines = ["Not measured on the test split. These are the scores of training, on the validation split, greedy",
                 "captions. The step to keep was chosen by them, so they flatter a little:", "",
                 "| metric | value |", "| --- | --- |"]  # fmt: skip
        return lines + [f"| {_label(metric)} | {value:.3f} |" for metric, value in validation.items()]
    return ["Not measured."]


def _label(metric: str) -> str:
    return METRICS[metric].label if metric in METRICS else metric


def _model_index(
    settings: Settings | None, evaluation: Mapping[str, Any] | None, validation: Mapping[str, float] | None
) -> list[EvalResult] | None:
    """The same scores as the Hub reads them."""
    name, split, scores = settings.dataset if settings else "unknown", "validation", dict(validation or {})
    if evaluation:
        name, split = evaluation["dataset"].get("name", name), evaluation["dataset"]["split"]
        scores = {metric: found["value"] for metric, found in evaluation["systems"]["trained"].items()}
    results = [
        EvalResult(
            task_type="image-to-text",
            task_name="Image captioning",
            dataset_type=_hub_id(name) or re.sub(r"[^\w.-]+", "-", Path(name).name),
            dataset_name=_public(name),
            dataset_split=split,
            metric_type=METRICS[metric].hub if metric in METRICS else metric,
            metric_name=_label(metric) + ("" if evaluation else ", while training"),
            metric_value=round(value, 4),
        )
        for metric, value in scores.items()
    ]
    return results or None


def _hub_id(name: str | None) -> str | None:
    """The name if it is an id on the Hub, and no folder of this machine."""
    return name if name and re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not resolve(name).exists() else None


def _public(name: str) -> str:
    """A name without the folders that only this machine has."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or ".." in path.parts else name
