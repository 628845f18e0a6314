"""What the tests share: no network, no GPU, nobody's own folders, a random captioner, a small data set."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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

import pytest
import torch
from datasets import DatasetDict
from huggingface_hub import constants
from PIL import Image
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    GenerationConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GPT2Config,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    set_seed,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.settings import Settings
from tools.make_base_model import vocabulary

PICTURE, PATCH, POSITIONS = 48, 16, 64
LOCAL = ("127.0.0.1", "localhost", "::1")


def pytest_addoption(parser):
    parser.addoption("--write-mistakes", action="store_true", help="write docs/when-something-goes-wrong.md")


@pytest.fixture(scope="session", autouse=True)
def _same_on_every_machine(tmp_path_factory):
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
def answering_hub(monkeypatch):
    """A Hub on this machine while a block runs; `answer` gives (status, error code, body) for a request."""

    @contextmanager
    def run(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, code, body = answer(self)
                content = json.dumps(body).encode()
                self.send_response(status)
                if code:
                    self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                with suppress(BrokenPipeError):  # whoever asked may have stopped waiting
                    self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
            try:
                yield
            finally:
                server.shutdown()

    return run


@pytest.fixture(scope="session")
def processor() -> GitProcessor:
    pictures = CLIPImageProcessorPil(size={"shortest_edge": PICTURE}, crop_size={"height": PICTURE, "width": PICTURE})
    return GitProcessor(pictures, BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=POSITIONS))


def random_git(spread: float) -> GitForCausalLM:
    """A GIT of one vision and two text layers; the wider the weights' spread, the more pictures matter to it."""
    set_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "initializer_range": spread}
    config = GitConfig(
        vision_config={**shape, "num_hidden_layers": 1, "image_size": PICTURE, "patch_size": PATCH},
        **shape,
        vocab_size=len(vocabulary()),
        num_hidden_layers=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=POSITIONS,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    model = GitForCausalLM(config).eval()
    model.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=2, eos_token_id=3, max_new_tokens=12)
    return model


def random_blip() -> BlipForConditionalGeneration:
    """A BLIP of two vision and two text layers, in double precision."""
    set_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    text = {**shape, "encoder_hidden_size": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    text |= {"vocab_size": 50, "max_position_embeddings": POSITIONS, "pad_token_id": 0, "bos_token_id": 4}
    config = BlipConfig(
        text_config={**text, "eos_token_id": 3, "sep_token_id": 3},
        vision_config={**shape, "image_size": PICTURE, "patch_size": PATCH},
    )
    return BlipForConditionalGeneration(config).double().eval()


def random_vision_encoder_decoder() -> VisionEncoderDecoderModel:
    """A ViT and a GPT-2 of two layers each, in double precision; its pad token is its end token, as is usual."""
    set_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    text = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": POSITIONS}
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**shape, image_size=PICTURE, patch_size=PATCH),
        GPT2Config(**text, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=1),
        decoder_start_token_id=1,
        pad_token_id=1,
    )
    return VisionEncoderDecoderModel(config).double().eval()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, processor) -> str:
    """A folder with a random model that can be trained, and its processor."""
    folder = tmp_path_factory.mktemp("checkpoint")
    random_git(0.1).save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def model(checkpoint) -> GitForCausalLM:
    return load_checkpoint(checkpoint)[0]


@pytest.fixture(scope="session")
def talker() -> GitForCausalLM:
    """A random model that says something else of each picture, in captions of different lengths and word pieces."""
    model = random_git(0.5)
    pieces = [number for token, number in vocabulary().items() if token.startswith("##")]
    with torch.no_grad():
        model.output.bias[3] += 8
        model.output.bias[pieces] += 4
    return model


@pytest.fixture(scope="session")
def creatures() -> DatasetDict:
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
    return load_captions(dataset_folder)


@pytest.fixture(scope="session")
def pictures(creatures) -> list[Image.Image]:
    return creatures["test"][:8]["image"]


@pytest.fixture
def settings(checkpoint, dataset_folder, artifacts) -> Settings:
    return small_settings(checkpoint, dataset_folder)


def small_settings(checkpoint: str, dataset_folder: str) -> Settings:
    """One epoch of two steps on the small data set."""
    return Settings(dataset=dataset_folder, checkpoint=checkpoint, epochs=1, batch_size=4, warmup=0, max_new_tokens=4)
