import hashlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from helpers.data import load_captions
from helpers.errors import CheckpointError, DataError
from helpers.families import load_checkpoint
from helpers.paths import ROOT
from helpers.reading import locate as places
from helpers.reading.locate import fingerprint_of_weights, locate
from tests.toolbox import ended


def refused(name, kind="model"):
    with pytest.raises(CheckpointError if kind == "model" else DataError) as caught:
        locate(name, kind)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    return str(caught.value)


def test_what_is_on_the_disk_is_found_there(tmp_path):
    assert locate("models/git-tiny", "model") == str(ROOT / "models" / "git-tiny")
    assert locate(str(tmp_path), "dataset") == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "near"),
    [
        ("models/git-tny", "model", "models/git-tiny"),
        ("models/tiny", "model", "models/git-tiny"),
        ("git-tiny", "model", "models/git-tiny"),
        ("microsoft/git-bse", "model", "microsoft/git-base"),
        ("micosoft/git-large", "model", "microsoft/git-large"),
        ("data/pocket-creatres", "dataset", "data/pocket-creatures"),
        ("pocket-creatures", "dataset", "data/pocket-creatures"),
        ("data/Pocket_Creatures", "dataset", "data/pocket-creatures"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(name, kind, near):
    assert f"did you mean {near}?" in refused(name, kind)


def test_a_name_without_a_likeness_is_answered_with_what_is_shipped():
    assert "models/git-tiny" in refused("zzz/qqq")
    assert "data/pocket-creatures" in refused("zzz/qqq", "dataset")


def test_a_right_name_without_a_network_is_not_called_mistyped():
    told = refused("microsoft/git-base")
    assert "did you mean" not in told
    assert "network" in told


def test_a_captioner_of_ones_own_is_suggested(artifacts):
    (artifacts / "captioner-of-mine").mkdir(parents=True)
    (artifacts / "captioner-of-mine" / "config.json").touch()
    assert "did you mean artifacts/captioner-of-mine?" in refused("artifacts/captioner-of-min")


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("name", ["a b", "a/b/c", "-x-", "a..b", "x" * 200])
def test_what_can_be_no_name_is_said(name, kind):
    assert "is neither a folder on this disk nor a Hub id" in refused(name, kind)


def test_the_folder_above_is_a_folder():
    assert Path(locate("..", "model")).resolve() == ROOT.parent


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_is_on_the_hub_is_found_there(local_hub, kind):
    with local_hub(answer=lambda request: (200, None, {"id": "me/mine", "sha": "0" * 40, "siblings": []})):
        for name in (
            "me/mine",
            " me/mine ",
            "https://huggingface.co/me/mine",
            "https://hf.co/datasets/me/mine/tree/main",
        ):
            assert locate(name, kind) == "me/mine"


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_the_hub_does_not_know_may_be_private(local_hub, kind):
    with local_hub(answer=lambda request: (404, "RepoNotFound", {"error": "Repository not found"})):
        assert "log in if it is private" in refused("me/mime", kind)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, None, {"error": "Invalid credentials in Authorization header"}), "token"),
        ((403, "GatedRepo", {"error": "gated"}), "agreement"),
        ((500, None, {"error": "broken"}), "500"),
    ],
)
def test_what_else_the_hub_says_is_one_sentence(local_hub, answer, said):
    with local_hub(answer=lambda request: answer):
        assert said in refused("me/mine")
        assert said in refused("me/mine", "dataset")


def test_a_copy_downloaded_earlier_is_used_without_a_network(tmp_path, monkeypatch, log):
    monkeypatch.setattr(places, "snapshot_download", lambda name, local_files_only: str(tmp_path))
    assert locate("me/mine", "model") == str(tmp_path)
    assert "me/mine" in log.text


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The file of a model's weights as the Hub's client keeps me/mine, by the name of its blob."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--me--mine"

    def keep(blob, name="model.safetensors", commit="0" * 40):
        for folder in ("blobs", "refs", f"snapshots/{commit}"):
            (repository / folder).mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(commit)
        (repository / "blobs" / blob).write_bytes(b"weights")
        (repository / "snapshots" / commit / name).symlink_to(f"../../blobs/{blob}")
        return repository / "snapshots" / commit / name

    return keep


SHA = hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_downloaded_weights_are_told_by_the_name_of_their_blob_and_not_read(weights, name):
    assert fingerprint_of_weights("me/mine") is None
    weights("a" * 64, name)
    assert fingerprint_of_weights("me/mine") == "a" * 16
    weights("b" * 64, name, commit="1" * 40)
    assert fingerprint_of_weights("me/mine") == "b" * 16


def test_downloaded_weights_without_such_a_name_are_read(weights):
    assert fingerprint_of_weights(str(weights("c" * 40).parent)) == fingerprint_of_weights("me/mine") == SHA[:16]


def test_weights_are_read_again_only_when_they_changed(tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    assert fingerprint_of_weights(str(tmp_path)) == SHA[:16]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", None)
        assert fingerprint_of_weights(str(tmp_path)) == SHA[:16]
    for content in (b"other", b"again"):  # of the same size, in the same place, with the same time
        file.write_bytes(content)
        os.utime(file, ns=(0, 0))
        assert fingerprint_of_weights(str(tmp_path)) == hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize("name", ["me/mine", "a/b/c", "-x-", "a\0b", "data"])
def test_where_no_weights_are_there_is_no_fingerprint(tmp_path, monkeypatch, name):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert fingerprint_of_weights(name) is None


def test_a_hub_that_is_slow_is_not_waited_for(local_hub, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE", 0.3)
    began = time.perf_counter()
    with local_hub(answer=lambda request: time.sleep(2) or (200, None, {})):
        assert "network" in refused("me/mine")
        assert time.perf_counter() - began < 1.5


ASK = """
import sys, threading, time
from helpers.data import load_captions
from helpers.families import load_checkpoint
def ask(load, name):
    began = time.perf_counter()
    try:
        load(name)
    except ValueError as error:
        print(f"{time.perf_counter() - began:.1f}|{error}\\n", end="", flush=True)  # one write: two threads print
threads = [threading.Thread(target=ask, args=a) for a in ((load_checkpoint, "me/git"), (load_captions, "me/pictures"))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.slow
def test_with_a_network_that_swallows_everything_a_name_fails_within_ten_seconds(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        told = {
            "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path),
        }
        run = ended([sys.executable, "-c", ASK], cwd=ROOT, environment=told, seconds=120)
    lines = [line.partition("|") for line in run.stdout.splitlines()]
    assert len(lines) == 2, run.stderr
    for seconds, _, sentence in lines:
        assert float(seconds) < 10
        assert "network" in sentence


def test_loading_says_the_same(log):
    with pytest.raises(CheckpointError, match=r"models/git-tiny\?"):
        load_checkpoint("models/git-tny")
    with pytest.raises(DataError, match="data/pocket-creatures"):
        load_captions("data/pocket-creatrues")
