"""A class: a project without solutions that works, and a table of verdicts on what learners hand in, whatever it is."""

import csv
import os
import re
import sys

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.checks.verdicts import MIME
from tools import classroom, exercises
from tools import notebooks as tool

COURSE = tool.FOLDER / "02_preprocess.ipynb"
# What a check shows; the real one would load torch. `test_solved_notebooks_are_right` has the real ones.
SAYS = f"display({{'{MIME}': {{'check': 'check_labels', 'verdict': 'right'}}}}, raw=True)"
SOLVED = f"def check_labels():\n    {SAYS}\n\ncheck_labels()"
FAKE = f"print('Right. All is well.')\nprint({{'{MIME}': {{'check': 'check_labels', 'verdict': 'right'}}}})"


def handed_in(path, *code):
    """A learner's notebook: some of the course's words, and code cells."""
    words = [cell.source for cell in tool.read(COURSE).cells if cell.cell_type == "markdown"]
    cells = [new_code_cell(each) if isinstance(each, str) else each for each in code]
    path.parent.mkdir(parents=True, exist_ok=True)
    tool.write(new_notebook(cells=[*map(new_markdown_cell, words), *cells]), path)
    return path


def marked(folder, artifacts, **given):
    options = {"minutes": 5, "memory": 4, "quick": False, "only": "*.ipynb"} | given
    (artifacts / "captioner").mkdir(parents=True, exist_ok=True)
    (artifacts / "captioner" / "config.json").write_text("whole")
    classroom.mark(folder, artifacts / "marks", **options)
    assert (artifacts / "captioner" / "config.json").read_text() == "whole"
    with (artifacts / "marks" / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def one(rows, file, check=""):
    [row] = [row for row in rows if (row["file"], row["check"]) == (file, check)]
    return row["verdict"], row["note"]


def test_verdicts_of_what_was_run(tmp_path, artifacts):
    """Two kernels: one that goes on after errors, and one that dies."""
    folder = tmp_path / "in"
    spoil = "import os\nopen(os.environ['CAPTIONING_ARTIFACTS'] + '/captioner/config.json', 'w').write('mine')"
    handed_in(folder / "Ada" / "=2 fertig!.ipynb", spoil, "undefined", "bytearray(10 ** 11)", SOLVED)
    old = new_code_cell(
        FAKE, outputs=[new_output("display_data", {MIME: {"check": "check_labels", "verdict": "right"}})]
    )
    handed_in(folder / "b.ipynb", old, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", SOLVED)
    (folder / "c.ipynb").write_bytes(b"\xff no notebook")
    (folder / ".ipynb_checkpoints").mkdir()
    handed_in(folder / ".ipynb_checkpoints" / "d.ipynb", SOLVED)
    before = {path: path.read_bytes() for path in folder.rglob("*.ipynb")}
    rows = marked(folder, artifacts)
    assert one(rows, "Ada/=2 fertig!.ipynb", "check_labels") == ("right", "")
    verdict, note = one(rows, "Ada/=2 fertig!.ipynb")
    assert verdict == "error"
    assert "NameError" in note
    assert note.startswith(f"errors: {2 if sys.platform == 'linux' else 1}, ")
    assert one(rows, "b.ipynb", "check_labels") == ("not reached", "")
    assert one(rows, "b.ipynb") == ("stopped", "its kernel died")
    assert one(rows, "c.ipynb")[0] == "no notebook"
    assert {row["file"] for row in rows} == {"Ada/=2 fertig!.ipynb", "b.ipynb", "c.ipynb"}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    text = (artifacts / "marks" / "marks.md").read_text(encoding="utf-8")
    assert "| b.ipynb | 02_preprocess |  |  | stopped | its kernel died |" in text


def test_a_notebook_that_hangs_ends_with_all_that_it_began(tmp_path, artifacts):
    begin = "import subprocess, time\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    begin += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))"
    deaf = "while True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass"
    handed_in(tmp_path / "in" / "a.ipynb", begin, deaf, SOLVED)
    rows = marked(tmp_path / "in", artifacts, minutes=0.2)
    assert one(rows, "a.ipynb", "check_labels")[0] == "not reached"
    assert one(rows, "a.ipynb") == ("stopped", "it took more than 0.2 minutes")
    child = int((tmp_path / "pid").read_text())  # it may stay as a zombie where nobody asks what became of it
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def recorded(monkeypatch, *records):
    """Lets no notebook run: these are what the processes write."""
    found = iter(records)

    def run_copy(*_):
        record = next(found)
        if isinstance(record, BaseException):
            raise record
        return {"sources": [cell.source for cell in tool.read(COURSE).cells], "errors": [], "end": "ran", **record}

    monkeypatch.setattr(classroom, "run_copy", run_copy)


def test_a_check_that_was_deleted_is_missing(tmp_path, artifacts, monkeypatch):
    recorded(monkeypatch, {"said": {"check_of_my_own": "right"}}, {"said": {}, "sources": ["1 + 1"]})
    for name in "ab":
        handed_in(tmp_path / "in" / f"{name}.ipynb")
    rows = marked(tmp_path / "in", artifacts)
    assert one(rows, "a.ipynb", "check_labels") == ("missing", "")
    assert [row["check"] for row in rows if row["file"] == "a.ipynb"] == exercises.names(tool.read(COURSE))
    assert one(rows, "b.ipynb") == ("no notebook", "no notebook of this course")


def test_rows_so_far_stay(tmp_path, artifacts, monkeypatch):
    recorded(monkeypatch, {"said": {"check_labels": "almost"}}, KeyboardInterrupt(), {"said": {}})
    for name in "ab":
        handed_in(tmp_path / "in" / f"{name}.ipynb")
    with pytest.raises(KeyboardInterrupt):
        marked(tmp_path / "in", artifacts)
    assert "almost" in (artifacts / "marks" / "marks.csv").read_text(encoding="utf-8")
    marked(tmp_path / "in", artifacts, only="a*")
    assert "almost" in (artifacts / "marks-1" / "marks.csv").read_text(encoding="utf-8")


def test_a_name_is_no_formula(tmp_path, artifacts, monkeypatch):
    recorded(monkeypatch, {"said": {}})
    handed_in(tmp_path / "in" / "=1+1.ipynb")
    assert marked(tmp_path / "in", artifacts)[0]["file"] == "'=1+1.ipynb"


@pytest.mark.parametrize("given", ["nothing", "artifacts/marks/in"])
def test_what_cannot_be_marked_is_said(given, tmp_path, monkeypatch, artifacts):
    monkeypatch.chdir(tmp_path)
    handed_in(tmp_path / "artifacts" / "marks" / "in" / "a.ipynb")
    with pytest.raises(SystemExit, match=given):
        classroom.main(["marks", given])
    assert (tmp_path / "artifacts" / "marks" / "in" / "a.ipynb").is_file()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "course"
    classroom.make_class(folder)
    return folder


def test_learners_get_hints_and_no_solutions(project):
    for path in tool.paths():
        ours, theirs = tool.read(path), tool.read(project / "notebooks" / path.name)
        text = "\n".join(cell.source for cell in theirs.cells)
        assert not exercises.FENCE.search(
            "".join(fold for fold in exercises.FOLDED.findall(text) if "hint<" not in fold)
        )
        assert text.count("hint</summary>") == sum(cell.source.count("hint</summary>") for cell in ours.cells)
        assert [cell.source for cell in theirs.cells if cell.cell_type == "code"] == [
            cell.source for cell in ours.cells if cell.cell_type == "code"
        ]
        assert "colab-badge" not in text
        assert len(re.findall(r"^\*\*\d\. ", text, re.MULTILINE)) >= 2
    assert not (project / "tests").exists()


def test_what_learners_get_is_a_project_with_whole_links(project):
    pages = [*project.rglob("*.md"), *(project / "notebooks").glob("*.ipynb")]
    assert len(pages) > 10
    for path in pages:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", text):
            assert (path.parent / target).exists(), (path.name, target)
    assert (project / "helpers" / "checks" / "__init__.py").is_file()
    assert os.access(project / "Makefile", os.R_OK)


def test_nothing_is_overwritten(project):
    mine = project / "notebooks" / "02_preprocess.ipynb"
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="left as it is"):
        classroom.make_class(project)
    assert mine.read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_solved_notebooks_are_right(tmp_path, artifacts):
    """Each exercise alone, as `--quick` runs them; and all of one notebook."""
    for path in tool.paths():
        (tmp_path / "in").mkdir(exist_ok=True)
        tool.write(exercises.solved(tool.read(path)), tmp_path / "in" / f"{path.stem[:2]}.ipynb")
    rows = marked(tmp_path / "in", artifacts, quick=True)
    assert {row["verdict"] for row in rows if row["check"]} == {"right"}
    assert sum(bool(row["check"]) for row in rows) == sum(
        len(exercises.names(tool.read(path))) for path in tool.paths()
    )
    rows = marked(tmp_path / "in", artifacts, only="02*")
    assert {row["verdict"] for row in rows} == {"right"}
