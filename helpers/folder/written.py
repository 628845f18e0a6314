"""What is written of a folder's captions, as texts beside the pictures or a table: read again, continued, whole."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from helpers.errors import SettingsError, first_line
from helpers.paths import write_whole

TABLES = ("csv", "jsonl")
COLUMNS = ("file_name", "caption", "confidence", "reason")
Row = dict[str, Any]  # of the columns; or of a table that was there, with what else it holds


def row_of(name: str, caption: str = "", confidence: float | None = None, reason: str = "") -> Row:
    """A row of a picture: what is said of it, or why nothing is."""
    return dict(zip(COLUMNS, (shown(name), caption, confidence, reason), strict=True))


def shown(name: str) -> str:
    """The name with a question mark for each byte that is no letter, which no table can hold."""
    return name.encode(errors="replace").decode()


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()  # as some disks do, and load_captions


def said_beside(place: Path, names: list[str], texts: list[str]) -> dict[str, Row]:
    """The rows of the pictures that have a text beside them, or that would share one."""
    rows, owners, by_stem = {}, {}, {_stem(text): text for text in texts}
    for name in names:
        text = by_stem.get(_stem(name))
        if (first := owners.setdefault(_stem(name), name)) != name:
            rows[name] = row_of(name, reason=f"it would share its text with {first}; rename one of the two")
        elif text:
            try:
                caption = (place / text).read_text(encoding="utf-8-sig", errors="replace").strip()
                rows[name] = row_of(name, caption, reason="" if caption else f"{text} is empty; fill it or remove it")
            except OSError as error:
                rows[name] = row_of(name, reason=f"{text} cannot be read ({error.strerror}); move it away")
    return rows


def said_in(table: list[Row], names: list[str], where: str) -> dict[str, Row]:
    """The rows of the pictures that a table has; those that it gives a reason for are tried again."""
    rows, known = {}, set(names)
    for row in table:
        name, caption = row["file_name"], (row.get("caption") or "").strip()
        if name in known and (caption or not row.get("reason")):
            reason = "" if caption else f"its caption in {where} is empty; write one, or remove the row"
            rows[name] = row_of(name, caption, _number(row.get("confidence")), reason)
    return rows


def _number(value: Any) -> float | None:
    with suppress(TypeError, ValueError):
        return float(value)


def read_table(table: Path) -> list[Row]:
    """The rows of a table that is there already, whoever wrote it; none where there is no table."""
    try:
        text = table.read_bytes().decode("utf-8-sig")
        if table.suffix == ".csv":
            read = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            rows, header = list(read), [dict.fromkeys(read.fieldnames, "")] if read.fieldnames else []
        else:
            header, rows = [], [json.loads(line) for line in text.split("\n") if line.strip()]
        if all(map(_is_row, header + rows)):
            return rows
        why = "not each row has a file_name and a caption"
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        why = first_line(error)
    raise SettingsError(f"{table.name} is there already and cannot be continued ({why}); rename it to get a new one.")


def _is_row(row: Any) -> bool:
    named = isinstance(row, dict) and isinstance(row.get("file_name"), str) and None not in row
    return named and isinstance(row.get("caption") or "", str) and not {"caption", "reason"}.isdisjoint(row)


def table_text(rows: list[Row], form: str) -> str:
    """The rows as CSV, with a column for whatever one of them holds, or as JSON Lines."""
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = io.StringIO()
    writer = csv.DictWriter(
        text, dict.fromkeys((*COLUMNS[:3], *(name for row in rows for name in row))), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    # Spreadsheets take a table for one in UTF-8 only with this mark, and without other letters it makes no difference.
    return ("" if text.getvalue().isascii() else "\ufeff") + text.getvalue()


def check_writable(folders: Iterable[Path]) -> None:
    """Makes sure, before an hour of captioning and not after it, that its captions can be written."""
    for folder in folders:
        with _writing(folder, "copy the pictures into a folder of your own, or leave write out"):
            tempfile.TemporaryFile(dir=folder).close()


def write_text(file: Path, text: str) -> None:
    """Writes a file whole, or says why not."""
    with _writing(file.name, "mend that and call again; the captions so far stay"):
        write_whole(file, text)


@contextmanager
def _writing(what: str | Path, mend: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{what} cannot be written to ({error.strerror}); {mend}.") from None
