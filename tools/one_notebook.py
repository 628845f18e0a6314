"""Runs one notebook of a class, in a process of its own, and writes down after each cell what its checks have said."""
# Nothing of the project is imported: each notebook begins such a process, and torch alone takes seconds.

import ast
import contextlib
import json
import re
import resource
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

CALL = re.compile(r"\bcheck_\w+(?=\()")
QUIET = ["--log-level=40", "--HistoryManager.hist_file=:memory:"]


def run(copy: str, record: str, mime: str, seconds: float, memory: float, before: str | None) -> None:
    """Runs the copy of a notebook in its folder, and goes on after errors.

    Args:
        copy: a file that may hold anything.
        record: the file that is written after each cell; `tools.classroom` reads it.
        mime: the type of output in which checks give their verdicts.
        seconds: a cell with a check is interrupted after these.
        memory: GB that the notebook may fill, where the system holds it to that; 0 for all there is.
        before: what to run first, with all that the notebook imports, and after it only the cells that call a check;
            None for all cells.
    """
    with contextlib.suppress(ValueError, OSError):  # of a system that allows less
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 1e9) or resource.RLIM_INFINITY,) * 2)
    said: dict[str, str] = {}
    found = {"sources": [], "said": said, "errors": [], "end": ""}

    def keep(**new: str) -> None:
        found.update(new)
        fresh = Path(record + ".new")
        fresh.write_text(json.dumps(found), encoding="utf-8")
        fresh.replace(record)

    def look(cell: NotebookNode, **_: object) -> None:
        shown = [output.data[mime] for output in cell.outputs if mime in output.get("data", {})]
        errors = [f"{each.ename}: {each.evalue}" for each in cell.outputs if each.output_type == "error"]
        for name in CALL.findall(cell.source):
            if errors or said.get(name) == "not reached":
                said[name] = "error" if errors else "missing"
        said.update({str(each["check"]): str(each["verdict"]) for each in shown})
        found["errors"] += errors
        keep()

    try:
        notebook = nbformat.read(copy, as_version=4)
        found["sources"] = [cell.source for cell in notebook.cells]
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        said.update({name: "not reached" for cell in code for name in CALL.findall(cell.source)})
        if before is not None:
            imported = [new_code_cell(line) for cell in code for line in imports(cell.source)]
            notebook.cells = [*imported, new_code_cell(before), *(cell for cell in code if CALL.search(cell.source))]
        keep()
    except Exception as error:
        return keep(end=f"no notebook: {error!r}"[:200])
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        allow_errors=True,
        interrupt_on_timeout=True,
        timeout_func=lambda cell: seconds if CALL.search(cell.source) else None,
        iopub_timeout=60,
        raise_on_iopub_timeout=True,  # a verdict may be among what has not arrived
        on_cell_executed=look,
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(Path(copy).parent)}},
    )
    try:
        client.execute()
    except DeadKernelError:
        keep(end="its kernel died")
    except Exception as error:
        keep(end=f"it could not be run: {error!r}"[:200])
    else:
        keep(end="ran")


def imports(code: str) -> list[str]:
    """The imports of a cell; none where it holds more than Python."""
    try:
        return [ast.unparse(node) for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
    except SyntaxError:
        return []


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
