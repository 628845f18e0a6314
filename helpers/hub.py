"""Model card, sharing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCard, ModelCardData
from huggingface_hub.errors import LocalTokenNotFoundError
from transformers import PreTrainedModel

from helpers.errors import HubError
from helpers.places import reason_of
from helpers.settings import Settings, artifacts_folder, read_record

CARD = """
# {name}

An image captioner: `{base}` fine-tuned on {dataset} for {steps} steps.

## Scores

{scores}

## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor
model, processor = AutoModelForImageTextToText.from_pretrained("{repo_id}"), AutoProcessor.from_pretrained("{repo_id}")
inputs = processor(images=picture, return_tensors="pt")  # a PIL picture in RGB
print(processor.batch_decode(model.generate(**inputs), skip_special_tokens=True)[0])
```

## Limits

It describes pictures like those it was trained on. Of any other picture it speaks with the same confidence, and is
wrong. It needs transformers 5.18 or newer; older releases generate other captions.
"""


def model_card(repo_id: str, settings: Settings, *, steps: int, evaluation: Mapping[str, Any] | None) -> ModelCard:
    """The card that is shared beside a captioner.

    Args:
        repo_id: owner/name.
        settings: what it was trained with.
        steps: the training steps done.
        evaluation: what artifacts/evaluation.json holds, or None.
    """
    if evaluation:
        split, scores = evaluation["dataset"], evaluation["systems"]["trained"]
        lines = [f"On the {split['split']} split ({split['pictures']} pictures), greedy captions:", "",
                 "| metric | value | 95 % interval |", "| --- | --- | --- |"]  # fmt: skip
        lines += [f"| {m} | {s['value']:.3f} | {s['low']:.3f} to {s['high']:.3f} |" for m, s in scores.items()]
    else:
        lines = ["Not measured yet."]
    data = ModelCardData(
        library_name="transformers", pipeline_tag="image-to-text", tags=["image-captioning"], language="en"
    )
    text = CARD.format(name=repo_id.split("/")[-1], repo_id=repo_id, base=settings.checkpoint,
                       dataset=settings.dataset, steps=steps, scores="\n".join(lines))  # fmt: skip
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")


def share(
    model: PreTrainedModel,
    processor: Any,
    repo_id: str,
    *,
    private: bool = True,
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """Uploads a captioner, its processor and a model card to the Hub.

    Args:
        model: the captioner.
        processor: its processor.
        repo_id: owner/name, or a name alone for your own account.
        private: whether only you can see it.
        evaluation: scores for the card; artifacts/evaluation.json where None and it is there.

    Returns:
        The repository's address.

    Raises:
        HubError: the Hub refused; the message says why. The model on disk is as it was.
    """
    settings = Settings.of_captioner()
    record = read_record(settings.output) or {"steps": 0}
    results = artifacts_folder() / "evaluation.json"
    if evaluation is None and results.is_file():
        evaluation = json.loads(results.read_text(encoding="utf-8"))
    api = HfApi()
    try:
        repo = api.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            card = model_card(repo.repo_id, settings, steps=record["steps"], evaluation=evaluation)
            (Path(folder) / "README.md").write_text(str(card), encoding="utf-8")
            api.upload_folder(repo_id=repo.repo_id, folder_path=folder, commit_message="Share the captioner")
    except Exception as error:
        kept = f"the captioner is still in {settings.output}"
        if isinstance(error, LocalTokenNotFoundError) or "401" in str(error):
            raise HubError(f"The Hub does not know you; run notebook_login() with a write token; {kept}.") from None
        raise HubError(f"{repo_id} could not be shared ({reason_of(error)}); {kept}.") from None
    return str(repo)
