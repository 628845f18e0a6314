"""Exercises of the notebooks: their cells and folded solutions, the solutions put into the cells, or left out."""

import ast
import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from helpers.checks.verdicts import MIME

FOLDED = re.compile(r"<details>.*?</details>\s*", re.DOTALL)
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def solutions(source: str) -> list[str]:
    """The code of the folded solutions in a Markdown cell: one text for each fence."""
    return [code for block in FOLDED.findall(source) for code in FENCE.findall(block)]


def checked(cell: NotebookNode) -> bool:
    """Whether a cell is an exercise that ends in a check."""
    return cell.cell_type == "code" and cell.id.startswith("exercise") and "check_" in cell.source


def with_checks(notebook: NotebookNode) -> list[tuple[NotebookNode, str]]:
    """Each exercise that has a check: its cell, and the code of its folded solution."""
    found, cells = [], notebook.cells
    for i, cell in enumerate(cells):
        if checked(cell):
            end = next((k for k in range(i + 1, len(cells)) if cells[k].cell_type == "code"), len(cells))
            found.append((cell, next(code for each in cells[i + 1 : end] for code in solutions(each.source))))
    return found


def put(solution: str, cell: str) -> str:
    """An exercise's cell with a solution in it.

    The first statement that binds a name which the solution binds gives way; the rest of the solution comes before the
    cell's last statement.
    """
    new = statements(solution)
    lines = []
    for name, text in statements(cell):
        place = next((i for i, (other, _) in enumerate(new) if name and other == name), None)
        lines.append(text if place is None else new.pop(place)[1])
    return "\n".join([*lines[:-1], *(text for _, text in new), lines[-1]])


def statements(code: str) -> list[tuple[str | None, str]]:
    """Each statement on the outermost level: the name that it binds, if it is one, and its text."""
    found, lines = [], code.splitlines()
    for node in ast.parse(code).body:
        begin = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        target = node.targets[0] if isinstance(node, ast.Assign) else node
        name = getattr(target, "id", None) if isinstance(node, ast.Assign) else getattr(node, "name", None)
        found.append((name, "\n".join(lines[begin - 1 : node.end_lineno])))
    return found


def solved(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its folded solutions in the cells of the exercises that have a check; others come behind."""
    cells, exercise = [], None
    for cell in notebook.cells:
        cells.append(cell)
        if checked(cell):
            exercise = cell
        for code in solutions(cell.source) if cell.cell_type == "markdown" else []:
            if exercise is None:
                cells.append(new_code_cell(code))
            else:
                exercise.source, exercise = put(code, exercise.source), None
    notebook.cells = cells
    return notebook


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what is folded, hints excepted; a cell that held nothing else goes too."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            kept = FOLDED.sub(lambda fold: fold[0] if "hint</summary>" in fold[0] else "", cell.source)
            cell.source = kept.strip()
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook


def names(notebook: NotebookNode) -> list[str]:
    """The checks of a notebook's exercises, in order."""
    return [re.findall(r"check_\w+(?=\()", cell.source)[-1] for cell, _ in with_checks(notebook)]


def verdicts(notebook: NotebookNode) -> dict[str, str]:
    """What each check said in an executed notebook; what a cell prints is none."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    found = [output.data[MIME] for output in outputs if MIME in output.get("data", {})]
    return {each["check"]: each["verdict"] for each in found}
