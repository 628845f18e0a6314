"""Reading files of captions as rows: CSV and its kin, JSON, JSON Lines, parquet, and a text beside each picture."""

import csv
import glob
import io
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from datasets import config, load_dataset
from datasets.fingerprint import Hasher

from helpers.errors import DataError, first_line, readable
from helpers.reading.coco import objects, rows_of
from helpers.reading.names import NAMED
from helpers.reading.pictures import SUFFIXES
from helpers.reading.rows import PATHS, Listed, stored
from helpers.text import alike, folded, visible

BESIDE = (".txt", ".caption")  # endings of the files that hold the caption of the picture of the same name
OTHERS = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save it as CSV in UTF-8")
OTHERS |= dict.fromkeys((".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it, and give the folder")
# Of these a text beside says that they are meant as pictures; what they are is then said of each.
_UNREAD = (".svg", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".ico")
_BETWEEN = re.compile(r"[\s,\]]*")  # JSON values
_NEXT_ROW = re.compile(r"\n\s*(?={)|\Z")


def read_file(file: Path) -> Listed:
    """The rows of a file; their paths are relative to its folder."""
    if (ending := file.suffix.lower()) not in READERS:
        advice = OTHERS.get(ending, f"give one that ends in {', '.join(READERS)}")
        raise DataError(f"{file.name} is no data set file; {advice}.")
    sentence = "{} cannot be read: {}; mend it or save it anew."
    with readable(DataError, lambda error: sentence.format(_shown(file), first_line(error))):
        return READERS[ending](file)


def is_table(file: Path) -> bool:
    """Whether a file of a folder holds rows of captions, and is not some other text."""
    if (ending := file.suffix.lower()) not in (".txt", ".token"):
        return ending in READERS
    with suppress(DataError, OSError):
        return _named(_cells(_text(file))[0])
    return False


def texts_beside(folder: Path, files: list[str]) -> Listed | None:
    """The pictures among the files of a folder, with the captions in a text of the same name beside each.

    p.txt and p.jpg.txt are both p.jpg's. The note says which other files may be meant, and are not read.
    """
    pictures = [name for name in files if name.lower().endswith((*SUFFIXES, *_UNREAD))]
    texts, seen_as = defaultdict(list), defaultdict(list)
    for name in files:
        if name.lower().endswith(BESIDE):
            texts[os.path.splitext(name)[0]].append(name)
            seen_as[alike(os.path.splitext(name)[0])].append(name)
    rows, faults, given = [], {}, {}
    # Of a photo and its copy as HEIC, the one that is read has the caption.
    for name in sorted(pictures, key=lambda name: name.lower().endswith(_UNREAD)):
        stem = os.path.splitext(name)[0]
        found = texts.get(stem) or texts.get(name) or seen_as.get(alike(stem)) or seen_as.get(alike(name), [])
        i, captions = len(rows), []
        if not found:
            faults[i] = f"it has no caption; write one into {stem}.txt, beside {name}"
        elif (other := given.setdefault(found[0], name)) != name:
            faults[i] = f"its caption in {found[0]} is that of {other} too; rename one of them"
        for text in found:
            try:
                captions += _lines(folder / text)
            except (DataError, OSError) as error:
                faults[i] = f"its text {text} cannot be read: {first_line(error)}; mend it or save it anew"
        given |= dict.fromkeys(found, name)
        rows.append({"file_name": name, "captions": captions})
    if not given:  # no picture has one, and perhaps none was meant to
        return None
    table = Listed(rows, folder, faults)
    if several := sum(len(row["captions"]) > 1 for row in rows):
        table.notes.append(f"each line of a text is a caption; pictures that have several: {several}")
    table.notes += unread(file for file in files if file not in given)
    return table


def unread(files: Iterable[str]) -> list[str]:
    """What is said of files that may hold captions and are not read."""
    some = [file for file in files if file.lower().endswith((*BESIDE, *READERS, *OTHERS))]
    told = f"other files that may hold captions are not read: {', '.join(some[:3])}, {len(some)} in all"
    return [told] if some else []


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
    return any(folded(cell) in PATHS or NAMED.fullmatch(cell) for cell in cells)


def _cells(text: str) -> tuple[list[str], str]:
    """The cells of the first line that holds any, and what divides them."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "").rstrip("\r\n")
    divided = {d: next(csv.reader([first], delimiter=d), []) for d in ",;\t|"}
    delimiter = max(divided, key=lambda d: (len(divided[d]) > 1 and _named(divided[d]), len(divided[d])))
    return divided[delimiter], delimiter


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """The records of a CSV text: their cells, and what is wrong with them.

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
            # One that another row closes would swallow those between, which name pictures.
            if any(NAMED.fullmatch(cell) for line in lines[start + 1 : place] for cell in line.split(delimiter)):
                raise csv.Error
            if any(map(str.strip, cells)):
                yield cells, ""
        except csv.Error:
            place = start + 1
            advice = 'write two ("") for one inside a caption, and one at each end of the caption'
            yield [], f"a quotation mark in line {place} of its table is out of place; {advice}"


def _csv_table(file: Path) -> Listed:
    text, notes = re.sub(r"\A\s*sep=.\r?\n", "", _text(file), flags=re.IGNORECASE), []  # which Excel writes
    first, delimiter = _cells(text)
    limit = csv.field_size_limit(len(text) + 1)  # a caption may be longer than 131,072 signs; the transform cuts it
    try:
        records = list(_records(text, delimiter))
    finally:
        csv.field_size_limit(limit)
    if headless := any(map(NAMED.fullmatch, first)) and not any(folded(cell) in PATHS for cell in first):
        header = _header_of([cells for cells, _ in records if cells])
        notes.append(f"its first line names no columns; they are taken for {', '.join(header)}")
    else:
        header = [visible(cell).strip() for cell in records[0][0]] if records else []
    records, names = records if headless else records[1:], records[0][0] if records and not headless else None
    used = [j for j, name in enumerate(header) if name or any(cells[j:] and cells[j].strip() for cells, _ in records)]
    counts = Counter()
    for j, name in enumerate(header):
        counts[name] += 1
        header[j] = f"{name} {counts[name]}" if name and counts[name] > 1 else name or f"column {j + 1}"
    if several := [name for name, count in counts.items() if name and count > 1]:
        notes.append(f"it has columns of the same name ({', '.join(several)}), which are numbered")
    rows, faults = [], {}
    for i, (cells, why) in enumerate(records):
        row = dict(zip_longest(header, cells[: len(header)]))
        rows.append({header[j]: row[header[j]] for j in used})
        if why or cells == names:
            faults[i] = why or "it repeats the names of the columns; remove it"
        elif any(map(str.strip, cells[len(header) :])):
            faults[i] = f"it has {len(cells)} fields under {len(header)} columns; quote captions with commas"
    return Listed(rows, file.parent, faults, notes)


def _header_of(records: list[list[str]]) -> list[str]:
    """Names for the columns of a table that has none: its pictures, its longest texts, and the others by number."""
    width = len(records[0])
    lengths = [sum(len(cells[j]) for cells in records[:100] if cells[j:]) for j in range(width)]
    picture = next(j for j, cell in enumerate(records[0]) if NAMED.fullmatch(cell))
    caption = max((j for j in range(width) if j != picture), key=lengths.__getitem__, default=None)
    return [{picture: "file_name", caption: "caption"}.get(j, f"column {j + 1}") for j in range(width)]


def _json_table(file: Path) -> Listed:
    """A list of objects, or one after another, whatever the file's ending; captions files of COCO and Karpathy."""
    text = _text(file)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = list(_values(text.strip()))
        # Of an object that is damaged, those inside are no rows.
        if file.suffix.lower() == ".json" and not isinstance(next(iter(content), None), dict):
            raise
    if isinstance(content, dict) and file.suffix.lower() != ".json" and "images" not in content:
        content = [content]
    rows, faults, notes = objects(content) if isinstance(content, list) else rows_of(content, _shown(file))
    return Listed(rows, file.parent, faults, notes)


def _values(text: str) -> Iterator[Any]:
    """JSON values that stand one after another, or in a list that is damaged; None for each that cannot be read."""
    place, read = int(text.startswith("[")), json.JSONDecoder().raw_decode
    while (place := _BETWEEN.match(text, place).end()) < len(text):
        try:
            value, place = read(text, place)
        except (ValueError, RecursionError):
            value, place = None, _NEXT_ROW.search(text, place).end()
        yield value


def _library_table(file: Path) -> Listed:
    kind = {".tar": "webdataset"}.get(file.suffix.lower(), "parquet")
    escaped = glob.escape(str(file))  # the library takes brackets and stars for a pattern
    return stored(load_dataset(kind, data_files=escaped, split="train", cache_dir=cache_for([file])), file.parent)


def cache_for(files: Iterable[Path]) -> str:
    """Where the datasets library shall keep its copy of these files: another place for each state of theirs.

    By itself it knows a file by its name and time, which archives and copies set as they like. The time of the last
    change of its entry (ctime) nobody sets.
    """
    states = [(str(f), s.st_size, s.st_mtime_ns, s.st_ctime_ns) for f in files if f.exists() and (s := f.stat())]
    return str(Path(config.HF_DATASETS_CACHE) / "by-state" / Hasher.hash(sorted(states)))


READERS: dict[str, Callable[[Path], Listed]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".token"), _csv_table),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json_table),
    **dict.fromkeys((".parquet", ".tar"), _library_table),
}
