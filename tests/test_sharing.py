"""Round trips through the small Hub, each client in a process of its own, as HF_ENDPOINT is read at import."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from hub_server import HubServer
from huggingface_hub import ModelCard
from nbclient import NotebookClient

from helpers.data import fingerprint, load_captions
from helpers.inference import caption_images
from helpers.settings import ROOT, Settings
from helpers.training import load_or_train
from tools import notebooks as tool

TOKEN, OTHERS, WRONG = "hf_" + "madeUp" * 5, "hf_" + "another" * 4, "hf_" + "noneOfOurs" * 3

pytestmark = pytest.mark.slow


@pytest.fixture
def hub():
    with HubServer({TOKEN: "me", OTHERS: "somebody"}) as server:
        yield server
        # The client asks for this list where it finds that a program and no person runs it.
        assert set(server.unknown) <= {"GET /api/agent-harnesses"}


def surroundings(hub, home, token=TOKEN):
    """The environment of a client that knows the small Hub and has downloaded nothing yet."""
    found = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    return found | {"PYTHONPATH": str(ROOT)} | ({"HF_TOKEN": token} if token else {})


def client(hub, folder, code, *, token=TOKEN):
    """Runs Python in `folder` and gives what it printed; no token may be in it, or in what it logged."""
    home = folder / f"home-{len(list(folder.glob('home-*')))}"
    environment = os.environ | surroundings(hub, home, token)
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for secret in (TOKEN, OTHERS, WRONG):
        assert secret not in run.stdout + run.stderr
    return run.stdout


SHARE = """
from helpers.families import load_checkpoint
from helpers.hub import share
print(share(*load_checkpoint("artifacts/captioner"), "me/captioner"))
"""
CAPTIONS = """
import json
from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.inference import caption_images
pictures = load_captions({dataset!r})["test"]["image"]
said = caption_images(*load_checkpoint("me/captioner"), pictures, max_new_tokens=8)
print(json.dumps([caption.text for caption in said]))
"""


def test_a_captioner_is_shared_and_says_the_same_wherever_it_is_loaded(
    hub, talker, processor, settings, dataset, tmp_path
):
    for part in (talker, processor):
        part.save_pretrained(tmp_path / "talker")
    settings = settings.with_changes(checkpoint=str(tmp_path / "talker"), learning_rate=1e-9, max_new_tokens=8)
    captioner = load_or_train(settings)
    said = [caption.text for caption in caption_images(*captioner, dataset["test"]["image"], max_new_tokens=8)]
    assert len(set(said)) > 1

    assert client(hub, tmp_path, SHARE).strip() == f"{hub.address}/me/captioner"
    assert sorted(hub.files("me/captioner")) == [
        "README.md",
        "config.json",
        "examples.png",
        "generation_config.json",
        "model.safetensors",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert client(hub, tmp_path, CAPTIONS.format(dataset=settings.dataset)).strip() == json.dumps(said)

    text = hub.files("me/captioner")["README.md"].decode()
    dataset["test"][0]["image"].save(tmp_path / "picture.png")
    assert client(hub, tmp_path, text.split("```python\n")[1].split("```")[0]).strip() == said[0]


PUSH = """
from datasets import load_dataset
from huggingface_hub import HfApi
load_dataset({folder!r}).push_to_hub("me/pushed", private=True)
HfApi().create_repo("me/uploaded", repo_type="dataset", private=True)
HfApi().upload_folder(repo_id="me/uploaded", repo_type="dataset", folder_path={folder!r})
"""
FINGERPRINTS = """
import json
from helpers.data import fingerprint, load_captions
sets = [load_captions(name) for name in ("me/pushed", "me/uploaded")]
print(json.dumps([{split: fingerprint(part) for split, part in found.items()} for found in sets]))
"""
REFUSED = """
from helpers.data import load_captions
from helpers.errors import DataError
try:
    load_captions("me/pushed")
except DataError as error:
    print(error)
"""


def test_a_data_set_is_loaded_by_its_id(hub, dataset_folder, tmp_path):
    client(hub, tmp_path, PUSH.format(folder=dataset_folder))
    here = {split: fingerprint(part) for split, part in load_captions(dataset_folder).items()}
    assert json.loads(client(hub, tmp_path, FINGERPRINTS)) == [here, here]
    told = client(hub, tmp_path, REFUSED, token=OTHERS).strip()
    assert "me/pushed" in told
    assert "\n" not in told


FAILURES = """
import logging, os
from helpers.errors import HubError
from helpers.families import load_checkpoint
from helpers.hub import share
logging.basicConfig(level=logging.DEBUG)
captioner = load_checkpoint("artifacts/captioner")
for token, name in {cases!r}:
    os.environ.pop("HF_TOKEN", None)
    os.environ.update({{"HF_TOKEN": token}} if token else {{}})
    try:
        share(*captioner, name)
    except HubError as error:
        print(error)
"""


def test_each_refusal_is_one_sentence(hub, settings, artifacts, tmp_path):
    load_or_train(settings)
    before = {path.name: path.read_bytes() for path in (artifacts / "captioner").iterdir()}
    hub.add("somebody/captioner")
    hub.fails = "me/broken"
    cases = [(None, "me/captioner"), (WRONG, "me/captioner"), (TOKEN, "somebody/captioner"), (TOKEN, "me/broken")]
    told = client(hub, tmp_path, FAILURES.format(cases=cases)).splitlines()
    for sentence, said in zip(told, ("no token", "does not know", "may not write", "500"), strict=True):
        assert said in sentence
        assert sentence.endswith("the captioner is still on disk, in artifacts/captioner.")
    assert {path.name: path.read_bytes() for path in (artifacts / "captioner").iterdir()} == before


def executed(name, last, **values):
    """A notebook run up to the cell `last`, with values in its settings cell, where a learner changes them."""
    notebook = tool.read(tool.FOLDER / name)
    notebook.cells = notebook.cells[: [cell.id for cell in notebook.cells].index(last) + 1]
    cell = next(cell for cell in notebook.cells if cell.id == "settings")
    changes = "".join(f"    {key}={value!r},\n" for key, value in values.items())
    cell.source = cell.source.replace(".with_changes(\n", f".with_changes(\n{changes}")
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tool.FOLDER)}}).execute()
    return notebook


def test_notebook_3_shares_and_notebook_4_shares_again(hub, creatures, tmp_path, monkeypatch):
    for name, value in surroundings(hub, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path / "artifacts"))
    for split, count in {"train": 64, "validation": 20, "test": 20}.items():
        creatures[split].select(range(count)).to_parquet(tmp_path / "few" / f"{split}.parquet")
    trained = executed("03_train.ipynb", "share", dataset=str(tmp_path / "few"), epochs=1, push_to="me/captioner")
    assert hub.repositories["model", "me/captioner"].private
    assert "examples.png" in hub.files("me/captioner")
    assert splits_of(hub) == {"validation"}
    evaluated = executed("04_evaluate.ipynb", "keep")
    assert splits_of(hub) == {"test"}
    measured = json.loads((tmp_path / "artifacts" / "evaluation.json").read_text(encoding="utf-8"))
    wer = measured["systems"]["trained"]["wer"]["value"]
    assert f"| word error rate | {wer:.3f} |" in hub.files("me/captioner")["README.md"].decode()
    for notebook in (trained, evaluated):
        assert f"{hub.address}/me/captioner" in nbformat.writes(notebook)
        assert TOKEN not in nbformat.writes(notebook)
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(TOKEN.encode() in content for content in written)


def splits_of(hub):
    card = ModelCard(hub.files("me/captioner")["README.md"].decode())
    return {result.dataset_split for result in card.data.eval_results}


def test_the_settings_that_share_nothing_ask_nobody(hub, artifacts, settings, tmp_path, monkeypatch):
    """The share cell of notebook 3 as it is shipped."""
    assert Settings.tiny().push_to is None
    assert Settings.full().push_to is None
    cells = {cell.id: cell.source for cell in tool.read(tool.FOLDER / "03_train.ipynb").cells}
    code = "from helpers.settings import Settings\nsettings, model, processor = Settings.tiny(), None, None\n"
    assert client(hub, tmp_path, code + cells["share"]) == ""
    assert hub.asked == []
