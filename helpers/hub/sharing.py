"""Sharing a captioner on the Hub: weights, processor, model card and captioned examples."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import LocalTokenNotFoundError
from transformers import PreTrainedModel

from helpers.captioner import fingerprint_of
from helpers.device import check_weights
from helpers.errors import HubError
from helpers.hub.card import model_card
from helpers.inference import caption_images
from helpers.plotting import plot_captioned_images
from helpers.reading.locate import reason_of, status_of
from helpers.settings import Settings

logger = logging.getLogger(__name__)

EXAMPLES = 8  # pictures on the card
OTHER_WEIGHTS = "The evaluation is of another captioner, so the card leaves it out; notebook 4 measures this one."


def share(
    model: PreTrainedModel,
    processor: Any,
    repo_id: str,
    *,
    private: bool = True,
    settings: Settings | None = None,
    dataset: DatasetDict | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    license: str | None = None,
) -> str:
    """Uploads a captioner, its processor and a model card to the Hub.

    The card says what is given here, and which of it is not known.

    Args:
        model, processor: the captioner.
        repo_id: owner/name, or a name alone for your own account.
        private: whether only you can see it. A repository that is there already stays as visible as it is.
        settings: what it was trained with.
        dataset: what it was trained on. The card counts its pictures, and shows eight of its test split.
        history: the Trainer's log_history, for the steps done and the scores on the validation split.
        evaluation: what `save_evaluation` returned: the scores on the test split, which take the place of those of the
            history. It is left out if it is of other weights.
        license: such as "cc-by-4.0", for a captioner whose base model names none in its own card.

    Returns:
        The repository's address.

    Raises:
        HubError: the Hub refused; the message says why. The model on disk is as it was.
    """
    api, weights = HfApi(), None
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            check_weights(model).save_pretrained(folder)
            processor.save_pretrained(folder)
            weights = fingerprint_of(folder)
            repo = api.create_repo(repo_id, private=private, exist_ok=True)
            if api.repo_info(repo.repo_id).private != private:
                now = "public" if private else "private"
                logger.warning("%s is there already and stays %s; its settings page changes that.", repo, now)
            if evaluation and evaluation.get("captioner", {}).get("fingerprint", weights) != weights:
                logger.warning(OTHER_WEIGHTS)
                evaluation = None
            test = dataset.get("test") if dataset else None
            examples = _draw_examples(model, processor, settings, test, folder / "examples.png") if test else ""
            given = {"dataset": dataset, "history": history, "evaluation": evaluation, "license": license}
            card = model_card(repo.repo_id, settings, **given, examples=examples)
            (folder / "README.md").write_text(str(card), encoding="utf-8")
            api.upload_folder(repo_id=repo.repo_id, folder_path=folder, commit_message="Share the captioner")
    except Exception as error:
        raise HubError(f"{_reason(error, repo_id)}; the captioner is still {_place(settings, weights)}.") from None
    return str(repo)


def _draw_examples(model: PreTrainedModel, processor: Any, settings: Settings | None, test: Dataset, path: Path) -> str:
    """Draws test pictures with their captions, and returns the figure's description."""
    pictures, used = test[:EXAMPLES]["image"], settings or Settings()
    options = {"num_beams": used.num_beams, "max_new_tokens": used.max_new_tokens}
    captions = caption_images(model, processor, pictures, **options)
    figure = plot_captioned_images(pictures, [caption.text for caption in captions])
    figure.save(path)
    return figure.alt


def _place(settings: Settings | None, weights: str | None) -> str:
    """Where the captioner with these weights is."""
    with suppress(OSError):
        if settings and fingerprint_of(settings.output) == weights:
            return f"on disk, in {settings.output}"
    return "in memory"


def _reason(error: Exception, repo_id: str) -> str:
    """A sentence without its end about an error of the Hub's client, or another."""
    status, where = status_of(error), "in the settings of your account on the Hub"
    if isinstance(error, LocalTokenNotFoundError) or (status == 401 and not get_token()):
        why = f"there is no token; make one that may write, {where}, and give it to notebook_login()"
    elif status == 401:
        why = "the Hub does not know your token; give another to notebook_login()"
    elif status == 403:
        why = "your token may not write there; name a repository of your own, or make a token that may write"
    elif status >= 500:
        why = f"the Hub has a fault of its own ({status}); try again later"
    else:
        return f"{repo_id} could not be shared ({reason_of(error)})"
    return f"{repo_id} could not be shared, because {why}"
