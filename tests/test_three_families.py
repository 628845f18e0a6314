"""The whole way, once a family: load, prepare, learn by heart, train, evaluate, save, load, say the same."""

import json

import nbformat
import pytest
import torch
from datasets import DatasetDict
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from transformers import AutoProcessor

from helpers.attention import patch_grid
from helpers.baselines import nearest_captions
from helpers.captioner import load_or_train
from helpers.errors import CaptioningError, CheckpointError, DataError
from helpers.families import (
    end_token_id,
    load_checkpoint,
    load_processor,
    picture_features,
    picture_tokens,
    vision_encoder_of,
)
from helpers.hub.card import model_card
from helpers.inference import caption_images, word_places
from helpers.metrics import decode
from helpers.settings import Settings
from helpers.training import CaptionTrainer, caption_loss, overfit_one_batch
from helpers.transforms import CaptionCollator, CaptionTransform, normalized_pixels, picture_pixels, prepare_pictures
from tests.toolbox import FAMILIES, PATCH, PICTURE, POSITIONS, four_lines, save_blip, save_vision_encoder_decoder
from tools import notebooks as tool
from tools.make_base_model import vocabulary


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory, creatures):
    folder = tmp_path_factory.mktemp("family")
    FAMILIES[family].save(folder, [text for captions in creatures["train"]["captions"] for text in captions])
    return folder


@pytest.fixture
def captioner(folder):
    return load_checkpoint(str(folder))


@pytest.fixture(scope="module")
def two(creatures):
    """Two pictures whose first captions differ in length, so that one of them is padded."""
    lengths = [len(captions[0].split()) for captions in creatures["train"]["captions"][:50]]
    return creatures["train"].select([lengths.index(min(lengths)), lengths.index(max(lengths))])


def batch_of(split, processor):
    prepared = prepare_pictures(split, processor).with_transform(CaptionTransform(processor, sample=False))
    return CaptionCollator(processor)(list(prepared))


def spoken(captions):
    return [caption.text.replace(" ,", ",") for caption in captions]


def test_a_caption_begins_and_ends_as_the_model_was_trained(family, captioner, two):
    _, processor = captioner
    tokenizer, text = processor.tokenizer, two["captions"][0][0]
    ids = CaptionTransform(processor).tokens([text])[0]
    start = FAMILIES[family].start
    assert tokenizer.convert_ids_to_tokens(ids)[: len(start)] == start
    assert (ids[-1], ids.count(ids[-1])) == (end_token_id(tokenizer), 1)
    assert [tokenizer.decode(ids, skip_special_tokens=True).replace(" ,", ",").strip()] == [text]
    assert tokenizer.pad_token_id is not None
    longest = tokenizer.model_max_length
    assert longest == POSITIONS
    cut = CaptionTransform(processor).tokens([" ".join([text] * 9)])[0]
    assert (len(cut), cut[-1], cut[: len(start)]) == (longest, ids[-1], ids[: len(start)])


def test_the_end_is_learnt_and_padding_is_not(captioner, two):
    model, processor = captioner
    batch = batch_of(two, processor)
    end = end_token_id(processor.tokenizer)
    assert len(set(batch["attention_mask"].sum(dim=1).tolist())) == 2
    assert (batch["labels"] == end).sum(dim=1).tolist() == [1, 1]
    assert torch.equal(batch["labels"] == -100, batch["attention_mask"] == 0)
    wider = {name: torch.nn.functional.pad(batch[name], (0, 3), value=fill)
             for name, fill in (("input_ids", 7), ("attention_mask", 0), ("labels", -100))}  # fmt: skip
    with torch.inference_mode():
        assert caption_loss(model, {**batch, **wider}).item() == pytest.approx(
            caption_loss(model, batch).item(), abs=1e-5
        )


def test_pixels_are_the_processors_own(captioner, pictures):
    _, processor = captioner
    assert type(processor.image_processor).__name__.endswith("Pil")
    own = processor.image_processor(pictures, return_tensors="pt").pixel_values
    # Ours are rounded to whole pixels between resizing and normalizing, as are the library's.
    torch.testing.assert_close(
        normalized_pixels(picture_pixels(pictures, processor), processor), own, atol=1e-5, rtol=0
    )


def test_what_stands_in_the_text_parts_sight(family, captioner, pictures, two):
    model, processor = captioner
    pixels = normalized_pixels(picture_pixels(pictures[:3], processor), processor)
    features = picture_features(model, pixels)
    with torch.inference_mode():
        tokens = vision_encoder_of(model)(pixels).last_hidden_state
    assert tokens.shape[1] == picture_tokens(model) == (PICTURE // PATCH) ** 2 + 1
    torch.testing.assert_close(features, tokens.mean(dim=1))
    assert nearest_captions(model, processor, two, two) == [captions[0] for captions in two["captions"]]
    if family == "git":
        assert patch_grid(model) == (3, 3)
    else:
        with pytest.raises(CaptioningError, match=rf"(?=.*{family})(?=.*git)"):
            patch_grid(model)


def test_two_pictures_are_learnt_by_heart_and_said(captioner, two, tmp_path):
    model, processor = captioner
    losses = overfit_one_batch(model, batch_of(two, processor), steps=100, learning_rate=5e-3)
    assert losses[-1] < 0.05 < losses[0]
    firsts = [captions[0] for captions in two["captions"]]
    said = caption_images(model, processor, two["image"][:])
    searched = caption_images(model, processor, two["image"][:], num_beams=3)
    assert spoken(said) == spoken(searched) == firsts
    for i, caption in enumerate(said):
        # Teacher-forced on what it says, the model is exactly as sure as it was when it said it.
        with torch.inference_mode():
            sure = (-caption_loss(model, batch_of(two.select([i]), processor))).exp().item()
        assert caption.confidence == pytest.approx(sure, rel=1e-3)
        assert searched[i].confidence == pytest.approx(sure, rel=1e-3)
        assert [word for word, _ in caption.words] == firsts[i].replace(",", " ,").split()
        assert all(caption.confidence**40 < p <= 1.0001 for _, p in caption.words)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert caption_images(*load_checkpoint(str(tmp_path)), two["image"][:]) == said
    assert hasattr(AutoProcessor.from_pretrained(tmp_path, backend="pil"), "image_processor")


def test_another_script_is_learnt_or_refused(family, captioner, two, dataset, settings):
    """A vocabulary of bytes writes everything; one of words says what it cannot write before it trains on nothing."""
    model, processor = captioner
    captions = [["초록색 동물이 웃고 있다"], ["날개 달린 빨간 동물"]]
    korean = two.remove_columns("captions").add_column("captions", captions)
    if family == "vision-encoder-decoder":
        overfit_one_batch(model, batch_of(korean, processor), steps=100, learning_rate=5e-3)
        assert [[caption.text] for caption in caption_images(model, processor, korean["image"][:])] == captions
    else:
        with pytest.raises(DataError, match="cannot write"):
            CaptionTrainer(model, processor, DatasetDict(dataset, train=korean), settings)


def test_two_steps_evaluations_a_save_and_the_same_captions(folder, captioner, settings, pictures, dataset):
    settings = settings.with_changes(checkpoint=str(folder), max_new_tokens=9)
    model, processor = load_or_train(settings)
    loaded, its_processor = load_checkpoint(settings.output)
    said = caption_images(model, processor, pictures, max_new_tokens=9)
    assert caption_images(loaded, its_processor, pictures, max_new_tokens=9) == said
    assert load_or_train(settings)[0] is not model

    trainer = CaptionTrainer(loaded, its_processor, dataset, settings)
    found = trainer.predict(trainer.eval_dataset)
    said = caption_images(loaded, its_processor, dataset["validation"]["image"][:], max_new_tokens=9)
    assert [text.strip() for text in decode(its_processor, found.predictions)] == [caption.text for caption in said]
    with torch.inference_mode():
        loss = caption_loss(loaded, batch_of(dataset["validation"], its_processor)).item()
    assert found.metrics["test_loss"] == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
def test_the_four_lines_of_the_card_say_the_same(folder, pictures, tmp_path, monkeypatch, capsys, beams):
    """Whatever generation settings a checkpoint brings, and of a picture whose sides differ."""
    model, processor = load_checkpoint(str(folder))
    model.generation_config.update(num_beams=4 - beams, do_sample=True, max_length=9)
    for part in (model, processor):
        part.save_pretrained(tmp_path / "shared")
    pictures[0].resize((90, 60)).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    settings = Settings(num_beams=beams, max_new_tokens=12)
    exec(four_lines(str(model_card("shared", settings))), {})
    [said] = caption_images(model, processor, ["picture.png"], num_beams=beams, max_new_tokens=12)
    assert said.text
    assert capsys.readouterr().out.strip() == said.text


def test_captions_are_drawn_in_every_family(captioner, pictures):
    greedy, few = (caption_images(*captioner, pictures, max_new_tokens=9, **how) for how in ({}, {"top_p": 1e-6}))
    assert [caption.text for caption in few] == [caption.text for caption in greedy]
    assert [c.confidence for c in few] == pytest.approx([c.confidence for c in greedy], rel=1e-4)
    first, again, other = (
        [caption.text for caption in caption_images(*captioner, pictures, temperature=1, seed=i, max_new_tokens=9)]
        for i in (1, 1, 2)
    )
    assert first == again != other


def test_random_weights_can_be_asked_for(folder, captioner, pictures):
    fresh, processor = load_checkpoint(str(folder), random_weights=True)
    assert not fresh.training
    weights, others = captioner[0].state_dict(), fresh.state_dict()
    assert {name: value.shape for name, value in weights.items()} == {n: value.shape for n, value in others.items()}
    drawn = [name for name, value in weights.items() if value.dim() > 1 and value.is_floating_point()]
    assert not any(torch.equal(weights[name], others[name]) for name in drawn)
    assert len(caption_images(fresh, processor, pictures[:2], max_new_tokens=4)) == 2


def test_freezing_the_eye_leaves_the_rest_to_learn(captioner, dataset, settings):
    model, processor = captioner
    CaptionTrainer(model, processor, dataset, settings.with_changes(freeze_vision=True))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    eye = {id(p) for p in vision_encoder_of(model).parameters()}
    assert frozen == {name for name, p in model.named_parameters() if id(p) in eye}
    assert 0 < len(frozen) < len(list(model.parameters()))


def test_a_plain_bert_vocabulary_is_given_blips_start_token(tmp_path, two):
    save_blip(tmp_path, [], knows_start=False)
    found = load_processor(str(tmp_path))
    ids = found.tokenizer(two["captions"][0][0]).input_ids
    assert ids[0] == len(vocabulary())
    assert found.tokenizer.convert_ids_to_tokens(ids[0]) == "[DEC]"
    assert "[DEC]" not in found.tokenizer.decode(ids, skip_special_tokens=True)


def test_a_vocabulary_without_the_start_token_is_refused(tmp_path):
    save_blip(tmp_path, [])
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["bos_token_id"] = 99_999
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match="vocabulary lacks"):
        load_processor(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red, spotted cat", ["a", "red", ",", "spotted", "cat"]),
        ("ein grüner Drache", ["ein", "grüner", "Drache"]),
        ("a 🐈 cat.", ["a", "🐈", "cat", "."]),
        ("  two  spaces ", ["two", "spaces"]),
        ("", []),
    ],
)
def test_words_are_put_together_of_bytes(tmp_path, creatures, text, words):
    """A byte-level tokenizer marks spaces, and cuts letters into bytes; every piece belongs to one word."""
    save_vision_encoder_decoder(tmp_path, [captions[0] for captions in creatures["train"]["captions"][:99]])
    tokenizer = load_processor(str(tmp_path)).tokenizer
    ids = tokenizer(text).input_ids
    found = word_places(ids, tokenizer)
    assert [word for word, _ in found] == words
    places = [place for _, pieces in found for place in pieces]
    assert places == list(range(len(places)))


@pytest.mark.slow
def test_the_notebooks_take_a_checkpoint_of_another_family(family, folder, tmp_path, monkeypatch, creatures):
    """Nothing but values of the settings' cell changes; the notebook that takes GIT apart says so in one line."""
    if family == "git":
        pytest.skip("the notebooks' own family")
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path / "artifacts"))
    for split, count in {"train": 64, "validation": 20, "test": 30}.items():
        creatures[split].select(range(count)).to_parquet(tmp_path / "captioned" / f"{split}.parquet")
    values = f'dataset="{tmp_path / "captioned"}", checkpoint="{folder}", epochs=1, freeze_vision=False'
    sources = [cell.source for path in tool.paths()[1:] for cell in tool.read(path).cells if cell.cell_type == "code"]
    started = [source.replace("from_environment()", f"from_environment().with_changes({values})") for source in sources]
    cells = [nbformat.v4.new_code_cell(source.replace("epochs=24", "epochs=1")) for source in started]
    # In one kernel, because most of the time would go into starting them.
    together = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(CellExecutionError) as caught:
        NotebookClient(together, timeout=600, resources={"metadata": {"path": str(tool.FOLDER)}}).execute()
    assert (caught.value.ename, "choose a checkpoint of git" in caught.value.evalue) == ("CaptioningError", True)
    [failed] = [cell for cell in cells if any(output.output_type == "error" for output in cell.outputs)]
    assert "patch_grid" in failed.source
