"""microsoft/git-base at its true size: its weights cannot be fetched here, its shape and its settings can be built."""

import resource
import sys
import time

import pytest
import torch
from transformers import GitConfig, GitForCausalLM

from benchmarks.git_base import GIT_BASE, VISION, git_base
from helpers.families import load_checkpoint, picture_tokens
from helpers.inference import caption_images
from helpers.settings import Settings
from helpers.training import CaptionTrainer


def parameters():
    """How many parameters that shape has, counted by hand."""
    width, inner, vocabulary = 768, 3072, GIT_BASE["vocab_size"]
    norm = 2 * width
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 2 * norm
    vision = width + 3 * 16 * 16 * width + (14 * 14 + 1) * width + 2 * norm + 12 * layer
    text = vocabulary * width + 1024 * width + norm + 6 * layer
    return vision + text + (width * width + width + norm) + (vocabulary * width + vocabulary)


def test_the_shape_is_the_librarys_default_and_has_its_parameters():
    known = GitConfig()
    assert {name: getattr(known, name) for name in GIT_BASE} == GIT_BASE
    assert {name: getattr(known.vision_config, name) for name in VISION} == VISION
    with torch.device("meta"):
        model = GitForCausalLM(GitConfig(vision_config=VISION, **GIT_BASE))
    assert sum(p.numel() for p in model.parameters()) == parameters() == 176_619_066
    assert picture_tokens(model) == 197


@pytest.mark.slow
def test_git_base_trains_evaluates_and_captions(tmp_path, artifacts, dataset):
    began, folder = time.perf_counter(), tmp_path / "git-base"
    for part in git_base(dataset["train"]["captions"]):
        part.save_pretrained(folder)
    # Without a warm-up: of one step alone it would take the learning rate to be 0.
    changes = {"epochs": 1, "batch_size": 2, "max_new_tokens": 8, "warmup": 0}
    settings = Settings.full().with_changes(checkpoint=str(folder), **changes)
    model, processor = load_checkpoint(settings.checkpoint)
    assert len(processor.tokenizer) == model.config.vocab_size
    assert processor.tokenizer("a red cat").input_ids[0] == 101
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.dim() == 1}

    two = type(dataset)({name: split.select(range(2)) for name, split in dataset.items()})
    trainer = CaptionTrainer(model, processor, two, settings)
    trainer.train()
    history = trainer.state.log_history
    assert trainer.state.global_step == 1
    assert [entry["step"] for entry in history if "eval_wer" in entry] == [0, 1]
    # Random weights say every token with about the same probability: ln 30,522 is 10.3.
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert losses[0] == pytest.approx(10.3, abs=0.7)
    changed = {name for name, p in model.named_parameters() if name in before and not torch.equal(p, before[name])}
    assert any("image_encoder" in name for name in changed)
    assert any("encoder.layer.5" in name for name in changed)

    said = caption_images(model, processor, two["test"]["image"][:], num_beams=settings.num_beams, max_new_tokens=8)
    assert len(said) == 2
    assert all(0 < caption.confidence <= 1 for caption in said)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"\ngit-base: {time.perf_counter() - began:.0f} s, {peak / 2**30:.1f} GiB at most")
    assert peak < 20 * 2**30
