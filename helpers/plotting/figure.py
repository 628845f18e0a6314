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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from helpers.errors import CaptioningError
from helpers.paths import resolve
from helpers.plotting.fonts import fit_fonts
from helpers.reading.pictures import load_image
from helpers.text import visible, whole

INK = "#222222"  # of names beside marks, and of their intervals
# Okabe and Ito's colours (2008), which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GRAY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A8A",
)  # fmt: skip
HUES = (RED, GREEN, ORANGE, PURPLE, SKY, GRAY, "#444444", "#B8A900")  # of systems beside one in blue
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "text.parse_math": False,  # a price is no formula
}
BARE = {"xticks": [], "yticks": [], "frame_on": False}  # for axes that hold a picture


styled = rc_context(STYLE)  # as a decorator: the style holds while the function draws


class DescribedFigure(Figure):
    """A matplotlib figure with alt text and, where it draws bars, their numbers: tables as `html_table` takes them.

    A notebook's output holds it twice. JupyterLab, Colab and exported pages show the HTML, because JupyterLab leaves
    out the alt text of a PNG; PDF has no HTML and takes the PNG.
    """

    alt: str = ""
    tables: Sequence[Sequence[Mapping[str, Any]]] = ()

    def described(self, alt: str, *tables: Sequence[Mapping[str, Any]]) -> DescribedFigure:
        """This figure, once it has its alt text and its tables."""
        self.alt, self.tables = whole(visible(alt)), tables
        return self

    @styled  # ticks are made while it is drawn
    def png(self) -> bytes:
        """The figure as a PNG file's bytes."""
        content = io.BytesIO()
        for text in self.findobj(Text):  # what was not drawn by a function in our style is text, too
            text.set_parse_math(False)
            text.set_text(whole(visible(text.get_text())).expandtabs(4))
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
        """The figure as HTML: the picture, which is `content` or drawn here, its alt text, and its tables, folded."""
        data = base64.b64encode(content or self.png()).decode()
        alt = escape(self.alt).replace("\n", "&#10;")  # an empty line would end the HTML inside Markdown
        picture = f'<img src="data:image/png;base64,{data}" alt="{alt}">'
        tables = "\n".join(html_table(rows) for rows in self.tables if rows)
        return picture + (f"\n<details>\n<summary>The numbers</summary>\n{tables}\n</details>" if tables else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        content = self.png()
        return {"text/html": self.html(content), "image/png": content, "text/plain": self.alt}


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """An HTML table with a column for each key of the rows, of which there is at least one; formulas stay text."""
    names = dict.fromkeys(name for row in rows for name in row)
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    body = ("".join(f"<td>{_cell(row.get(name, ''))}</td>" for name in names) for row in rows)
    lines = "\n".join(f"<tr>{cells}</tr>" for cells in body)
    return f'<table class="mathjax_ignore tex2jax_ignore">\n<tr>{head}</tr>\n{lines}\n</table>'


def _cell(value: Any) -> str:
    return "<br>".join(escape(line) for line in whole(visible(str(value))).strip().splitlines())


def pixels_of(image: Any) -> np.ndarray:
    """A picture of any kind that `load_image` takes, as it looks: uint8, (height, width, 3)."""
    return np.asarray(load_image(image))


def some(values: Any, what: str) -> Any:
    """The values as they are, or CaptioningError where there are none to draw."""
    if not len(values):
        raise CaptioningError(f"There is no {what} to draw; give one or more.")
    return values


def new_figure(
    width: float, height: float, count: int = 1, columns: int = 1, *, title: str = "", **options: Any
) -> tuple[DescribedFigure, list[Axes]]:
    """An empty figure of this size in inches with `count` axes, row by row; `options` are those of `subplots`."""
    figure = DescribedFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(-(-count // columns), columns, squeeze=False, **options).flatten()
    for spare in axes[count:]:
        spare.axis("off")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return figure, list(axes[:count])
