import json
from dataclasses import asdict
from pathlib import Path

import huggingface_hub.constants
import pytest
from hub_server import HubServer
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError

from helpers.captioner import load_or_train
from helpers.errors import HubError
from helpers.families import load_checkpoint
from helpers.hub import share
from helpers.hub.card import model_card, validation_scores
from helpers.inference import caption_images
from helpers.report import save_evaluation
from helpers.settings import Settings

TOKEN, STRANGER = "hf_" + "madeUp" * 5, "hf_" + "noneOfOurs" * 3
WEIGHTS_AND_PROCESSOR = {
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
SCORES = {
    "wer": {"value": 0.0417, "low": 0.0312, "high": 0.0526},
    "exact_match": {"value": 0.8125, "low": 0.75, "high": 0.875},
}
EVALUATION = {
    "dataset": {"name": "data/pocket-creatures", "split": "test", "pictures": 123},
    "systems": {"base": {"wer": {"value": 0.987, "low": 0.9, "high": 1.0}}, "trained": SCORES},
}


@pytest.fixture
def hub(monkeypatch):
    """A Hub on this machine that the clients in this process ask, with the token of its user "me"."""
    with HubServer({TOKEN: "me", "hf_" + "another" * 4: "somebody"}) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def captioner(settings):
    """A captioner of two steps, saved, and its processor."""
    return load_or_train(settings)


def card_of(hub, repo_id="me/captioner"):
    return ModelCard(hub.files(repo_id)["README.md"].decode())


def scores_of(card):
    """What the card says to the Hub: split → metric → value."""
    found = {}
    for result in card.data.eval_results or []:
        found.setdefault(result.dataset_split, {})[result.metric_type] = result.metric_value
    return found


def refuse_with(monkeypatch, error):
    def create_repo(self, *_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", create_repo)


def fails_in_one_line(model, processor, repo_id="me/captioner"):
    with pytest.raises(HubError) as caught:
        share(model, processor, repo_id)
    told = str(caught.value)
    assert told.strip()
    assert "\n" not in told
    assert repo_id in told
    assert TOKEN not in told
    return told


# The card


def test_the_card_holds_the_scores_given():
    settings = Settings.tiny().with_changes(checkpoint="microsoft/git-base")
    card = model_card("me/captioner", settings, steps=321, evaluation=EVALUATION)
    for told in ("captioner", "microsoft/git-base", "321", "123", "greedy captions"):
        assert told in card.text
    assert "| word error rate | 0.042 | 0.031 to 0.053 |\n| exact match | 0.812 | 0.750 to 0.875 |\n" in card.text
    assert "0.987" not in card.text
    searched = EVALUATION | {"captioner": {"settings": {"num_beams": 4}}}
    assert "captions of 4 beams" in model_card("me/captioner", settings, evaluation=searched).text


def test_the_cards_front_matter_can_be_read(tmp_path):
    settings = Settings.tiny().with_changes(checkpoint="microsoft/git-base", dataset="somebody/creatures")
    model_card("me/captioner", settings, evaluation=EVALUATION).save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.library_name, data.pipeline_tag, data.model_name) == ("transformers", "image-to-text", "captioner")
    assert (data.base_model, data.datasets) == ("microsoft/git-base", ["somebody/creatures"])
    assert [(r.dataset_type, r.dataset_split, r.metric_type, r.metric_value) for r in data.eval_results] == [
        ("pocket-creatures", "test", "wer", 0.0417),
        ("pocket-creatures", "test", "exact_match", 0.8125),
    ]


@pytest.mark.parametrize("place", ["/home/somebody", "../somebody"])
def test_folders_of_this_machine_are_no_ids_and_are_not_told(place):
    settings = Settings.tiny().with_changes(dataset=f"{place}/photos")
    card = model_card("me/captioner", settings, validation={"wer": 0.5})
    assert card.data.base_model is None  # models/git-tiny is a folder here, and no repository of an owner "models"
    assert card.data.datasets is None
    assert card.data.language is None
    assert "somebody" not in str(card)
    assert "photos" in card.text


def test_a_card_without_scores_gives_none():
    card = model_card("me/captioner", Settings.tiny())
    assert "| metric |" not in card.text
    assert "Not measured" in card.text
    assert card.data.eval_results is None


def test_validation_scores_are_said_to_be_that():
    card = model_card("me/captioner", Settings.tiny(), validation={"wer": 0.125})
    assert "0.125" in card.text
    assert "validation split" in card.text
    assert scores_of(card) == {"validation": {"wer": 0.125}}
    assert "training" in card.data.eval_results[0].metric_name


def test_the_cards_code_is_four_lines_of_python_that_name_the_repository():
    text = model_card("me/captioner", Settings.full().with_changes(max_new_tokens=33)).text
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert code.count('"me/captioner"') == 2
    assert len(code.splitlines()) == 4
    assert "max_new_tokens=33, num_beams=4, do_sample=False" in code


def test_a_description_of_the_examples_cannot_break_the_card():
    card = model_card("me/captioner", Settings.tiny(), examples="1 picture. (1) a [MASK]\n](x) creature.")
    assert "\n![1 picture. (1) a MASK (x) creature.](examples.png)\n" in card.text


def test_a_token_is_never_in_a_card(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert TOKEN not in str(model_card("me/captioner", Settings.tiny(), steps=1, evaluation=EVALUATION))


HISTORY = [
    {"step": 0, "eval_wer": 0.1},
    {"step": 2, "eval_wer": 0.5, "eval_bleu_4": 0.2, "eval_loss": 3.0},
    {"step": 2, "loss": 3.0},
    {"step": 4, "eval_wer": 0.3, "eval_bleu_4": 0.4, "eval_runtime": 2.0},
    {"step": 4, "eval_wer": 0.3, "eval_bleu_4": 0.5},
    {"step": 6, "eval_wer": 0.3, "eval_bleu_4": 0.1},
    {"step": 6, "train_loss": 1.0},
]


def test_the_validation_scores_are_those_of_the_step_that_was_kept():
    assert validation_scores(HISTORY, {"interrupted": False, "steps": 6}) == {"wer": 0.3, "bleu_4": 0.5}
    assert validation_scores([], {"interrupted": False, "steps": 6}) == {}
    assert validation_scores(None, {"interrupted": False, "steps": 6}) == {}


def test_an_interrupted_captioner_has_scores_only_of_its_last_step():
    assert validation_scores(HISTORY, {"interrupted": True, "steps": 6}) == {"wer": 0.3, "bleu_4": 0.1}
    assert validation_scores(HISTORY, {"interrupted": True, "steps": 5}) == {}


# What arrives


def test_sharing_uploads_the_model_its_processor_a_card_and_examples(hub, captioner, settings, dataset, tmp_path):
    assert share(*captioner, "me/captioner") == f"{hub.address}/me/captioner"
    files = hub.files("me/captioner")
    assert set(files) == WEIGHTS_AND_PROCESSOR | {"README.md", "examples.png"}
    assert hub.repositories["model", "me/captioner"].private
    for content in files.values():
        assert TOKEN.encode() not in content
        assert str(tmp_path).encode() not in content
        assert settings.dataset.encode() not in content
    assert files["examples.png"].startswith(b"\x89PNG")
    assert "8 for train, 4 for validation, 4 for test" in card_of(hub).text
    said = caption_images(*captioner, dataset["test"]["image"], max_new_tokens=settings.max_new_tokens)
    assert all(f"({i}) {caption.text}." in card_of(hub).text for i, caption in enumerate(said, 1))
    shared = tmp_path / "shared"
    shared.mkdir()
    for name, content in files.items():
        (shared / name).write_bytes(content)
    again = load_checkpoint(str(shared))
    assert caption_images(*again, dataset["test"]["image"], max_new_tokens=4) == said


def test_sharing_can_be_public_and_under_a_name_alone(artifacts, hub, model, processor):
    assert share(model, processor, "captioner", private=False) == f"{hub.address}/me/captioner"
    assert not hub.repositories["model", "me/captioner"].private
    assert '"me/captioner"' in card_of(hub).text


def test_what_is_there_is_shared_again_and_stays_as_visible_as_it_was(artifacts, hub, log, model, processor):
    hub.add("me/captioner").files["notes.txt"] = b"mine"
    share(model, processor, "me/captioner")
    assert "public" in log.text
    assert not hub.repositories["model", "me/captioner"].private
    assert hub.files("me/captioner")["notes.txt"] == b"mine"
    share(model, processor, "me/captioner", private=False)
    assert set(hub.files("me/captioner")) == WEIGHTS_AND_PROCESSOR | {"README.md", "notes.txt"}


# Whose scores


def test_the_card_has_the_scores_of_training_until_there_are_others(hub, captioner, settings, dataset, artifacts):
    share(*captioner, "me/captioner")
    history = json.loads((artifacts / "captioner" / "history.json").read_text())
    found = scores_of(card_of(hub))
    assert set(found) == {"validation"}
    measured = min(row["eval_wer"] for row in history if "eval_wer" in row and row["step"])
    assert found["validation"]["wer"] == round(measured, 4)
    assert "2 steps" in card_of(hub).text
    save_evaluation(settings, dataset["test"], {"trained": SCORES})
    share(*captioner, "me/captioner")
    assert scores_of(card_of(hub)) == {"test": {"wer": 0.0417, "exact_match": 0.8125}}


def test_the_scores_of_other_weights_are_left_out(hub, captioner, settings, dataset, log):
    model, processor = captioner
    save_evaluation(settings, dataset["test"], {"trained": SCORES})
    model.output.bias.data += 0.01
    share(model, processor, "me/captioner")
    assert "another captioner" in log.text
    text = card_of(hub).text
    assert "Not measured" in text  # neither the evaluation nor the history is of these weights
    assert "steps" not in text
    assert set(hub.files("me/captioner")) == WEIGHTS_AND_PROCESSOR | {"README.md"}


def test_an_evaluation_that_is_given_must_be_of_these_weights_if_it_says_whose_it_is(hub, captioner, log):
    share(*captioner, "me/captioner", evaluation=EVALUATION)
    assert "0.042" in card_of(hub).text
    share(*captioner, "me/captioner", evaluation={**EVALUATION, "captioner": {"fingerprint": "0" * 16}})
    assert "0.042" not in card_of(hub).text
    assert "another captioner" in log.text


def test_an_evaluation_that_is_not_whole_is_none(hub, captioner, artifacts):
    (artifacts / "evaluation.json").write_text('{"dataset": {')
    share(*captioner, "me/captioner")
    assert set(scores_of(card_of(hub))) == {"validation"}


def test_a_captioner_that_was_moved_aside_keeps_its_own_record(hub, captioner, artifacts):
    (artifacts / "captioner").rename(artifacts / "captioner-1")
    record = {"settings": asdict(Settings.tiny()), "profile": "tiny", "steps": 77}
    (artifacts / "captioner").mkdir()
    (artifacts / "captioner" / "training.json").write_text(
        json.dumps(record | {"planned_steps": 77, "interrupted": False})
    )
    share(*captioner, "me/captioner")
    assert "for 2 steps" in card_of(hub).text


def test_a_captioner_may_be_saved_anywhere(hub, settings, tmp_path):
    captioner = load_or_train(settings.with_changes(output=str(tmp_path / "mine")))
    share(*captioner, "me/captioner")
    assert "for 2 steps" in card_of(hub).text
    assert not any(str(tmp_path).encode() in content for content in hub.files("me/captioner").values())


def test_without_its_data_set_it_is_shared_without_examples(hub, captioner, artifacts, log):
    path = artifacts / "captioner" / "training.json"
    record = json.loads(path.read_text())
    record["settings"]["dataset"] = "data/gone"
    path.write_text(json.dumps(record))
    share(*captioner, "me/captioner")
    assert "examples" in log.text
    assert "examples.png" not in card_of(hub).text
    assert set(hub.files("me/captioner")) == WEIGHTS_AND_PROCESSOR | {"README.md"}


# What goes wrong


def test_without_a_token_one_sentence_says_so(hub, captioner, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    told = fails_in_one_line(*captioner)
    assert "no token" in told
    assert "on disk, in artifacts/captioner" in told
    refuse_with(monkeypatch, LocalTokenNotFoundError("no token\nanywhere"))
    assert fails_in_one_line(*captioner) == told


def test_a_wrong_token_is_told(hub, captioner, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    told = fails_in_one_line(*captioner)
    assert "does not know your token" in told
    assert "on disk, in artifacts/captioner" in told


@pytest.mark.parametrize("there", [None, False, True], ids=["not there", "public", "private"])
def test_somebody_elses_repository_is_told(hub, captioner, there):
    if there is not None:
        hub.add("somebody/captioner", private=there)
    told = fails_in_one_line(*captioner, "somebody/captioner")
    assert "may not write" in told
    assert "on disk, in artifacts/captioner" in told
    assert hub.files("somebody/captioner") == {}


@pytest.mark.parametrize("fails", ["repos/create", "/commit/"])
def test_a_fault_of_the_hub_is_told(hub, captioner, fails):
    hub.fails = fails
    told = fails_in_one_line(*captioner)
    assert "500" in told
    assert "try again later" in told
    assert "on disk, in artifacts/captioner" in told


def test_a_captioner_that_was_not_saved_is_said_to_be_in_memory(artifacts, hub, model, processor):
    hub.fails = "."
    assert "in memory" in fails_in_one_line(model, processor)


def test_what_else_the_hub_says_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, OSError("418 Teapot: not today.\n\nMore lines"))
    told = fails_in_one_line(model, processor)
    assert "418 Teapot: not today" in told
    assert "More lines" not in told


def test_an_error_without_words_is_told_too(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, ConnectionError())
    assert "ConnectionError" in fails_in_one_line(model, processor)


def test_a_name_that_cannot_be_is_told(hub, captioner):
    fails_in_one_line(*captioner, "me/my captioner")
    fails_in_one_line(*captioner, "a/b/c")


def test_offline_mode_is_told_in_one_sentence(artifacts, model, processor):
    assert "HF_HUB_OFFLINE" in fails_in_one_line(model, processor)


def test_no_network_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    fails_in_one_line(model, processor)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
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


def test_nothing_is_left_behind_in_a_temporary_folder(hub, captioner, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(Path(tmp_path).iterdir())
    share(*captioner, "me/captioner")
    hub.fails = "repos/create"
    fails_in_one_line(*captioner)
    assert set(Path(tmp_path).iterdir()) == before
