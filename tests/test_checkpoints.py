import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.errors import CheckpointError
from helpers.families import load_checkpoint, load_processor
from helpers.reading.checkpoints import fault
from tests.toolbox import git_processor, random_git, save_git

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture
def folder(tmp_path):
    save_git(tmp_path, [])
    return tmp_path


def said(folder, load=load_checkpoint):
    """The sentence about a checkpoint: one, which names it and holds nothing of a library's advice."""
    with pytest.raises(CheckpointError) as caught:
        load(str(folder))
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert sentence.endswith(".")
    assert "Otherwise" not in sentence
    assert "huggingface.co" not in sentence
    return sentence.replace(str(folder), "it")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "processor_config.json", "config.json"])
def test_a_pointer_of_git_lfs_is_no_file(folder, file):
    (folder / file).write_text(POINTER, encoding="utf-8")
    sentence = said(folder)
    assert file in sentence
    assert "git lfs pull" in sentence


def test_a_processor_that_lacks_is_known_by_the_folder_or_by_the_message(folder):
    (folder / "processor_config.json").unlink()
    assert "no image processor" in fault(str(folder), ValueError("whatever a library says"))
    assert "no image processor" in fault("me/mine", OSError("Can't load image processor for 'me/mine'. If you"))


def test_a_pointer_is_not_read_as_a_vocabulary(folder):
    (folder / "vocab.txt").write_text(POINTER, encoding="utf-8")
    assert "vocab.txt" in said(folder, load_processor)


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        (["processor_config.json"], "image processor"),
        (["tokenizer.json"], "no vocabulary (tokenizer.json)"),
        (["processor_config.json", "tokenizer.json", "tokenizer_config.json"], "processor.save_pretrained"),
        (["config.json"], "no config.json"),
        (["model.safetensors"], "lacks its weights model.safetensors"),
    ],
)
def test_what_is_missing_is_named(folder, lacks, named):
    for name in lacks:
        (folder / name).unlink()
    assert named in said(folder)


@pytest.mark.parametrize("content", [b"", b"{cut", b"[1]", b"\xff\xfe"])
@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_file_is_named(folder, file, content):
    (folder / file).write_bytes(content)
    assert f"damaged {file}" in said(folder)


@pytest.mark.parametrize("kept", [0, 1000, 100_000])
def test_weights_that_were_cut_off_are_named(folder, kept):
    (folder / "history.json").write_text("[]")  # as lies beside a captioner
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    assert "cut off model.safetensors" in said(folder)


def test_weights_of_another_size_or_by_other_names_are_said(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    assert "other sizes" in said(folder)
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    save_file(wrapped, folder / "model.safetensors", {"format": "pt"})
    assert "of the model itself" in said(folder)


def test_weights_in_several_files_or_pickled_are_taken_and_a_lost_one_is_named(folder):
    (folder / "model.safetensors").rename(folder / "kept")
    random_git().save_pretrained(folder, max_shard_size="50KB")
    load_checkpoint(str(folder))
    [lost, *_] = sorted(folder.glob("model-*.safetensors"))
    lost.unlink()
    assert lost.name in said(folder)
    for file in folder.glob("model*"):
        file.unlink()
    torch.save(load_file(folder / "kept"), folder / "pytorch_model.bin")
    load_checkpoint(str(folder))


def test_an_adapter_alone_and_the_folder_above_are_told_apart(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "merge_and_unload" in said(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    (tmp_path / "checkpoint-500").mkdir()
    save_git(tmp_path / "checkpoint-500", [])
    assert "name the folder checkpoint-500" in said(tmp_path)
    load_checkpoint(str(tmp_path / "checkpoint-500"))
    git_processor().save_pretrained(tmp_path)
    assert "is a file" in said(tmp_path / "tokenizer.json")


def test_pickled_weights_that_are_no_whole_table_of_numbers_are_named(folder):
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.save(random_git(), file)
    assert "no plain numbers; save the model" in said(folder)
    file.write_bytes(file.read_bytes()[:9000])
    assert "cut off pytorch_model.bin" in said(folder)
    file.rename(folder / "tf_model.h5")
    assert "tf_model.h5 is not read" in said(folder)


def test_of_several_checkpoints_in_a_folder_the_last_one_is_named(tmp_path):
    for step in (90, 500, 1000):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "config.json").write_text("{}")
    assert "checkpoint-1000" in said(tmp_path)
