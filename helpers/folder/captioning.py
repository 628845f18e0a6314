"""Captioning every picture of a folder: in batches, past damaged ones, and on from where an earlier run stopped."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.errors import ImageError, MemoryShortage, SettingsError
from helpers.folder.written import (
    TABLES,
    Row,
    check_writable,
    read_table,
    row_of,
    said_beside,
    said_in,
    shown,
    table_text,
    write_text,
)
from helpers.inference import Caption, caption_batch, caption_images
from helpers.paths import resolve
from helpers.reading.files import BESIDE
from helpers.reading.names import files_in
from helpers.reading.pictures import SUFFIXES, load_image
from helpers.transforms import kept_share, report_crops

logger = logging.getLogger(__name__)

PAUSE = 2  # seconds until a table is written again, whole: one of 20,000 rows takes a twentieth of a second


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
    names, texts = _names(place, str(folder), nested)
    table = place / f"captions.{write}"
    old = read_table(table) if write in TABLES else []
    rows = said_beside(place, names, texts) if write == "txt" else said_in(old, names, table.name)
    if done := sum(bool(row["caption"]) for row in rows.values()):
        where = "a .txt beside them" if write == "txt" else table.name
        message = "%s: %d of %d pictures have a caption in %s, which stays; remove it there to get a new one."
        logger.warning(message, folder, done, len(names), where)
    waiting = [name for name in names if name not in rows]
    check_writable({(place / name).parent if write == "txt" else place for name in waiting if write})
    replaced = {shown(name) for name in waiting}
    lines = [row for row in old if row["file_name"] not in replaced]
    due = 0.0
    try:
        for fresh in _captioned(model, processor, place, waiting, batch_size, numbers):
            rows |= fresh
            lines += [{key: value for key, value in row.items() if value not in ("", None)} for row in fresh.values()]
            for name, row in fresh.items():
                if write == "txt" and row["caption"]:
                    write_text((place / name).with_suffix(".txt"), row["caption"] + "\n")
            if write in TABLES and time.monotonic() >= due:
                write_text(table, table_text(lines, write))
                due = time.monotonic() + PAUSE
    finally:  # of a run that somebody stops, too
        if write in TABLES and waiting:
            write_text(table, table_text(lines, write))
    if faults := [row for row in rows.values() if row["reason"]]:
        first = "{file_name}: {reason}".format(**faults[0])
        logger.warning(
            "%s: %d of %d pictures have no caption; the first is %s.", folder, len(faults), len(names), first
        )
    return [rows[name] for name in names]


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
                    if name != shown(name):
                        raise ImageError("its name is not in UTF-8; rename it.")
                    pictures[name] = load_image(place / name)
                except ImageError as error:
                    rows[name] = row_of(name, reason=str(error).replace(str(place / name), "it").rstrip("."))
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
            rows |= {name: _said(name, caption) for name, caption in zip(pictures, said, strict=True)}
            yield {name: rows[name] for name in batch}
            start += len(batch)
            bar.update(len(batch))
    report_crops(kept)


def _names(place: Path, folder: str, nested: bool) -> tuple[list[str], list[str]]:
    """The names of the pictures and of the texts, inside the folder, in order."""
    if not place.is_dir():
        raise ImageError(f"{folder} is no folder; check the spelling, or give the folder that holds the pictures.")
    files = [file for file in map(Path, files_in(place)) if nested or file.name == str(file)]
    names = [file.as_posix() for file in files if file.suffix.lower() in SUFFIXES]
    kinds = Counter(
        file.suffix for file in files if (guess_type(file.name, strict=False)[0] or "").startswith("image/")
    )
    if others := {kind: count for kind, count in kinds.items() if kind.lower() not in SUFFIXES}:
        listed = ", ".join(f"{count} {kind}" for kind, count in others.items())
        logger.warning("%s: left out pictures of kinds that are not read (%s); save them as PNG.", folder, listed)
    if not names:
        raise ImageError(
            f"{folder} holds no pictures of a kind that is read; give another folder, or save them as PNG."
        )
    return names, [file.as_posix() for file in files if file.suffix.lower() in BESIDE]


def _said(name: str, caption: Caption) -> Row:
    if text := " ".join(caption.text.split()):  # on one line, for in a text each line may be read as a caption
        return row_of(name, text, round(caption.confidence, 3))
    return row_of(name, reason="the captioner says nothing of it; write its caption by hand")
