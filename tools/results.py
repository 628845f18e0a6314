"""Collects what was measured into docs/results.json and writes it wherever it is shown: `python -m tools.results`.

It reads what `make run` wrote to artifacts/. Prose is typed by hand; every measured figure is written from here.
"""

import argparse
import ast
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from helpers.metrics import METRICS
from helpers.paths import ROOT, artifacts_folder
from tools import fresh
from tools.machine import measured, processor_name
from tools.minutes import minutes, rows_timed, study_table, timed
from tools.notebooks import paths, read, write
from tools.rescore import read_captions, rescored

FILE = ROOT / "docs" / "results.json"
SHOWN = (ROOT / "README.md", ROOT / "models" / "git-tiny" / "README.md", ROOT / "docs" / "teaching.md")
NAMES = {
    "most frequent": "one of the training captions, the same for every picture",
    "nearest picture": "that of the training picture that looks most alike",
    "wrong picture": "after, but of another picture",
    "base": "before fine-tuning",
    "voted": "before fine-tuning, 30 captions put to the vote",
    "probes": "linear probes on the features before fine-tuning",
    "decoder alone": "after, vision encoder left as it was",
    "trained": "after",
}
SHORT = ["right", "wrong", "left_out", "invented", "wer"]  # of the shipped test split, which stands second
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
    about, *_ = read_captions(fresh.FILE)
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return {
        "machine": f"{torch.get_num_threads()} cores, {processor_name()}, Python {platform.python_version()}",
        "notebook_seconds": json.loads((work / "notebooks" / "seconds.json").read_text(encoding="utf-8")),
        "evaluation": evaluation,
        "behind_the_numbers": json.loads((work / "behind_the_numbers.json").read_text(encoding="utf-8")),
        "fresh": {name: about[name] for name in ("seed", "pictures")} | {"systems": rescored(fresh.FILE)},
        "development": json.loads(fresh.DEVELOPMENT_FILE.read_text(encoding="utf-8")),
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


def table(systems: dict, metrics: list[str]) -> str:
    """Systems in the order of `NAMES`, with the value of each metric, as a Markdown table."""
    lines = [f"| captions | {' | '.join(METRICS[m].label for m in metrics)} |", "| --- " * (len(metrics) + 1) + "|"]
    for system, name in NAMES.items():
        if system in systems:
            lines.append(f"| {name} | " + " | ".join(f"{systems[system][m]['value']:.3f}" for m in metrics) + " |")
    return "\n".join(lines)


def development_table(development: dict) -> str:
    """Captions right on the development split: each fine-tuning seed, and what needs no fine-tuning."""
    lines = ["| captions | captions right | recall of what the base never saw (of several seeds, the median) |"]
    lines.append("| --- | --- | --- |")
    for name in ("base", "voted", "probes", "decoder alone", "trained"):
        runs = development[name] if isinstance(development[name], list) else [development[name]]
        right = ", ".join(f"{run['right']:.3f}" for run in runs)
        recall = {
            value: [hits / of for hits, of in (run["recall"][value] for run in runs)] for value in runs[0]["recall"]
        }
        lowest = "; ".join(
            f"{value.replace('_', ' ')} {statistics.median(shares):.2f}" for value, shares in recall.items()
        )
        lines.append(f"| {NAMES[name]} | {right} | {lowest} |")
    return "\n".join(lines)


def blocks(results: dict) -> dict[str, str]:
    """Every table and sentence that shows measured figures: name → Markdown."""
    evaluation, sizes = results["evaluation"], results["bytes"]
    base = json.loads((ROOT / "models" / "git-tiny" / "training.json").read_text(encoding="utf-8"))
    systems, right = results["fresh"]["systems"], results["fresh"]["systems"]["trained"]["right"]
    scores = [
        table(systems, list(METRICS)),
        "",
        f"{results['fresh']['pictures']:,} fresh pictures, drawn by the seed {results['fresh']['seed']}; 95 % interval "
        f"of the captions right after fine-tuning {right['low']:.3f} to {right['high']:.3f}. Training: "
        f"{evaluation['captioner']['steps']} steps, {evaluation['seconds']['training']:.0f} seconds with its "
        f"evaluations. {results['machine']}.",
    ]
    right = evaluation["systems"]["trained"]["right"]
    shipped = [
        table(evaluation["systems"], SHORT),
        "",
        f"{evaluation['dataset']['pictures']} test pictures; 95 % interval of the captions right after fine-tuning "
        f"{right['low']:.3f} to {right['high']:.3f}.",
    ]
    steps = list(results["behind_the_numbers"]["steps"].values())
    popular = (
        "Measured as many guides do it, such as [Hugging Face's](https://huggingface.co/docs/transformers/tasks/"
        "image_captioning) (2023 to 2026), the word error rate of the same captioner on the test split is "
        f"{steps[0]:.1f}; notebook 7 shows why."
    )
    recipes = measured("recipes")
    trained = recipes["training"]["git-base"]
    ours, padded = (trained["speed"][recipe] for recipe in ("ours", "popular"))
    memory = trained["megabytes"]["ours"] / trained["megabytes"]["stock"]
    gains = ", ".join(f"{each['speed']['median']:.1f}" for each in recipes["beams"])
    lengths = ", ".join(str(each["length"]) for each in recipes["beams"])
    bf16 = ""
    if recipes["bf16"]:
        gains_by_size = [
            {way: f"{each['median']:.2f}" for way, each in recipes["bf16"][name]["speed"].items()}
            for name in ("git-base", "git-tiny")
        ]
        with_ours, with_stock = (
            " and ".join(size[way] for size in gains_by_size) for way in ("ours bf16", "stock bf16")
        )
        bf16 = (
            ' On processors that multiply bf16 by themselves (avx512_bf16, AMX), as this one, `precision="bf16"` pays: '
            f"ours has {with_ours} times the speed of the stock Trainer in fp32, at git-base's size and with git-tiny, "
            f"and the stock Trainer in bf16 {with_stock} times."
        )
    speed = (
        "Beside a stock transformers Trainer that pads to the longest caption of a batch, at git-base's size on a CPU: "
        f"{ours['median']:.2f} times the pictures a second in training ({ours['min']:.2f} to {ours['max']:.2f} in "
        f"{recipes['repeats']} paired repeats), {memory:.2f} of the memory; with four beams "
        f"{gains} times the captions a second, at {lengths} new tokens. "
        f"Padded to the longest length, as in many guides, training has "
        f"{padded['median']:.2f} of the stock Trainer's speed.{bf16} `make bench` measures it."
    )
    total = sum(results["notebook_seconds"].values())
    fetched = f"{sizes['download'] / 1e9:.1f} GB to download, " if sizes["download"] else ""
    needs = (
        f"Python 3.11 or newer, make and git; {fetched}{sizes['installed'] / 1e9:.1f} GB on disk with PyTorch's CPU "
        f"build; about {minutes(total)} minutes to run everything on {results['machine'].split(',')[0]}."
    )
    said = base["captions"]
    made = [
        f"- Parameters: {base['parameters']:,}; weights and tokenizer {sizes['model'] / 1e6:.1f} MB",
        f"- Drawings: {base['drawings']:,}, with {said['captions']:,} captions of {base['words']} different words",
        f"- Stage 1, seeing: {base['see']['steps']:,} steps of {base['batch']} drawings",
        f"- Stage 2, speaking: {base['speak']['steps']:,} steps of {base['batch']} drawings",
        f"- Training time: {(base['see']['seconds'] + base['speak']['seconds']) / 3600:.1f} hours on a CPU that other "
        "work shared, the drawing not counted",
        f"- Facts of a drawing, mean: {said['facts_there'] / base['drawings']:.1f}; of these, a caption names "
        f"{said['facts_named_by_one_caption']:.0%}, and all captions of a drawing together "
        f"{said['facts_named_by_any_caption']:.0%}",
        f"- Words that name no fact: {1 - said['words_of_facts']:.0%}; captions that name what is not there: "
        f"{said['captions_naming_what_is_not_there']:.1%}",
    ]
    map_ = file_map("helpers", "tools", "benchmarks")
    return {
        "scores": "\n".join(scores), "shipped": "\n".join(shipped), "popular": popular, "speed": speed, "needs": needs,
        "base": "\n".join(made), "development": development_table(results["development"]), "map": map_,
        "study": study_table(results["notebook_seconds"]),
    }  # fmt: skip


def rendered(text: str, results: dict) -> str:
    """A Markdown file with its blocks and its notebooks' minutes written anew."""
    for name, content in blocks(results).items():
        pattern = BLOCK.format(name=name)
        text = re.sub(pattern, lambda hit, new=content: f"{hit[1]}{new}\n{hit[3]}", text, flags=re.DOTALL)
    return rows_timed(text, results["notebook_seconds"])


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
            notebook.cells[0].source = timed(notebook, results["notebook_seconds"][path.stem])
            write(notebook, path)
    picture = artifacts_folder() / "test-captions.png"
    (ROOT / "docs" / picture.name).write_bytes(picture.read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
