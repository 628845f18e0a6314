"""Ways to fine-tune: what each begins with, what learns in it, and what a training holds."""

import pytest
import torch

from helpers.creatures import fresh_split
from helpers.experiments.ways import WAYS, Held, begin
from helpers.families import load_checkpoint, vision_encoder_of
from helpers.settings import Settings
from helpers.training import CaptionTrainer

SETTINGS = Settings.tiny().with_changes(epochs=2, batch_size=2, warmup=0, output="artifacts/way")
KEPT = ("git.image_encoder.", "git.visual_projection.")


@pytest.fixture(scope="module")
def base():
    return load_checkpoint(SETTINGS.checkpoint)[0].state_dict()


@pytest.fixture(scope="module")
def split():
    return fresh_split("ways", 2)


def same(model, base):
    """The names of the weights that are those of the base."""
    return {name for name, weight in model.state_dict().items() if torch.equal(weight, base[name])}


@pytest.mark.parametrize("way", ["everything", "decoder alone", "LoRA"])
def test_what_is_fine_tuned_begins_with_the_base(way, base):
    assert same(begin(way, SETTINGS)[0], base) == base.keys()


def test_a_random_decoder_sees_as_the_base_does_and_knows_no_word(base):
    model, _, _ = begin("random decoder", SETTINGS)
    kept, random = same(model, base), [name for name in base if not name.startswith(KEPT)]
    assert {name for name in base if name.startswith(KEPT)} <= kept
    assert "output.weight" in random
    assert "git.embeddings.word_embeddings.weight" in random
    assert not any(name in kept for name in random if base[name].dim() > 1)


def test_from_scratch_nothing_is_left(base):
    kept = same(begin("from scratch", SETTINGS)[0], base)
    assert not any(name in kept for name in base if base[name].dim() > 1)


@pytest.mark.parametrize("way", ["random decoder", "from scratch"])
def test_random_weights_are_those_of_the_seed(way):
    one, again, other = (
        begin(way, SETTINGS.with_changes(seed=seed))[0].state_dict()["output.weight"] for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_what_learns_and_what_a_training_holds(way, base, split, artifacts):
    model, processor, settings = begin(way, SETTINGS)
    trainer, held = CaptionTrainer(model, processor, {"train": split, "validation": split}, settings), Held()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    trainer.add_callback(held)
    trainer.train()
    changed = base.keys() - same(model, before)
    vision = {name for name in base if name.startswith("git.image_encoder.")}
    frozen = way in ("decoder alone", "random decoder")
    assert (changed & vision == set()) == frozen
    numbers = sum(weight.numel() for weight in model.parameters())
    seeing = sum(weight.numel() for weight in vision_encoder_of(model).parameters())
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    low = sum(8 * (layer.in_features + layer.out_features) for layer in layers)
    assert held.parameters == (low if way == "LoRA" else numbers - seeing * frozen)
    # Float32: each number of the model; of those that learn the gradient and two moments; AdamW counts steps.
    floats = 3 * held.parameters + numbers + (low if way == "LoRA" else 0)
    assert held.megabytes == pytest.approx(4 * floats / 1e6, rel=1e-3)
