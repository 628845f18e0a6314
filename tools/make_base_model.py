"""Trains git-tiny from its seed: `python -m tools.make_base_model [folder]`. Continues after a stop.

Two stages, as large captioners are made too. First the vision encoder alone learns to tell the attributes of a
creature; its pooled features go through one linear layer, which is thrown away afterwards. Then the whole model
learns to speak: it reads a drawing and writes a caption. All drawings come from the pen of Pocket Creatures, and
none shows a creature that Pocket Creatures holds.
"""

import json
import logging
import random
import string
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, List, Value, load_from_disk
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    BertTokenizer,
    GenerationConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GitVisionModel,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.trainer_utils import get_last_checkpoint

from helpers.creatures import ATTRIBUTES, draw_creature, random_creature
from helpers.metrics import caption_metrics, decode
from helpers.paths import ROOT, artifacts_folder
from helpers.training import caption_loss
from helpers.transforms import CaptionCollator, CaptionTransform, normalized_pixels, picture_pixels
from tools.base_captions import base_captions_of
from tools.make_data import creatures, key_of

SEED = 41
FOLDER = ROOT / "models" / "git-tiny"
DRAWINGS = 40_000
HELD_OUT = 500  # of the drawings, never trained on
STAGES = {"see": {"steps": 5000, "learning_rate": 1e-3}, "speak": {"steps": 1800, "learning_rate": 1e-3}}
BATCH = 64
PICTURE, PATCH, WIDTH, HEADS, VISION_LAYERS, TEXT_LAYERS, POSITIONS = 96, 12, 128, 2, 4, 2, 512


def vocabulary() -> dict[str, int]:
    """Letters, digits, punctuation, a few endings and some everyday words: a number for each token."""
    words = sorted(set((Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split()))
    single = string.ascii_lowercase + string.digits
    pieces = [f"##{char}" for char in single] + [f"##{ending}" for ending in ("s", "ed", "ing", "er", "ly", "es")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *single, *string.punctuation, *pieces, *words]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def make_processor() -> GitProcessor:
    """CLIP's picture preparation at 96 pixels, and a WordPiece tokenizer with the vocabulary above."""
    size = {"shortest_edge": PICTURE}
    pictures = CLIPImageProcessorPil(size=size, crop_size={"height": PICTURE, "width": PICTURE})
    return GitProcessor(pictures, BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=POSITIONS))


def make_model() -> GitForCausalLM:
    """The architecture of git-base, made small, with random weights."""
    config = GitConfig(
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": HEADS,
            "image_size": PICTURE,
            "patch_size": PATCH,
        },
        vocab_size=len(vocabulary()),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=HEADS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=POSITIONS,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    model = GitForCausalLM(config)
    model.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=2, eos_token_id=3, max_new_tokens=48)
    return model


def _rows(numbers: list[int]) -> Iterator[dict]:
    known = {key_of(creature) for creature in creatures()}
    processor = make_processor()
    for number in numbers:
        rng = random.Random(f"{SEED}-{number}")
        while key_of(creature := random_creature(rng)) in known:
            pass
        pixels = picture_pixels([draw_creature(creature, rng)], processor)[0]
        yield {
            "pixels": pixels.tobytes(),
            "shape": list(pixels.shape),
            "captions": base_captions_of(creature),
            "row": number,
            "labels": [values.index(creature[name]) for name, values in ATTRIBUTES.items()],
        }


def make_drawings(folder: Path) -> Dataset:
    """The drawings, prepared as `prepare_pictures` does, with their attributes as numbers."""
    if not (folder / "dataset_info.json").is_file():
        kind = {"pixels": Value("binary"), "shape": List(Value("int32")), "captions": List(Value("string"))}
        features = Features({**kind, "row": Value("int64"), "labels": List(Value("int64"))})
        made = Dataset.from_generator(
            _rows, features=features, gen_kwargs={"numbers": list(range(DRAWINGS))}, num_proc=2,
            cache_dir=str(folder.parent / "cache"),
        )  # fmt: skip
        made.save_to_disk(folder)
    return load_from_disk(str(folder))


class Eyes(nn.Module):
    """The vision encoder with one linear layer over the mean of its features: nine attributes at once."""

    def __init__(self, vision: GitVisionModel):
        super().__init__()
        self.vision = vision
        self.sizes = [len(values) for values in ATTRIBUTES.values()]
        self.head = nn.Linear(WIDTH, sum(self.sizes))

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """pixel_values (batch, 3, height, width), labels (batch, attributes) → loss and right (batch, attributes)."""
        scores = self.head(self.vision(pixel_values).last_hidden_state.mean(dim=1)).split(self.sizes, dim=1)
        loss = sum(cross_entropy(score, labels[:, i]) for i, score in enumerate(scores))
        right = torch.stack([score.argmax(dim=1) == labels[:, i] for i, score in enumerate(scores)], dim=1)
        return {"loss": loss, "right": right.float()}


class Speaker(Trainer):
    """Trains on captions with the loss that learners use."""

    def compute_loss(self, model, inputs, return_outputs=False, **_):  # noqa: ANN001, ANN003, ANN201
        """See `caption_loss`."""
        loss = caption_loss(model, inputs)
        return (loss, {}) if return_outputs else loss


def train(stage: str, model: nn.Module, data: Dataset, collate, work: Path, kind: type[Trainer]) -> float:  # noqa: ANN001
    """Trains one stage, or continues it; returns the seconds that it took in all, stops left out."""
    arguments = TrainingArguments(
        output_dir=str(work / stage),
        max_steps=STAGES[stage]["steps"],
        learning_rate=STAGES[stage]["learning_rate"],
        per_device_train_batch_size=BATCH,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.05,
        seed=SEED,
        save_steps=250,
        save_total_limit=1,
        logging_steps=50,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
    )
    trainer = kind(model=model, args=arguments, train_dataset=data, data_collator=collate)
    trainer.model_accepts_loss_kwargs = False
    clock = work / f"{stage}-seconds.txt"
    spent, began = float(clock.read_text()) if clock.is_file() else 0.0, time.perf_counter()
    last = get_last_checkpoint(str(work / stage)) if (work / stage).is_dir() else None
    if last and int(last.rsplit("-", 1)[1]) >= STAGES[stage]["steps"]:
        model.load_state_dict(load_file(Path(last) / "model.safetensors"))
        return spent
    try:
        trainer.train(resume_from_checkpoint=last)
    finally:
        spent += time.perf_counter() - began
        clock.write_text(f"{spent:.1f}")
    return spent


def main(folder: Path = FOLDER) -> None:
    """Draws, trains both stages, measures on held-out drawings and saves."""
    logging.basicConfig(level=logging.WARNING)
    work = artifacts_folder() / "base-model"
    set_seed(SEED)
    processor, model = make_processor(), make_model()
    processor.tokenizer.name_or_path = model.config._name_or_path = ""
    drawings = make_drawings(work / "drawings")
    training, held_out = (
        drawings.select(range(DRAWINGS - HELD_OUT)),
        drawings.select(range(DRAWINGS - HELD_OUT, DRAWINGS)),
    )
    report = {
        "drawings": DRAWINGS,
        "held_out_drawings": HELD_OUT,
        "parameters": sum(p.numel() for p in model.parameters()),
        "stages": STAGES,
    }

    def look(rows: list[dict]) -> dict[str, torch.Tensor]:
        pixels = np.stack([np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"]) for row in rows])
        labels = torch.tensor([row["labels"] for row in rows])
        return {"pixel_values": normalized_pixels(pixels, processor), "labels": labels}

    eyes = Eyes(model.git.image_encoder)
    report["see_seconds"] = train("see", eyes, training, look, work, Trainer)
    eyes.eval()
    with torch.inference_mode():
        right = torch.cat(
            [eyes(**look(list(held_out.select(range(i, i + 50)))))["right"] for i in range(0, HELD_OUT, 50)]
        )
    report["see_accuracy"] = dict(zip(ATTRIBUTES, right.mean(dim=0).tolist(), strict=True))
    print(report["see_accuracy"])

    captioned = training.remove_columns("labels")
    captioned.set_transform(CaptionTransform(processor, seed=SEED))
    report["speak_seconds"] = train("speak", model, captioned, CaptionCollator(processor), work, Speaker)
    model.eval()
    said = []
    with torch.inference_mode():
        for start in range(0, HELD_OUT, 50):
            batch = look(list(held_out.select(range(start, start + 50))))
            said += decode(processor, model.generate(pixel_values=batch["pixel_values"], do_sample=False).numpy())
    report["held_out"] = caption_metrics(said, held_out["captions"])
    print(said[0], held_out["captions"][0], report["held_out"], sep="\n")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
