"""Two stages of training: pictures as another hand might have drawn them, words to see, names to say."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from helpers.experiments.stages import (
    BATCH,
    descend,
    learn,
    learn_to_see,
    learn_to_speak,
    moved,
    optimizers_of,
    rate_at,
    words_of,
)
from helpers.experiments.ways import with_vocabulary
from helpers.families import load_checkpoint, vision_encoder_of
from helpers.inference import caption_images
from helpers.transforms import picture_pixels
from helpers.vocabulary import new_tokenizer

COLORS = {"red": "빨강", "blue": "파랑", "lime": "초록"}
QUIET = {"seed": 0, "bar": tqdm(disable=True)}


def test_moved_pictures_stay_on_white_and_are_not_mirrored():
    pixels = torch.full((200, 3, 48, 48), 255, dtype=torch.uint8)
    pixels[:, :, 20:28, 6:14] = 0  # a black mark at the left
    drawn = moved(pixels, np.random.default_rng(0))
    assert (drawn.shape, drawn.dtype) == (pixels.shape, torch.uint8)
    assert (drawn[:, :, :, -8:] == 255).all()
    dark = drawn.float().mean(dim=1) < 128
    assert dark[:, :, :24].any(dim=(1, 2)).all()
    assert not dark[:, :, 24:].any()
    assert len({picture.numpy().tobytes() for picture in drawn}) == 200
    again = moved(pixels, np.random.default_rng(0))
    assert torch.equal(drawn, again)


def test_rare_words_are_left_out_and_keywords_count():
    texts = [["Red heart", "love, heart"]] * 6 + [["blue heart"]] * 5
    assert words_of(texts).sum(dim=0).tolist() == [11, 6, 6]  # heart, love, red; blue is in 5 pictures alone


def test_the_rate_rises_for_a_tenth_and_falls_to_zero():
    rates = [rate_at(step, 100, 2.0) for step in range(101)]
    assert rates[0] == 0
    assert rates[100] == pytest.approx(0)
    assert max(rates) == rates[10] == pytest.approx(2, abs=0.06)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_matrices_go_to_muon_and_all_else_to_adam(talker):
    model = copy.deepcopy(talker)
    model.git.image_encoder.requires_grad_(False)
    muon, adam = (
        {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        for optimizer in optimizers_of(model, 1e-3)
    )
    learning = {id(weight): name for name, weight in model.named_parameters() if weight.requires_grad}
    assert muon | adam == set(learning)
    assert not muon & adam
    named = {learning[each] for each in muon}
    assert {"git.encoder.layer.0.output.dense.weight", "git.encoder.layer.0.attention.self.query.weight"} <= named
    assert not any("embed" in name or name.startswith("output.") or name.endswith("bias") for name in named)


def test_a_long_gradient_is_shortened():
    line = torch.nn.Linear(1, 1, bias=False)
    descend([torch.optim.SGD(line.parameters())], line, 1000 * line.weight.sum(), 0.5)
    assert line.weight.grad is None
    before = line.weight.item()
    descend([torch.optim.SGD(line.parameters())], line, 1000 * line.weight.sum(), 0.5)
    assert before - line.weight.item() == pytest.approx(0.5, rel=1e-3)


def test_rows_are_drawn_by_the_seed():
    def seen(seed, rows=100):
        found, module = [], torch.nn.Linear(2, 2)
        learn(
            module,
            lambda row, _: found.append(row) or module.weight.sum(),
            rows,
            steps=2,
            highest=0.1,
            **QUIET | {"seed": seed},
        )
        return [row.tolist() for row in found]

    assert seen(0) == seen(0) != seen(1)
    assert all(len(set(rows)) == BATCH for rows in seen(0))
    assert all(len(rows) == BATCH for rows in seen(0, rows=3))  # fewer pictures than a batch come several times


def test_it_learns_to_see_and_then_to_speak_another_language(checkpoint):
    base, processor = load_checkpoint(checkpoint)
    pictures = [Image.new("RGB", (48, 48), color) for color in COLORS for _ in range(8)]
    names = [name for name in COLORS.values() for _ in range(8)]
    torch.manual_seed(0)
    model, own = with_vocabulary(base, processor, new_tokenizer(names))
    kept = copy.deepcopy(base.state_dict())
    pixels = torch.from_numpy(picture_pixels(pictures, own))
    before = copy.deepcopy(vision_encoder_of(model).state_dict())
    learn_to_see(model, own, pixels, [[name] for name in names], steps=20, highest=5e-3, **QUIET)
    seen = copy.deepcopy(vision_encoder_of(model).state_dict())
    assert any(not torch.equal(before[name], seen[name]) for name in seen)
    learn_to_speak(model, own, pixels, names, steps=80, highest=1e-2, **QUIET)
    assert all(torch.equal(value, seen[name]) for name, value in vision_encoder_of(model).state_dict().items())
    assert all(torch.equal(value, kept[name]) for name, value in base.state_dict().items())
    said = [caption.text for caption in caption_images(model, own, pictures, max_new_tokens=8)]
    assert said == names
