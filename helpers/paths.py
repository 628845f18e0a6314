"""Paths: project root, artifacts folder, relative names, output folders; files written whole or not at all."""

import contextlib
import os
import reprlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from helpers.errors import NO_ROOM, SettingsError, first_line, is_full_disk

RECORD = "training.json"  # what lies beside a captioner: its settings and the steps it did
ROOT = Path(__file__).resolve().parent.parent


def artifacts_folder() -> Path:
    """Where the notebooks write: CAPTIONING_ARTIFACTS, or artifacts/ in the project's root.

    Raises:
        SettingsError: a file stands in its place.
    """
    folder = Path(os.environ.get("CAPTIONING_ARTIFACTS") or ROOT / "artifacts").expanduser().resolve()
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir():
        instead = "move it away, or name another with CAPTIONING_ARTIFACTS"
        raise SettingsError(f"{place} is a file where a folder is needed; {instead}.")
    return folder


def resolve(name: str | Path) -> Path:
    """The place that a relative name means, wherever the kernel was started.

    A name under artifacts/ lies in `artifacts_folder()`; any other lies in the current folder if it is there, and
    in the project's root otherwise.
    """
    try:
        path = Path(name).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.stat()
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = first_line(error)
        raise SettingsError(f"{reprlib.repr(name)} is no name of a file or folder ({why}); give another.") from None
    if path.is_absolute():
        return path
    if path.parts[:1] == ("artifacts",):
        return artifacts_folder().joinpath(*path.parts[1:])
    return path.resolve() if path.exists() else ROOT / path


def captioner_folder(output: str | Path) -> Path:
    """Where a captioner lies: what `resolve` says, or where a link at that place leads."""
    return resolve(output).resolve()


def beside(folder: Path, what: str) -> Path:
    """A hidden folder next to a captioner's, by a name that nobody gives to things of their own."""
    return folder.parent / f".{folder.name or 'root'}.{what}"


def move_aside(folder: Path) -> Path:
    """Renames a folder to the first free name of folder-1, folder-2, … and returns that."""
    aside = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}-{n}")).exists())
    folder.rename(aside)
    return aside


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place and renames it, so that a reader finds the old text or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8", errors="replace")  # halves of letters, which no file can hold
    fresh.replace(path)


@contextlib.contextmanager
def usable_cache() -> Iterator[None]:
    """Within the block, or a function decorated with it, the datasets library can write to its cache.

    Raises:
        SettingsError: it cannot, from the start or because the disk is full.
    """
    from datasets import config  # here, for it takes half a second, and everything imports paths

    folder = Path(config.HF_DATASETS_CACHE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        why, mend = first_line(error), "name another folder with the variable HF_DATASETS_CACHE and start Python anew"
        raise SettingsError(f"The cache of data sets, {folder}, cannot be written to ({why}); {mend}.") from None
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise SettingsError(NO_ROOM) from None
        raise


def check_output(output: str, checkpoint: str) -> None:
    """Makes sure, before an hour of training and not after it, that the captioner can be saved.

    Raises:
        SettingsError: the output folder is a file, holds other things than a captioner, or cannot be written to.
    """
    folder = captioner_folder(output)
    shipped = [resolve(checkpoint), *(ROOT / name for name in ("models", "data", "helpers", "notebooks"))]
    inside = any(folder.is_relative_to(place) for place in shipped)
    if inside or any(place.is_relative_to(folder) for place in (*shipped, artifacts_folder())):
        raise SettingsError(f"Settings.output is {output}, where the project's own files are; name another.")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"Settings.output is {output}, which is a file; move it away, or name another.")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names and RECORD not in names and not {"config.json", "model.safetensors"} <= names:
        raise SettingsError(f"Settings.output is {output}, a folder of other things; name a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder.parent).close()
    except OSError as error:
        why = first_line(error)
        raise SettingsError(f"{folder.parent} cannot be written to ({why}); name another output.") from None
