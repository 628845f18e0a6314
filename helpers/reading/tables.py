"""Reading tables (CSV, JSON Lines, JSON, parquet) and folders of captioned pictures: their rows, as they stand."""

import csv
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet
from datasets import DatasetDict, config, load_dataset, load_from_disk
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from helpers.errors import DataError, first_line, readable
from helpers.paths import resolve
from helpers.reading.coco import picture_folder, rows_of
from helpers.reading.locate import locate
from helpers.reading.pictures import SUFFIXES
from helpers.reading.rows import PATHS, SPLITS, Listed, Stored, by_split


def read_tables(name: str, images: str | None = None) -> dict[str, Listed]:
    """The splits that a name leads to.

    Args:
        name: a file (csv, jsonl, json, COCO's and Karpathy's included, parquet), a folder with such files or with
            pictures and a metadata file, a folder that `save_to_disk` wrote, or a Hub id.
        images: the folder that paths are relative to; the file's own folder where None, or for json one beside it.

    Returns:
        split → rows; "train" alone where the data set does not come divided.

    Raises:
        DataError: there is nothing that can be read as rows.
    """
    folder = resolve(images) if images is not None else None
    if folder and not folder.is_dir():
        raise DataError(f"images={images!r} is no folder; give the folder of the pictures (looked for {folder}).")
    path = resolve(name)
    if path.is_file():
        return by_split(_table(path, folder))
    if not name.strip() or not path.is_dir():  # no name at all would mean the current folder
        place = locate(name, "dataset")
        # The Hub's files lie in a folder of this data set; what was packed is unpacked among the downloads of all.
        home = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="dataset")
        caches = (config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH)
        return _loaded(name, lambda: load_dataset(place), folder or home, (home, *caches))
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _loaded(name, lambda: load_from_disk(str(path)), folder or path)
    if tables := {split: _table(file, folder) for split, file in _metadata_files(name, path).items()}:
        return by_split(tables["train"]) if list(tables) == ["train"] else tables
    _check_folder(name, path)
    return _loaded(name, lambda: load_dataset(str(path)), folder or path)


def _metadata_files(name: str, folder: Path) -> dict[str, Path]:
    """The files that say which captions the pictures of a folder have: split → file."""
    files = [file for place in (folder, *sorted(folder.glob("*/"))) for file in sorted(place.glob("metadata.*"))]
    files += [file for file in sorted(folder.glob("*.*")) if file.stem in SPLITS and file.suffix != ".parquet"]
    tables: dict[str, Path] = {}
    for file in files:
        place = file.parent.name if file.parent != folder else "train"
        split = SPLITS.get(place if file.stem == "metadata" else file.stem)
        if split and file.suffix in _READERS and (first := tables.setdefault(split, file)) != file:
            raise DataError(f"{name} has two tables for one split, {first.name} and {file.name}; keep one of them.")
    return tables


def _check_folder(name: str, folder: Path) -> None:
    """Says what a folder lacks that holds no table by a name that is known."""
    files = list(islice((Path(place) / file for place, _, names in os.walk(folder) for file in names), 5_000))
    if any(file.suffix in (".parquet", ".arrow") for file in files):
        return
    if tables := [file.relative_to(folder) for file in files if file.suffix in _READERS]:
        where = f"if its captions are in {tables[0]}, give {name}/{tables[0]}"
        raise DataError(f"{name} has no metadata.csv or metadata.jsonl; {where}.")
    pictures = sum(file.suffix.lower() in SUFFIXES for file in files)
    what = f"pictures ({pictures}) and no file with their captions" if pictures else "no pictures and no captions"
    raise DataError(f"{name} has {what}; put a metadata.csv into it, with the columns file_name and text.")


def _loaded(name: str, load: Callable[[], Any], folder: Path, caches: tuple[Path, ...] = ()) -> dict[str, Listed]:
    """What the datasets library reads, its errors in one sentence."""
    what, mend = f"{name} cannot be read as a data set", "mend its files or give another"
    with readable(DataError, lambda error: f"{what}: {first_line(error.__cause__ or error)}; {mend}."):
        loaded = load()
    splits = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {split: Stored(dataset, folder, caches=caches) for split, dataset in splits.items()}


def _table(file: Path, folder: Path | None) -> Listed:
    if file.suffix not in _READERS:
        raise DataError(f"{file.name} is no data set file; give one that ends in {', '.join(_READERS)}.")
    sentence = "{} cannot be read: {}; mend it or save it anew."
    with readable(DataError, lambda error: sentence.format(_shown(file), first_line(error))):
        return _READERS[file.suffix](file, folder)


def _shown(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{_shown(file)} is not in UTF-8 (byte {error.start:,}); save it anew in UTF-8.") from None


def _csv_table(file: Path, folder: Path | None) -> Listed:
    text = _text(file)
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    limit = csv.field_size_limit(len(text))  # a caption may be longer than 131,072 characters; the transform cuts it
    try:
        # strict: a quotation mark that is never closed would swallow all later rows without a word.
        read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [line for line in read if any(cell.strip() for cell in line)]
    finally:
        csv.field_size_limit(limit)
    header = [cell.strip() for cell in lines[0]] if lines else []
    if len(set(header)) < len(header):
        raise DataError(f"{_shown(file)} has two columns of the same name ({', '.join(header)}); rename one.")
    rows = [dict(zip_longest(header, line[: len(header)])) for line in lines[1:]]
    long = {i: len(line) for i, line in enumerate(lines[1:]) if len(line) > len(header)}
    advice = f"fields under {len(header)} columns; quote captions with commas"
    return Listed(rows, folder or file.parent, {i: f"it has {fields} {advice}" for i, fields in long.items()})


def _json_table(file: Path, folder: Path | None) -> Listed:
    content = json.loads(_text(file))
    rows, faults = _objects(content) if isinstance(content, list) else rows_of(content, _shown(file))
    return Listed(rows, folder or picture_folder(file, rows), faults)  # COCO's pictures do not lie beside it


def _json_lines_table(file: Path, folder: Path | None) -> Listed:
    rows, faults = _objects([_line(line) for line in _text(file).splitlines() if line.strip()])
    return Listed(rows, folder or file.parent, faults)


def _line(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)


def _objects(values: list[Any]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The rows that are JSON objects, empty ones in place of the others, and which those are."""
    faults = {i: "it is no JSON object; write one a line" for i, row in enumerate(values) if not isinstance(row, dict)}
    return [{} if i in faults else row for i, row in enumerate(values)], faults


def _parquet_table(file: Path, folder: Path | None) -> Listed:
    kinds = {column.name: str(column.type) for column in pyarrow.parquet.read_schema(file)}
    embedded = kinds.get("image", "").startswith(("struct", "binary", "large_binary"))
    texts = ("string", "large_string", "dictionary<values=string", "dictionary<values=large_string")
    if not embedded and any(kinds.get(name, "").startswith(texts) for name in PATHS):
        return Listed(pyarrow.parquet.read_table(file).to_pylist(), folder or file.parent)
    return Stored(load_dataset("parquet", data_files=str(file), split="train"), folder or file.parent)


_READERS = {".csv": _csv_table, ".jsonl": _json_lines_table, ".json": _json_table, ".parquet": _parquet_table}
