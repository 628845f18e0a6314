"""Finds a checkpoint or a data set by its name: a folder on this disk, or a repository of the Hub, asked briefly."""

import contextlib
import logging
from difflib import get_close_matches
from pathlib import Path

import datasets
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

from helpers.errors import CheckpointError, DataError, first_line
from helpers.paths import ROOT, artifacts_folder, resolve
from helpers.reading.addresses import within

logger = logging.getLogger(__name__)

PATIENCE = 6  # seconds that the Hub has for its answer
# Checkpoints that people name; a mistyped one is compared with these and with what lies on the disk.
KNOWN = (
    "microsoft/git-base",
    "microsoft/git-base-coco",
    "microsoft/git-large",
    "microsoft/git-large-coco",
    "Salesforce/blip-image-captioning-base",
    "nlpconnect/vit-gpt2-image-captioning",
)
_ERRORS = {"model": CheckpointError, "dataset": DataError}
_NOUNS = {"model": "checkpoint", "dataset": "data set"}


def locate(name: str, kind: str) -> str:
    """Finds a checkpoint or a data set, or says quickly that it is not there.

    Without a network the libraries look for a missing name for minutes; this looks on the disk first, and then asks
    the Hub for at most `PATIENCE` seconds.

    Args:
        name: a folder, relative to the project's root, or a Hub id.
        kind: "model" or "dataset".

    Returns:
        The folder's path if it is on this disk, the id if it is on the Hub.

    Raises:
        CheckpointError or DataError: it is on neither; the message suggests the nearest name that exists.
    """
    name = str(name)
    if not name.strip():
        raise _ERRORS[kind](f"The {_NOUNS[kind]} has no name; give a folder or a Hub id (owner/name).")
    path = resolve(name)
    if path.exists():
        return str(path)
    is_file = path.suffix in (".csv", ".jsonl", ".json", ".parquet")
    if is_file or name.startswith((".", "/", "~")) or name.partition("/")[0] in ("data", "models", "artifacts"):
        raise _absent(name, kind, f"is not there (looked for {path}); check the spelling")
    try:
        within(PATIENCE, lambda: HfApi().repo_info(name, repo_type=kind, timeout=PATIENCE))
        return name
    except HFValidationError:
        why = "is neither a folder on this disk nor a Hub id (owner/name)"
    except GatedRepoError:
        page = f"open {constants.ENDPOINT}/{'datasets/' * (kind == 'dataset')}{name} and log in with notebook_login()"
        raise _ERRORS[kind](f"The {_NOUNS[kind]} {name} wants an agreement first: {page}.") from None
    except RepositoryNotFoundError:
        why = "is neither on this disk nor on the Hub; check the spelling, and log in if it is private"
    except Exception as error:  # the Hub's client has changed its HTTP library, and its errors, before
        if status_of(error) == 401:
            why = "cannot be asked for: the Hub does not know your token; run notebook_login() and give another"
        elif place := _downloaded(name, kind):
            logger.warning("The Hub cannot be asked; the copy of %s downloaded earlier is used.", name)
            return place
        else:
            reason = reason_of(error)
            why = f"is not on this disk, and the Hub cannot be asked ({reason}); check the spelling and the network"
    raise _absent(name, kind, why)


def _absent(name: str, kind: str, why: str) -> CheckpointError | DataError:
    """The sentence about a name that leads nowhere, with the nearest one that exists."""
    local = _on_disk(kind)
    known = [*local, *(KNOWN if kind == "model" else ())]
    near = get_close_matches(name, known, 1) or get_close_matches(name.rpartition("/")[2], known, 1, 0.4)
    hint = (
        f"did you mean {near[0]}?"
        if near and near[0] != name
        else f"{local[0]} comes with the project and needs no network."
    )
    return _ERRORS[kind](f"The {_NOUNS[kind]} {name} {why}; {hint}")


def _on_disk(kind: str) -> list[str]:
    """The checkpoints or data sets of the project, by the names that a learner types."""
    if kind == "dataset":
        return sorted(f"data/{path.name}" for path in (ROOT / "data").glob("*/"))
    places = {"models": ROOT / "models", "artifacts": artifacts_folder()}
    return [f"{n}/{path.parent.name}" for n, place in places.items() for path in sorted(place.glob("*/config.json"))]


def _downloaded(name: str, kind: str) -> str | None:
    """What stands in the cache from an earlier download."""
    if kind == "dataset":
        # One word could be the copy of a folder on this disk; the Hub's are owner___name.
        cached = Path(datasets.config.HF_DATASETS_CACHE) / name.replace("/", "___")
        return name if "/" in name and cached.is_dir() else None
    with contextlib.suppress(OSError):  # which LocalEntryNotFoundError is
        return snapshot_download(name, local_files_only=True)


def reason_of(error: Exception) -> str:
    """What an error of the Hub's client says, in a few words."""
    return "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else first_line(error)


def status_of(error: Exception) -> int:
    """The HTTP status that the Hub answered with, or 0 where it did not answer."""
    return getattr(getattr(error, "response", None), "status_code", 0)
