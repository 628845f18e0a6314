"""A page about a captioner: one HTML file that holds its figures, to keep or to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from helpers.notebook import cell_text
from helpers.plotting.figure import DescribedFigure, html_table
from helpers.records import write_whole
from helpers.settings import resolve

HOW_TO_READ = (
    "With 95 % intervals. wer counts wrong words for each word of the reference: 0 is perfect. Of the others more is "
    "better: cider_d goes to 10, the rest to 1."
)
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }}
table {{ border-collapse: collapse; margin: 0.5em 0; }}
th, td {{ padding: 0.2em 0.8em; text-align: left; border-bottom: 1px solid #ddd; }}
img {{ max-width: 100%; }}
</style>
<h1>{title}</h1>
{parts}
</html>
"""


def write_report(file: str | Path, title: str, parts: Mapping[str, Sequence[Any]]) -> Path:
    """Writes a page.

    Args:
        file: where to, as `resolve` takes it.
        title: of the page.
        parts: heading → what stands under it, in order: a text is a paragraph, a list of rows with the same keys a
            table ("None." where there are no rows), and a figure what its `html` gives.

    Returns:
        The file.
    """
    made = [f"<h2>{escape(heading)}</h2>\n" + "\n".join(map(_html, things)) for heading, things in parts.items()]
    path = resolve(file)
    write_whole(path, PAGE.format(title=escape(title), parts="\n".join(made)))
    return path


def score_rows(systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[dict[str, str]]:
    """A row for each system, with its scores and their intervals.

    Args:
        systems: name → metric → {"value", "low", "high"}, as `score` gives them.
    """
    return [
        {"system": name} | {m: f"{s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for m, s in scores.items()}
        for name, scores in systems.items()
    ]


def _html(thing: str | DescribedFigure | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(thing, str):
        return f"<p>{escape(thing)}</p>"
    if isinstance(thing, DescribedFigure):
        return thing.html()
    if not thing:
        return "<p>None.</p>"
    return html_table([{name: cell_text(value) for name, value in row.items()} for row in thing])
