"""Stopping and resuming a training: its checkpoints on disk, and what its history says of the weights that it kept."""

import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from safetensors import SafetensorError, safe_open

from helpers.device import processes
from helpers.errors import SettingsError, first_line
from helpers.notebook import markdown_cell
from helpers.paths import beside, captioner_folder, resolve, write_whole
from helpers.settings import Settings

logger = logging.getLogger(__name__)

TORCH_FILES = ("optimizer.pt", "scheduler.pt")  # of a Trainer's checkpoint, zipped by torch.save
COLUMNS = ("loss", "right", "wrong", "left_out", "invented", "wer", "first_picture")  # of the notebook's table


def checkpoints_folder(settings: Settings) -> Path:
    """Where the Trainer's checkpoints lie while a captioner is trained: beside the captioner's folder."""
    return beside(captioner_folder(settings.output), "checkpoints")


def begun(settings: Settings, data: str, base: str | None) -> str:
    """What a training began with, as text: values, processes, the fingerprints of training split and base model."""
    known = {"values": settings.training_values(), "data": data, "base": base, "processes": processes().num_processes}
    return json.dumps(known, indent=2)


def other_base(record: Mapping[str, Any], settings: Settings, base: str | None) -> str:
    """In words, that a training began with other weights of `settings.checkpoint` than are there now; "" if not.

    Args:
        record: of the training; up to release 0.2.0 it held no fingerprint of the base. The shipped base has changed
            since; of any other, nothing can be told.
        settings: that name the checkpoint.
        base: the fingerprint of its weights now, or None where that cannot be told.
    """
    began, shipped = record.get("base"), resolve(settings.checkpoint) == resolve(Settings.checkpoint)
    changed = base and base != began and (began or shipped)
    return f"another base model (the weights of {settings.checkpoint} have changed)" if changed else ""


@contextmanager
def resumable(trainer: Any, *, fresh: bool) -> Iterator[None]:
    """A training inside this block can be stopped and continued.

    An interruption (the stop button) ends the block, and the model keeps what it has learnt. The checkpoints stay
    after an interruption, or when the process dies; they are removed after a training that came to its end.

    Args:
        trainer: a CaptionTrainer; its `seconds` and `interrupted` are set here.
        fresh: begin anew, without the checkpoints of an earlier training.

    Raises:
        SettingsError: the disk is full or cannot be written to, or the loss is no number any more.
    """
    folder, began = checkpoints_folder(trainer.settings), time.perf_counter()
    try:
        if fresh and processes().is_main_process:
            shutil.rmtree(folder, ignore_errors=True)
            write_whole(folder / "begun.json", begun(trainer.settings, trainer.data, trainer.base))
        processes().wait_for_everyone()
        yield
        processes().wait_for_everyone()  # each loads the best checkpoint
        if processes().is_main_process:
            shutil.rmtree(folder, ignore_errors=True)
    except KeyboardInterrupt:
        trainer.interrupted = True
        steps = (trainer.state.global_step, trainer.state.max_steps)
        trainer.state.log_history.append({"interrupted": True, "step": steps[0]})
        logger.warning("Stopped at step %d of %d; the model keeps what it has learnt.", *steps)
    except SettingsError:  # the loss is no number any more: to go on would end in the same step
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except OSError as error:
        where = f"Training stopped at step {trainer.state.global_step} of {trainer.state.max_steps}"
        raise SettingsError(f"{where}: {first_line(error)}; mend that, and train again.") from None
    finally:
        trainer.seconds = time.perf_counter() - began
        trainer.model.eval()


def unfinished(settings: Settings, data: str, base: str | None) -> Path | None:
    """The newest whole checkpoint of a training that was `begun` with these and did not come to its end, or None.

    Checkpoints are written in place, so the last one may have been cut off; it is left out then.
    """
    folder, values = checkpoints_folder(settings), settings.training_values()
    with suppress(OSError, ValueError, TypeError, KeyError):
        began = json.loads((folder / "begun.json").read_text(encoding="utf-8"))
        # A value that an older release did not know was the default then.
        alike = Settings().training_values() | began["values"] == values
        if began["data"] == data and alike and began.get("processes", 1) == processes().num_processes:
            newest_first = sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.rpartition("-")[2]))
            newest = next(filter(_is_whole, newest_first), None)
            if newest and (why := other_base(began, settings, base)):
                logger.warning("The training that was stopped began with %s; beginning it anew.", why)
                return None
            return newest
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Whether all files of a Trainer's checkpoint are there and can be read to their ends."""
    with suppress(OSError, ValueError, BadZipFile, SafetensorError):
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        states = list(checkpoint.glob("rng_state*.pth"))  # one of each process
        files = [*(checkpoint / name for name in TORCH_FILES), *states]
        with safe_open(checkpoint / "model.safetensors", "pt"):
            return len(states) == processes().num_processes and not any(ZipFile(file).testzip() for file in files)
    return False


def order(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """What puts rows measured on the validation split in order, best first: a key for min.

    The most right captions, on a tie the fewest facts that are wrong, left out or invented, then the word error rate;
    the word error rate alone where no facts were counted.
    """
    faulty = sum(row.get(f"eval_{count}", 0) for count in ("wrong", "left_out", "invented"))
    return -row.get("eval_right", 0), round(faulty, 9), row["eval_wer"]  # rounded: equal numbers of facts are a tie


def leave_for_table(row: dict[str, Any]) -> None:
    """Leaves of a measured row what the notebook's table has room for: the loss, what `order` goes by, a caption.

    The table is HTML, where a caption has to stay text.
    """
    for name, value in list(row.items()):
        if not name.endswith(COLUMNS):
            del row[name]
        elif isinstance(value, str):
            row[name] = markdown_cell(value)


def _measured(history: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Step → its row of scores on the validation split, without the one before training."""
    return {row["step"]: row for row in history if "eval_wer" in row and row["step"] > 0}


def best_row(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of the best step after the first, by `order`; on a tie the earliest. None if nothing was measured."""
    return min(_measured(history).values(), key=order, default=None)


def kept_row(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of a log_history that was measured on the validation split with the weights that were kept, or None.

    A training that came to its end keeps those of the `best_row`, a stopped one those of its last step.
    """
    if stopped := [row["step"] for row in history if "interrupted" in row]:
        return _measured(history).get(stopped[-1])
    return best_row(history) if any("train_runtime" in row for row in history) else None


def improved(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the weights that a training kept are better than the model before it, by `order`.

    The Trainer does not count the test before the first step: it keeps the best of the later ones in any case.
    """
    before = next((row for row in history if "eval_wer" in row and row["step"] == 0), None)
    kept = kept_row(history)
    return not before or not kept or order(kept) < order(before)


def say_if_worse(history: Sequence[Mapping[str, Any]]) -> None:
    """Says what to do where a training kept weights that are no better than the model before it."""
    if not improved(history):
        logger.warning(
            "No step was better on the validation split than the model before training; the best of them is kept. "
            "Train for more epochs, at another learning rate, or on more pictures."
        )
