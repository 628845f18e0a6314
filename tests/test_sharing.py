"""Round trips through the small Hub, each client in a process of its own, as HF_ENDPOINT is read at import."""

import json
import sys
import zipfile

import nbformat
import pytest
import torch
from datasets import Dataset
from huggingface_hub import ModelCard
from nbclient import NotebookClient

from helpers.captioner import load_or_train
from helpers.data import fingerprint, load_captions
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.paths import ROOT
from tests.hub_server import HubServer
from tests.toolbox import FAMILIES, ended, four_lines
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
    values = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    return values | {"PYTHONPATH": str(ROOT)} | ({"HF_TOKEN": token} if token else {})


def client(hub, folder, code, *, token=TOKEN):
    """Runs Python in `folder` and gives what it printed; no token may be in it, or in what it logged."""
    home = folder / f"home-{len(list(folder.glob('home-*')))}"
    run = ended([sys.executable, "-c", code], environment=surroundings(hub, home, token), cwd=folder)
    for secret in (TOKEN, OTHERS, WRONG):
        assert secret not in run.stdout + run.stderr
    return run.stdout


SHARE = """
import logging
logging.basicConfig(level=logging.DEBUG)
from helpers.captioner import saved_settings
from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.hub import share
given = {{"settings": saved_settings(), "dataset": load_captions({dataset!r})}}
print(share(*load_checkpoint("artifacts/captioner"), "me/captioner", **given))
"""
CAPTIONS = """
import json
from helpers.data import load_captions
from helpers.families import load_checkpoint
from helpers.inference import caption_images
pictures = load_captions({dataset!r})["test"]["image"]
predictions = caption_images(*load_checkpoint("me/captioner"), pictures, max_new_tokens=8)
print(json.dumps([caption.text for caption in predictions]))
"""


def test_a_captioner_is_shared_and_says_the_same_wherever_it_is_loaded(
    hub, talker, processor, settings, dataset, tmp_path
):
    for part in (talker, processor):
        part.save_pretrained(tmp_path / "talker")
    settings = settings.with_changes(checkpoint=str(tmp_path / "talker"), learning_rate=1e-9, max_new_tokens=8)
    captioner = load_or_train(settings)
    predictions = [caption.text for caption in caption_images(*captioner, dataset["test"]["image"], max_new_tokens=8)]
    assert len(set(predictions)) > 1

    assert client(hub, tmp_path, SHARE.format(dataset=settings.dataset)).strip() == f"{hub.address}/me/captioner"
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
    assert client(hub, tmp_path, CAPTIONS.format(dataset=settings.dataset)).strip() == json.dumps(predictions)

    text = hub.files("me/captioner")["README.md"].decode()
    dataset["test"][0]["image"].save(tmp_path / "picture.png")
    assert client(hub, tmp_path, four_lines(text)).strip() == predictions[0]


@pytest.mark.parametrize("family", ["blip", "vision-encoder-decoder"])
def test_a_captioner_of_another_family_is_shared_and_says_the_same(hub, family, creatures, settings, dataset, tmp_path):
    FAMILIES[family].save(tmp_path / "mine", creatures["train"]["captions"][0])
    model, its_processor = load_checkpoint(str(tmp_path / "mine"))
    with torch.no_grad():  # so that the caption depends on the picture
        for name, weight in model.named_parameters():
            weight *= 4 if "ross" in name and weight.dim() > 1 else 1
    for part in (model, its_processor):
        part.save_pretrained(tmp_path / "artifacts" / "captioner")
    predictions = [caption.text for caption in caption_images(model, its_processor, dataset["test"]["image"])]
    assert len(set(predictions)) > 1
    client(hub, tmp_path, SHARE.format(dataset=settings.dataset))
    code = CAPTIONS.format(dataset=settings.dataset).replace("max_new_tokens=8", "max_new_tokens=48")
    dataset["test"][0]["image"].save(tmp_path / "picture.png")
    lines = client(hub, tmp_path, code + four_lines(hub.files("me/captioner")["README.md"].decode())).splitlines()
    assert [json.loads(lines[0]), lines[1].strip()] == [predictions, predictions[0]]


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
print(json.dumps([{split: fingerprint(part) for split, part in splits.items()} for splits in sets]))
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
    message = client(hub, tmp_path, REFUSED, token=OTHERS).strip()
    assert "me/pushed" in message
    assert "\n" not in message


READ = """
import json
from helpers.data import data_report, load_captions
texts = sorted(text for split in load_captions("me/loose").values() for row in split for text in row["captions"])
reports = [data_report(name) for name in ("me/packed", "me/hostile")]
reasons = [[row["reason"] for row in report if row["row"] != "all"] for report in reports]
print(json.dumps([texts, reasons]))
"""


def test_a_folder_of_pictures_on_the_hub_is_loaded_and_names_nothing_else(hub, pictures, tmp_path):
    """The libraries keep its pictures in a cache; a row cannot name any other file of this machine."""
    folders = [tmp_path / name for name in ("loose", "packed", "hostile")]
    for folder in folders:
        folder.mkdir()
    rows = [{"file_name": f"{i:02}.png", "text": f"picture {i}"} for i in range(len(pictures))]
    table = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "loose" / "metadata.jsonl").write_text(table)
    with zipfile.ZipFile(tmp_path / "packed" / "train.zip", "w") as packed:
        packed.writestr("metadata.jsonl", table)
        for row, picture in zip(rows, pictures, strict=True):
            picture.save(tmp_path / "loose" / row["file_name"])
            packed.write(tmp_path / "loose" / row["file_name"], row["file_name"])
    places = [tmp_path / "loose" / row["file_name"] for row in rows]
    images = [{"bytes": place.read_bytes(), "path": None} for place in places]
    images[0] = {"bytes": None, "path": str(places[0])}
    captions = [row["text"] for row in rows]
    Dataset.from_dict({"image": images, "text": captions}).to_parquet(tmp_path / "hostile" / "train.parquet")
    for folder in folders:
        repository = hub.add(f"me/{folder.name}", kind="dataset", private=True)
        repository.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    texts, [packed, hostile] = json.loads(client(hub, tmp_path, READ))
    assert texts == captions
    assert len(packed) == len(rows)
    assert "archive" in packed[0]
    assert len(hostile) == 1
    assert "leaves the folder of the pictures" in hostile[0]


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
