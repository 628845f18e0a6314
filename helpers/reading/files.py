"""Reading files of captions as rows: CSV and its kin, JSON, JSON Lines, parquet, and a text beside each picture."""

import csv
import glob
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet
from datasets import Dataset, config, load_dataset
from datasets.fingerprint import Hasher

from helpers.errors import DataError, first_line, readable
from helpers.reading.coco import objects, picture_folder, rows_of
from helpers.reading.pictures import SUFFIXES
from helpers.reading.rows import PATHS, Listed, Stored
from helpers.text import folded, visible

BESIDE = (".txt", ".caption")  # endings of the files that hold the caption of the picture of the same name
_OTHERS = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save it as CSV in UTF-8")
_OTHERS |= dict.fromkeys((".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it, and give the folder")
# Of these a text beside says that they are meant as pictures; what they are is then said of each.
_UNREAD = (".svg", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".ico")
_PICTURE = re.compile(rf"\s*\S.*({'|'.join(map(re.escape, SUFFIXES))})(#\d+)?\s*", re.IGNORECASE)


def read_file(file: Path, folder: Path | None) -> Listed:
    """The rows of a file; their paths are relative to the folder, or to the place where the pictures are found."""
    if (ending := file.suffix.lower()) not in READERS:
        advice = _OTHERS.get(ending, f"give one that ends in {', '.join(READERS)}")
        raise DataError(f"{file.name} is no data set file; {advice}.")
    sentence = "{} cannot be read: {}; mend it or save it anew."
    with readable(DataError, lambda error: sentence.format(_shown(file), first_line(error))):
        table = READERS[ending](file, folder)
    if folder is None and not isinstance(table, Stored) and (column := next(iter(table.picture_columns()), None)):
        table.folder = picture_folder(file, table.values(column))
    return table


def is_table(file: Path) -> bool:
    """Whether a file of a folder holds rows of captions, and is not some other text."""
    if (ending := file.suffix.lower()) not in (".txt", ".token"):
        return ending in READERS
    with suppress(DataError):
        return _named(_cells(_text(file))[0])
    return False


def texts_beside(folder: Path, files: Iterable[str]) -> Listed | None:
    """The pictures among the files of a folder, with the captions in a text of the same name beside each."""
    pictures, texts = [], defaultdict(list)
    for name in files:
        stem, ending = os.path.splitext(name)
        if ending.lower() in (*SUFFIXES, *_UNREAD):
            pictures.append((name, stem))
        elif ending.lower() in BESIDE:
            texts[visible(stem).casefold()].append(name)
    table, given = Listed([], folder), {}
    # Of a photo and its copy as HEIC, the one that is read has the caption.
    for name, stem in sorted(pictures, key=lambda picture: picture[0].lower().endswith(_UNREAD)):
        found = texts.get(key := visible(stem).casefold(), [])
        captions = [line for text in found for line in _lines(folder / text)]
        if not found:
            table.faults[len(table.rows)] = f"it has no caption; write one into {stem}.txt, beside {name}"
        elif (other := given.setdefault(key, name)) != name:
            table.faults[len(table.rows)] = f"its caption in {found[0]} is that of {other} too; rename one of them"
        table.rows.append({"file_name": name, "captions": captions})
    if not given:  # no picture has one, and perhaps none was meant to
        return None
    if several := sum(len(row["captions"]) > 1 for row in table.rows):
        table.notes.append(f"{several} texts have several lines, each of which is a caption of its picture")
    if others := [found[0] for key, found in texts.items() if key not in given]:
        table.notes.append(f"what belongs to no picture is not read: {', '.join(others[:3])}, {len(others)} in all")
    return table


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in _text(file).splitlines() if visible(line).strip()] or [""]


def _shown(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 where it begins so; what is neither becomes halves of letters.

    Those are a fault of their rows. Other codings are not guessed: charset-normalizer took 5 of 19 small tables for
    another one than they were written in, and learnt captions cannot be mended.
    """
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    if b"\0" in content:
        raise DataError(f"{_shown(file)} is no text in UTF-8, for it holds zeros; save it anew as UTF-8.")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _named(cells: list[str]) -> bool:
    """Whether the cells are names of columns, one of them of pictures, or hold a picture's name."""
    return any(folded(cell) in PATHS or _PICTURE.fullmatch(cell) for cell in cells)


def _cells(text: str) -> tuple[list[str], str]:
    """The cells of the first line that holds any, and what divides them."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "").rstrip("\r\n")
    divided = {d: next(csv.reader([first], delimiter=d), []) for d in ",;\t|"}
    delimiter = max(divided, key=lambda d: (len(divided[d]) > 1 and _named(divided[d]), len(divided[d])))
    return divided[delimiter], delimiter


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], int, str]]:
    """The records of a CSV text: their cells, the lines that each takes, and what is wrong with it.

    A quotation mark out of place costs its own line alone.
    """
    lines, place = list(io.StringIO(text, newline="")), 0

    def rest() -> Iterator[str]:
        nonlocal place
        while place < len(lines):
            place += 1
            yield lines[place - 1]

    spaced = bool(re.search(rf'{re.escape(delimiter)} +"', text))  # a space before a quotation mark would hide it
    while place < len(lines):
        start = place
        # strict: a quotation mark that is never closed would swallow all later rows without a word.
        read = csv.reader(rest(), delimiter=delimiter, strict=True, skipinitialspace=spaced)
        try:
            cells = next(read)
            if any(map(str.strip, cells)):
                yield cells, place - start, ""
        except csv.Error:
            place = start + 1
            advice = 'write two ("") for one inside a caption, and one at each end of the caption'
            yield [], 1, f"a quotation mark in line {place} of its table is out of place; {advice}"


def _csv_table(file: Path, folder: Path | None) -> Listed:
    text, notes = re.sub(r"\A\s*sep=.\r?\n", "", _text(file), flags=re.IGNORECASE), []  # which Excel writes
    first, delimiter = _cells(text)
    limit = csv.field_size_limit(
        len(text) + 1
    )  # a caption may be longer than 131,072 characters; the transform cuts it
    try:
        records = list(_records(text, delimiter))
    finally:
        csv.field_size_limit(limit)
    if headless := any(map(_PICTURE.fullmatch, first)) and not any(folded(cell) in PATHS for cell in first):
        header = _header_of([cells for cells, *_ in records if cells])
        notes.append(f"its first line names no columns; they are taken for {', '.join(header)}")
    else:
        header = [visible(cell).strip() for cell in records[0][0]] if records else []
    records = records if headless else records[1:]
    used = [j for j, name in enumerate(header) if name or any(cells[j:] and cells[j].strip() for cells, *_ in records)]
    header = [name or f"column {j + 1}" for j, name in enumerate(header)]
    if len({header[j] for j in used}) < len(used):
        raise DataError(f"{_shown(file)} has two columns of the same name ({', '.join(header)}); rename one.")
    rows, faults = [], {}
    for i, (cells, _, why) in enumerate(records):
        row = dict(zip_longest(header, cells[: len(header)]))
        rows.append({header[j]: row[header[j]] for j in used})
        if why:
            faults[i] = why
        elif any(map(str.strip, cells[len(header) :])):
            faults[i] = f"it has {len(cells)} fields under {len(header)} columns; quote captions with commas"
    if long := sum(lines > 1 for _, lines, _ in records):
        notes.append(f"{long} rows take several lines of the table, inside quotation marks")
    return Listed(rows, folder or file.parent, faults, notes)


def _header_of(records: list[list[str]]) -> list[str]:
    """Names for the columns of a table that has none: its pictures, its longest texts, and the others by number."""
    width = len(records[0])
    lengths = [sum(len(cells[j]) for cells in records[:100] if cells[j:]) for j in range(width)]
    picture = next(j for j, cell in enumerate(records[0]) if _PICTURE.fullmatch(cell))
    caption = max((j for j in range(width) if j != picture), key=lengths.__getitem__, default=None)
    return [{picture: "file_name", caption: "caption"}.get(j, f"column {j + 1}") for j in range(width)]


def _json_table(file: Path, folder: Path | None) -> Listed:
    """A list of objects, or an object a line, whatever the file's ending; captions files of COCO and Karpathy."""
    text = _text(file)
    lines = [line for line in text.split("\n") if line.strip()]  # at no other sign: a caption may hold U+2028
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = [_line(line) for line in lines]
        if file.suffix.lower() == ".json" and not any(isinstance(value, dict) for value in content):
            raise
    if isinstance(content, dict) and file.suffix.lower() != ".json" and len(lines) == 1:
        content = [content]
    rows, faults, notes = objects(content) if isinstance(content, list) else rows_of(content, _shown(file))
    return Listed(rows, folder or file.parent, faults, notes)


def _line(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)


def _parquet_table(file: Path, folder: Path | None) -> Listed:
    kinds = {column.name: str(column.type) for column in pyarrow.parquet.read_schema(file)}
    pictures = {name: kind for name, kind in kinds.items() if folded(name) in PATHS}
    embedded = any(kind.startswith(("struct", "binary", "large_binary")) for kind in pictures.values())
    texts = ("string", "large_string", "dictionary<values=string", "dictionary<values=large_string")
    if not embedded and any(kind.startswith(texts) for kind in pictures.values()):
        return Listed(pyarrow.parquet.read_table(file).to_pylist(), folder or file.parent)
    return Stored(_loaded_file("parquet", file), folder or file.parent)


def _tar_table(file: Path, folder: Path | None) -> Listed:
    return Stored(_loaded_file("webdataset", file), folder or file.parent)


def _loaded_file(kind: str, file: Path) -> Dataset:
    escaped = glob.escape(str(file))  # the library takes brackets and stars for a pattern
    return load_dataset(kind, data_files=escaped, split="train", cache_dir=cache_for([file]))


def cache_for(files: Iterable[Path]) -> str:
    """Where the datasets library shall keep its copy of these files: another place for each state of theirs.

    By itself it knows a file by its name and time, which archives and copies set as they like. The time of the last
    change of its entry (ctime) nobody sets.
    """
    states = [
        (str(file), state.st_size, state.st_mtime_ns, state.st_ctime_ns) for file in files if (state := file.stat())
    ]
    return str(Path(config.HF_DATASETS_CACHE) / "by-state" / Hasher.hash(sorted(states)))


READERS: dict[str, Callable[[Path, Path | None], Listed]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".token"), _csv_table),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json_table),
    ".parquet": _parquet_table,
    ".tar": _tar_table,
}
