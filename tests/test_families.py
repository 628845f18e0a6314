import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, one_hot
from transformers import AutoProcessor, BertConfig

from helpers import families
from helpers.errors import CheckpointError
from helpers.families import aligned, generation_inputs, load_checkpoint, load_processor, picture_tokens
from helpers.lora import low_rank
from helpers.settings import Settings
from helpers.transforms import CaptionCollator, CaptionTransform, picture_pixels, prepare_pictures
from tests.toolbox import FAMILIES, tokens_of


@pytest.fixture(scope="module")
def batch(dataset, processor):
    prepared = prepare_pictures(dataset["validation"], processor).with_transform(CaptionTransform(processor))
    return CaptionCollator(processor)(list(prepared))


@pytest.fixture(scope="module")
def pixel_values(pictures, processor):
    return processor(images=pictures, return_tensors="pt").pixel_values


def test_a_checkpoint_brings_its_weights_and_its_processor(checkpoint, pictures, processor):
    model, loaded = load_checkpoint(checkpoint)
    again, _ = load_checkpoint(checkpoint)
    assert not model.training
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(
        loaded(images=pictures, return_tensors="pt").pixel_values,
        processor(images=pictures, return_tensors="pt").pixel_values,
    )
    assert loaded.tokenizer("a red cat").input_ids == processor.tokenizer("a red cat").input_ids


def test_pictures_are_prepared_by_pillow_on_every_machine(checkpoint, monkeypatch):
    asked, original = [], AutoProcessor.from_pretrained
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *a, **k: asked.append(k) or original(*a, **k))
    assert type(load_processor(checkpoint).image_processor).__name__.endswith("Pil")
    assert [options["backend"] for options in asked] == ["pil"]


def test_where_a_checkpoint_lies_is_asked_once(checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(families, "locate", lambda name, kind: asked.append(name) or checkpoint)
    load_checkpoint("me/mine")
    assert asked == ["me/mine"]


def in_two_passes(picture, size, first):
    """A picture resized as the processor of a checkpoint does it, rows first or columns first."""
    width, height = size
    middle = (width, picture.height) if first == "rows" else (picture.width, height)
    return np.asarray(
        picture.resize(middle, Image.Resampling.BICUBIC).resize(size, Image.Resampling.BICUBIC), dtype=int
    )


@pytest.mark.parametrize("size", [(100, 100), (150, 60), (60, 100), (90, 400), (200, 700)])
def test_pixels_are_the_same_with_every_pillow_but_of_tall_pictures(processor, pictures, size):
    """Pillow 13 resizes the columns of pictures more than twice as tall as wide first, earlier ones the rows."""
    picture = pictures[0].resize(size)
    [pixels] = picture_pixels([picture], processor)
    scale = 48 / min(size)
    resized = int(size[0] * scale), int(size[1] * scale)
    left, top = (resized[0] - 48) // 2, (resized[1] - 48) // 2
    orders = ["rows", "columns"] if size[1] > 2 * size[0] else ["rows"]
    made = [in_two_passes(picture, resized, first)[top : top + 48, left : left + 48] for first in orders]
    assert any(np.array_equal(pixels.transpose(1, 2, 0), values) for values in made)
    assert np.abs(made[0] - made[-1]).max() <= 2  # of 255


def test_another_family_is_refused_and_named(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"(?=.*bert)(?=.*git)"):
        load_checkpoint(str(tmp_path))


def test_the_picture_takes_its_patches_and_one_token(model, batch):
    with torch.inference_mode():
        logits = model(pixel_values=batch["pixel_values"], input_ids=batch["input_ids"]).logits
    assert picture_tokens(model) == (48 // 16) ** 2 + 1
    assert logits.shape[1] == picture_tokens(model) + batch["input_ids"].shape[1]


def test_each_prediction_is_paired_with_the_next_token(talker, batch):
    with torch.inference_mode():
        logits, labels = aligned(talker, batch)
        whole = talker(**{name: batch[name] for name in ("pixel_values", "input_ids", "attention_mask")}).logits
    assert torch.equal(labels, batch["labels"][:, 1:])
    torch.testing.assert_close(logits, whole[:, picture_tokens(talker) : -1])


def test_generation_is_given_the_picture_alone(batch):
    assert list(generation_inputs(batch)) == ["pixel_values"]


@pytest.mark.parametrize("beams", [1, 4])
def test_captions_are_the_same_with_and_without_the_cache(talker, pixel_values, beams):
    made = [
        talker.generate(pixel_values=pixel_values, num_beams=beams, do_sample=False, use_cache=cache)
        for cache in (True, False)
    ]
    assert torch.equal(*made)
    assert len({tuple(ids) for ids in made[0].tolist()}) > 1


def test_a_generated_token_is_the_most_probable_one_after_those_before(talker, pixel_values):
    made = talker.generate(pixel_values=pixel_values[:3], do_sample=False, max_new_tokens=6)
    for picture, ids in zip(pixel_values, made, strict=False):
        for place in range(1, len(ids)):
            if ids[place - 1] == 3:
                break
            with torch.inference_mode():
                logits = talker(pixel_values=picture[None], input_ids=ids[None, :place], use_cache=False).logits
            assert logits[0, -1].argmax() == ids[place]


def copied(checkpoint, folder):
    shutil.copytree(checkpoint, folder / "copy")
    return folder / "copy"


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)
    assert folder.name in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "processor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "noise"])
def test_a_damaged_checkpoint_is_loaded_or_refused_in_a_sentence(checkpoint, tmp_path, name, damage):
    folder = copied(checkpoint, tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage != "missing":
        left = {"empty": b"", "half": content[: len(content) // 2], "noise": bytes(range(256)) * 8}[damage]
        (folder / name).write_bytes(left)
    refused(folder)


def test_weights_that_a_checkpoint_lacks_are_said(checkpoint, tmp_path, log):
    folder = copied(checkpoint, tmp_path)
    weights = load_file(folder / "model.safetensors")
    gone = sorted(weights)[0]
    save_file({name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors")
    load_checkpoint(str(folder))
    assert gone in log.text


of_each_family = pytest.mark.parametrize("family", FAMILIES)


@of_each_family
def test_each_familys_own_loss_follows_from_its_aligned_logits(family):
    model, batch = FAMILIES[family].model().double(), tokens_of(family)
    logits, labels = aligned(model, batch)
    if family == "vision-encoder-decoder":
        own = model(pixel_values=batch["pixel_values"], labels=batch["labels"]).loss
    else:
        own = model(**batch).loss
    assert cross_entropy(logits.flatten(0, 1), labels.flatten()).item() == pytest.approx(own.item(), abs=1e-5)


@of_each_family
def test_an_oracle_that_always_predicts_the_right_token_has_no_errors(family):
    """Its logits, put in place of the model's own, are paired with the very labels that it was made from."""
    model, batch = FAMILIES[family].model().double(), tokens_of(family)
    expected = batch["labels"] if family == "vision-encoder-decoder" else batch["labels"][:, 1:]

    def know(module, inputs, outputs):
        # At each text position, the token that stands there, or the next one where the family predicts ahead.
        right = batch["labels"] if family == "vision-encoder-decoder" else batch["labels"].roll(-1, dims=1)
        outputs.logits = one_hot(right.clamp(min=0), outputs.logits.shape[-1]).double() * 100
        return outputs

    model.register_forward_hook(know)
    logits, labels = aligned(model, batch)
    told = labels != -100
    assert torch.equal(labels, expected)
    assert told.sum() == (expected != -100).sum() > 0
    assert (logits.argmax(-1) == labels)[told].all()
    assert cross_entropy(logits.flatten(0, 1), labels.flatten()).item() < 1e-6


def plain(model, batch):
    """The logits of the text, as the library's own forward gives them."""
    names = {"input_ids": "decoder_input_ids", "attention_mask": "decoder_attention_mask"}
    names = names if model.config.model_type == "vision-encoder-decoder" else {}
    given = {names.get(name, name): batch[name] for name in ("pixel_values", "input_ids", "attention_mask")}
    return model(**given, use_cache=False).logits[:, -batch["input_ids"].shape[1] :]


@of_each_family
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", [0, 4])
def test_a_prediction_knows_only_what_stands_before_it(family, training, rank):
    """Changing a token changes each prediction after it and none before, whether LoRA's matrices are in place or not.

    The second caption is padded: what stands at its padding changes nothing that is not padding.
    """
    model, batch = FAMILIES[family].model(), tokens_of(family)
    trainer = SimpleNamespace(model=model, settings=Settings(lora_rank=rank))
    with low_rank(trainer):
        for name, weight in model.double().train(training).named_parameters():
            torch.nn.init.normal_(weight, std=0.02 if "lora" in name else 0.3)  # LoRA's scale is large
        place = batch["labels"][1].ne(-100).sum().item()
        for row, at, until in ((0, 5, 9), (1, 3, place), (1, place, place)):
            other = {name: values.clone() for name, values in batch.items()}
            for name in ("input_ids", "labels"):
                if other[name][row, at] != -100:
                    other[name][row, at] = 11 if other[name][row, at] != 11 else 12
            ahead = 0 if family == "vision-encoder-decoder" else 1  # `aligned` pairs position t with token t + 1
            for logits, first in ((plain, at), (lambda *given: aligned(*given)[0], at + 1 - ahead)):
                changed = (logits(model, batch) - logits(model, other))[row, :until].abs().amax(-1) > 1e-9
                assert changed.tolist() == [position >= first for position in range(len(changed))], (row, at)


def test_another_family_is_named(model):
    model.config.model_type = "kosmos-2"
    with pytest.raises(CheckpointError, match=r"kosmos-2"):
        aligned(model, tokens_of("git"))
