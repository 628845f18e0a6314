"""What is wrong with a checkpoint's folder: Git LFS pointers, missing parts, adapters, files that are damaged."""

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open

from helpers.errors import CheckpointError, enough_memory, first_line, readable
from helpers.paths import resolve
from helpers.reading.kinds import LFS

logger = logging.getLogger(__name__)

_PICTURES = ("preprocessor_config.json", "processor_config.json")
_WORDS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHERS = (".h5", ".msgpack", ".onnx", ".gguf", ".pt", ".pth", ".ckpt")  # of TensorFlow, Flax and others
_AGAIN = "copy or download it again, or name another"
_SAVE = "save the model with its save_pretrained, or name another"
_FROM_BASE = "only the model was saved; save the processor of its base there too, with processor.save_pretrained"
# What a library says, and what it means.
_SAID = {
    "image processor": f"has no image processor ({_PICTURES[0]}): {_FROM_BASE}",
    "mismatched_sizes": f"has weights of other sizes than its config.json says; {_AGAIN}",
    "Weights only": f"has weights in pytorch_model.bin that are no plain numbers; {_SAVE}",
}


def refuse_pointers(name: str) -> None:
    """Refuses a folder that `git clone` made without Git LFS: some of its files are notes of where the real ones lie.

    Raises:
        CheckpointError: it has one.
    """
    for file in _files(resolve(name)):
        with file.open("rb") as stream:
            if stream.read(len(LFS)) == LFS:
                mend = "run git lfs install and git lfs pull in that folder, or download it again"
                raise CheckpointError(f"{file.name} in {name} is a Git LFS pointer and not the file itself; {mend}.")


def fault(name: str, error: Exception) -> str:
    """The sentence about a checkpoint that a library could not load: the first thing that is wrong with its files."""
    folder = resolve(name)
    if folder.is_file():
        return f"{name} is a file; give the folder that holds it, with config.json and the processor's files."
    said, found = first_line(error), next(_faults(folder), None) if folder.is_dir() else None
    found = found or next((what for sign, what in _SAID.items() if sign in said), None)
    return f"{name} {found}." if found else f"The checkpoint {name} cannot be read ({said}); {_AGAIN}."


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turns what goes wrong within the block, where this checkpoint is loaded, into one sentence."""
    with readable(CheckpointError, lambda error: fault(name, error)), enough_memory(f"the checkpoint {name}"):
        yield


def check_missing(name: str, missing: Collection[str], weights: int) -> None:
    """Says which weights of a model a checkpoint lacks, so that they start at random.

    Args:
        name: of the checkpoint.
        missing: the names of the weights.
        weights: how many the model has.

    Raises:
        CheckpointError: it lacks most of them, as where their names begin with what DataParallel or torch.compile adds.
    """
    if len(missing) > weights / 2:
        mend = "save it with save_pretrained of the model itself, not of what wraps it, or name another"
        raise CheckpointError(f"{name} lacks {len(missing)} of its model's {weights} weights; {mend}.")
    if missing:
        logger.warning("%s lacks %d weights, which start at random: %s …", name, len(missing), min(missing))


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.iterdir()) if file.is_file()] if folder.is_dir() else []


def _faults(folder: Path) -> Iterator[str]:
    names = [file.name for file in _files(folder)]
    index = next((name for name in names if name.endswith((".safetensors.index.json", ".bin.index.json"))), "")
    weights = [name for name in _WEIGHTS if name in names]
    if "adapter_config.json" in names and not weights:
        yield "holds an adapter and no whole model; save what PEFT's merge_and_unload() makes of it and its base"
    if "config.json" not in names:
        inside = sorted((file.parent.name for file in folder.glob("*/config.json")), key=lambda name: (len(name), name))
        mend = f"name the folder {inside[-1]} in it" if inside else _AGAIN
        yield f"has no config.json, so it is no checkpoint; {mend}"
    for name in names:
        if name.endswith(("config.json", ".index.json")) or (name in _WORDS and name.endswith(".json")):
            with suppress(ValueError, RecursionError):
                if isinstance(json.loads((folder / name).read_text(encoding="utf-8")), dict):
                    continue
            yield f"has a damaged {name}; {_AGAIN}"
    for part, files in (("image processor", _PICTURES), ("vocabulary", _WORDS)):
        if not set(files) & set(names):
            yield f"has no {part} ({files[0]}): {_FROM_BASE}"
    shards = set(json.loads((folder / index).read_bytes())["weight_map"].values()) if index else set()
    if lacking := sorted(shards - set(names)) or ([] if weights or index else [_WEIGHTS[0]]):
        other = next((name for name in names if name.endswith(_OTHERS)), "")
        yield f"lacks its weights {lacking[0]}; {f'{other} is not read: {_SAVE}' if other else _AGAIN}"
    for name in names:
        try:
            if name.endswith(".safetensors"):
                safe_open(folder / name, "pt")
            elif name in _WEIGHTS and not is_zipfile(folder / name):
                raise OSError
        except (OSError, SafetensorError):
            yield f"has a damaged or cut off {name}; {_AGAIN}"
