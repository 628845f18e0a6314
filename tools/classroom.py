"""For teachers: the notebooks without their solutions, and a table of verdicts on the learners' notebooks.

`python -m tools.classroom class | marks`; docs/teaching.md says how.
"""

import argparse
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from helpers.captioner import load_or_train, saved_settings
from helpers.checks.verdicts import MIME
from helpers.notebook import markdown_table
from helpers.paths import ROOT, artifacts_folder, move_aside, write_whole
from helpers.text import whole
from tools import exercises
from tools import notebooks as tool

# What learners get besides the notebooks. The tests stay here: they hold right answers.
CARRIED = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "pyproject.toml",
    "requirements.txt", "requirements-dev.txt", "requirements-colab.txt", ".gitignore", "data", "models", "docs",
    "helpers", "tools", "benchmarks", "notebooks/ruff.toml",
)  # fmt: skip
SHARED = 4  # cells of the course by which a notebook is known; some stand in several
COLUMNS = ("file", "notebook", "exercise", "check", "verdict", "note")
# What the tests of the checks hand to an exercise, too: with these, each of them runs alone, those of notebook 8 on the
# steps of helpers.by_hand.
BEFORE = """from helpers.by_hand import *
from helpers.creatures import attribute_columns
from helpers.data import load_captions
from helpers.families import load_processor

dataset, processor = load_captions("data/pocket-creatures"), load_processor("models/git-tiny")
columns, tokenizer = attribute_columns(dataset["train"]), processor.tokenizer"""


def make_class(folder: Path) -> None:
    """Writes the project for learners: its notebooks without solutions, and without badges, which open those with."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SystemExit(f"{folder} is there already, and is left as it is; name another with FOLDER=…")
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for name in CARRIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for path in tool.paths():
        notebook = exercises.without_solutions(tool.stripped(tool.read(path)))
        notebook.cells[0].source = re.sub(tool.BADGE_PATTERN + r"\s*", "", notebook.cells[0].source)
        tool.write(notebook, folder / "notebooks" / path.name)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(re.sub(tool.BADGE_PATTERN, "", page), encoding="utf-8")
    print(f"{folder} holds the project for learners. Hand out the whole folder.")


Course = dict[str, tuple[set[str], dict[str, str]]]


def course() -> Course:
    """Each notebook of the course: the sources of its cells, and the exercise of each check."""
    found = {}
    for path in tool.paths():
        notebook = tool.read(path)
        cells = [cell.id.removeprefix("exercise-") for cell, _ in exercises.with_checks(notebook)]
        checks = dict(zip(exercises.names(notebook), cells, strict=True))
        found[path.stem] = ({cell.source for cell in notebook.cells}, checks)
    return found


def rows_of(file: str, record: dict[str, Any], known: Course) -> list[dict[str, str]]:
    """What the table says of one file: a row for each check of its notebook, and one for what else happened."""
    shared = {stem: len(sources & set(record["sources"])) for stem, (sources, _) in known.items()}
    stem, end, errors = max(shared, key=shared.get), record["end"], record["errors"]
    rows = [(stem, exercise, check, record["said"].get(check, "missing")) for check, exercise in known[stem][1].items()]
    if shared[stem] < SHARED:
        stem, rows, end = "", [], end if end != "ran" else "no notebook of this course"
    kind = "no notebook" if end.startswith("no notebook") else "stopped" if end != "ran" else "error"
    note = f"errors: {len(errors)}, the first: {errors[0]}"[:200] if errors and end == "ran" else end
    if note != "ran" or not rows:
        rows.append((stem, "", "", kind if note != "ran" else "ran", note))
    return [dict(zip(COLUMNS, (file, *row, ""), strict=False)) for row in rows]


def run_copy(path: Path, captioner: Path, minutes: float, memory: float, quick: bool) -> dict[str, Any]:
    """Runs a copy of a learner's notebook in a temporary folder, with artifacts of its own, and ends all it began."""
    with tempfile.TemporaryDirectory(prefix="pocket-captions-", ignore_cleanup_errors=True) as place:
        folder, record = Path(place).resolve(), Path(place) / "record.json"
        artifacts = folder / "artifacts"
        (folder / "notebooks").mkdir()
        if captioner.is_dir():
            shutil.copytree(captioner, artifacts / "captioner")
        kept = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_DATASETS_CACHE", "HF_HUB_CACHE")}
        # Nothing is uploaded, no login is in sight, and a GPU, which has a memory of its own, is not asked for.
        kept |= {"HF_HOME": f"{folder}/hub", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(folder)}
        kept |= {"CAPTIONING_ARTIFACTS": str(artifacts), "JUPYTER_RUNTIME_DIR": f"{folder}/jupyter"}
        kept |= {"PYTHONPATH": str(ROOT)}
        asked = {"copy": f"{folder}/notebooks/notebook.ipynb", "record": str(record), "mime": MIME, "memory": memory}
        asked |= {"seconds": minutes * 60 / 4, "before": BEFORE if quick else None}
        command = [sys.executable, "-m", "tools.one_notebook", json.dumps(asked)]
        end = "it ended by itself, perhaps because its memory was full"
        try:
            shutil.copyfile(path, asked["copy"])
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.Popen(command, env=kept, cwd=ROOT, start_new_session=True, **quiet).wait(minutes * 60)
        except subprocess.TimeoutExpired:
            end = f"it took more than {minutes:g} minutes"
        except OSError as error:
            end = f"no notebook: {error.strerror}"
        finally:
            end_all(artifacts)
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {"sources": [], "said": {}, "errors": [], "end": ""}  # it has not come so far
        return {**found, "end": found["end"] or end}


def end_all(artifacts: Path) -> None:
    """Kills what was begun for a notebook, kernels and their children in sessions of their own included."""
    for _ in range(20):
        begun = [
            each for each in psutil.process_iter(["environ"])
            if (each.info["environ"] or {}).get("CAPTIONING_ARTIFACTS") == str(artifacts)
        ]  # fmt: skip
        for process in begun:
            process.kill()
        if not begun:
            return
        psutil.wait_procs(begun, timeout=1)


def write_table(rows: list[dict[str, str]], out: Path) -> None:
    """Writes the rows as CSV, and as Markdown below the number of right answers in each file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    # A spreadsheet would take a name that begins with such a sign for a formula.
    writer.writerows({k: f"'{v}" if v[:1] in ("=", "+", "-", "@") else v for k, v in row.items()} for row in rows)
    write_whole(out / "marks.csv", "\ufeff" + text.getvalue())
    checks = [row for row in rows if row["check"]]
    right = Counter(row["file"] for row in checks if row["verdict"] == "right")
    sums = [{"file": k, "right": right[k], "checks": n} for k, n in Counter(row["file"] for row in checks).items()]
    write_whole(out / "marks.md", f"{markdown_table(sums).data}\n\n{markdown_table(rows).data}\n")


def mark(folder: Path, out: Path, minutes: float, memory: float, quick: bool, only: str) -> None:
    """Runs the notebooks below a folder one after the other, and writes the table anew after each.

    Raises:
        SystemExit: there is no notebook, or the folder lies where the table is written.
    """
    if folder.resolve().is_relative_to(out.resolve()):
        raise SystemExit(f"{folder} lies in {out}, which is for the table; move it elsewhere.")
    inside = [path.relative_to(folder) for path in sorted(folder.rglob(only)) if path.is_file()]
    files = [path for path in inside if path.suffix == ".ipynb" and not any(part[0] == "." for part in path.parts)]
    if not files:
        raise SystemExit(f"{folder} holds no notebooks (*.ipynb) to mark.")
    if out.exists():
        print(f"The table that was in {out} is in {move_aside(out)}.")
    if not quick and not (artifacts_folder() / "captioner").is_dir():
        print("There is no captioner yet: one is trained, and each notebook gets a copy of it.")
        load_or_train(saved_settings())
    rows, known = [], course()
    for number, path in enumerate(files, 1):
        began = time.perf_counter()
        record = run_copy(folder / path, artifacts_folder() / "captioner", minutes, memory, quick)
        new = rows_of(whole(str(path)), record, known)
        write_table(rows := rows + new, out)
        counts = Counter(row["verdict"] for row in new)
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        print(f"{number} of {len(files)}: {whole(str(path))}: {said} ({time.perf_counter() - began:.0f} s)", flush=True)
    print(f"The table: {out}/marks.csv and marks.md")


def main(arguments: list[str]) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["class", "marks"])
    parser.add_argument("folder", nargs="?", type=Path, help="to write to (class), or with the learners' notebooks")
    parser.add_argument("--minutes", type=float, default=10, help="that a notebook may take; a check's cell a quarter")
    parser.add_argument("--memory", type=float, default=4, help="GB for a notebook, on Linux; 0: no limit")
    parser.add_argument("--quick", action="store_true", help="run only the cells with a check, each on its own")
    parser.add_argument("--only", default="*.ipynb", help="a pattern of the names of files")
    asked = parser.parse_args(arguments)
    if asked.command == "class":
        return make_class(asked.folder or artifacts_folder() / "class")
    if asked.folder is None:
        raise SystemExit("Name the folder that holds the learners' notebooks: make marks FOLDER=…")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended from outside; the table holds the rows so far."))
    try:
        mark(asked.folder, artifacts_folder() / "marks", asked.minutes, asked.memory, asked.quick, asked.only)
    except KeyboardInterrupt:
        raise SystemExit("Stopped; the table holds the rows so far.") from None


if __name__ == "__main__":
    main(sys.argv[1:])
