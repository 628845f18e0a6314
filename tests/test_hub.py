import json
import re
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard, constants
from huggingface_hub.errors import LocalTokenNotFoundError
from nbconvert.filters import markdown2html

from helpers.captioner import load_or_train
from helpers.creatures import attribute_columns
from helpers.errors import HubError
from helpers.families import load_checkpoint
from helpers.hub import share
from helpers.hub.card import model_card, validation_scores
from helpers.inference import caption_images
from helpers.metrics import score
from helpers.report import save_evaluation
from helpers.resuming import improved
from helpers.settings import Settings
from tools import notebooks as tool

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
HISTORY = [
    {"step": 0, "eval_wer": 0.1},
    {"step": 2, "eval_wer": 0.5, "eval_bleu_4": 0.2, "eval_loss": 3.0},
    {"step": 2, "loss": 3.0},
    {"step": 4, "eval_wer": 0.3, "eval_bleu_4": 0.4, "eval_runtime": 2.0},
    {"step": 4, "eval_wer": 0.3, "eval_bleu_4": 0.5},
    {"step": 6, "eval_wer": 0.3, "eval_bleu_4": 0.1},
    {"step": 6, "train_loss": 1.0, "train_runtime": 9.0},
]


@pytest.fixture
def hub(local_hub, monkeypatch):
    """A Hub on this machine that the clients in this process ask, with the token of its user "me"."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with local_hub(users={TOKEN: "me", "hf_" + "another" * 4: "somebody"}) as server:
        yield server


def card_of(hub, repo_id="me/captioner"):
    return ModelCard(hub.files(repo_id)["README.md"].decode())


def scores_of(card):
    """What the card says to the Hub: split → metric → value."""
    scores = {}
    for result in card.data.eval_results or []:
        scores.setdefault(result.dataset_split, {})[result.metric_type] = result.metric_value
    return scores


def refuse_with(monkeypatch, error):
    def create_repo(self, *_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", create_repo)


def fails_in_one_line(model, processor, repo_id="me/captioner", **given):
    with pytest.raises(HubError) as caught:
        share(model, processor, repo_id, **given)
    message = str(caught.value)
    assert message.strip()
    assert "\n" not in message
    assert repo_id in message
    assert TOKEN not in message
    return message


# The card


def test_the_card_holds_the_scores_given():
    settings = Settings.tiny().with_changes(checkpoint="microsoft/git-base")
    card = model_card("me/captioner", settings, evaluation=EVALUATION | {"captioner": {"steps": 321}})
    for part in ("captioner", "microsoft/git-base", "321", "123", "greedy captions"):
        assert part in card.text
    assert "| word error rate | 0.042 | 0.031 to 0.053 |\n| exact match | 0.812 | 0.750 to 0.875 |\n" in card.text
    assert "0.987" not in card.text
    assert "A caption is right" not in card.text
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


def test_captions_right_come_first_and_are_explained_where_a_set_has_attributes(creatures):
    test = creatures["test"].select(range(5))
    captions = [group[0] for group in test["captions"]]
    scores = score(captions, test["captions"], attributes=attribute_columns(test))
    card = model_card("me/captioner", Settings.tiny(), evaluation=EVALUATION | {"systems": {"trained": scores}})
    assert (
        "| --- | --- | --- |\n| captions right | 1.000 | 0.566 to 1.000 |\n| wrong facts per caption | 0.000"
        in card.text
    )
    assert "A caption is right when" in card.text
    first = card.data.eval_results[0]
    assert (first.metric_type, first.metric_value) == ("captions_right", 1)
    measured = [{**row, "eval_right": 0.25, "eval_wrong": 1.5} for row in HISTORY]
    assert list(validation_scores(measured)) == ["right", "wrong", "wer", "bleu_4"]
    assert "| captions right | 0.250 |\n" in model_card("me/captioner", Settings.tiny(), history=measured).text


@pytest.mark.parametrize("place", ["/home/somebody", "../somebody"])
def test_folders_of_this_machine_are_no_ids_and_are_not_told(place):
    settings = Settings.tiny().with_changes(dataset=f"{place}/photos")
    card = model_card("me/captioner", settings, history=HISTORY)
    assert card.data.base_model is None  # models/git-tiny is a folder here, and no repository of an owner "models"
    assert card.data.datasets is None
    assert card.data.language is None
    assert "somebody" not in str(card)
    assert "photos" in card.text


def test_a_folder_that_is_gone_is_no_id_either():
    settings = Settings.tiny().with_changes(checkpoint="models/gone", dataset="artifacts/gone")
    card = model_card("me/captioner", settings)
    assert (card.data.base_model, card.data.datasets) == (None, None)
    assert "`models/gone` fine-tuned on the data set `artifacts/gone`." in card.text


def test_a_card_without_scores_gives_none():
    card = model_card("me/captioner", Settings.tiny())
    assert "| metric |" not in card.text
    assert "Not measured" in card.text
    assert card.data.eval_results is None


def test_validation_scores_are_said_to_be_that():
    card = model_card("me/captioner", Settings.tiny(), history=HISTORY)
    assert "| word error rate | 0.300 |\n| BLEU-4 | 0.500 |\n" in card.text
    assert "validation split" in card.text
    assert "for 6 steps" in card.text
    assert scores_of(card) == {"validation": {"wer": 0.3, "bleu": 0.5}}
    assert "training" in card.data.eval_results[0].metric_name


def test_the_cards_code_is_four_lines_of_python_that_name_the_repository():
    text = model_card("me/captioner", Settings.full().with_changes(max_new_tokens=33)).text
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert code.count('"me/captioner"') == 2
    assert len(code.splitlines()) == 4
    assert "max_new_tokens=33, num_beams=4, do_sample=False" in code


@pytest.mark.parametrize("settings", [None, Settings.tiny()])
def test_every_card_says_in_one_line_what_to_do_before_a_caption_is_used(settings):
    use = model_card("me/captioner", settings).text.split("## Use")[1].split("## Limits")[0]
    [line] = [line for line in use.splitlines() if "suggestion" in line]
    assert all(word in line for word in ("alt text", "first", "read", "people", "ask"))


def test_a_description_of_the_examples_cannot_break_the_card():
    card = model_card("me/captioner", Settings.tiny(), examples="1 picture. (1) a [MASK]\n](x) creature at $5 and $6.")
    shown = markdown2html(card.text)
    assert 'src="examples.png" alt="1 picture. (1) a [MASK] ](x) creature at $5 and $6."' in shown
    assert "$" not in card.text


def test_the_settings_that_share_nothing_ask_nobody(hub):
    """The share cell of notebook 3 as it is shipped."""
    [share] = [cell.source for cell in tool.read(tool.FOLDER / "03_train.ipynb").cells if cell.id == "share"]
    assert Settings.full().push_to is None
    exec(share, {"settings": Settings.tiny(), "model": None, "processor": None})
    assert hub.asked == []


def test_a_token_is_never_in_a_card(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert TOKEN not in str(model_card("me/captioner", Settings.tiny(), evaluation=EVALUATION))


def test_the_scores_are_those_of_the_weights_that_were_kept():
    assert validation_scores(HISTORY) == {"wer": 0.3, "bleu_4": 0.5}
    assert validation_scores(HISTORY[:1] + HISTORY[-1:]) == {}
    assert validation_scores(HISTORY[:-1]) == {}  # a history that does not say how the training ended


def test_a_stopped_training_has_scores_only_of_its_last_step():
    stopped = [{"interrupted": True, "step": 6}]
    assert validation_scores(HISTORY[:-1] + stopped) == {"wer": 0.3, "bleu_4": 0.1}
    assert validation_scores(HISTORY[:-2] + stopped) == {}


def test_a_history_says_whether_the_kept_weights_are_better():
    assert not improved(HISTORY)
    assert improved([{"step": 0, "eval_wer": 0.4}, *HISTORY[1:]])
    assert improved([])


# The licence


def base_with(folder, licence):
    (folder / "README.md").write_text(f"---\nlanguage: en\n{licence}\n---\n# A base model")
    return Settings.tiny().with_changes(checkpoint=str(folder))


def test_the_licence_is_that_of_the_base_model(tmp_path, log):
    assert model_card("me/captioner", Settings.tiny()).data.license == "apache-2.0"
    settings = base_with(tmp_path, "license: mit")
    assert model_card("me/captioner", settings, license="mit").data.license == "mit"
    assert not log.messages
    assert model_card("me/captioner", settings, license="cc0-1.0").data.license == "mit"
    assert "mit, and not cc0-1.0" in log.text


def test_a_licence_by_another_name_keeps_its_name_and_link(tmp_path):
    named = "license: other\nlicense_name: house-rules\nlicense_link: https://example.org/rules"
    data = model_card("me/captioner", base_with(tmp_path, named)).data
    assert (data.license, data.license_name, data.license_link) == ("other", *re.findall(r": (\S+)", named)[1:])


@pytest.mark.parametrize("base", ["license:", "license: [mit, gpl-3.0]", "tags: [x]", None])
def test_a_licence_that_the_base_does_not_name_is_the_learners_or_none(tmp_path, base):
    settings = base_with(tmp_path, base) if base else Settings.full()  # which cannot be asked for here
    assert "license" not in model_card("me/captioner", settings).data.to_dict()
    assert model_card("me/captioner", settings, license="cc0-1.0").data.license == "cc0-1.0"
    assert "license" not in model_card("me/captioner").data.to_dict()
    assert model_card("me/captioner", license="cc0-1.0").data.license == "cc0-1.0"


def test_the_licence_of_a_base_on_the_hub_is_asked_for(hub, model, processor):
    hub.add("somebody/base").files["README.md"] = b"---\nlicense: bsd-3-clause\n---\n"
    settings = Settings.tiny().with_changes(checkpoint="somebody/base", dataset="somebody/birds")
    share(model, processor, "me/captioner", settings=settings)
    data = card_of(hub).data
    assert (data.license, data.base_model, data.datasets) == ("bsd-3-clause", "somebody/base", ["somebody/birds"])


# What arrives


def test_sharing_uploads_the_model_its_processor_a_card_and_examples(hub, captioner, settings, dataset, tmp_path):
    assert share(*captioner, "me/captioner", settings=settings, dataset=dataset) == f"{hub.address}/me/captioner"
    files = hub.files("me/captioner")
    assert set(files) == WEIGHTS_AND_PROCESSOR | {"README.md", "examples.png"}
    assert hub.repositories["model", "me/captioner"].private
    for content in files.values():
        assert TOKEN.encode() not in content
        assert str(tmp_path).encode() not in content
        assert settings.dataset.encode() not in content
    assert files["examples.png"].startswith(b"\x89PNG")
    assert "8 for train, 4 for validation, 4 for test" in card_of(hub).text
    captions = caption_images(*captioner, dataset["test"]["image"], max_new_tokens=settings.max_new_tokens)
    assert all(f"({i}) {caption.text}." in card_of(hub).text for i, caption in enumerate(captions, 1))
    shared = tmp_path / "shared"
    shared.mkdir()
    for name, content in files.items():
        (shared / name).write_bytes(content)
    again = load_checkpoint(str(shared))
    assert caption_images(*again, dataset["test"]["image"], max_new_tokens=4) == captions


def test_sharing_can_be_public_and_under_a_name_alone(artifacts, hub, model, processor):
    assert share(model.half(), processor, "captioner", private=False) == f"{hub.address}/me/captioner"
    assert b'"F16"' not in hub.files("me/captioner")["model.safetensors"]  # the card's lines would fail on it
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


def test_what_is_not_given_is_not_told(hub, captioner):
    """The captioner lies in artifacts/captioner, with its record: nobody looks there."""
    share(*captioner, "me/captioner")
    text = card_of(hub).text
    assert "is not known" in text
    assert "Not measured" in text
    assert "steps" not in text
    assert set(hub.files("me/captioner")) == WEIGHTS_AND_PROCESSOR | {"README.md"}


def test_a_data_set_alone_gives_counts_and_examples(hub, captioner, dataset):
    share(*captioner, "me/captioner", dataset=dataset)
    assert "8 for train, 4 for validation, 4 for test" in card_of(hub).text
    assert "examples.png" in hub.files("me/captioner")
    untested = dataset.copy()
    del untested["test"]
    share(*captioner, "me/captioner-2", dataset=untested)
    assert "examples.png" not in hub.files("me/captioner-2")


def test_the_card_has_the_scores_of_training_until_there_are_others(hub, captioner, settings, dataset, artifacts):
    history = json.loads((artifacts / "captioner" / "history.json").read_text())
    share(*captioner, "me/captioner", settings=settings, history=history)
    scores = scores_of(card_of(hub))
    assert set(scores) == {"validation"}
    measured = min(row["eval_wer"] for row in history if "eval_wer" in row and row["step"])
    assert scores["validation"]["wer"] == round(measured, 4)
    assert "for 2 steps" in card_of(hub).text
    evaluation = save_evaluation(settings, dataset["test"], {"trained": SCORES})
    share(*captioner, "me/captioner", settings=settings, history=history, evaluation=evaluation)
    assert scores_of(card_of(hub)) == {"test": {"wer": 0.0417, "exact_match": 0.8125}}
    share(*captioner, "me/captioner", settings=settings, evaluation=evaluation)
    assert "for 2 steps" in card_of(hub).text


def test_the_scores_of_other_weights_are_left_out(hub, captioner, settings, dataset, log):
    model, processor = captioner
    evaluation = save_evaluation(settings, dataset["test"], {"trained": SCORES})
    model.output.bias.data += 0.01
    share(model, processor, "me/captioner", evaluation=evaluation)
    assert "another captioner" in log.text
    assert "Not measured" in card_of(hub).text


def test_an_evaluation_must_be_of_these_weights_if_it_says_whose_it_is(hub, captioner, log):
    share(*captioner, "me/captioner", evaluation=EVALUATION)
    assert "0.042" in card_of(hub).text
    share(*captioner, "me/captioner", evaluation={**EVALUATION, "captioner": {"fingerprint": "0" * 16}})
    assert "0.042" not in card_of(hub).text
    assert "another captioner" in log.text


def test_a_captioner_may_be_saved_anywhere(hub, settings, tmp_path):
    elsewhere = settings.with_changes(output=str(tmp_path / "mine"))
    share(*load_or_train(elsewhere), "me/captioner", settings=elsewhere)
    assert not any(str(tmp_path).encode() in content for content in hub.files("me/captioner").values())


# What goes wrong


def test_without_a_token_one_sentence_says_so(hub, captioner, settings, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    message = fails_in_one_line(*captioner, settings=settings)
    assert "no token" in message
    assert "on disk, in artifacts/captioner" in message
    refuse_with(monkeypatch, LocalTokenNotFoundError("no token\nanywhere"))
    assert fails_in_one_line(*captioner, settings=settings) == message


def test_a_wrong_token_is_told(hub, captioner, settings, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    message = fails_in_one_line(*captioner, settings=settings)
    assert "does not know your token" in message
    assert "on disk, in artifacts/captioner" in message


@pytest.mark.parametrize("there", [None, False, True], ids=["not there", "public", "private"])
def test_somebody_elses_repository_is_told(hub, captioner, settings, there):
    if there is not None:
        hub.add("somebody/captioner", private=there)
    message = fails_in_one_line(*captioner, "somebody/captioner", settings=settings)
    assert "may not write" in message
    assert "on disk, in artifacts/captioner" in message
    assert hub.files("somebody/captioner") == {}


@pytest.mark.parametrize("fails", ["repos/create", "/commit/"])
def test_a_fault_of_the_hub_is_told(hub, captioner, settings, fails):
    hub.fails = fails
    message = fails_in_one_line(*captioner, settings=settings)
    assert "500" in message
    assert "try again later" in message
    assert "on disk, in artifacts/captioner" in message


def test_a_captioner_that_is_not_saved_there_is_said_to_be_in_memory(hub, captioner, settings):
    hub.fails = "."
    model, processor = captioner
    assert "in memory" in fails_in_one_line(model, processor)
    elsewhere = settings.with_changes(output="artifacts/elsewhere")
    assert "in memory" in fails_in_one_line(model, processor, settings=elsewhere)
    model.output.bias.data += 0.01
    assert "in memory" in fails_in_one_line(model, processor, settings=settings)


def test_what_else_the_hub_says_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, OSError("418 Teapot: not today.\n\nMore lines"))
    message = fails_in_one_line(model, processor)
    assert "418 Teapot: not today" in message
    assert "More lines" not in message


def test_an_error_without_words_is_told_too(artifacts, monkeypatch, model, processor):
    refuse_with(monkeypatch, ConnectionError())
    assert "ConnectionError" in fails_in_one_line(model, processor)


def test_a_name_that_cannot_be_is_told(hub, captioner):
    fails_in_one_line(*captioner, "me/my captioner")
    fails_in_one_line(*captioner, "a/b/c")


def test_offline_mode_is_told_in_one_sentence(artifacts, model, processor):
    assert "HF_HUB_OFFLINE" in fails_in_one_line(model, processor)


def test_no_network_is_told_in_one_sentence(artifacts, monkeypatch, model, processor):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    fails_in_one_line(model, processor)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_token_is_never_told(artifacts, local_hub, monkeypatch, log, model, processor, status):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    seen = []

    def answer(request):
        seen.append(request.headers.get("Authorization", ""))
        return status, None, {"error": f"{seen[-1]} may not do that"}

    with local_hub(answer=answer):
        message = fails_in_one_line(model, processor)
    assert TOKEN in seen[0]  # it was sent, so it could have been told
    assert TOKEN not in message + log.text


def test_nothing_is_left_behind_in_a_temporary_folder(hub, captioner, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(Path(tmp_path).iterdir())
    share(*captioner, "me/captioner")
    hub.fails = "repos/create"
    fails_in_one_line(*captioner)
    assert set(Path(tmp_path).iterdir()) == before
