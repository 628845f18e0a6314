"""A folder of pictures captioned, and the captions written beside them (.txt) or into a table: whole, and continued."""

import csv
import io
import json
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.errors import DataError, ImageError, MemoryShortage, SettingsError, first_line
from helpers.inference import caption_batch, caption_images
from helpers.paths import resolve, write_whole
from helpers.reading.files import BESIDE, read_file, texts_beside
from helpers.reading.names import Finder, files_in
from helpers.reading.pictures import SUFFIXES, load_image
from helpers.text import alike, whole
from helpers.transforms import kept_share, report_crops

logger = logging.getLogger(__name__)

TABLES = ("csv", "jsonl")
COLUMNS = ("file_name", "caption", "confidence", "reason")
PAUSE = 2  # seconds until a table is written again, whole: one of 20,000 rows takes a twentieth of a second
Row = dict[str, Any]  # of the columns; or of a table that was there, with what else it holds


def caption_folder(
    model: PreTrainedModel,
    processor: Any,
    folder: str | Path,
    *,
    write: str | None = None,
    nested: bool = True,
    batch_size: int = 8,
    num_beams: int = 1,
    max_new_tokens: int = 48,
) -> list[Row]:
    """Captions every picture in a folder; hidden files and what lies behind links to folders are left out.

    What is written, a text after each batch and a table every few seconds, is whole, and what was there stays: a
    picture that has a caption there is not read again. So a run that was stopped goes on where it stopped, and captions
    that were mended by hand are kept.

    Args:
        model, processor, batch_size, num_beams, max_new_tokens: as `caption_images` takes them.
        folder: as `resolve` takes it.
        write: "txt" for a text beside each picture, p.txt for p.jpg; "csv" or "jsonl" for one table in the folder,
            captions.csv or captions.jsonl. `load_captions` reads each. A caption stands there as it was said; a
            spreadsheet takes one that begins with =, +, - or @ for a formula, unless that column is read as text.
        nested: whether folders inside the folder count.

    Returns:
        A row for each picture, by name: file_name, inside the folder; caption; confidence, None where it is not known;
        reason, why there is no caption. One of caption and reason is empty.

    Raises:
        ImageError: there is no such folder, or no picture in it.
        SettingsError: a value cannot be used, or what `write` asks for cannot be written.
        MemoryShortage: there is too little memory even for one picture at a time.
    """
    numbers = {"num_beams": num_beams, "max_new_tokens": max_new_tokens}
    caption_images(model, processor, [], batch_size=batch_size, **numbers)  # which checks the numbers
    if write not in (None, "txt", *TABLES):
        raise SettingsError(f"write is {write!r}; give 'txt', 'csv', 'jsonl' or None.")
    place = resolve(folder)
    names, texts = _names(place, nested)
    table = place / f"captions.{write}"
    old = _read_table(table) if write in TABLES else []
    rows = _said_beside(place, names, texts) if write == "txt" else _said_in(old, names, table.name)
    if done := sum(bool(row["caption"]) for row in rows.values()):
        where = "a .txt beside them" if write == "txt" else table.name
        message = "%s: %d of %d pictures have a caption in %s, which stays; remove it there to get a new one."
        logger.warning(message, folder, done, len(names), where)
    waiting = [name for name in names if name not in rows]
    for home in {(place / name).parent if write == "txt" else place for name in waiting if write}:
        # Before an hour of captioning, and not after it.
        with _writing(home, "copy the pictures into a folder of your own, or leave write out"):
            tempfile.TemporaryFile(dir=home).close()
    replaced = set(map(whole, waiting))
    lines = [row for row in old if row["file_name"] not in replaced]

    def write_table() -> None:
        with _writing(table.name):
            write_whole(table, _table_text(lines, write))

    due = 0.0
    try:
        for fresh in _captioned(model, processor, place, waiting, batch_size, numbers):
            rows |= fresh
            lines += [{key: value for key, value in row.items() if value not in ("", None)} for row in fresh.values()]
            for name, row in fresh.items():
                if write == "txt" and row["caption"]:
                    text = (place / name).with_suffix(".txt")
                    with _writing(text.name):
                        write_whole(text, row["caption"] + "\n")
            if write in TABLES and time.monotonic() >= due:
                write_table()
                due = time.monotonic() + PAUSE
    finally:  # of a run that somebody stops, too
        if write in TABLES and waiting:
            write_table()
    if faults := [row for row in rows.values() if row["reason"]]:
        first = "{file_name}: {reason}".format(**faults[0])
        message = "%s: %d of %d pictures have no caption; the first is %s."
        logger.warning(message, folder, len(faults), len(names), first)
    return [rows[name] for name in names]


def _names(place: Path, nested: bool) -> tuple[list[str], list[str]]:
    """The names of the pictures and of the texts, inside the folder, in order."""
    if not place.is_dir():
        advice = "give its folder, or [picture] to caption_images" if place.is_file() else "check the spelling"
        raise ImageError(f"{place} is no folder; {advice}.")
    files = list(map(Path, files_in(place)))
    inside = [file for file in files if nested or file.name == str(file)]
    names = [file.as_posix() for file in inside if file.suffix.lower() in SUFFIXES]
    kinds = Counter(
        file.suffix for file in inside if (guess_type(file.name, strict=False)[0] or "").startswith("image/")
    )
    if others := {kind: count for kind, count in kinds.items() if kind.lower() not in SUFFIXES}:
        listed = ", ".join(f"{count} {kind}" for kind, count in others.items())
        logger.warning("%s: left out pictures of kinds that are not read (%s); save them as PNG.", place, listed)
    if not names:
        advice = "give another folder, or save them as PNG" if len(files) == len(inside) else "leave nested=False out"
        raise ImageError(f"{place} holds no pictures of a kind that is read; {advice}.")
    return names, [file.as_posix() for file in inside if file.suffix.lower() in BESIDE]


def _row(name: str, caption: str = "", confidence: float | None = None, reason: str = "") -> Row:
    """A row of a picture: what is said of it, or why nothing is."""
    return dict(zip(COLUMNS, (whole(name), caption, confidence, reason), strict=True))


def _stem(name: str) -> str:
    return alike(os.path.splitext(name)[0])  # as some disks do, and load_captions


def _said_beside(place: Path, names: list[str], texts: list[str]) -> dict[str, Row]:
    """The rows of the pictures that have a text beside them, or that would share one."""
    rows, owners, by_stem = {}, {}, {_stem(text): text for text in texts}
    for name in names:
        text = by_stem.get(_stem(name))
        if (first := owners.setdefault(_stem(name), name)) != name:
            rows[name] = _row(name, reason=f"it would share its text with {first}; rename one of the two")
        elif text:
            read = texts_beside(place, [name, text])
            caption = "\n".join(read.rows[0]["captions"])
            why = read.faults.get(0, "") or ("" if caption else f"{text} is empty; fill it or remove it")
            if whole(caption) != caption:
                caption, why = "", f"{text} is not in UTF-8; save it anew"
            rows[name] = _row(name, caption, reason=why)
    return rows


def _read_table(table: Path) -> list[Row]:
    """The rows of a table that is there already, whoever wrote it; none where there is no table."""
    if not table.exists():
        return []
    try:
        read = read_file(table)
        text = whole(spelled := json.dumps(read.rows, ensure_ascii=False)) == spelled and not read.faults
        why = "" if text and all(map(_is_row, read.rows)) else "not each row has a file_name and a caption in UTF-8"
    except (OSError, DataError) as error:
        why = first_line(error)
    if why:
        advice = "rename it to get a new one"
        raise SettingsError(f"{table.name} is there already and cannot be continued ({why}); {advice}.")
    names = Finder(table.parent)([row["file_name"] for row in read.rows])
    return [row | {"file_name": name} for row, name in zip(read.rows, names, strict=True)]


def _is_row(row: Row) -> bool:
    texts = isinstance(row.get("file_name"), str) and isinstance(row.get("caption") or "", str)
    return texts and not {"caption", "reason"}.isdisjoint(row)


def _said_in(table: list[Row], names: list[str], where: str) -> dict[str, Row]:
    """The rows of the pictures that a table has; those that it gives a reason for are tried again."""
    rows, known = {}, set(names)
    for row in table:
        name, caption, sure = row["file_name"], (row.get("caption") or "").strip(), None
        if name in known and (caption or not row.get("reason")):
            with suppress(TypeError, ValueError):
                sure = float(row.get("confidence"))
            why = "" if caption else f"its caption in {where} is empty; write one, or remove the row"
            rows[name] = _row(name, caption, sure, why)
    return rows


def _table_text(rows: list[Row], form: str) -> str:
    """The rows as CSV, with a column for whatever one of them holds, or as JSON Lines."""
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text, names = io.StringIO(), dict.fromkeys((*COLUMNS[:3], *(name for row in rows for name in row)))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Spreadsheets take a table for one in UTF-8 only with this mark, and without other letters it makes no difference.
    return ("" if text.getvalue().isascii() else "\ufeff") + text.getvalue()


@contextmanager
def _writing(what: str | Path, mend: str = "mend that and call again; the captions so far stay") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{what} cannot be written to ({error.strerror}); {mend}.") from None


def _captioned(
    model: PreTrainedModel, processor: Any, place: Path, names: list[str], size: int, numbers: dict[str, int]
) -> Iterator[dict[str, Row]]:
    """The rows of so many pictures at a time, by name; of fewer from where memory is short."""
    kept, start = [], 0
    with tqdm(total=len(names), desc="Captioning", unit="picture", leave=False) as bar:
        while batch := names[start : start + size]:
            rows, pictures = {}, {}
            for name in batch:
                try:
                    if name != whole(name):
                        raise ImageError("its name is not in UTF-8; rename it.")
                    pictures[name] = load_image(place / name)
                except ImageError as error:
                    rows[name] = _row(name, reason=str(error).replace(str(place / name), "it").rstrip("."))
            try:
                images = list(pictures.values())
                said = caption_batch(model, processor, images, batch_size=size, **numbers) if images else []
            except MemoryShortage as error:
                if size == 1:
                    raise
                size //= 2
                logger.warning("%s It goes on with batch_size=%d.", error, size)
                continue
            kept += [kept_share(image.size, processor) for image in images]
            for name, caption in zip(pictures, said, strict=True):
                text = " ".join(caption.text.split())  # on one line, for in a text each may be read as a caption
                why = "" if text else "the captioner says nothing of it; write its caption by hand"
                rows[name] = _row(name, text, round(caption.confidence, 3) if text else None, why)
            yield {name: rows[name] for name in batch}
            start += len(batch)
            bar.update(len(batch))
    report_crops(kept)
