"""Lints of the notebooks and the pages around them; the slow tests run every notebook with its solutions."""

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers.captioner import load_or_train
from helpers.data import load_captions
from helpers.paths import ROOT
from helpers.reading.locate import fingerprint_of_weights
from helpers.settings import Settings
from tools import exercises, results
from tools import notebooks as tool
from tools.minutes import timed

PATHS = tool.paths()
COURSE = [path for path in PATHS if int(path.name[:2]) <= 5]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
CARDS = [ROOT / "data" / "pocket-creatures" / "README.md", ROOT / "models" / "git-tiny" / "README.md"]
CELLS, LINES = (20, 40), 20
WORDS, WORDS_PER_LINE = 1700, 10

notebooks = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def held_by_git(path: Path) -> nbformat.NotebookNode:
    """The notebook in git's index, or the file where there is no git: a learner's own run changes only the file."""
    asked = ["git", "show", f":{path.relative_to(ROOT).as_posix()}"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return nbformat.reads(found.stdout, as_version=4) if found.returncode == 0 else tool.read(path)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def prose_of(notebook):
    """The words, without the code between them."""
    return exercises.FENCE.sub("", words_of(notebook))


def with_solutions(path):
    """The notebook with its folded solutions: in the cells of exercises that have a check, and behind the others."""
    return exercises.solved(tool.read(path))


def test_the_course_has_five_notebooks():
    assert [path.name[:2] for path in COURSE] == ["01", "02", "03", "04", "05"]


@notebooks
def test_git_holds_no_outputs(path):
    for cell in code_cells(held_by_git(path)):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert "widgets" not in held_by_git(path).metadata


@notebooks
def test_cell_ids_are_named_and_survive_stripping(path):
    notebook = tool.read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in ids)
    notebook.cells[-1].metadata |= {"tags": ["kept"], "jupyter": {"outputs_hidden": True}, "scrolled": True}
    stripped = tool.stripped(notebook).cells
    assert [cell.id for cell in stripped] == ids
    assert [cell.metadata for cell in stripped if cell.metadata] == [tool.FOLDED, {"tags": ["kept"]}]


@notebooks
def test_first_two_code_cells(path):
    first, second = code_cells(tool.read(path))[:2]
    assert first.source == tool.first_cell()
    assert second.source.splitlines()[-1] == "start(settings)"
    assert "load_captions" not in second.source  # what loading says is quieted and shown from `start` on
    assert first.metadata == tool.FOLDED


@notebooks
def test_sizes(path):
    notebook = tool.read(path)
    assert CELLS[0] <= sum(not cell.id.startswith("exercise") for cell in notebook.cells) <= CELLS[1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= LINES, cell.id
            assert all(len(line) <= 110 for line in cell.source.splitlines()), cell.id
        else:
            assert len(cell.source.split()) <= 170, cell.id


def test_the_sizes_are_those_that_contributors_read():
    said = f"- {CELLS[0]} to {CELLS[1]} cells without those of exercises, code cells of at most {LINES} lines,"
    assert said in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


class Names(ast.NodeVisitor):
    """What a cell takes from other cells (`read`) and gives them (`bound`: name → its import, if it is one)."""

    def __init__(self, code):
        self.read, self.bound, self.local = set(), {}, []
        self.visit(ast.parse(code))

    def visit_in_order(self, *nodes):
        for node in itertools.chain(*(each if isinstance(each, list) else [each] for each in nodes)):
            if node is not None:
                self.visit(node)

    def bind(self, name, source=None):
        (self.local[-1].add(name) if self.local else self.bound.setdefault(name, source))

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id)
        elif node.id not in self.bound and not any(node.id in names for names in self.local):
            self.read.add(node.id)

    def visit_Assign(self, node):
        self.visit_in_order(node.value, node.targets)

    def visit_AugAssign(self, node):
        self.visit_in_order(ast.parse(ast.unparse(node.target)), node.value, node.target)

    def visit_For(self, node):
        self.visit_in_order(node.iter, node.target, node.body, node.orelse)

    def visit_Import(self, node):
        for alias in node.names:
            self.bind(alias.asname or alias.name.split(".")[0], f"{getattr(node, 'module', '')}.{alias.name}")

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node):
        self.bind(node.name)
        self.visit_in_order(node.decorator_list, node.args.defaults)
        self.inside(node.args, node.body)

    def visit_Lambda(self, node):
        self.inside(node.args, node.body)

    def inside(self, arguments, *nodes):
        self.local.append({argument.arg for argument in ast.walk(arguments) if isinstance(argument, ast.arg)})
        self.visit_in_order(*nodes)
        self.local.pop()

    def visit_ListComp(self, node):
        self.local.append(set())
        for part in node.generators:
            self.visit_in_order(part.iter, part.target, part.ifs)
        self.visit_in_order(*(getattr(node, name) for name in ("elt", "key", "value") if hasattr(node, name)))
        self.local.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp


@notebooks
def test_no_cell_depends_on_a_name_that_is_bound_twice(path):
    """So a cell that is run again reads what it read before, whichever cells were run in between."""
    cells = [Names(cell.source) for cell in code_cells(with_solutions(path))[1:]]
    for name in set().union(*(cell.read for cell in cells)):
        sources = [cell.bound[name] for cell in cells if name in cell.bound]
        assert len(sources) < 2 or (len(set(sources)) == 1 and sources[0]), name


def test_what_a_cell_reads_and_binds():
    cell = Names("from a import b as c\nfor i in n:\n    t[i] = [x + y for x in s if (lambda z: z + w)(x)]\n    k += c")
    assert (cell.read, cell.bound) == ({"n", "t", "y", "s", "w", "k"}, {"c": "a.b", "i": None, "k": None})
    assert Names("def f(a, b=d):\n    e = a + g\n    return e\nf(h)").read == {"d", "g", "h"}


@notebooks
def test_words_stand_before_every_code_cell(path):
    cells = tool.read(path).cells
    pairs = itertools.pairwise(cells)
    bare = [b.id for a, b in pairs if a.cell_type == b.cell_type == "code" and a.id != "first-cell"]
    assert bare == []


@notebooks
def test_code_speaks(path):
    """Few words for each line of code; the first cell's do not count, those of folded solutions do."""
    notebook = tool.read(path)
    code = [cell.source for cell in code_cells(notebook)[1:]] + exercises.FENCE.findall(words_of(notebook))
    lines = sum(bool(line.strip()) for text in code for line in text.splitlines())
    words = len(prose_of(notebook).split())
    assert words <= WORDS
    assert words / lines <= WORDS_PER_LINE, f"{words} words, {lines} lines"


@notebooks
def test_headings(path):
    text = prose_of(tool.read(path))
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        assert heading.isascii(), heading


@notebooks
def test_opening_and_closing(path):
    notebook = tool.read(path)
    opening = notebook.cells[0].source
    assert tool.badge(path.name) in opening
    assert "In this notebook you will" in opening
    assert re.search(r"It takes about \d+ minutes? to run", opening)
    text = words_of(notebook)
    assert len(re.findall(r"^\*\*\d\. ", text, re.MULTILINE)) >= 2
    assert len(exercises.FOLDED.findall(text)) >= 2
    assert "## What you can do now" in text


@notebooks
def test_plain_markdown_with_alt_text(path):
    text = words_of(tool.read(path))
    assert not re.search(r"<(?!/?(details|summary)\b)[a-zA-Z]+[ >]", exercises.FENCE.sub("", text))
    assert all(alt.strip() for alt in re.findall(r"!\[(.*?)\]\(", text))


@notebooks
def test_figures_come_from_the_helpers(path):
    code = "\n".join(cell.source for cell in code_cells(tool.read(path)))
    assert "pyplot" not in code
    assert ".show()" not in code


def test_no_undefined_names_with_solutions(tmp_path):
    for path in PATHS:
        nbformat.write(with_solutions(path), tmp_path / path.name)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", [*PATHS, *PAGES, *CARDS], ids=lambda path: path.as_posix()[len(str(ROOT)) + 1 :])
def test_relative_links_resolve(path):
    text = words_of(tool.read(path)) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not target.startswith(("http://", "https://", "mailto:"))]
    missing = [target for target in local if not (path.parent / target).exists()]
    assert missing == []


def test_links_are_written_from_one_place(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "README.md"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    for path in PATHS:
        (tmp_path / "notebooks" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    before = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*") if path.is_file()}
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "notebooks")
    tool.links()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*") if path.is_file()} == before
    tool.links("somebody/captions")
    version = tool.project()[1]
    assert tool.project()[0] == "somebody/captions"
    shown = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "OWNER/NAME" not in shown
    assert shown.count("(https://colab.research.google.com/github/") == len(PATHS)
    for path in tool.paths():
        place = f"somebody/captions/blob/v{version}/notebooks/{path.name}"
        title, first = tool.read(path).cells[0], code_cells(tool.read(path))[0]
        for text in (shown, title.source):
            assert f"(https://colab.research.google.com/github/{place})" in text
        assert '"https://github.com/somebody/captions"' in first.source
        assert f'--branch v{version}"' in first.source


def test_shown_figures_equal_the_measured_ones():
    measured = json.loads(results.FILE.read_text(encoding="utf-8"))
    for page in results.SHOWN:
        text = page.read_text(encoding="utf-8")
        assert results.rendered(text, measured) == text
        assert "<!-- results:" in text
    for path in PATHS:
        notebook = tool.read(path)
        assert timed(notebook, measured["notebook_seconds"][path.stem]) == notebook.cells[0].source


def test_colab_keeps_its_torch_and_numpy():
    names = re.findall(r"^([A-Za-z_-]+)", (ROOT / "requirements-colab.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert not {"torch", "torchvision", "numpy"} & {name.lower() for name in names}


def test_shipped_files_are_small():
    assert all(results.size_of(folder) <= 8_000_000 for folder in (ROOT / "data").iterdir())
    assert results.size_of(ROOT / "models") <= 8_000_000


# The settings cells: "of one epoch" in place of the notebooks' own, which `make test` takes.
ONE_EPOCH = {
    "Settings.from_environment()": "Settings.from_environment().with_changes(epochs=1)",
    "saved_settings()": "saved_settings().with_changes(epochs=1)",
    "epochs=24": "epochs=1",
}


def of_one_epoch(notebook):
    [cell] = [cell for cell in notebook.cells if cell.get("id") == "settings"]
    for written, shorter in ONE_EPOCH.items():
        cell.source = cell.source.replace(written, shorter)
    return notebook


def execute(notebook):
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tool.FOLDER)}}).execute()
    return notebook


def half_written(folder):
    """What a save leaves that was cut off by the power, or by a program that does not save aside."""
    shutil.copytree(ROOT / "models" / "git-tiny", folder / "captioner")
    record = {"settings": asdict(Settings.tiny()), "profile": "tiny", "steps": 200, "planned_steps": 200}
    record |= {"base": fingerprint_of_weights("models/git-tiny")}
    (folder / "captioner" / "training.json").write_text(json.dumps({**record, "interrupted": False}))
    weights = folder / "captioner" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000_000])
    shutil.copytree(folder / "captioner", folder / ".captioner.new")
    (folder / ".captioner.new" / "training.json").write_text('{"settings": {"dataset"')
    (folder / "evaluation.json").write_text('{"dataset": {')


def of_other_settings(folder):
    """A whole captioner that was trained with another seed."""
    shutil.copytree(ROOT / "models" / "git-tiny", folder / "captioner")
    record = {"settings": asdict(Settings.tiny().with_changes(seed=7)), "profile": "tiny", "steps": 1}
    record |= {"planned_steps": 1, "interrupted": False, "base": fingerprint_of_weights("models/git-tiny")}
    (folder / "captioner" / "training.json").write_text(json.dumps(record))


BEFORE = {"03_train": of_other_settings, "05_infer": half_written}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS[::-1], ids=lambda path: path.stem)
def test_opened_alone_with_solutions(path, tmp_path, monkeypatch):
    """From the last to the first, each with no artifacts of another or with damaged ones, and with its solutions.

    Its captioner is of one epoch.
    """
    token = "hf_" + "madeUp" * 5
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", token)
    BEFORE.get(path.stem, lambda folder: None)(tmp_path)
    notebook = execute(of_one_epoch(with_solutions(path)))
    for cell in code_cells(notebook):
        for output in cell.outputs:
            text = output.get("text", "") if output.output_type == "stream" else ""
            assert "Warning" not in text, f"{cell.get('id')}: {text}"
            if "image/png" in output.get("data", {}):
                assert re.search(r' alt="[^"]', output.data["text/html"]), cell.get("id")
    assert exercises.verdicts(notebook) == dict.fromkeys(exercises.names(tool.read(path)), "right")
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert token not in nbformat.writes(notebook)
    assert not any(token.encode() in content for content in written)
    if path.stem in BEFORE:
        assert (tmp_path / "captioner-1" / "config.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in COURSE if path.stem[:2] in ("04", "05")], ids=lambda path: path.stem)
def test_a_file_in_place_of_the_artifacts_is_said_in_one_line(path, tmp_path, monkeypatch):
    (tmp_path / "artifacts").write_text("oops")
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path / "artifacts"))
    notebook = tool.read(path)
    notebook.cells = code_cells(notebook)[:2]
    with pytest.raises(CellExecutionError) as caught:
        execute(notebook)
    assert caught.value.ename == "SettingsError"
    assert "move it away" in caught.value.evalue
    [shown] = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert len(shown.traceback) == 1  # the sentence, and no frames of the libraries


@pytest.mark.slow
def test_evaluation_works_without_attributes_and_with_one_caption(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path / "artifacts"))
    dataset = load_captions("data/pocket-creatures")
    for split, count in {"train": 64, "validation": 20, "test": 30}.items():
        part = dataset[split].select(range(count)).select_columns(["image", "captions"])
        part = part.add_column("text", [captions[0] for captions in part["captions"]]).remove_columns("captions")
        part.to_parquet(tmp_path / "plain" / f"{split}.parquet")
    load_or_train(Settings.tiny().with_changes(dataset=str(tmp_path / "plain"), epochs=1))
    execute(tool.read(tool.FOLDER / "04_evaluate.ipynb"))
    measured = json.loads((tmp_path / "artifacts" / "evaluation.json").read_text(encoding="utf-8"))
    assert measured["dataset"]["pictures"] == 30
    assert measured["attributes"] == {}
    assert set(measured["systems"]) == {"most frequent", "nearest picture", "base", "wrong picture", "trained"}
    assert set(measured["systems"]["trained"]) == {"wer", "rouge_l", "bleu_4", "cider_d", "exact_match"}
