"""The figure class that carries alt text, and the style that all figures share."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from helpers.paths import resolve
from helpers.plotting.fonts import fit_fonts

# Okabe and Ito's colours (2008), which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GRAY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A8A",
)  # fmt: skip
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
}


class DescribedFigure(Figure):
    """A matplotlib figure with alt text and, where it draws bars, their numbers: tables as `html_table` takes them.

    A notebook's output holds it twice. JupyterLab, Colab and exported pages show the HTML, because JupyterLab leaves
    out the alt text of a PNG; PDF has no HTML and takes the PNG.
    """

    alt: str = ""
    tables: Sequence[Sequence[Mapping[str, Any]]] = ()

    def png(self) -> bytes:
        """The figure as a PNG file's bytes."""
        content = io.BytesIO()
        fit_fonts(self)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # fit_fonts has said it
            self.savefig(content, format="png", dpi=100, bbox_inches="tight", pad_inches=0.1)
        return content.getvalue()

    def save(self, name: str | Path) -> Path:
        """Writes the figure as a PNG file; a relative name is taken as `resolve` takes it."""
        path = resolve(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.png())
        return path

    def html(self, content: bytes | None = None) -> str:
        """The figure as HTML: the picture with its alt text, and below it, folded, its tables.

        Args:
            content: what `png` gave; drawn here where it is not given.
        """
        data = base64.b64encode(content or self.png()).decode()
        alt = escape(self.alt).replace("\n", "&#10;")  # an empty line would end the HTML inside Markdown
        picture = f'<img src="data:image/png;base64,{data}" alt="{alt}">'
        tables = "\n".join(html_table(rows) for rows in self.tables if rows)
        return picture + (f"\n<details>\n<summary>The numbers</summary>\n{tables}\n</details>" if tables else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        content = self.png()
        return {"text/html": self.html(content), "image/png": content, "text/plain": self.alt}


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """An HTML table with a column for each key of the rows, of which there is at least one."""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = ("".join(f"<td>{escape(str(row[name]))}</td>" for name in rows[0]) for row in rows)
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(f"<tr>{cells}</tr>" for cells in body) + "\n</table>"


styled = rc_context(STYLE)  # as a decorator: the style holds while the function draws


def new_figure(width: float, height: float) -> DescribedFigure:
    """An empty figure of this size in inches."""
    return DescribedFigure(figsize=(width, height), layout="constrained")


def axes_of(figure: Figure, rows: int, columns: int, **options: Any) -> np.ndarray:
    """The figure's axes, (rows, columns), also where there is one."""
    return figure.subplots(rows, columns, squeeze=False, **options)


def picture_grid(count: int, columns: int, width: float, height: float) -> tuple[DescribedFigure, list[Any]]:
    """A figure with a bare place for each of `count` pictures; width and height of a place in inches."""
    rows = -(-count // columns)
    figure = new_figure(width * columns, height * rows)
    figure.get_layout_engine().set(h_pad=0.1)
    axes = list(axes_of(figure, rows, columns).flat)
    for ax in axes:
        ax.axis("off")
    return figure, axes
