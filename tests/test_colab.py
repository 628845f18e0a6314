"""Colab's part of the project: badges, first cell, GPU and token, with a `google.colab` and an address of the tests."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import distributions
from pathlib import Path
from unittest.mock import MagicMock
from zipfile import ZipFile

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers import notebook
from helpers.paths import ROOT
from helpers.settings import Settings
from tools import notebooks as tool

REPOSITORY = "somebody/captions"
TAG = f"v{tool.project()[1]}"
REQUIREMENT = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)
TOKEN = "hf_" + "madeUp" * 5
USERDATA = f"""
class NotebookAccessError(Exception): ...
class SecretNotFoundError(Exception): ...
def get(name): return {{"HF_TOKEN": "{TOKEN}"}}[name]
"""
ASK_FOR_TOKEN = """
import builtins
builtins.get_ipython = lambda: "<google.colab._shell.Shell object>"  # by its name the Hub's client knows Colab
from huggingface_hub import get_token
print(get_token())
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """The project as it is now, under an address of its own, tagged; what comes after the tag cannot be installed."""
    folder = tmp_path_factory.mktemp("published") / "captions"
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for source in (ROOT / name for name in names):
        if source.is_file():
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "tools.notebooks", "links", REPOSITORY]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "What is published")
    git(folder, "tag", TAG)
    (folder / "requirements-colab.txt").write_text("what-nobody-has==1\n")
    git(folder, "commit", "--quiet", "-a", "-m", "What comes later")
    return folder


@pytest.fixture
def google(tmp_path) -> Path:
    """A folder to import `google.colab` from."""
    package = tmp_path / "google-colab" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "userdata.py").write_text(USERDATA)
    (package / "errors.py").write_text("class Error(Exception): ...")
    return package.parent.parent


def wanted(folder: Path) -> set[tuple[str, str]]:
    """Names and versions in the requirements of the tagged version."""
    return set(REQUIREMENT.findall(git(folder, "show", f"{TAG}:requirements-colab.txt")))


def empty_wheel(folder: Path, name: str, version: str) -> None:
    """Writes a package without content, which pip takes for the real one."""
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def content(tmp_path, monkeypatch, published, google) -> Path:
    """A folder with one notebook, as Colab opens it. pip takes empty packages and puts them into `installed`."""
    folder, startup = tmp_path / "content", tmp_path / "ipython" / "profile_default" / "startup"
    for made in (folder, startup, tmp_path / "wheels"):
        made.mkdir(parents=True)
    for name, version in wanted(published):
        empty_wheel(tmp_path / "wheels", name, version)
    (folder / "03_train.ipynb").write_text(git(published, "show", f"{TAG}:notebooks/03_train.ipynb"))
    (startup / "colab.py").write_text("import google.colab")  # as Colab's own shell does
    surroundings = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(google),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{published}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{REPOSITORY}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_TARGET": str(tmp_path / "installed"),
        "PIP_UPGRADE": "1",
    }
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    return folder


def session(folder: Path) -> tuple[list[str], str]:
    """What a new session prints in the first cell and after it, both run twice, and the error that ended it."""
    first = next(cell for cell in tool.read(folder / "03_train.ipynb").cells if cell.cell_type == "code")
    where = "import helpers, os; print(os.getcwd(), os.path.realpath(helpers.__file__))"
    cells = [nbformat.v4.new_code_cell(source) for source in (first.source, where) * 2]
    notebook, error = nbformat.v4.new_notebook(cells=cells), ""
    try:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    except CellExecutionError as caught:
        error = caught.evalue
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells], error


@pytest.mark.slow
def test_first_cell_fetches_the_tagged_project_and_what_it_needs(content, tmp_path, published):
    project = content / f"pocket-captions-{tool.project()[1]}"
    (content / f"{project.name}.part" / ".git").mkdir(parents=True)  # a session ended while it fetched the project
    place = f"{project / 'notebooks'} {project / 'helpers' / '__init__.py'}\n"
    for _ in ("a new machine", "after a restart of the session"):
        assert session(content) == (["", place, "", place], "")
        installed = {(found.name, found.version) for found in distributions(path=[str(tmp_path / "installed")])}
        assert installed == wanted(published)
    assert git(project, "describe", "--tags").strip() == TAG


@pytest.mark.slow
def test_first_cell_says_what_failed_and_can_be_run_again(content, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path / 'nowhere'}.insteadOf")
        printed, error = session(content)
    assert "nowhere" in printed[0]
    assert "run this cell again" in error
    assert printed[1:] == ["", "", ""]
    [missing] = (tmp_path / "wheels").glob("jiwer*")
    missing.rename(tmp_path / missing.name)
    printed, error = session(content)
    assert "No matching distribution found for jiwer" in printed[0]
    assert "run this cell again" in error
    assert printed[1:] == ["", "", ""]
    (tmp_path / missing.name).rename(missing)
    printed, error = session(content)
    assert (printed[0], error) == ("", "")


@pytest.mark.parametrize("path", tool.paths(), ids=lambda path: path.stem)
def test_notebooks_that_train_long_ask_for_a_gpu_and_no_others(path):
    kept = tool.stripped(tool.read(path)).metadata
    assert {key: kept[key] for key in tool.GPU if key in kept} == (tool.GPU if path.stem in tool.ON_GPU else {})


def test_a_secret_of_colab_is_the_token(google, tmp_path):
    environment = {"PYTHONPATH": str(google), "HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", ASK_FOR_TOKEN]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == TOKEN


@pytest.mark.parametrize("module", ["matplotlib._mathtext", "pyparsing.util"])
def test_what_the_packages_in_colab_warn_of_is_quieted_and_nothing_else(module, log, monkeypatch):
    class PyparsingDeprecationWarning(UserWarning, DeprecationWarning):
        """As in pyparsing 3.3.2; the version here may know none, and its matplotlib may give no reason for one."""

    for name in ("transformers_logging", "disable_progress_bar"):  # these would stay quiet for other tests
        monkeypatch.setattr(notebook, name, MagicMock())
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        notebook.start(Settings.tiny())
        for place in (module, "__main__"):
            warnings.warn_explicit(f"from {place}", PyparsingDeprecationWarning, "file.py", 1, module=place)
    assert [str(warning.message) for warning in shown] == ["from __main__"]
