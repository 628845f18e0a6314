"""microsoft/git-base at its true size: its weights cannot be fetched here, its shape and its settings can be built."""

import resource
import sys
import time

import pytest
import torch
from transformers import BertTokenizer, GitConfig, GitForCausalLM, GitProcessor, set_seed
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from helpers.families import load_checkpoint, picture_tokens
from helpers.inference import caption_images
from helpers.metrics import normalize
from helpers.settings import Settings
from helpers.training import CaptionTrainer

# The config.json of microsoft/git-base. transformers' models/git/convert_git_to_pytorch.py made that checkpoint from
# GitConfig() as it is, so the library's defaults are these values; a test holds the two equal.
GIT_BASE = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1024,
    "layer_norm_eps": 1e-12,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 101,
    "eos_token_id": 102,
}
VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
# Its preprocessor_config.json, from the same script: the shorter side to 224 (bicubic), the middle, CLIP's colours.
PICTURES = {
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
# Its tokenizer is that of bert-base-uncased: 512 positions, and the special tokens at these places.
SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
POSITIONS = 512


def parameters():
    """How many parameters that shape has, counted by hand."""
    width, inner, vocabulary = 768, 3072, GIT_BASE["vocab_size"]
    norm = 2 * width
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 2 * norm
    vision = width + 3 * 16 * 16 * width + (14 * 14 + 1) * width + 2 * norm + 12 * layer
    text = vocabulary * width + 1024 * width + norm + 6 * layer
    return vision + text + (width * width + width + norm) + (vocabulary * width + vocabulary)


def tokenizer_of_full_size(captions):
    """A BERT tokenizer with the captions' words, padded to the true size with tokens that no text has."""
    places = dict(SPECIAL)
    words = sorted({word for group in captions for text in group for word in normalize(text).split()} | {",", "."})
    places |= {word: 1000 + place for place, word in enumerate(words)}
    taken = set(places.values())
    places |= {f"[unused{place}]": place for place in range(GIT_BASE["vocab_size"]) if place not in taken}
    return BertTokenizer(vocab=places, do_lower_case=True, model_max_length=POSITIONS)


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
    set_seed(0)
    began, folder = time.perf_counter(), tmp_path / "git-base"
    GitForCausalLM(GitConfig(vision_config=VISION, **GIT_BASE)).save_pretrained(folder)
    GitProcessor(
        CLIPImageProcessorPil(**PICTURES), tokenizer_of_full_size(dataset["train"]["captions"])
    ).save_pretrained(folder)
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
