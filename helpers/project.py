"""The closing project: captions to check by hand for their facts, and a rubric table of what was done and what not."""

import csv
import hashlib
import io
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.errors import DataError
from helpers.metrics import wilson_interval
from helpers.paths import move_aside, resolve, write_whole
from helpers.reading.files import read_file
from helpers.reading.given import list_of_pictures
from helpers.reading.pictures import load_image
from helpers.text import visible

logger = logging.getLogger(__name__)

COLUMNS = ("picture", "caption", "facts", "id")
MARKS = ("right", "wrong", "")
NOT_YET = "not yet"


def captions_to_check(
    folder: str | Path, images: Sequence[Any], captions: Sequence[str], *, most: int = 50, seed: int = 0
) -> list[dict[str, Any]]:
    """Chooses captions at random for somebody to check, and reads the marks that they have written.

    The first call writes to-check.csv into the folder, with an empty column facts. A later one reads it, and leaves it
    as it is while the captions are the same. Where some are not, each mark stays with its own caption and picture, by
    the id; a table with marks of other captions is moved aside.

    Args:
        folder: of the table, as `resolve` takes it.
        images: as `caption_images` takes them.
        captions: one for each picture.
        most: how many to choose; where there are fewer pictures, all of them are taken.
        seed: of the choice.

    Returns:
        A row for each caption, by picture (its place among the images): picture, caption, facts ("right", "wrong" or
        "" where nobody has said), id.

    Raises:
        DataError: a mark is another word, the table lacks a column, or images and captions differ in number.
    """
    images, table = list_of_pictures(images), resolve(folder) / "to-check.csv"
    if len(images) != len(captions):
        raise DataError(f"There are {len(images)} pictures and {len(captions)} captions to check; give one each.")
    chosen = sorted(random.Random(seed).sample(range(len(images)), min(most, len(images))))
    rows = [dict(zip(COLUMNS, (i, captions[i], "", _id(i, images[i], captions[i])), strict=True)) for i in chosen]
    marks = _marks(table) if table.exists() else {}
    for row in rows:
        row["facts"] = marks.get(row["id"], "")
    if marks.keys() == (known := {row["id"] for row in rows}):
        return rows
    if lost := sum(bool(mark) for name, mark in marks.items() if name not in known):
        logger.warning("Marks of other captions than these: %d; they stay in %s.", lost, move_aside(table).name)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"caption": " ".join(visible(row["caption"]).split())} for row in rows)
    # Spreadsheets take a table for one in UTF-8 only with this mark.
    write_whole(table, "\ufeff" + text.getvalue())
    return rows


def share_right(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many of the captions that `captions_to_check` chose have their facts right, with Wilson's interval.

    Nothing is said of a part of them: those that are checked first are not chosen at random.
    """
    marks = [row["facts"] for row in rows]
    if left := marks.count(""):
        return f"{NOT_YET}: {len(marks) - left} of {len(marks)} are marked"
    right = marks.count("right")
    low, high = wilson_interval(right, len(marks))
    return f"facts right in {right} of {len(marks)} captions, or {right / len(marks):.2f} ({low:.2f} to {high:.2f})"


def what_was_done(
    report: Iterable[Mapping[str, Any]],
    copies: Iterable[Mapping[str, Any]],
    compared: Sequence[str],
    checked: Sequence[Mapping[str, Any]],
    answers: Mapping[str, str],
) -> list[dict[str, str]]:
    """The project's rubric: what its author says, and then what the notebook has found out by itself.

    Args:
        report: the rows of `data_report`.
        copies: what `copies_by_split` gave.
        compared: a sentence for each baseline.
        checked: what `captions_to_check` gave.
        answers: step → what the author says of it; "not yet" stands where that is empty.

    Returns:
        Rows with the keys step, what was done, and who says so (the author or the notebook).
    """
    rows = list(report)
    pictures = sum(row["pictures"] for row in rows if row["row"] == "all")
    left_out = sum(row["row"] not in ("all", "note") for row in rows)
    shared = sum(row["in_other_splits"] for row in copies)
    found = {
        "Rows read": f"{pictures}; left out: {left_out}",
        "Split without copies": f"{'no' if shared else 'yes'}: pictures with a copy in another split: {shared}",
        "Baselines beaten, by word error rate": "\n".join(compared) or NOT_YET,
        "Captions checked by hand for facts": share_right(checked),
    }
    said = {step: str(answer or "").strip() or NOT_YET for step, answer in answers.items()}
    return [
        {"step": step, "what was done": text, "who says so": who}
        for who, steps in (("the author", said), ("the notebook", found))
        for step, text in steps.items()
    ]


def _id(place: int, image: Any, caption: str) -> str:
    """Of a caption at its picture; letters first, for a spreadsheet takes 12e45678 for a number."""
    digest = hashlib.sha256(load_image(image).tobytes() + f"{place} {caption}".encode(errors="replace"))
    return f"id-{digest.hexdigest()[:8]}"


def _marks(table: Path) -> dict[str, str]:
    """The marks of a table that somebody has filled in: id → mark."""
    marks = {}
    for row in read_file(table).rows:
        if lacking := [name for name in ("facts", "id") if row.get(name) is None]:
            advice = "write its name again above it, or remove the file to get a new one"
            raise DataError(f"{table.name} has a row without the column {lacking[0]}; {advice}.")
        if (mark := row["facts"].strip().lower()) not in MARKS:
            named = f"{table.name}: picture {row.get('picture')} is marked {row['facts']!r}"
            raise DataError(f"{named}; write right or wrong, or leave it empty.")
        marks[row["id"].strip()] = mark
    return marks
