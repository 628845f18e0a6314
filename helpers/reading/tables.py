"""Files and folders of captioned pictures → their rows, as they stand there, unchecked."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet
from datasets import Dataset, DatasetDict, config, load_dataset, load_from_disk
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from helpers.errors import DataError, first_line
from helpers.paths import resolve
from helpers.reading.coco import picture_folder, rows_of
from helpers.reading.locate import locate
from helpers.reading.pictures import SUFFIXES

# What people call their splits, and what they are called here.
SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "val", "valid", "dev"), "validation")
PATHS = ("file_name", "image", "path")  # the columns that may hold a picture's path, the likeliest first


@dataclass
class Table:
    """The rows of one split.

    Attributes:
        rows: a Dataset, or a list of dictionaries whose pictures are paths.
        folder: what the paths of pictures are relative to, and do not leave.
        faults: row number → what is wrong with the row as it was read.
        caches: where else the datasets library itself puts pictures of this data set.
    """

    rows: Dataset | list[dict[str, Any]]
    folder: Path
    faults: dict[int, str] = field(default_factory=dict)
    caches: tuple[Path, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they come."""
        if isinstance(self.rows, Dataset):
            return self.rows.column_names
        return list(dict.fromkeys(name for row in self.rows for name in row))


def read_tables(name: str, images: str | None = None) -> dict[str, Table]:
    """The splits that a name leads to.

    Args:
        name: a file (csv, jsonl, json, COCO's and Karpathy's included, parquet), a folder with such files or with
            pictures and a metadata file, a folder that `save_to_disk` wrote, or a Hub id.
        images: the folder that paths are relative to; the file's own folder where None, or for json one beside it.

    Returns:
        split → Table; "train" alone where the data set does not come divided.

    Raises:
        DataError: there is nothing that can be read as rows.
    """
    folder = resolve(images) if images is not None else None
    if folder and not folder.is_dir():
        raise DataError(f"images={images!r} is no folder; give the folder of the pictures (looked for {folder}).")
    path = resolve(name)
    if path.is_file():
        return _grouped(_table(path, folder))
    if not path.is_dir():
        place = locate(name, "dataset")
        # The Hub's files lie in a folder of this data set; what was packed is unpacked among the downloads of all.
        home = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="dataset")
        caches = (config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH)
        return _loaded(name, lambda: load_dataset(place), folder or home, (home, *caches))
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _loaded(name, lambda: load_from_disk(str(path)), folder or path)
    files = _metadata_files(name, path)
    if "train" in files and len(files) == 1:
        return _grouped(_table(files["train"], folder))
    if files:
        return {split: _table(file, folder) for split, file in files.items()}
    _check_folder(name, path)
    return _loaded(name, lambda: load_dataset(str(path)), folder or path)


def _metadata_files(name: str, folder: Path) -> dict[str, Path]:
    """The files that say which captions the pictures of a folder have: split → file."""
    files = [file for place in (folder, *sorted(folder.glob("*/"))) for file in sorted(place.glob("metadata.*"))]
    files += [
        file
        for file in sorted(folder.glob("*.*"))
        if file.stem in SPLITS and file.suffix in (".csv", ".jsonl", ".json")
    ]
    found: dict[str, Path] = {}
    for file in files:
        if file.suffix not in _READERS:
            continue
        split = SPLITS.get(file.stem) or SPLITS.get(file.parent.name if file.parent != folder else "train")
        if split in found:
            raise DataError(
                f"{name} has two tables for one split, {found[split].name} and {file.name}; keep one of them."
            )
        if split:
            found[split] = file
    return found


def _check_folder(name: str, folder: Path) -> None:
    """Says what a folder lacks that holds no table by a name that is known."""
    files = list(islice(_below(folder), 5_000))
    if any(file.suffix in (".parquet", ".arrow") for file in files):
        return
    tables = [file for file in files if file.suffix in _READERS]
    if tables:
        shown = tables[0].relative_to(folder)
        raise DataError(
            f"{name} has no metadata.csv or metadata.jsonl; if its captions are in {shown}, give {name}/{shown}."
        )
    pictures = sum(file.suffix.lower() in SUFFIXES for file in files)
    what = (
        f"has pictures ({pictures}) and no file with their captions" if pictures else "has no pictures and no captions"
    )
    raise DataError(f"{name} {what}; put a metadata.csv into it, with the columns file_name and text.")


def _below(folder: Path) -> Iterator[Path]:
    """What lies below a folder, as far as one may look."""
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names)


def _loaded(name: str, load: Callable[[], Any], folder: Path, caches: tuple[Path, ...] = ()) -> dict[str, Table]:
    """What the datasets library reads, its errors in one sentence."""
    try:
        found = load()
    except DataError:
        raise
    except Exception as error:
        said = first_line(error.__cause__ or error)
        raise DataError(f"{name} cannot be read as a data set: {said}; mend its files or give another.") from None
    splits = found if isinstance(found, DatasetDict) else {"train": found}
    return {split: Table(dataset, folder, caches=caches) for split, dataset in splits.items()}


def _grouped(table: Table) -> dict[str, Table]:
    """One table by split, where a column split names them or all paths begin with the name of one; else as it is."""
    if isinstance(table.rows, Dataset):
        return {"train": table}
    column = next((name for name in PATHS if name in table.columns), None)
    named = [SPLITS.get(str(row.get("split"))) for row in table.rows]
    begun = [SPLITS.get(str(row.get(column)).partition("/")[0]) for row in table.rows]
    if any(named):
        # What is meant for a test must not land in train because its split is mistyped.
        for i in (i for i, part in enumerate(named) if part is None and i not in table.faults):
            table.faults[i] = (
                f"its split {str(table.rows[i].get('split'))[:40]!r} is none of {', '.join(SPLITS)}; mend it"
            )
    parts = named if any(named) else begun
    sound = [part for i, part in enumerate(parts) if i not in table.faults]
    if not sound or None in sound:
        return {"train": table}
    parts = [part or sound[0] for part in parts]
    groups = {split: [i for i, part in enumerate(parts) if part == split] for split in dict.fromkeys(parts)}
    return {
        split: Table(
            [table.rows[i] for i in rows],
            table.folder,
            {place: table.faults[i] for place, i in enumerate(rows) if i in table.faults},
        )
        for split, rows in groups.items()
    }


def _table(file: Path, folder: Path | None) -> Table:
    if file.suffix not in _READERS:
        raise DataError(f"{file.name} is no data set file; give one that ends in {', '.join(_READERS)}.")
    try:
        rows, faults = _READERS[file.suffix](file)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{_shown(file)} cannot be read: {first_line(error)}; mend it or save it anew.") from None
    # COCO's captions do not lie in the folder of their pictures.
    beside = picture_folder(file, rows) if file.suffix == ".json" else file.parent
    return Table(rows, folder or beside, faults)


def _shown(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _text(file: Path) -> str:
    content = file.read_bytes()
    coding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(coding)
    except UnicodeDecodeError as error:
        raise DataError(f"{_shown(file)} is not in UTF-8 (byte {error.start:,}); save it anew in UTF-8.") from None


def _csv_rows(file: Path) -> tuple[list[dict], dict[int, str]]:
    text = _text(file)
    head = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(sys.maxsize)  # a caption may be longer than 131,072 characters; the transform cuts it
    # strict: a quotation mark that is never closed would swallow all later rows without a word.
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = [line for line in read if any(cell.strip() for cell in line)]
    header = [cell.strip() for cell in lines[0]] if lines else []
    if len(set(header)) < len(header):
        raise DataError(f"{_shown(file)} has two columns of the same name ({', '.join(header)}); rename one.")
    rows, faults = [], {}
    for line in lines[1:]:
        if len(line) > len(header):
            faults[len(rows)] = f"it has {len(line)} fields under {len(header)} columns; quote captions with commas"
        rows.append({name: line[i] if i < len(line) else None for i, name in enumerate(header)})
    return rows or [], faults


def _json_rows(file: Path) -> tuple[list[dict], dict[int, str]]:
    text = _text(file)
    if file.suffix == ".json":
        rows = json.loads(text)
        if not isinstance(rows, list):
            return rows_of(rows, _shown(file))
    else:
        rows = [_line(line) for line in text.splitlines() if line.strip()]
    faults = {i: "it is no JSON object; write one a line" for i, row in enumerate(rows) if not isinstance(row, dict)}
    return [row if isinstance(row, dict) else {} for row in rows], faults


def _line(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parquet_rows(file: Path) -> tuple[Dataset | list[dict], dict[int, str]]:
    kinds = {column.name: str(column.type) for column in pyarrow.parquet.read_schema(file)}
    embedded = kinds.get("image", "").startswith(("struct", "binary", "large_binary"))
    texts = ("string", "large_string", "dictionary<values=string", "dictionary<values=large_string")
    if not embedded and any(kinds.get(name, "").startswith(texts) for name in PATHS):
        return pyarrow.parquet.read_table(file).to_pylist(), {}
    return load_dataset("parquet", data_files=str(file), split="train"), {}


_READERS = {".csv": _csv_rows, ".jsonl": _json_rows, ".json": _json_rows, ".parquet": _parquet_rows}
