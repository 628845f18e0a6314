"""Notebook helpers: start (seed, log, versions), a helper's source, Markdown tables, a server for a folder."""

import inspect
import json
import logging
import os
import platform
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path
from textwrap import dedent
from typing import Any

from datasets.utils.logging import disable_progress_bar
from IPython.display import Markdown
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from helpers.device import device_name
from helpers.paths import ROOT, resolve
from helpers.settings import Settings
from helpers.text import visible, whole

_MARKS = re.compile(r"[\\`*\[\]|$~]|(?<!\w)_|_(?!\w)")  # what Markdown or MathJax gives a meaning, inside a line
PACKAGES = ("torch", "transformers", "datasets", "evaluate", "jiwer", "huggingface_hub")


def start(settings: Settings) -> Markdown:
    """Seeds everything, shows what the helpers have to say, and quiets what the libraries say of themselves.

    Returns:
        The versions, the device and the notebook's settings, as a table.
    """
    set_seed(settings.seed)
    log = logging.getLogger("helpers")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.propagate = False
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    # Colab's pyparsing 3.3.2 warns of what its matplotlib 3.10.0 calls, at each import and at each formula in a figure.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(matplotlib|pyparsing)\.")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rows = [("Python", platform.python_version()), ("Packages", versions), ("Device", device_name())]
    rows += list(asdict(settings).items())
    lines = [f"| {markdown_cell(name)} | {markdown_cell(value)} |" for name, value in rows]
    return Markdown("\n".join(["| | |", "| --- | --- |", *lines]))


def source_of(thing: Callable[..., Any] | type) -> Markdown:
    """The source of a helper, read from its module, so that what is shown is what runs."""
    return Markdown(f"```python\n{dedent(inspect.getsource(thing)).rstrip()}\n```")


def markdown_table(rows: Iterable[dict[str, Any]]) -> Markdown:
    """A Markdown table with a column for each key of the rows; each value is shown as it is, floats in three digits."""
    rows = rows.to_dict("records") if hasattr(rows, "columns") else list(rows)
    if not rows:
        return Markdown("None.")
    keys = dict.fromkeys(key for row in rows for key in row)
    lines = [[markdown_cell(key) for key in keys], ["---"] * len(keys)]
    lines += [[markdown_cell(row.get(key, "")) for key in keys] for row in rows]
    return Markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def beside(expected: Any, found: Any, what: str) -> str:
    """What a learner expected, if they wrote it down, beside what was found: `what` follows the number."""
    wrote = "" if expected is None or expected is Ellipsis else f"You expected {cell_text(expected)}. "
    return f"{wrote}Found: {cell_text(found)} {what}".rstrip()


def cell_text(value: Any) -> str:
    """A value as it stands in a table: floats with three digits."""
    return f"{value:.3f}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)


def markdown_text(text: str) -> str:
    """A text that Markdown shows as it is, on one line: nothing in it is a tag, a link, a formula or a new cell."""
    return _MARKS.sub(lambda mark: f"&#{ord(mark[0])};", escape(" ".join(whole(visible(text)).split()), quote=False))


def markdown_cell(value: Any) -> str:
    """`cell_text`, as it stands in a Markdown table; line breaks stay."""
    cell = "<br>".join(markdown_text(line) for line in cell_text(value).strip().splitlines())
    # MathJax reads the finished page, where an entity is a dollar sign again.
    return f'<span class="mathjax_ignore tex2jax_ignore">{cell}</span>' if "&#36;" in cell or "&#92;" in cell else cell


def measured_recipes() -> tuple[list[dict[str, str]], str]:
    """The popular recipe beside ours, as `make bench` measured it: rows for `markdown_table`, and the machine."""
    results = json.loads((ROOT / "benchmarks" / "results" / "recipes.json").read_text(encoding="utf-8"))
    return results["table"], results["machine"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing: each request would print a line into the notebook."""


@contextmanager
def serve_folder(folder: str | Path) -> Iterator[str]:
    """Serves a folder on this machine while the block runs, and gives its address: http://127.0.0.1:port."""
    handler = partial(_Quiet, directory=str(resolve(folder)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
