"""Sharing: a captioner, its processor, a model card and captioned examples go to the Hub."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import LocalTokenNotFoundError
from transformers import PreTrainedModel

from helpers.captioner import RECORD, fingerprint_of, read_record
from helpers.data import load_captions
from helpers.errors import HubError
from helpers.hub.card import model_card, validation_scores
from helpers.inference import caption_images
from helpers.paths import artifacts_folder, resolve
from helpers.plotting import plot_captioned_images
from helpers.reading.locate import reason_of, status_of
from helpers.settings import Settings

logger = logging.getLogger(__name__)

EXAMPLES = 8  # pictures on the card


def share(
    model: PreTrainedModel,
    processor: Any,
    repo_id: str,
    *,
    private: bool = True,
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """Uploads a captioner, its processor and a model card with captioned examples to the Hub.

    What the card says of the training comes from the saved captioner that has the same weights. Its scores are those
    of the evaluation if that is of these weights, else those of the validation split while training.

    Args:
        model: the captioner.
        processor: its processor.
        repo_id: owner/name, or a name alone for your own account.
        private: whether only you can see it. A repository that is there already stays as visible as it is.
        evaluation: scores for the card; artifacts/evaluation.json where None and it is there.

    Returns:
        The repository's address.

    Raises:
        HubError: the Hub refused; the message says why. The model on disk is as it was.
    """
    api, saved = HfApi(), None
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            weights = _fingerprint(folder)
            saved = _saved_captioner(weights, model.name_or_path)
            repo = api.create_repo(repo_id, private=private, exist_ok=True)
            if api.repo_info(repo.repo_id).private != private:
                now = "public" if private else "private"
                logger.warning("%s is there already and stays %s; its settings page changes that.", repo, now)
            settings, record = _training_of(saved)
            dataset = _dataset_of(settings)
            card = model_card(
                repo.repo_id,
                settings,
                steps=record.get("steps", 0),
                evaluation=_evaluation_of(weights, evaluation),
                validation=validation_scores(_json(saved / "history.json"), record) if saved else {},
                dataset=dataset,
                examples=_draw_examples(model, processor, settings, dataset, folder / "examples.png"),
            )
            (folder / "README.md").write_text(str(card), encoding="utf-8")
            api.upload_folder(repo_id=repo.repo_id, folder_path=folder, commit_message="Share the captioner")
    except Exception as error:
        raise HubError(f"{_what_happened(error, repo_id)}; {_where(saved)}.") from None
    return str(repo)


def _draw_examples(
    model: PreTrainedModel, processor: Any, settings: Settings | None, dataset: DatasetDict | None, path: Path
) -> str:
    """Draws test pictures with what the model says of them, and returns the figure's description."""
    if not settings or not dataset:
        return ""
    pictures = dataset["test"][:EXAMPLES]["image"]
    options = {"num_beams": settings.num_beams, "max_new_tokens": settings.max_new_tokens}
    said = [caption.text for caption in caption_images(model, processor, pictures, **options)]
    figure = plot_captioned_images(pictures, said)
    figure.save(path)
    return figure.alt


def _dataset_of(settings: Settings | None) -> DatasetDict | None:
    """What the captioner was trained on, or None and a sentence where it cannot be loaded."""
    try:
        return load_captions(settings.dataset) if settings else None
    except Exception as error:  # a captioner can be shared without examples
        logger.warning("The card shows no examples, because the data set cannot be loaded: %s", reason_of(error))
        return None


def _evaluation_of(weights: str, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The evaluation given, or artifacts/evaluation.json; None where it is of other weights.

    One that is given may leave out whose it is.
    """
    found = given or _json(artifacts_folder() / "evaluation.json")
    if not found:
        return None
    measured = found.get("captioner", {}).get("fingerprint", weights if given else None)
    if measured == weights:
        return found
    logger.warning("The evaluation is of another captioner, so the card leaves it out; notebook 4 measures this one.")
    return None


def _fingerprint(folder: Path) -> str:
    return fingerprint_of(Settings(output=str(folder)))


def _saved_captioner(weights: str, loaded_from: str) -> Path | None:
    """The folder of the saved captioner that has these weights; the one that notebooks use comes first."""
    ours = sorted(path.parent for path in artifacts_folder().glob(f"*/{RECORD}"))
    for place in (resolve(Settings().output), *ours, resolve(loaded_from)):
        saved = all((place / name).is_file() for name in ("model.safetensors", "history.json"))
        if saved and read_record(place) and _fingerprint(place) == weights:
            return place
    return None


def _training_of(saved: Path | None) -> tuple[Settings | None, dict[str, Any]]:
    record = saved and read_record(saved)
    return (Settings(**record["settings"]), record) if record else (None, {})


def _json(path: Path) -> Any:
    """What a file holds; None where it is not there or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _where(saved: Path | None) -> str:
    if saved is None:
        return "the captioner is still in memory"
    ours = saved.is_relative_to(artifacts_folder())
    place = f"artifacts/{saved.relative_to(artifacts_folder()).as_posix()}" if ours else saved
    return f"the captioner is still on disk, in {place}"


def _what_happened(error: Exception, repo_id: str) -> str:
    """A sentence without its end about an error of the Hub's client, or another."""
    status = status_of(error)
    if isinstance(error, LocalTokenNotFoundError) or (status == 401 and not get_token()):
        why = "there is no token; make one that may write, in the settings of your account on the Hub, and give it to "
        why += "notebook_login()"
    elif status == 401:
        why = "the Hub does not know your token; give another to notebook_login()"
    elif status == 403:
        why = "your token may not write there; name a repository of your own, or make a token that may write"
    elif status >= 500:
        why = f"the Hub has a fault of its own ({status}); try again later"
    else:
        return f"{repo_id} could not be shared ({reason_of(error)})"
    return f"{repo_id} could not be shared, because {why}"
