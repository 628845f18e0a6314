import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, BertConfig

from helpers.errors import CheckpointError
from helpers.families import aligned, generation_inputs, load_checkpoint, load_processor, picture_tokens
from helpers.transforms import CaptionCollator, CaptionTransform, prepare_pictures


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


def test_random_weights_are_others_in_the_same_architecture(checkpoint):
    model, _ = load_checkpoint(checkpoint)
    fresh, _ = load_checkpoint(checkpoint, random_weights=True)
    assert not fresh.training
    shapes = [{name: value.shape for name, value in each.state_dict().items()} for each in (model, fresh)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(model.output.weight, fresh.output.weight)


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
