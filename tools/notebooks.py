"""Runs, copies, strips and links the notebooks: `python -m tools.notebooks run | copies | pages | strip | links`."""

import argparse
import json
import re
import shutil
import sys
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from tqdm.auto import tqdm

from helpers.paths import ROOT, artifacts_folder
from helpers.report import summary
from tools import glossary

FOLDER = ROOT / "notebooks"
FIRST_CELL = """# @title Set up Colab: fetches the project and what it needs. On your own machine it does nothing.
import os
import sys

if "google.colab" in sys.modules and not os.path.isdir("../helpers"):
    address = "{address}"
    folder = "pocket-captions-{version}"
    if not os.path.isdir(folder):
        options = "--quiet --depth 1 -c advice.detachedHead=false --branch v{version}"
        !rm -rf {{folder}}.part && git clone {{options}} {{address}} {{folder}}.part && mv {{folder}}.part {{folder}}
    !pip install --quiet -r {{folder}}/requirements-colab.txt && touch {{folder}}/.ready
    assert os.path.exists(f"{{folder}}/.ready"), "See above, then run this cell again."
    os.chdir(f"{{folder}}/notebooks")
    sys.path.insert(0, "..")"""
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab its title is seen, in JupyterLab a bar
# Notebooks that are slow without a GPU: Colab opens these with one.
ON_GPU = ("03_train", "06_your_own_pictures")
GPU = {"accelerator": "GPU", "colab": {"gpuType": "T4"}}
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{repository}/blob/v{version}/notebooks/{name})"
)
BADGE_PATTERN = r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)"


def paths() -> list[Path]:
    """The notebooks, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook as nbformat reads it."""
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook as git holds it: two trailing things stripped, one line break at the end."""
    path.write_text(nbformat.writes(notebook, indent=1).rstrip() + "\n", encoding="utf-8")


def stripped(notebook: NotebookNode) -> NotebookNode:
    """Without outputs, execution counts and whatever else a run leaves behind; cell ids stay."""
    for cell in notebook.cells:
        kept = {key: value for key, value in cell.metadata.items() if key == "tags" or FOLDED.get(key) == value}
        cell.metadata = kept
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    kept = GPU if "accelerator" in notebook.metadata else {}
    notebook.metadata = {**kept, "kernelspec": kernel, "language_info": {"name": "python"}}
    return notebook


def project() -> tuple[str, str]:
    """owner/name and the version, from pyproject.toml."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return content["urls"]["Repository"].removeprefix("https://github.com/"), content["version"]


def first_cell() -> str:
    """The first code cell, the same in every notebook."""
    repository, version = project()
    return FIRST_CELL.format(address=f"https://github.com/{repository}", version=version)


def badge(name: str) -> str:
    """The Colab badge of one notebook."""
    repository, version = project()
    return BADGE.format(repository=repository, version=version, name=name)


def links(repository: str | None = None) -> None:
    """Writes badges, first cells, who asks for a GPU, and links to the glossary; a new owner/name goes first."""
    if repository:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise SystemExit(f"{repository} is no address; give owner/name.")
        toml = ROOT / "pyproject.toml"
        text = toml.read_text(encoding="utf-8")
        toml.write_text(text.replace(f"github.com/{project()[0]}", f"github.com/{repository}"), encoding="utf-8")
    books = {path.name: read(path) for path in paths()}
    glossary.link(books)
    for path in paths():
        notebook = books[path.name]
        title, code = notebook.cells[0], next(cell for cell in notebook.cells if cell.cell_type == "code")
        title.source = re.sub(BADGE_PATTERN, lambda _, name=path.name: badge(name), title.source, count=1)
        code.source, code.metadata = first_cell(), FOLDED
        for key, value in GPU.items():
            notebook.metadata.pop(key, None)
            if path.stem in ON_GPU:
                notebook.metadata[key] = value
        write(notebook, path)
    readme = ROOT / "README.md"
    parts = readme.read_text(encoding="utf-8").splitlines()
    for i, line in enumerate(parts):
        if name := re.search(r"notebooks/(\d\d_\w+\.ipynb)\)", line):
            parts[i] = re.sub(BADGE_PATTERN, lambda _, name=name[1]: badge(name), line)
    readme.write_text("\n".join(parts) + "\n", encoding="utf-8")


def strip() -> None:
    """Strips every notebook in place."""
    for path in paths():
        write(stripped(read(path)), path)


def execute(path: Path, out: Path) -> float:
    """Runs one notebook; writes the executed copy and its page; returns the seconds it took."""
    notebook = read(path)
    # Errors only: each kernel would warn that it talks to this process without encryption.
    quiet = ["--log-level=40"]
    client = NotebookClient(
        notebook, timeout=3600, extra_arguments=quiet, resources={"metadata": {"path": str(FOLDER)}}
    )
    began = time.perf_counter()
    bar = tqdm(total=len(notebook.cells), desc=path.stem, unit="cell", bar_format="{desc:24}{bar:30} {elapsed}")
    client.on_cell_complete = lambda **_: bar.update()
    try:
        client.execute()
    except CellExecutionError as error:
        raise SystemExit(f"{path.name} failed; its copy in {out} shows where.\n{error}") from None
    finally:
        bar.update(bar.total - bar.n)
        bar.close()
        nbformat.write(notebook, out / path.name)
        write_page(out / path.name)
    return time.perf_counter() - began


def write_page(path: Path) -> None:
    """Writes the page of an executed notebook beside it."""
    exporter = HTMLExporter(template_name="html", extra_template_basedirs=[str(ROOT / "tools")])
    path.with_suffix(".html").write_text(exporter.from_filename(path)[0], encoding="utf-8")


def copies_folder() -> Path:
    """Where the executed copies and their pages lie."""
    folder = artifacts_folder() / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copies() -> None:
    """Copies the notebooks to where they may be executed, and prints where the copies are, in order."""
    for path in paths():
        print(shutil.copy(path, copies_folder()))


def pages() -> None:
    """Writes the page of every copy."""
    for path in paths():
        write_page(copies_folder() / path.name)


def run() -> None:
    """Runs the notebooks in order and ends with what came of it."""
    out = copies_folder()
    seconds = {path.stem: round(execute(path, out), 1) for path in paths()}
    (out / "seconds.json").write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")
    print(ending(sum(seconds.values())))


def ending(seconds: float) -> str:
    """What was trained, how well it does, and where to look."""
    folder = artifacts_folder()
    result = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    where = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return (
        f"\n{summary(result)}\n"
        f"All notebooks: {seconds / 60:.1f} minutes. Their copies: {where}/notebooks/*.html and *.ipynb\n"
        f"Test creatures and what the model says of them: {where}/test-captions.png"
    )


def main(arguments: list[str]) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["run", "copies", "pages", "strip", "links"])
    parser.add_argument("repository", nargs="?", help="owner/name, for links")
    asked = parser.parse_args(arguments)
    commands = {"run": run, "copies": copies, "pages": pages, "strip": strip, "links": lambda: links(asked.repository)}
    commands[asked.command]()


if __name__ == "__main__":
    main(sys.argv[1:])
