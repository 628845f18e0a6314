"""The machine that figures are measured on: its processor, a process's memory, where results are written."""

import json
import platform
import re
from pathlib import Path
from typing import Any

from helpers.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def processor_name() -> str:
    """The processor as the operating system names it."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def memory(field: str) -> float:
    """MB that this process holds (VmRSS) or once held (VmHWM); Linux alone tells it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def measured(name: str) -> Any:
    """What a benchmark wrote last."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def keep(name: str, results: Any) -> None:
    """Writes what a benchmark measured."""
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
