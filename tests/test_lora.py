"""LoRA: what learns, what stays, and that a captioner says the same before and after its matrices are merged."""

import sys
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForImageTextToText, TrainerCallback

from helpers.captioner import load_or_train, read_record
from helpers.data import load_captions
from helpers.families import load_checkpoint, vision_encoder_of
from helpers.inference import caption_images
from helpers.lora import low_rank
from helpers.settings import Settings
from helpers.training import CaptionTrainer, caption_loss, overfit_one_batch
from tests.toolbox import FAMILIES, tokens_of

of_each_family = pytest.mark.parametrize("family", FAMILIES)
MIXED = {"device_type": "cpu", "dtype": torch.bfloat16}


def made(family, rank=4, **values):
    """A random model, three captions for it, and what `low_rank` takes."""
    model, batch = FAMILIES[family].model(), tokens_of(family)
    batch["pixel_values"] = batch["pixel_values"].float()
    return model, batch, SimpleNamespace(model=model, settings=Settings(lora_rank=rank, **values))


@torch.inference_mode()
def logits_of(model, batch):
    named = "decoder_input_ids" if model.config.model_type == "vision-encoder-decoder" else "input_ids"
    return model(**{"pixel_values": batch["pixel_values"], named: batch["input_ids"]}, use_cache=False).logits


def said(model, batch):
    return model.generate(pixel_values=batch["pixel_values"], max_new_tokens=9, do_sample=False).tolist()


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def largest(one, two):
    return (one - two).abs().max().item()


@of_each_family
@pytest.mark.parametrize("freeze", [False, True])
def test_the_same_is_said_before_and_after_merging(family, freeze):
    """The logits are the same but for rounding; multiplied in bf16, they are no further from exact ones than before."""
    model, batch, trainer = made(family, freeze_vision=freeze)
    names, first = list(model.state_dict()), logits_of(model, batch)
    with low_rank(trainer):
        overfit_one_batch(model, batch, steps=5)
        apart, captions = logits_of(model, batch), said(model, batch)
        with torch.autocast(**MIXED):
            apart_mixed = logits_of(model, batch)
    assert list(model.state_dict()) == names
    assert largest(first, apart) > 0.1
    merged = logits_of(model, batch)
    assert largest(apart, merged) < 1e-5
    assert said(model, batch) == captions
    with torch.autocast(**MIXED):
        assert largest(merged, logits_of(model, batch)) < 2 * largest(apart, apart_mixed)


@of_each_family
@pytest.mark.parametrize("freeze", [False, True])
def test_only_the_matrices_learn_and_the_models_own_weights_stay(family, freeze):
    model, batch, trainer = made(family, freeze_vision=freeze)
    vision_encoder_of(model).requires_grad_(not freeze)
    before, learnt = weights(model), {name: weight.requires_grad for name, weight in model.named_parameters()}
    with low_rank(trainer):
        overfit_one_batch(model, batch, steps=2)
        caption_loss(model, batch).backward()
        assert all("lora_" in name for name, weight in model.named_parameters() if weight.grad is not None)
        inside = {name.replace(".base_layer", ""): value for name, value in model.state_dict().items()}
        assert all(torch.equal(value, inside[name]) for name, value in before.items())
        eye = [name for name, _ in vision_encoder_of(model).named_parameters() if "lora_" in name]
        assert bool(eye) != freeze
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == learnt
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    embeddings = {name for name in before if "embed" in name or "wte" in name or "wpe" in name}
    assert changed
    assert not changed & embeddings


def test_without_a_rank_nothing_is_put_in_and_peft_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    model, _, trainer = made("git", rank=0)
    before, modules = weights(model), list(model.modules())
    with low_rank(trainer):
        assert list(model.modules()) == modules
        assert all(weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ImportError), low_rank(made("git")[2]):
        pass


def test_a_rank_above_the_layers_width_learns_and_is_named(log):
    model, batch, trainer = made("git", rank=8)
    with low_rank(trainer):
        assert not log.messages
    trainer.settings = trainer.settings.with_changes(lora_rank=100)
    with low_rank(trainer):
        losses = overfit_one_batch(model, batch, steps=5)
        apart = logits_of(model, batch)
    assert losses[-1] < losses[0]
    assert largest(apart, logits_of(model, batch)) < 1e-5
    assert "rank 100" in log.text
    assert "lower Settings.lora_rank" in log.text


class StopBefore(TrainerCallback):
    """The stop button, once, before a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step + 1 == self.step:
            self.step = None
            raise KeyboardInterrupt


@pytest.fixture
def low(settings):
    return settings.with_changes(lora_rank=4, epochs=2)


def trainer_of(settings):
    return CaptionTrainer(*load_checkpoint(settings.checkpoint), load_captions(settings.dataset), settings)


def test_a_stopped_training_goes_on_to_where_an_unstopped_one_ends(low, artifacts):
    whole = trainer_of(low.with_changes(output="artifacts/whole"))
    whole.train()
    trainer = trainer_of(low)
    trainer.add_callback(StopBefore(4))
    trainer.train()
    assert (trainer.interrupted, trainer.state.global_step) == (True, 3)
    assert trainer.model.state_dict().keys() == whole.model.state_dict().keys()  # a plain model, though it was stopped
    trainer.train(resume_from_checkpoint=True)
    ended = weights(whole.model)
    assert all(torch.equal(value, ended[name]) for name, value in trainer.model.state_dict().items())


def test_a_second_training_goes_on_learning(low, artifacts):
    trainer = trainer_of(low)
    trainer.train()
    first = weights(trainer.model)
    trainer.train()
    second = trainer.model.state_dict()
    assert any(not torch.equal(value, second[name]) for name, value in first.items())


def test_a_captioner_is_saved_as_a_plain_one_and_its_record_says_the_rank(low, artifacts, pictures, monkeypatch, log):
    model, processor = load_or_train(low)
    captions = caption_images(model, processor, pictures, max_new_tokens=9)
    assert read_record(low.output)["settings"]["lora_rank"] == 4
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "peft", None)
        folder = artifacts / "captioner"
        assert not list(folder.glob("adapter*"))
        plain, report = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
        assert not any(report.values())
        assert caption_images(plain, processor, pictures, max_new_tokens=9) == captions
    log.clear()
    load_or_train(low)
    assert not log.messages
    load_or_train(low.with_changes(lora_rank=0))
    assert "other settings (lora_rank 4 → 0)" in log.text
