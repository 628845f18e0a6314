"""What the tests share: no network, no GPU, nobody's own folders, a random captioner, a small data set."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import socket
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
_HOME = tempfile.TemporaryDirectory(prefix="pocket-captions-tests-", ignore_cleanup_errors=True)

# The libraries read these when they are imported, so they are set before. Notebook kernels inherit them.
os.environ |= {
    "HF_HOME": _HOME.name,
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
}
for _name in ("HF_TOKEN", "HF_ENDPOINT", "HF_DATASETS_CACHE", "HF_HUB_CACHE", "CAPTIONING_PROFILE"):
    os.environ.pop(_name, None)
sys.path.insert(0, str(ROOT))

gc.disable()  # until all tests are collected: what is imported stays

import pytest

# With -n, one process hands the tests out and runs none: the libraries are imported in fixtures, for the others alone.
if TYPE_CHECKING:
    from datasets import DatasetDict
    from PIL import Image
    from transformers import GitForCausalLM, GitProcessor

    from helpers.settings import Settings

LOCAL = ("127.0.0.1", "localhost", "::1")


def pytest_addoption(parser):
    parser.addoption("--write-mistakes", action="store_true", help="write docs/when-something-goes-wrong.md")


def pytest_collection_finish(session):
    """A full collection, which each training begins with, then leaves out the objects that the imports made."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _same_on_every_machine(tmp_path_factory):
    import torch

    connect = socket.socket.connect

    def connect_locally(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise OSError(f"A test asked for {address}; tests use no network.")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
        patch.setenv("no_proxy", "*")
        patch.setattr(socket.socket, "connect", connect_locally)
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setattr(torch.backends.mps, "is_available", lambda: False)
        yield


@pytest.fixture
def artifacts(tmp_path, monkeypatch) -> Path:
    """An empty artifacts folder for one test."""
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(folder))
    return folder


@pytest.fixture
def log(caplog, monkeypatch):
    """What the helpers log, even after a notebook's first cell took their logger over."""
    monkeypatch.setattr(logging.getLogger("helpers"), "propagate", True)
    caplog.set_level(logging.INFO, "helpers")
    return caplog


@pytest.fixture
def local_hub(monkeypatch):
    """Runs a Hub on this machine that the clients in this process ask while a block runs; takes HubServer's values."""
    from huggingface_hub import constants

    from tests.hub_server import HubServer

    @contextmanager
    def run(**given):
        with HubServer(**given) as server, monkeypatch.context() as patch:
            patch.setattr(constants, "ENDPOINT", server.address)
            patch.setattr(constants, "HF_HUB_OFFLINE", False)
            patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
            yield server

    return run


@pytest.fixture(scope="session")
def processor() -> GitProcessor:
    from tests.toolbox import git_processor

    return git_processor()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """A folder with a random model that can be trained, and its processor."""
    from tests.toolbox import save_git

    folder = tmp_path_factory.mktemp("checkpoint")
    save_git(folder, [])
    return str(folder)


@pytest.fixture
def model(checkpoint) -> GitForCausalLM:
    from helpers.families import load_checkpoint

    return load_checkpoint(checkpoint)[0]


@pytest.fixture(scope="session")
def talker() -> GitForCausalLM:
    """A random model that says something else of each picture, in captions of different lengths and word pieces."""
    import torch

    from tests.toolbox import random_git, vocabulary

    model = random_git(0.5)
    pieces = [number for token, number in vocabulary().items() if token.startswith("##")]
    with torch.no_grad():
        model.output.bias[3] += 8
        model.output.bias[pieces] += 4
    return model


@pytest.fixture(scope="session")
def creatures() -> DatasetDict:
    from helpers.data import load_captions

    return load_captions("data/pocket-creatures")


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory, creatures) -> str:
    """Pocket Creatures with 8, 4 and 4 pictures."""
    folder = tmp_path_factory.mktemp("captioned")
    for split, count in {"train": 8, "validation": 4, "test": 4}.items():
        creatures[split].select(range(count)).to_parquet(folder / f"{split}.parquet")
    return str(folder)


@pytest.fixture(scope="session")
def dataset(dataset_folder) -> DatasetDict:
    from helpers.data import load_captions

    return load_captions(dataset_folder)


@pytest.fixture(scope="session")
def pictures(creatures) -> list[Image.Image]:
    return creatures["test"][:8]["image"]


@pytest.fixture
def settings(checkpoint, dataset_folder, artifacts) -> Settings:
    from tests.toolbox import small_settings

    return small_settings(checkpoint, dataset_folder)


@pytest.fixture(scope="session")
def trained(checkpoint, dataset_folder, tmp_path_factory) -> Path:
    """An artifacts folder with what `load_or_train(settings)` saves: a captioner of two steps."""
    from helpers.captioner import load_or_train
    from tests.toolbox import small_settings

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPTIONING_ARTIFACTS", str(folder))
        load_or_train(small_settings(checkpoint, dataset_folder))
    return folder


@pytest.fixture
def captioner(trained, settings, artifacts) -> tuple[GitForCausalLM, GitProcessor]:
    """The captioner of these settings, saved in artifacts/captioner, and its processor."""
    from helpers.families import load_checkpoint

    shutil.copytree(trained, artifacts)
    return load_checkpoint(settings.output)
