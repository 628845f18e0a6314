"""Finds a checkpoint or a data set by its name, on this disk or briefly on the Hub, and fingerprints its weights."""

import contextlib
import functools
import hashlib
import logging
import re
from difflib import get_close_matches
from pathlib import Path

import datasets
from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

from helpers.errors import CheckpointError, DataError, first_line
from helpers.paths import ROOT, artifacts_folder, resolve
from helpers.reading.addresses import within

logger = logging.getLogger(__name__)

PATIENCE = 6  # seconds that the Hub has for its answer
# Checkpoints that people name; a mistyped one is compared with these and with what lies on the disk.
KNOWN = (
    "microsoft/git-base", "microsoft/git-base-coco", "microsoft/git-large", "microsoft/git-large-coco",
    "Salesforce/blip-image-captioning-base", "nlpconnect/vit-gpt2-image-captioning",
)  # fmt: skip
# An id as the address of its page holds it, which people copy from there.
_PAGE = re.compile(r"(?:https?://(?:www\.)?(?:huggingface\.co|hf\.co)|hf:/)/(?:datasets/)?([^/]+/[^/?#]+)(?:[/?#].*)?")
_SHIPPED = {"model": "models/git-tiny", "dataset": "data/pocket-creatures"}
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
    name = _PAGE.sub(r"\1", str(name).strip())
    if not name:
        raise _ERRORS[kind](f"The {_NOUNS[kind]} has no name; give a folder or a Hub id (owner/name).")
    path = resolve(name)
    if path.exists():
        return str(path)
    if "://" in name:
        raise _ERRORS[kind](f"{name} is an address; download what is there, unpack it and give its folder.")
    is_file = path.suffix in (".csv", ".tsv", ".txt", ".jsonl", ".json", ".parquet", ".tar", ".zip")
    if is_file or re.match(r"[./~]|(data|models|artifacts)(/|$)|.*\\", name):
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
    meant = near and near[0] != name
    hint = f"did you mean {near[0]}?" if meant else f"{_SHIPPED[kind]} comes with the project and needs no network."
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


def fingerprint_of_weights(checkpoint: str) -> str | None:
    """`fingerprint_of_file` for the weights of a folder or of a Hub id, of which the downloaded copy counts.

    None where they do not lie in one file on this disk. Nobody is asked, neither the Hub nor the network.
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        with contextlib.suppress(OSError, ValueError):
            folder = resolve(checkpoint)
            file = folder / name if folder.exists() else try_to_load_from_cache(checkpoint, name)
            if isinstance(file, (str, Path)):  # the Hub's client has an object for a file that is known not to exist
                return fingerprint_of_file(Path(file))
    return None


def fingerprint_of_file(file: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file: read once in a process, while it stays as it is.

    In the Hub's cache a file is a link to a blob that, where it is large, is named by its SHA-256; it is not read then.
    """
    blob = file.readlink() if file.is_symlink() else file
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name):
        return blob.name[:16]
    state = file.stat()
    return _sha256(file, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)[:16]


@functools.cache
def _sha256(file: Path, *state: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def reason_of(error: Exception) -> str:
    """What an error of the Hub's client says, in a few words."""
    return "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else first_line(error)


def status_of(error: Exception) -> int:
    """The HTTP status that the Hub answered with, or 0 where it did not answer."""
    return getattr(getattr(error, "response", None), "status_code", 0)
