"""How long all metrics and their intervals take, and how much memory, on one core.

`python -m benchmarks.metrics_speed` makes 5,000 predictions with five references each, scores them, prints seconds and
the memory above what the imports take, and writes them to benchmarks/results/metrics_speed.json. Needs Linux, which
tells a process the most memory that it ever held.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

from helpers.metrics import caption_metrics, score
from tools.machine import keep, memory

PICTURES, REFERENCES, WORDS = 5000, 5, 8000


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


def timed(call: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - began


def main() -> None:
    """Measures, prints and writes."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core
    imports = memory("VmRSS")
    predictions, others, references = captions()
    results = {
        "pictures": PICTURES,
        "references": REFERENCES,
        "seconds_metrics": timed(caption_metrics, predictions, references),
        "seconds_metrics_and_intervals": timed(score, predictions, references),
        "megabytes_above_imports": memory("VmHWM") - imports,
        "seconds_difference_of_two": timed(score, predictions, references, minus=others),
        "megabytes_above_imports_difference": memory("VmHWM") - imports,
        "megabytes_imports": imports,
    }
    for name, value in results.items():
        print(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}")
    keep("metrics_speed", results)


if __name__ == "__main__":
    main()
