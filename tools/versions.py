"""Takes the pins off requirements, and compares tests/colab.txt with what Colab ships, for the weekly run.

`python -m tools.versions loosen FILE...` rewrites the files; `python -m tools.versions colab FREEZE` prints a table of
the differences, and nothing where there are none. Both run before anything is installed.
"""

import re
import sys
from pathlib import Path

COLAB = Path(__file__).parent.parent / "tests" / "colab.txt"
PIN = re.compile(r"^([\w.-]+(?:\[[\w,.-]+\])?)==([\w.!+-]+)", re.MULTILINE)
ON_PURPOSE = {"torch"}  # Colab's is built for CUDA; tests/colab.txt takes the CPU build of the other tests


def loosened(requirements: str) -> str:
    """Requirements without their pins, so that pip takes the newest versions that fit together.

    Raises:
        SystemExit: when a `==` is left outside the comments.
    """
    loose = PIN.sub(r"\1", requirements)
    for line in loose.splitlines():
        if "==" in line.split("#")[0]:
            raise SystemExit(f"{line!r} still holds a version; write it as name==version at the start of a line.")
    return loose


def versions(requirements: str) -> dict[str, str]:
    """Names, normalized as in PEP 503, with their pinned versions, without what tells builds apart (+cu128)."""
    return {re.sub(r"[-_.]+", "-", name).lower(): pin.split("+")[0] for name, pin in PIN.findall(requirements)}


def differences(pins: str, freeze: str) -> list[tuple[str, str, str]]:
    """(name, our version, Colab's) for each pin that `pip freeze` in Colab does not list like this."""
    shipped = versions(freeze)
    rows = [(name, pin, shipped.get(name, "not listed")) for name, pin in versions(pins).items()]
    return [(name, ours, theirs) for name, ours, theirs in rows if ours != theirs and name not in ON_PURPOSE]


def main(command: str, *files: str) -> None:
    """Loosens the files, or compares one with tests/colab.txt."""
    if command == "loosen":
        for path in map(Path, files):
            path.write_text(loosened(path.read_text(encoding="utf-8")), encoding="utf-8")
    elif rows := differences(COLAB.read_text(encoding="utf-8"), Path(*files).read_text(encoding="utf-8")):
        print("| package | tests/colab.txt | Colab |\n| --- | --- | --- |")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
