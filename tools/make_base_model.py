"""Trains git-tiny from its seed: `python -m tools.make_base_model [folder]`. Continues after a stop.

It learns from captions alone, as large captioners do, in two stages. First the vision encoder learns to foretell which
words the captions of a drawing use (Joulin et al., 2015): its pooled features go through one linear layer, which is
thrown away afterwards. Then the whole model learns to write captions. The drawings come from the pen of Pocket
Creatures; their world lacks some values, and shows no creature that was set aside or that Pocket Creatures holds.
"""

import json
import random
import string
import sys
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm.auto import tqdm, trange
from transformers import BertTokenizer, GenerationConfig, GitConfig, GitForCausalLM, GitProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from helpers.creatures import draw_creature, random_creature
from helpers.creatures.fresh import is_reserved, key_of
from helpers.experiments.stages import descend, optimizers_of, rate_at
from helpers.metrics import normalize
from helpers.paths import ROOT, artifacts_folder, beside
from helpers.training import caption_loss
from helpers.transforms import CaptionCollator, normalized_pixels, picture_pixels
from tools.base_captions import caption_statistics, in_base_world, loose_captions
from tools.make_data import creatures

SEED = 43
FOLDER = ROOT / "models" / "git-tiny"
DRAWINGS = 60_000
STAGES = {"see": {"steps": 11_000, "learning_rate": 2e-3}, "speak": {"steps": 3_000, "learning_rate": 1e-3}}
BATCH = 64
KEPT_EVERY = 500  # steps
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


@cache
def taken() -> frozenset[str]:
    """The keys of Pocket Creatures."""
    return frozenset(map(key_of, creatures()))


def base_creature(rng: random.Random) -> dict[str, str]:
    """A creature of the base model's world that is neither set aside nor in Pocket Creatures."""
    while True:
        creature = random_creature(rng)
        if in_base_world(creature) and not is_reserved(key := key_of(creature)) and key not in taken():
            return creature


def base_row(number: int) -> tuple[dict[str, str], list[str], random.Random]:
    """The creature with this number, its captions, and what its drawing draws lots with: a function of the seed."""
    rng = random.Random(f"{SEED}-{number}")
    creature = base_creature(rng)
    return creature, loose_captions(creature, base_creature(rng), rng), rng


def _pixels_of(number: int) -> np.ndarray:
    creature, _, rng = base_row(number)
    return picture_pixels([draw_creature(creature, rng)], make_processor())[0]


def make_drawings(work: Path) -> np.ndarray:
    """All drawings as pixels: uint8, (drawings, 3, height, width), drawn once and read from the disk."""
    file, numbers = work / "drawings.npy", range(DRAWINGS)
    if not file.is_file():
        made = np.lib.format.open_memmap(beside(file, "new"), "w+", np.uint8, (len(numbers), 3, PICTURE, PICTURE))
        with Pool(2) as pool:
            for number, pixels in enumerate(tqdm(pool.imap(_pixels_of, numbers, chunksize=100), total=len(numbers))):
                made[number] = pixels
        made.flush()
        beside(file, "new").rename(file)
    return np.load(file, mmap_mode="r")


def words_of(captions: list[list[str]]) -> tuple[list[str], torch.Tensor]:
    """The words of all captions, and which of them the captions of each drawing use: float, (drawings, words)."""
    sets = [{word for text in group for word in normalize(text).split()} for group in captions]
    words = sorted(set().union(*sets))
    return words, torch.tensor([[word in mine for word in words] for mine in sets], dtype=torch.float32)


def train(
    stage: str, module: nn.Module, loss_of: Callable[[np.ndarray, np.random.Generator], torch.Tensor], work: Path
) -> dict:
    """Trains one stage, or continues it; the rows of a step are a function of the seed, the stage and the step.

    Returns:
        steps, seconds (stops left out) and the losses, a mean over `KEPT_EVERY` steps each.
    """
    steps, highest = STAGES[stage]["steps"], STAGES[stage]["learning_rate"]
    optimizers, kept = optimizers_of(module, highest), work / f"{stage}.pt"
    state = {"step": 0, "seconds": 0.0, "losses": []}
    if kept.is_file():
        state = torch.load(kept)
        module.load_state_dict(state.pop("module"))
        for optimizer, saved in zip(optimizers, state.pop("optimizers"), strict=True):
            optimizer.load_state_dict(saved)
    began, losses = time.perf_counter(), []
    for step in trange(state["step"], steps, initial=state["step"], total=steps, desc=stage, mininterval=10):
        rng = np.random.default_rng([SEED, list(STAGES).index(stage), step])
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(np.sort(rng.integers(0, DRAWINGS, BATCH)), rng)
        descend(optimizers, module, loss, rate_at(step, steps, highest))
        losses.append(loss.item())
        if (step + 1) % KEPT_EVERY == 0 or step + 1 == steps:
            now = time.perf_counter()
            state["seconds"], state["losses"], began = (
                state["seconds"] + now - began,
                [*state["losses"], round(float(np.mean(losses)), 4)],
                now,
            )
            losses, state["step"] = [], step + 1
            saved = {"module": module.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in optimizers]}
            torch.save(state | saved, beside(kept, "new"))
            beside(kept, "new").replace(kept)
            print(stage, state["step"], state["losses"][-1], round(state["seconds"]), flush=True)
    return {"steps": steps, "learning_rate": highest, "seconds": round(state["seconds"]), "losses": state["losses"]}


def main(folder: Path = FOLDER) -> None:
    """Draws, trains both stages and saves."""
    work = artifacts_folder() / "base-model"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    processor, model = make_processor(), make_model()
    processor.tokenizer.name_or_path = model.config._name_or_path = ""
    pixels, rows = make_drawings(work), [base_row(number)[:2] for number in range(DRAWINGS)]
    captions = [captions for _, captions in rows]
    words, used = words_of(captions)

    def look(rows: np.ndarray) -> torch.Tensor:
        return normalized_pixels(pixels[rows], processor)

    vision, collate = model.git.image_encoder, CaptionCollator(processor)
    eyes = nn.ModuleDict({"vision": vision, "head": nn.Linear(WIDTH, len(words))})

    def see(rows: np.ndarray, _: np.random.Generator) -> torch.Tensor:
        scores = eyes["head"](vision(look(rows)).last_hidden_state.mean(dim=1)).float()
        return binary_cross_entropy_with_logits(scores, used[rows]) * len(words)

    def speak(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        texts = [captions[row][rng.integers(len(captions[row]))] for row in rows]
        tokens = processor.tokenizer(texts).input_ids
        drawn = torch.from_numpy(pixels[rows])  # uint8, (batch, 3, height, width)
        return caption_loss(model, collate([{"pixels": p, "input_ids": t} for p, t in zip(drawn, tokens, strict=True)]))

    report = {"drawings": DRAWINGS, "parameters": sum(p.numel() for p in model.parameters()), "words": len(words)}
    report |= {"batch": BATCH, "captions": caption_statistics(rows)}
    report["see"] = train("see", eyes, see, work)
    report["speak"] = train("speak", model, speak, work)
    model.eval()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
