"""Collects what was measured into docs/results.json and writes it wherever it is shown: `python -m tools.results`.

It reads what `make run` wrote to artifacts/. Prose is typed by hand; every measured figure is written from here.
"""

import argparse
import ast
import json
import math
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from helpers.metrics import METRICS
from helpers.paths import ROOT, artifacts_folder
from tools.machine import measured, processor_name
from tools.notebooks import paths, read, write

FILE = ROOT / "docs" / "results.json"
SHOWN = (ROOT / "README.md", ROOT / "models" / "git-tiny" / "README.md")
BLOCK = r"(<!-- results: {name} -->\n)(.*?)(<!-- end -->)"


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def download_bytes() -> int:
    """What an installation downloads: the packages of requirements.txt and all that they need, fetched once more."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("-e")]
        (Path(folder) / "asked.txt").write_text("\n".join(asked))
        command = [sys.executable, "-m", "pip", "download", "-q", "-r", f"{folder}/asked.txt", "-d", f"{folder}/wheels"]
        subprocess.run(command, check=True)
        return size_of(Path(folder) / "wheels")


def collect(*, download: bool = False) -> dict:
    """What the last `make run` measured, with sizes and the machine."""
    work = artifacts_folder()
    evaluation = json.loads((work / "evaluation.json").read_text(encoding="utf-8"))
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return {
        "machine": f"{torch.get_num_threads()} cores, {processor_name()}, Python {platform.python_version()}",
        "notebook_seconds": json.loads((work / "notebooks" / "seconds.json").read_text(encoding="utf-8")),
        "evaluation": evaluation,
        "behind_the_numbers": json.loads((work / "behind_the_numbers.json").read_text(encoding="utf-8")),
        "bytes": {
            "data": size_of(ROOT / "data" / "pocket-creatures"),
            "model": size_of(ROOT / "models" / "git-tiny"),
            "installed": size_of(Path(sys.prefix)),
            "download": download_bytes() if download else before.get("bytes", {}).get("download"),
        },
    }


def file_map(*folders: str) -> str:
    """Every module with the first line of its docstring, as a tree."""
    lines = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py"), key=lambda path: (path.parent, path.name)):
            inside = path.relative_to(ROOT).parts
            name = f"{inside[-2]}/" if path.stem == "__init__" else path.name
            depth = len(inside) - 1 - (path.stem == "__init__")
            says = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
            lines.append(f"{'  ' * depth + name:<20} {says}")
    return "\n".join(["```text", *lines, "```"])


def minutes(seconds: float) -> int:
    """Seconds as whole minutes, rounded up, at least one."""
    return max(1, math.ceil(seconds / 60))


def blocks(results: dict) -> dict[str, str]:
    """Every table and sentence that shows measured figures: name → Markdown."""
    evaluation, sizes = results["evaluation"], results["bytes"]
    base = json.loads((ROOT / "models" / "git-tiny" / "training.json").read_text(encoding="utf-8"))
    systems, attributes = evaluation["systems"], evaluation["attributes"]
    names = {
        "most frequent": "the most frequent caption, whatever the picture",
        "nearest picture": "that of the training picture that looks most alike",
        "wrong picture": "after, but of another picture",
        "base": "before fine-tuning",
        "trained": "after",
    }
    metrics = {metric: METRICS[metric].label for metric in systems["trained"]}
    scores = [f"| captions | {' | '.join(metrics.values())} |", "| --- " * (len(metrics) + 1) + "|"]
    for system, name in names.items():
        scores.append(f"| {name} | " + " | ".join(f"{systems[system][m]['value']:.3f}" for m in metrics) + " |")
    low, high = systems["trained"]["wer"]["low"], systems["trained"]["wer"]["high"]
    mean = sum(attributes.values()) / len(attributes)
    scores.append("")
    scores.append(
        f"{evaluation['dataset']['pictures']} test pictures; 95 % interval of the last word error rate {low:.3f} to "
        f"{high:.3f}; attribute accuracy {mean:.3f}. Training: {evaluation['captioner']['steps']} steps, "
        f"{evaluation['seconds']['training']:.0f} seconds with its evaluations. {results['machine']}."
    )
    steps = list(results["behind_the_numbers"]["steps"].values())
    scores.append("")
    scores.append(
        f"Measured as many guides do it, the word error rate of the same captioner is {steps[0]:.1f}; notebook 7 shows "
        "why."
    )
    recipes = measured("recipes")
    trained = recipes["training"]["git-base"]
    memory = trained["megabytes"]["ours"] / trained["megabytes"]["popular"]
    speed = (
        "Many guides pad every caption to the longest length and prepare each picture anew. Beside that, at git-base's "
        f"size: {trained['speed']['median']:.1f} times the pictures a second in training, {memory:.2f} of the memory, "
        f"and with four beams {recipes['generation']['speed']['median']:.1f} times the captions a second. `make bench` "
        "measures it."
    )
    total = sum(results["notebook_seconds"].values())
    fetched = f"{sizes['download'] / 1e9:.1f} GB to download, " if sizes["download"] else ""
    needs = (
        f"Python 3.11 or newer, make and git; {fetched}{sizes['installed'] / 1e9:.1f} GB on disk with PyTorch's CPU "
        f"build; about {minutes(total)} minutes to run everything on {results['machine'].split(',')[0]}."
    )
    seen = ", ".join(f"{name} {value:.3f}" for name, value in base["see_accuracy"].items())
    stages, hours = base["stages"], (base["see_seconds"] + base["speak_seconds"]) / 3600
    made = [
        f"- Parameters: {base['parameters']:,}; weights and tokenizer {sizes['model'] / 1e6:.1f} MB",
        f"- Drawings: {base['drawings']:,}, of which {base['held_out_drawings']} were held out",
        f"- Stage 1, seeing: {stages['see']['steps']:,} steps of 64 drawings",
        f"- Stage 2, speaking: {stages['speak']['steps']:,} steps of 64 drawings",
        f"- Training time: {hours:.1f} hours on a CPU that other work shared, the drawing not counted",
        f"- Attributes told rightly after stage 1, held-out drawings: {seen}",
        f"- Captions in its own words, held-out drawings: word error rate {base['held_out']['wer']:.4f}, exact match "
        f"{base['held_out']['exact_match']:.3f}",
    ]
    map_ = file_map("helpers", "tools", "benchmarks")
    return {"scores": "\n".join(scores), "speed": speed, "needs": needs, "base": "\n".join(made), "map": map_}


def rendered(text: str, results: dict) -> str:
    """A Markdown file with its blocks and its notebooks' minutes written anew."""
    for name, content in blocks(results).items():
        pattern = BLOCK.format(name=name)
        text = re.sub(pattern, lambda hit, new=content: f"{hit[1]}{new}\n{hit[3]}", text, flags=re.DOTALL)
    for stem, seconds in results["notebook_seconds"].items():
        text = re.sub(rf"(notebooks/{stem}\.ipynb\).*?)\d+ min", rf"\g<1>{minutes(seconds)} min", text)
    return text


def timed(opening: str, seconds: float) -> str:
    """A notebook's opening with its time written anew."""
    count = minutes(seconds)
    return re.sub(r"It takes about \d+ minutes?", f"It takes about {count} minute{'s' * (count != 1)}", opening)


def main(arguments: list[str]) -> None:
    """Reads the command line, collects and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--download", action="store_true", help="also measure what an installation downloads")
    parser.add_argument("--again", action="store_true", help="write what docs/results.json holds, and the file map")
    asked = parser.parse_args(arguments)
    results = json.loads(FILE.read_text(encoding="utf-8")) if asked.again else collect(download=asked.download)
    FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for path in SHOWN:
        path.write_text(rendered(path.read_text(encoding="utf-8"), results), encoding="utf-8")
    if asked.again:
        return
    for path in paths():
        if path.stem in results["notebook_seconds"]:
            notebook = read(path)
            notebook.cells[0].source = timed(notebook.cells[0].source, results["notebook_seconds"][path.stem])
            write(notebook, path)
    picture = artifacts_folder() / "test-captions.png"
    (ROOT / "docs" / picture.name).write_bytes(picture.read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
