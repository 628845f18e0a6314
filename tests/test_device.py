import pytest
import torch
from safetensors.torch import load_file

from helpers import training
from helpers.captioner import fingerprint_of, load_or_train, save_captioner
from helpers.device import check_loss, check_weights, choose_precision, cpu_has_bf16
from helpers.errors import CheckpointError, SettingsError
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.resuming import checkpoints_folder
from helpers.training import CaptionTrainer, overfit_one_batch, training_arguments
from helpers.transforms import CaptionCollator, CaptionTransform, prepare_pictures
from tests.toolbox import FAMILIES, git_processor, random_git

FULL = {torch.float32}


def kinds(model):
    return {weight.dtype for weight in model.parameters()}


@pytest.mark.parametrize(
    ("asked", "gpu", "emulates", "works"),
    [
        ("bf16", None, False, True),
        ("fp16", None, False, False),
        ("bf16", "mps", False, False),
        ("bf16", "mps", True, True),
        ("fp16", "mps", False, True),
        ("fp16", "cuda", False, True),
        ("bf16", "cuda", False, False),
    ],
)
def test_a_precision_that_the_device_lacks_is_said_and_never_swallowed(monkeypatch, asked, gpu, emulates, works):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: gpu == "mps")
    monkeypatch.setattr("helpers.device.is_torch_bf16_gpu_available", lambda: emulates)
    if works:
        assert choose_precision(asked) == asked
    else:
        with pytest.raises(SettingsError, match=rf"(?=.*precision)(?=.*{asked})(?=.*fp32)"):
            choose_precision(asked)


def test_a_cpu_trains_in_bf16(settings, dataset, model, processor):
    trainer = CaptionTrainer(model, processor, dataset, settings.with_changes(precision="bf16"))
    trainer.train()
    assert kinds(trainer.model) == FULL
    assert trainer.state.global_step == 2


def test_of_several_gpus_one_trains(settings, artifacts, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(training, "best_device", lambda: "cuda")
    found = training_arguments(settings.with_changes(precision="fp32"))
    assert found.n_gpu == 1
    assert found.train_batch_size == settings.batch_size


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_whatever_weights_are_stored_as_they_are_loaded_as_float32(tmp_path, dtype):
    random_git().to(dtype).save_pretrained(tmp_path)
    git_processor().save_pretrained(tmp_path)
    assert kinds(load_checkpoint(str(tmp_path))[0]) == FULL
    assert kinds(load_checkpoint(str(tmp_path), random_weights=True)[0]) == FULL


def test_a_model_in_half_precision_is_trained_and_saved_in_float32(settings, dataset, model, processor):
    trainer = CaptionTrainer(model.half(), processor, dataset, settings)
    assert kinds(trainer.model) == FULL
    trainer.model.half()
    stored = load_file(save_captioner(trainer) / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == FULL
    prepared = prepare_pictures(dataset["train"], processor).with_transform(CaptionTransform(processor))
    batch = CaptionCollator(processor)([prepared[0]])
    half = random_git().half()
    overfit_one_batch(half, batch, steps=1)
    assert kinds(half) == FULL


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_in_half_precision_captions_pictures(family, tmp_path, pictures):
    FAMILIES[family].save(tmp_path, ["a red cat"])
    model, processor = load_checkpoint(str(tmp_path))
    [whole] = caption_images(model, processor, pictures[:1], max_new_tokens=1)
    [half] = caption_images(model.to(torch.bfloat16), processor, pictures[:1], max_new_tokens=1)
    assert half.confidence == pytest.approx(whole.confidence, rel=0.1)


def test_a_loss_that_is_no_number_names_its_cause():
    lost, fine = torch.tensor(float("nan")), torch.tensor(2.0)
    assert check_loss(fine, 3, 0.1) is fine
    with pytest.raises(SettingsError, match=r"(?=.*nan)(?=.*step 3)(?=.*learning rate from 0.1 to 0.01)") as caught:
        check_loss(lost, 3, 0.1)
    assert "precision" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"(?=.*learning rate)(?=.*from bf16 to .fp32)"):
        check_loss(lost, 3, 0.1, "bf16")
    with pytest.raises(CheckpointError, match=r"(?=.*before the first step)(?=.*download)"):
        check_loss(torch.tensor(float("inf")), 0, 0.1)


def test_a_training_whose_loss_is_lost_ends_there_and_leaves_the_old_captioner(captioner, settings, monkeypatch):
    before, spoilt = fingerprint_of(settings.output), settings.with_changes(seed=1)
    step = CaptionTrainer.training_step

    def exploding(self, model, inputs, *args, **kwargs):
        loss = step(self, model, inputs, *args, **kwargs)
        next(model.parameters()).data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(CaptionTrainer, "training_step", exploding)
    with pytest.raises(SettingsError, match=r"at step 1, .*learning rate"):
        load_or_train(spoilt)
    assert fingerprint_of(settings.output) == before
    assert not checkpoints_folder(spoilt).exists()


def test_spoilt_weights_are_not_saved(captioner, settings, dataset, processor):
    before, model = fingerprint_of(settings.output), captioner[0]
    trainer = CaptionTrainer(model, processor, dataset, settings)
    assert check_weights(model) is model
    model.output.bias.data[0] = torch.inf
    with pytest.raises(SettingsError, match=r"(?=.*nan)(?=.*learning rate)"):
        save_captioner(trainer)
    assert fingerprint_of(settings.output) == before


@pytest.mark.parametrize(
    ("known", "has"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"bf16": True}, True), ({"avx512_f": True}, False)],
)
def test_bf16_on_a_cpu_has_to_be_asked_for_and_where_it_is_slow_that_is_said(monkeypatch, log, known, has):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert cpu_has_bf16() == has
    assert choose_precision("auto") == "fp32"
    assert choose_precision("bf16") == "bf16"
    assert ("takes longer" in log.text) != has
