"""Minutes that a notebook takes: the machine's, as measured, and its reader's, by a rule."""

import math
import re

from nbformat import NotebookNode

from tools.exercises import FOLDED, with_checks
from tools.notebooks import paths, read


def minutes(seconds: float) -> int:
    """Seconds as whole minutes, rounded up, at least one."""
    return max(1, math.ceil(seconds / 60))


def study_minutes(notebook: NotebookNode) -> tuple[int, int]:
    """Minutes to read a notebook and to do its exercises, by rule and not measured on people, in steps of five.

    Reading: 200 words and 12 lines of code a minute. An exercise takes 5 minutes, and one more for each line of its
    folded solution if it has a check.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.id.startswith("exercise")]
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lines = sum(bool(line.strip()) for cell in cells[1:] for line in cell.source.splitlines())
    written = sum(bool(line.strip()) for _, code in with_checks(notebook) for line in code.splitlines())
    reading = len(FOLDED.sub("", text).split()) / 200 + lines / 12
    solving = 5 * len(re.findall(r"^\*\*\d+\. ", text, re.MULTILINE)) + written
    return tuple(max(5, 5 * round(number / 5)) for number in (reading, solving))


def study_table(seconds: dict[str, float]) -> str:
    """Minutes of the machine, for reading and for exercises, of each notebook, of the short way and of all."""
    rows = {}
    for path in paths():
        notebook = read(path)
        name = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        rows[name] = (minutes(seconds.get(path.stem, 0)), *study_minutes(notebook))
    for name, those in {"the short way: 1, 3, 5": r"[135]\.", "all": r"\d"}.items():
        chosen = [row for title, row in rows.items() if re.match(those, title)]
        rows[name] = tuple(map(sum, zip(*chosen, strict=True)))
    lines = [f"| {' | '.join(map(str, (name, *row)))} |" for name, row in rows.items()]
    return "\n".join(["| minutes | machine | reading | exercises |", "| --- | --- | --- | --- |", *lines])


def rows_timed(text: str, seconds: dict[str, float]) -> str:
    """README's rows of notebooks with their minutes written anew: the machine's, then reading and exercises."""
    for path in paths():
        machine, (reading, solving) = minutes(seconds.get(path.stem, 0)), study_minutes(read(path))
        new = rf"\g<1>{machine} min | {reading} + {solving} min |"
        text = re.sub(rf"(notebooks/{path.stem}\.ipynb\).*?)\d+ min \| [\d +]+ min \|", new, text)
    return text


def timed(notebook: NotebookNode, seconds: float) -> str:
    """A notebook's opening with its minutes written anew."""
    count, (reading, solving) = minutes(seconds), study_minutes(notebook)
    run = f"It takes about {count} minute{'s' * (count != 1)} to run on two CPU cores"
    new = f"{run}, {reading} to read and {solving} to solve"
    return re.sub(r"It takes about \d+ minutes? to run on two CPU cores[^.]*", new, notebook.cells[0].source)
