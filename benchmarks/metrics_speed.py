"""How long all metrics and their intervals take, and how much memory, on one core.

`python -m benchmarks.metrics_speed` makes 5,000 predictions with five references each, scores them, prints seconds and
the memory above what the imports take, and writes them to benchmarks/results/metrics_speed.json. Needs Linux, which
tells a process the most memory that it ever held.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.metrics import caption_metrics, score
from helpers.paths import ROOT

PICTURES, REFERENCES, WORDS = 5000, 5, 8000
FILE = ROOT / "benchmarks" / "results" / "metrics_speed.json"


def captions(seed: int = 0) -> tuple[list[str], list[str], list[list[str]]]:
    """Captions of two systems and the references: 8 to 20 words, few of them frequent, as in a language.

    The captions of one picture are one sentence, in which every third word is another each time.
    """
    drawn = random.Random(seed)
    words = [f"word{i}" for i in range(WORDS)]
    often = [1 / (i + 1) for i in range(WORDS)]  # Zipf's law
    systems, references = ([], []), []
    for _ in range(PICTURES):
        sentence = drawn.choices(words, often, k=drawn.randint(8, 20))

        def varied(sentence: list[str] = sentence) -> str:
            others = drawn.choices(words, often, k=len(sentence))
            pairs = zip(sentence, others, strict=True)
            return " ".join(old if drawn.random() < 2 / 3 else new for old, new in pairs)

        for system in systems:
            system.append(varied())
        references.append([varied() for _ in range(REFERENCES)])
    return *systems, references


def memory(field: str) -> float:
    """MB that this process holds (VmRSS) or once held (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def timed(call: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - began


def main() -> None:
    """Measures, prints and writes."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core
    imports = memory("VmRSS")
    said, others, references = captions()
    found = {
        "pictures": PICTURES,
        "references": REFERENCES,
        "seconds_metrics": timed(caption_metrics, said, references),
        "seconds_metrics_and_intervals": timed(score, said, references),
        "megabytes_above_imports": memory("VmHWM") - imports,
        "seconds_difference_of_two": timed(score, said, references, minus=others),
        "megabytes_above_imports_difference": memory("VmHWM") - imports,
        "megabytes_imports": imports,
    }
    for name, value in found.items():
        print(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
