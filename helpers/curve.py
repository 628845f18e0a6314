"""Reading a learning curve: which numbers of training pictures can be told apart, and whether more may help."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from helpers.metrics import METRICS
from helpers.metrics.intervals import FEW
from helpers.paths import ROOT

MEASURED = ROOT / "docs" / "learning-curve.json"  # by `python -m tools.curve`
Row = Mapping[str, Any]  # as `helpers.learning_curve.learning_curve` makes it


def measured_curve() -> list[Row]:
    """The rows that `python -m tools.curve` measured, on Pocket Creatures in the words of notebook 6's example."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))["rows"]


def spans(rows: Sequence[Row], system: str, metric: str) -> dict[int, tuple[float, float, float]]:
    """Pictures → the lowest end of all seeds' intervals, the mean of their values, the highest end; few pictures first.

    An interval holds the choice of test pictures alone; together, those of several seeds say what these change.
    """
    found = {}
    for size in sorted({row["pictures"] for row in rows}):
        scores = [row[system][metric] for row in rows if row["pictures"] == size]
        low, value, high = ([score[end] for score in scores] for end in ("low", "value", "high"))
        found[size] = min(low), sum(value) / len(value), max(high)
    return found


def reading(rows: Sequence[Row], metric: str = "wer") -> str:
    """What a curve allows to be said of more pictures, and of its seeds: a sentence on each line.

    Two sizes are told apart where their `spans` are. Where fewer than `FEW` test captions differ from their references,
    an interval is too narrow and little is left to gain, so nothing is said of more pictures.
    """
    by_size = spans(rows, "trained", metric)
    *smaller, most = by_size
    largest = [row for row in rows if row["pictures"] == most]
    test, exact = largest[0]["test"], max(row["trained"]["exact_match"]["value"] for row in largest)
    wrong, (low, _, high) = test - round(test * exact), by_size[most]
    lower = METRICS[metric].better == "lower"
    worse = [size for size in smaller if (high < by_size[size][0] if lower else low > by_size[size][2])]
    if wrong < FEW:
        left = "the ceiling of this test" if not wrong else "too few to show a gain"
        said = f"At {most} pictures, {wrong} of {test} test captions differ from their references: {left}."
        said += "\nAsk for more test pictures first."
    elif not worse:
        said = f"No smaller number of pictures is told apart from {most}.\nAsk for more test pictures first."
    elif worse[-1] == smaller[-1]:
        said = f"{most} pictures are clearly better than {worse[-1]}.\nStill more will probably help."
    else:
        said = f"{most} pictures are clearly better than {worse[-1]}, but not told apart from {smaller[-1]}."
    seeds = {size: [row["trained"][metric]["value"] for row in rows if row["pictures"] == size] for size in by_size}
    if min(map(len, seeds.values())) < 2:
        return f"{said}\nA size with one seed does not show what other pictures or another training would change."
    apart = max(max(values) - min(values) for values in seeds.values())
    return f"{said}\nSeeds of one size lie up to {apart:.3f} apart."
