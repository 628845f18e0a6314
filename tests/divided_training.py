"""A short training in float64 on as many processes as run this, and what came of it: for tests/test_processes.py."""

import gc
import json
import sys
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from helpers.data import load_captions
from helpers.device import processes
from helpers.families import load_checkpoint
from helpers.settings import Settings
from helpers.train import divided_captions
from helpers.training import CaptionTrainer

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--rdzv_backend", "c10d"]
TORCHRUN += ["--rdzv_endpoint", "localhost:0"]  # a free port


def trained(data: str, checkpoint: str, batch_size: str, out: str) -> dict[str, object]:
    """Trains, and gives what came of it.

    The trainer ends with this function. Its wrapped model must not be the last to hold the processes' group: freed from
    there, torch waits for a thread of the group with Python's lock in hand, and that thread may wait for the lock.
    """
    values = {"epochs": 2, "batch_size": int(batch_size), "warmup": 0, "learning_rate": 1e-2, "max_new_tokens": 8}
    settings = Settings(dataset=data, checkpoint=checkpoint, output=f"{out}/captioner", **values)
    dataset = load_captions(data)
    trainer = CaptionTrainer(*load_checkpoint(checkpoint), dataset, settings)
    trainer.model.double()
    collated, metrics, said = trainer.data_collator, trainer.compute_metrics, []

    def collate(rows):
        batch = collated(rows)
        return {**batch, "pixel_values": batch["pixel_values"].double()}

    def measure(found):
        said.append([[token for token in row if token >= 0] for row in found.predictions.tolist()])
        return metrics(found)

    trainer.data_collator, trainer.compute_metrics, trainer.args.logging_steps = collate, measure, 1
    trainer.args.load_best_model_at_end = False
    trainer.train()
    weights = torch.cat([value.flatten() for value in trainer.model.state_dict().values() if value.is_floating_point()])
    return {
        "processes": processes().num_processes,
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
        "scores": [row["eval_wer"] for row in trainer.state.log_history if "eval_wer" in row],
        "said": said,
        "captions": divided_captions(trainer.model.float(), trainer.processing_class, dataset["test"], settings),
        "weights": weights[::97].tolist(),
    }


def main(data: str, checkpoint: str, batch_size: str, out: str) -> None:
    found = trained(data, checkpoint, batch_size, out)
    found["held"] = sum(isinstance(each, DistributedDataParallel) for each in gc.get_objects())
    Path(out, f"{processes().process_index}.json").write_text(json.dumps(found), encoding="utf-8")
    processes().destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
