"""Three ways to train a captioner, each a transformers Trainer: a step of each is timed in a process of its own.

popular  the guide that most people follow: captions padded to the tokenizer's limit, padding learnt too, and every
         logit of an evaluation kept. What a guide leaves open is what the library does today: AdamW is fused.
stock    the same Trainer, padded to the longest caption of the batch; padding is left out of the loss, and an
         evaluation keeps the likeliest token alone (`preprocess_logits_for_metrics`).
ours     a CaptionTrainer. Pictures that it prepares once, before the first step, are not timed.

All three read the same pictures with one caption each, in the same order and precision. Nothing is frozen in any.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import DatasetDict
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop, sdpa_flop
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from benchmarks.git_base import git_base
from helpers.data import load_captions
from helpers.device import best_device, choose_precision
from helpers.families import load_checkpoint
from helpers.notebook import start
from helpers.settings import Settings
from helpers.training import CaptionTrainer
from helpers.transforms import IGNORED
from tools.machine import memory

PICTURES, EVALUATED = 256, 8
# torch counts the operations of attention on a GPU, and not those of the same attention on a CPU.
ON_A_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: sdpa_backward_flop,
}


class Shape(NamedTuple):
    """A model to measure with."""

    load: Callable[[Iterable[Sequence[str]]], tuple[PreTrainedModel, Any]]  # captions of each picture → with processor
    batch: int  # pictures a step
    steps: int  # that make a repeat


SHAPES = {
    "git-base": Shape(git_base, batch=4, steps=2),
    "git-tiny": Shape(lambda _: load_checkpoint("models/git-tiny"), batch=32, steps=4),
}


def stock(
    model: PreTrainedModel, processor: Any, dataset: DatasetDict, settings: Settings, *, padding: str = "longest"
) -> Trainer:
    """A Trainer as it comes: the processor on each row, each time, and the model's own loss and head."""

    def prepare(rows: dict[str, list]) -> dict[str, torch.Tensor]:
        texts = [captions[0] for captions in rows["captions"]]
        inputs = processor(images=rows["image"], text=texts, padding=padding, return_tensors="pt")
        unseen = (inputs["attention_mask"] == 0) & (padding == "longest")  # guides that pad to the limit mask nothing
        return {**inputs, "labels": inputs["input_ids"].masked_fill(unseen, IGNORED)}  # (batch, tokens)

    precision = choose_precision(settings.precision)
    arguments = TrainingArguments(
        output_dir=os.path.join(tempfile.gettempdir(), "never-written"),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        remove_unused_columns=False,
        use_cpu=best_device() == "cpu",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        report_to="none",
    )
    prepared = {name: split.with_transform(prepare) for name, split in dataset.items()}
    likeliest = (lambda logits, labels: logits.argmax(dim=-1)) if padding == "longest" else None
    return Trainer(
        model, arguments, train_dataset=prepared["train"], eval_dataset=prepared["validation"],
        preprocess_logits_for_metrics=likeliest,
    )  # fmt: skip


RECIPES = {"popular": partial(stock, padding="max_length"), "stock": stock, "ours": CaptionTrainer}


def clock() -> float:
    """Seconds, when everything asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_speed(precision: str) -> float:
    """GFLOP/s of a large matrix product here, the median of three after one that is not timed."""
    size = 8192 if torch.cuda.is_available() else 2048
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    matrix = torch.randn(size, size, device=best_device(), dtype=kind)
    times = [clock()]
    for _ in range(4):
        matrix @ matrix
        times.append(clock())
    return 2 * size**3 / statistics.median(after - before for before, after in pairwise(times[1:])) / 1e9


def most_held() -> float:
    """MB that were ever held at a time: on a GPU of its memory, else of this process's."""
    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else memory("VmHWM")


class Timed(TrainerCallback):
    """Measures each step of a training, from the making of its batch on, and says so.

    Args:
        tell: is given what a step took: batch (with all that is done between steps), model, optimizer and step in
            seconds, operations, and megabytes (`most_held`); says whether to go on.
    """

    def __init__(self, tell: Callable[[dict[str, float]], bool]):
        self.tell, self.times, self.operations = tell, [], 0
        self.counter = FlopCounterMode(display=False, custom_mapping=ON_A_CPU)

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first batch is asked for."""
        self.times = [clock()]

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The batch is made. Of the first step, which is not timed, the operations are counted."""
        self.times.append(clock())
        if not self.operations:
            self.counter.__enter__()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """The gradients are there."""
        self.times.append(clock())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The weights are changed."""
        times = [*self.times, clock()]
        if not self.operations:
            self.counter.__exit__(None, None, None)
            self.operations = self.counter.get_total_flops()
        passed = [after - before for before, after in pairwise(times)]
        parts = dict(zip(("batch", "model", "optimizer"), passed, strict=True))
        whole = {"step": times[-1] - times[0], "operations": self.operations, "megabytes": most_held()}
        control.should_training_stop = not self.tell(parts | whole)
        self.times = [clock()]


def trainer_of(shape: Shape, recipe: str, dataset: DatasetDict, precision: str = "auto") -> Trainer:
    """The Trainer of a recipe, which takes the rows in order, and neither evaluates nor saves by itself.

    Args:
        shape: what is trained.
        recipe: the name of one.
        dataset: with the splits train and validation; of each picture the first caption is learnt.
        precision: as in Settings.
    """
    dataset = dataset.map(lambda row: {"captions": row["captions"][:1]})
    settings = Settings.full().with_changes(batch_size=shape.batch, precision=precision)
    trainer = RECIPES[recipe](*shape.load(dataset["train"]["captions"]), dataset, settings)
    changes = {"train_sampling_strategy": "sequential", "logging_strategy": "no", "eval_strategy": "no"}
    changes |= {"save_strategy": "no", "eval_on_start": False, "load_best_model_at_end": False, "num_train_epochs": 99}
    for name, value in changes.items():
        setattr(trainer.args, name, value)
    for printing in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(printing)
    return trainer


def train(trainer: Trainer, tell: Callable[[dict[str, float]], bool]) -> None:
    """Trains, by the library's own loop, until `tell` says that it is enough; see `Timed`."""
    trainer.add_callback(Timed(tell))
    Trainer.train(trainer)


def evaluation_megabytes(trainer: Trainer) -> float:
    """What an evaluation adds to what was held before it, at most: on a GPU of its memory, else of the process's."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 1e6
    else:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the most that was held so far (man 5 proc)
        before = memory("VmRSS")
    trainer.predict(trainer.eval_dataset)
    return most_held() - before


def pictures() -> DatasetDict:
    """What is trained on and evaluated: the first pictures of Pocket Creatures."""
    dataset = load_captions("data/pocket-creatures")
    validation = dataset["validation"].select(range(EVALUATED))
    return DatasetDict(train=dataset["train"].select(range(PICTURES)), validation=validation)


def main(name: str, recipe: str, precision: str, what: str) -> None:
    """Prints a line for each step, or one for an evaluation, and takes the next when a line is read."""
    answer = sys.stdout

    def tell(measured: dict[str, float]) -> bool:
        speed = matrix_speed(choose_precision(precision))
        print(json.dumps(measured | {"matrix": speed}), file=answer, flush=True)
        return bool(sys.stdin.readline())

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        os.environ["CAPTIONING_ARTIFACTS"] = folder
        start(Settings.full())
        trainer = trainer_of(SHAPES[name], recipe, pictures(), precision)
        if what == "evaluate":
            tell({"megabytes": evaluation_megabytes(trainer)})
        elif sys.stdin.readline():
            train(trainer, tell)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, BrokenPipeError):  # whoever asked has stopped
        main(*sys.argv[1:])
