"""Executed notebooks as people open them: in JupyterLab and as pages, in a browser.

The variable EXECUTED_NOTEBOOKS names the folder that holds the executed copies; `make test` makes them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Error

from tests.browser import open_page
from tools import notebooks as tool

pytestmark = pytest.mark.executed

PICTURES = ".jp-OutputArea-output img"
TABLES = ".jp-OutputArea-output details table"
TOKEN = "a-token-of-this-test"
SETTINGS = {
    # Otherwise cells out of sight may not be drawn.
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}

notebooks = pytest.mark.parametrize("name", [path.name for path in tool.paths()])


@pytest.fixture(scope="module")
def page():
    with open_page() as page:
        yield page


@pytest.fixture(scope="module")
def executed() -> Path:
    return Path(os.environ["EXECUTED_NOTEBOOKS"])


@pytest.fixture(scope="module")
def lab(executed, tmp_path_factory):
    """The address of a JupyterLab whose root holds copies of the executed notebooks; nothing of the learner's."""
    home = tmp_path_factory.mktemp("lab")
    for name, text in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    shutil.copytree(executed, home / "root", ignore=shutil.ignore_patterns("*.html"))
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    folders |= {f"JUPYTER_{kind}_DIR": kind.lower() for kind in ("CONFIG", "DATA", "RUNTIME")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--notebook-dir={home / 'root'}"]
    command += ["--LabApp.extension_manager=readonly"]
    environment = os.environ | {name: str(home / folder) for name, folder in folders.items()}
    log = home / "log.txt"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api/status?token={TOKEN}", server, log)
            yield address
        finally:
            server.terminate()  # which ends the kernels first
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urlopen(address, timeout=5).close()
            return
        except (URLError, OSError):
            if server.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"JupyterLab did not start:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.2)


def check_pictures(page, notebook) -> None:
    """Each output picture stands on the page with a description of its own, and each table of numbers too."""
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    told = [output["text/plain"] for output in outputs if "image/png" in output]
    assert told
    assert all(text.strip() for text in told)
    assert len(set(told)) == len(told)
    with suppress(Error):  # after a timeout the next lines say what is there
        page.locator(PICTURES).nth(len(told) - 1).wait_for(state="attached")
    assert page.locator(PICTURES).evaluate_all("pictures => pictures.map(picture => picture.alt)") == told
    tables = sum(output.get("text/html", "").partition("<details>")[2].count("</table>") for output in outputs)
    assert page.locator(TABLES).count() == tables


@notebooks
def test_alt_text_is_heard_in_jupyterlab(name, executed, lab, page):
    page.goto(f"{lab}/lab/workspaces/{Path(name).stem}/tree/{name}?token={TOKEN}")
    check_pictures(page, tool.read(executed / name))


@notebooks
def test_alt_text_is_heard_on_pages(name, executed, page):
    page.goto((executed / name).with_suffix(".html").as_uri())
    check_pictures(page, tool.read(executed / name))


def test_a_page_reaches_this_machine_alone(page):
    for address in ("http://192.0.2.1/", "http://example.org/"):
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            page.goto(address)
    with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
        page.goto("http://127.0.0.1:1024/")
