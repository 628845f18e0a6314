"""Finding what a data set's name leads to (a file, a folder, the Hub), and its rows by split, as they stand."""

import glob
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import concatenate_datasets, config, get_dataset_config_names, load_dataset, load_from_disk
from datasets.load import load_dataset_builder
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from helpers.errors import DataError, first_line, readable
from helpers.paths import resolve
from helpers.reading.files import OTHERS, cache_for, is_table, read_file, texts_beside, unread
from helpers.reading.locate import locate
from helpers.reading.names import files_in, split_in, split_of
from helpers.reading.pictures import SUFFIXES
from helpers.reading.rows import Listed, Stored, by_split, stored
from helpers.text import folded

MANY = 1_000_001  # files of a folder, so that the whole disk is not read
_LIBRARYS = (".parquet", ".arrow", ".tar")  # endings of the files that the datasets library finds in a folder


def read_tables(
    name: str, images: str | None = None, configuration: str | None = None, split_column: str | None = None
) -> dict[str, Listed]:
    """The splits that a name leads to: split → rows, "train" alone where the data set does not come divided.

    The arguments are those of `load_captions`. Raises DataError where there is nothing that can be read as rows.
    """
    folder = resolve(images) if images is not None else None
    if folder and not folder.is_dir():
        raise DataError(f"images={images!r} is no folder; give the folder of the pictures (looked for {folder}).")
    tables = _tables(name, configuration)
    for table in tables.values():
        table.find_pictures(folder)
    if split_column is not None:
        tables = {"train": _joined(tables)}
    if len(tables) == 1:
        [(only, table)] = tables.items()
        parts = by_split(table, name, split_column)
        return parts if len(parts) > 1 or only == "train" else {only: table}
    for split, table in tables.items():
        column = next((column for column in table.columns if folded(column) == "split"), None)
        if column and {split_of(value) for value in table.values(column)} - {split_of(split)}:
            other = f"names other splits than its own; split_column={column!r} takes them"
            table.notes.append(f"its column {column} {other}")
    return tables


def _tables(name: str, configuration: str | None) -> dict[str, Listed]:
    """The rows as the data set comes."""
    plain = name.strip().strip("\"'")  # quotation marks that come with a path which was copied
    path = next((path for path in map(resolve, (name, plain)) if path.exists()), resolve(plain))
    if not path.exists() or not plain:  # no name at all would mean the current folder
        place = locate(name, "dataset")
        # The Hub's files lie in a folder of this data set; what was packed is unpacked among the downloads of all.
        home = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=place, repo_type="dataset")
        caches = (config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH)
        return _loaded(name, lambda: _chosen(name, place, configuration), home, (home, *caches))
    if configuration is not None:
        if path.is_dir():
            return _loaded(name, lambda: _chosen(name, str(path), configuration), path)
        raise DataError(f"{name} has no configurations; leave config={configuration!r} out.")
    if path.is_file():
        return {"train": read_file(path)}
    if not path.is_dir():
        raise DataError(f"{name} is a device or a pipe; give a file, a folder or a Hub id.")
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _loaded(name, lambda: (load_from_disk(str(path)), []), path)
    if len(inside := list(islice(files_in(path), MANY))) == MANY:
        raise DataError(f"{name} has more than {MANY - 1:,} files; give the folder of the pictures alone, or a table.")
    beside = texts_beside(path, inside)
    texts = {Path(row["file_name"]).stem for row in beside.rows} if beside else set()
    files = [f for f in inside if not f.endswith(_LIBRARYS) and Path(f).stem not in texts and is_table(path / f)]
    found = _of_splits(name, files)
    if not found and any(file.endswith(_LIBRARYS) for file in inside):
        return _loaded(name, lambda: _chosen(name, str(path), None), path)
    if not found and beside:
        return {"train": beside}
    if not found and len(files) != 1:
        raise DataError(f"{name} has {_lack(name, path, inside, files)}.")
    notes = [] if found else [f"its captions are read from {files[0]}"]
    found = found or {"train": files[0]}
    tables = {split: read_file(path / file) for split, file in found.items()}
    notes += unread(file for file in inside if file not in found.values())
    next(iter(tables.values())).notes.extend(notes)
    return tables


def _of_splits(name: str, files: list[str]) -> dict[str, str]:
    """The tables among the files of a folder that are called metadata or name a split: split → file."""
    tables: dict[str, str] = {}
    for file in files:
        *folders, last = Path(file).with_suffix("").parts
        split = split_in([last, *re.split(r"[\W_]+", last), *folders]) or ("train" if last == "metadata" else None)
        if split and (first := tables.setdefault(split, file)) != file:
            raise DataError(f"{name} has two tables for one split, {first} and {file}; keep one, or give one of them.")
    return tables


def _lack(name: str, folder: Path, files: list[str], tables: list[str]) -> str:
    """What a folder lacks that holds no table by a name that is known, and what to do."""
    if tables:
        return f"{len(tables)} tables ({', '.join(tables[:4])}); give one of them, as {name}/{tables[0]}"
    for file in files:
        if file.endswith(tuple(OTHERS)):
            read_file(folder / file)  # says what to do
    pictures = sum(file.lower().endswith(SUFFIXES) for file in files)
    what = f"pictures ({pictures}) and no file with their captions" if pictures else "no pictures and no captions"
    beside = "or a text beside each picture, p.txt for p.jpg"
    return f"{what}; put a metadata.csv into it, with the columns file_name and text, {beside}"


def _chosen(name: str, place: str, configuration: str | None) -> tuple[Any, list[str]]:
    """What the datasets library reads of a place, with the configuration asked for; and what it passes over."""
    folder, options, inside = Path(place), {}, []
    if folder.is_dir():
        if glob.escape(place) != place:
            raise DataError(f"The library datasets takes the signs * ? [ in {place} for a pattern; rename the folder.")
        inside = list(files_in(folder))
        options["cache_dir"] = cache_for(folder / file for file in inside)
    try:
        loaded, passed = load_dataset(place, name=configuration, **options), []
        if inside and not configuration:
            files = load_dataset_builder(place, **options).config.data_files or {}
            read = {str(file) for some in files.values() for file in some}
            passed = unread(f for f in inside if f.endswith(_LIBRARYS) and str(folder / f) not in read)
        return loaded, passed
    except Exception:
        known: list[str] = []
        with suppress(Exception):
            known = get_dataset_config_names(place)
        if configuration in known or (configuration is None and len(known) < 2):
            raise
    what = f"no configuration {configuration!r}" if configuration else "several configurations"
    known = [other for other in known if other != "default"] if configuration is None else known
    raise DataError(f"{name} has {what}; choose with config= one of {', '.join(known)}.")


def _loaded(
    name: str, load: Callable[[], tuple[Any, list[str]]], folder: Path, caches: tuple[Path, ...] = ()
) -> dict[str, Listed]:
    """What the datasets library reads, its errors in one sentence."""
    what, mend = f"{name} cannot be read as a data set", "mend its files or give another"
    with readable(DataError, lambda error: f"{what}: {first_line(error.__cause__ or error)}; {mend}."):
        loaded, notes = load()
    splits = loaded if isinstance(loaded, dict) else {"train": loaded}
    tables = {split: stored(dataset, folder, caches) for split, dataset in splits.items()}
    next(iter(tables.values())).notes.extend(notes)
    return tables


def _joined(tables: dict[str, Listed]) -> Listed:
    """The rows of all splits as one."""
    first, *others = tables.values()
    if not others:
        return first
    if isinstance(first, Stored):
        first.rows = concatenate_datasets([table.rows for table in tables.values()])
        return first
    for table in others:
        for row in table.rows:
            if isinstance(name := row.get(table.picture), str):
                row[table.picture] = str(table.folder / name)
        first.faults |= {len(first.rows) + i: why for i, why in table.faults.items()}
        first.rows += table.rows
        first.notes += table.notes
        first.caches += (table.folder,)
    return first
