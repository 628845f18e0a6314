import json
from dataclasses import asdict
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi, ModelCard, RepoUrl
from huggingface_hub.errors import LocalTokenNotFoundError

from helpers.errors import HubError
from helpers.families import load_checkpoint
from helpers.hub import model_card, share
from helpers.inference import caption_images
from helpers.settings import Settings

TOKEN = "hf_" + "madeUp" * 5
EVALUATION = {
    "dataset": {"name": "data/pocket-creatures", "split": "test", "pictures": 123},
    "systems": {
        "base": {"wer": {"value": 0.987, "low": 0.9, "high": 1.0}},
        "trained": {
            "wer": {"value": 0.0417, "low": 0.0312, "high": 0.0526},
            "exact_match": {"value": 0.8125, "low": 0.75, "high": 0.875},
        },
    },
}


@pytest.fixture
def hub(monkeypatch):
    """A Hub that takes everything: what was created, and the files that were uploaded."""
    taken = {}

    def create_repo(self, repo_id, *, private=None, exist_ok=False, **_):
        taken["created"] = {"repo_id": repo_id, "private": private, "exist_ok": exist_ok}
        owned = repo_id if "/" in repo_id else f"me/{repo_id}"
        return RepoUrl(f"https://huggingface.co/{owned}")

    def upload_folder(self, *, repo_id, folder_path, **_):
        taken["uploaded_to"] = repo_id
        taken["files"] = {
            str(path.relative_to(folder_path)): path.read_bytes()
            for path in Path(folder_path).rglob("*")
            if path.is_file()
        }

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return taken


def refuse_with(monkeypatch, error):
    def create_repo(self, *_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", create_repo)


def fails_in_one_line(model, processor):
    with pytest.raises(HubError) as caught:
        share(model, processor, "me/captioner")
    assert str(caught.value).strip()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_card_holds_the_scores_given():
    settings = Settings.tiny().with_changes(checkpoint="microsoft/git-base")
    card = model_card("me/captioner", settings, steps=321, evaluation=EVALUATION)
    for told in ("captioner", "microsoft/git-base", "321", "0.042", "0.031", "0.053", "0.812", "0.750", "0.875", "123"):
        assert told in card.text
    assert "0.987" not in card.text


def test_the_cards_front_matter_can_be_read(tmp_path):
    model_card("me/captioner", Settings.tiny(), steps=1, evaluation=EVALUATION).save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.library_name, data.pipeline_tag, data.language) == ("transformers", "image-to-text", "en")


def test_a_card_without_scores_gives_none():
    card = model_card("me/captioner", Settings.tiny(), steps=1, evaluation=None)
    assert "| metric |" not in card.text


def test_the_cards_code_names_the_repository_and_is_python():
    text = model_card("me/captioner", Settings.tiny(), steps=1, evaluation=None).text
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert code.count('"me/captioner"') == 2


def test_sharing_uploads_the_model_its_processor_and_a_card(artifacts, hub, model, processor, pictures, tmp_path):
    address = share(model, processor, "me/captioner", evaluation=EVALUATION)
    assert address == "https://huggingface.co/me/captioner"
    assert hub["created"] == {"repo_id": "me/captioner", "private": True, "exist_ok": True}
    assert hub["uploaded_to"] == "me/captioner"
    needed = {"model.safetensors", "config.json", "generation_config.json", "processor_config.json", "tokenizer.json"}
    assert needed | {"README.md"} <= set(hub["files"])
    assert not [name for name in hub["files"] if name.endswith((".bin", ".pt", ".pth", ".pkl")) or "checkpoint" in name]
    assert b"0.042" in hub["files"]["README.md"]
    for name, content in hub["files"].items():
        (tmp_path / name).write_bytes(content)
    again, its_processor = load_checkpoint(str(tmp_path))
    before = caption_images(model, processor, pictures[:2], max_new_tokens=5)
    assert caption_images(again, its_processor, pictures[:2], max_new_tokens=5) == before


def test_sharing_can_be_public_and_under_a_name_alone(artifacts, hub, model, processor):
    assert share(model, processor, "captioner", private=False) == "https://huggingface.co/me/captioner"
    assert hub["created"]["private"] is False
    assert hub["uploaded_to"] == "me/captioner"
    assert b'"me/captioner"' in hub["files"]["README.md"]


def test_sharing_takes_the_scores_and_steps_that_were_saved(artifacts, hub, model, processor):
    (artifacts / "captioner").mkdir(parents=True)
    record = {"settings": asdict(Settings.tiny()), "profile": "tiny", "steps": 321}
    record |= {"planned_steps": 321, "interrupted": False}
    (artifacts / "captioner" / "training.json").write_text(json.dumps(record), encoding="utf-8")
    (artifacts / "evaluation.json").write_text(json.dumps(EVALUATION), encoding="utf-8")
    share(model, processor, "me/captioner")
    assert b"0.042" in hub["files"]["README.md"]
    assert b"321" in hub["files"]["README.md"]


def test_without_a_token_one_sentence_says_so(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, LocalTokenNotFoundError("no token\nanywhere"))
    assert "token" in fails_in_one_line(model, processor)


def test_what_the_hub_says_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, OSError("403 Forbidden: not yours.\n\nMore lines"))
    told = fails_in_one_line(model, processor)
    assert "403 Forbidden: not yours" in told
    assert "More lines" not in told


def test_an_error_without_words_is_told_too(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, ConnectionError())
    assert "me/captioner" in fails_in_one_line(model, processor)


def test_offline_mode_is_told_in_one_sentence(artifacts, model, processor):
    assert "me/captioner" in fails_in_one_line(model, processor)


def test_no_network_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "me/captioner" in fails_in_one_line(model, processor)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_token_is_never_told(artifacts, answering_hub, monkeypatch, log, model, processor, status):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    seen = []

    def answer(request):
        seen.append(request.headers.get("Authorization", ""))
        return status, None, {"error": f"{seen[-1]} may not do that"}

    with answering_hub(answer):
        told = fails_in_one_line(model, processor)
    assert TOKEN in seen[0]  # it was sent, so it could have been told
    assert TOKEN not in told + log.text
    assert "artifacts/captioner" in told


def test_a_token_is_never_in_a_card(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert TOKEN not in str(model_card("me/captioner", Settings.tiny(), steps=1, evaluation=EVALUATION))
