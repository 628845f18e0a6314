from copy import deepcopy

import numpy as np
import pandas
import pytest
import torch
from datasets import Array3D, Dataset, DatasetDict, Features, Image, List, Value

from helpers.analysis import worst_captions
from helpers.creatures import ATTRIBUTES, attributes_of
from helpers.errors import CaptioningError, CheckpointError, DataError, ImageError, SettingsError
from helpers.families import load_checkpoint
from helpers.inference import Caption, caption_images
from helpers.metrics import caption_metrics, decode, score
from helpers.pairs import check_pair
from helpers.paths import ROOT
from helpers.reading.given import own_split, own_splits
from helpers.training import CaptionTrainer
from helpers.transforms import prepare_pictures
from tests.toolbox import FAMILIES, encoded, noise


def rows(captions=(["a cat"], ["a dog", "one dog"]), pictures=None):
    pictures = pictures or [encoded(noise(i)) for i in range(len(captions))]
    return Dataset.from_dict({"image": pictures, "captions": list(captions)})


def test_the_forms_that_people_have_are_taken_as_one(tmp_path, processor):
    usual = rows().cast_column("image", Image())
    wanted = prepare_pictures(usual, processor)[:]
    names = [str(tmp_path / f"{i}.png") for i in range(2)]
    for i, name in enumerate(names):
        noise(i).save(name)
    for given in (usual.with_format("torch"), rows(), rows(pictures=names)):
        assert prepare_pictures(given, processor)[:] == wanted
    assert own_split(rows(["a cat", "a dog"]))["captions"][:] == [["a cat"], ["a dog"]]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (lambda: rows().rename_column("captions", "text"), "image, text and no captions"),
        (lambda: rows().remove_columns("image"), "rename_column"),
        (lambda: rows().select([]), "no rows"),
        (lambda: rows().to_iterable_dataset(), "streaming"),
        (lambda: rows().to_list(), "no Dataset (list)"),
        (lambda: DatasetDict(train=rows()), "no Dataset (DatasetDict)"),
        (lambda: rows([["a cat"], None]), "None in row 1"),
        (lambda: rows([[], ["a cat"]]), "in row 0"),
        (lambda: rows([["a cat", " "], ["a dog"]]), "in row 0"),
        (lambda: rows([["a cat", None], ["a dog"]]), "in row 0"),
        (lambda: rows([[1, 2], [3]]), "row 0"),
        (lambda: rows(pictures=[1, 2]), "no pictures in its column image"),
        (
            lambda: rows(pictures=[[[[0.5]]], [[[0.5]]]]).cast_column("image", Array3D((1, 1, 1), "float32")),
            "no pictures",
        ),
    ],
)
def test_a_split_that_cannot_be_used_is_told_what_is_wanted(given, named, processor):
    with pytest.raises(DataError) as caught:
        prepare_pictures(given(), processor)
    assert named in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [rows, lambda: None, lambda: "data/mine", list, lambda: {"train": rows()}, lambda: DatasetDict(test=rows())],
)
def test_the_trainer_wants_its_two_splits(given, model, processor, settings):
    with pytest.raises(DataError, match="validation"):
        CaptionTrainer(model, processor, given(), settings)


def test_splits_come_in_the_order_asked_for_and_others_do_not_matter():
    given = {"extra": None, "validation": rows(), "train": rows()}
    assert list(own_splits(given, "train", "validation")) == ["train", "validation"]


def test_many_pictures_in_any_form_give_a_caption_each(talker, processor):
    pictures = [noise(i) for i in range(3)]
    split = rows([["a"]] * 3, [encoded(picture) for picture in pictures]).cast_column("image", Image())
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    wanted = [caption.text for caption in caption_images(talker, processor, pictures, max_new_tokens=3)]
    one_by_one = np.empty(3, dtype=object)
    one_by_one[:] = pictures
    same = (tuple(pictures), pixels, torch.tensor(pixels), split, split["image"], split[:3], split.with_format("torch"))
    for given in (*same, one_by_one, dict(enumerate(pictures)).values()):
        assert [c.text for c in caption_images(talker, processor, given, max_new_tokens=3)] == wanted
    assert caption_images(talker, processor, []) == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (np.zeros((40, 48, 3), np.uint8), "(40, 48, 3)"),
        (torch.zeros(3, 40, 48), "[picture]"),
        (np.zeros((40, 48)), "[picture]"),
        (np.float32(3), "[picture]"),
        ({"image": noise(0), "captions": ["a"]}, "This dict"),
        ({"a.png": noise(0)}, "This dict"),
        ({"a.png"}, "This set"),
        ((noise(i) for i in range(3)), "This generator"),
        (DatasetDict(), "This DatasetDict"),
    ],
)
def test_what_is_no_list_of_pictures_is_named(talker, processor, given, named):
    with pytest.raises(ImageError) as caught:
        caption_images(talker, processor, given)
    assert named in str(caught.value)
    assert "give " in str(caught.value) or "put " in str(caught.value)


SAID, TRUE = ["a red cat", "two dogs"], [["a red cat", "one cat"], ["three dogs"]]


@pytest.mark.parametrize(
    "given",
    [
        [Caption(text, 0.5, ()) for text in SAID],
        Dataset.from_dict({"said": SAID})["said"],
        np.array(SAID),
        tuple(SAID),
    ],
)
def test_captions_in_any_form_score_the_same(given):
    references = Dataset.from_dict({"captions": TRUE})["captions"]
    assert caption_metrics(given, references) == caption_metrics(SAID, TRUE)
    assert score(given, references, minus=given)["wer"]["value"] == 0
    columns = {name: ["red", "none"] for name in ATTRIBUTES}
    assert caption_metrics(iter(given), iter(TRUE), columns) == caption_metrics(SAID, TRUE, columns)
    assert attributes_of(given[0]) == attributes_of("a r\u00aded cat") == attributes_of("a red cat")


@pytest.mark.parametrize(
    ("said", "true"),
    [
        (dict(enumerate(SAID)), TRUE),
        (set(SAID), TRUE),
        (Dataset.from_dict({"said": SAID}), TRUE),
        (Dataset.from_dict({"said": SAID}).to_pandas(), TRUE),
        (SAID, ["a red cat", "two dogs"]),
        (SAID, dict(enumerate(TRUE))),
        (SAID, [{"a": "b"}, ["c"]]),
        (SAID, [["a"], []]),
        (SAID, 3),
        ([None, "a"], TRUE),
    ],
)
def test_what_are_no_lists_of_captions_is_said(said, true):
    with pytest.raises(CaptioningError, match="give "):
        caption_metrics(said, true)


def test_the_splits_are_known_by_what_they_are_called():
    assert list(own_splits(DatasetDict(Train=rows(), val=rows()), "train", "validation")) == ["train", "validation"]


def test_signs_that_cannot_be_seen_are_taken_out_of_captions_and_that_is_said(log):
    assert own_split(rows([["\ufeffa c\u00adat"], ["cafe\u0301", "a"]]))["captions"][:] == [["a cat"], ["café", "a"]]
    assert "2 rows" in log.text
    with pytest.raises(DataError, match="row 1"):
        own_split(rows([["a"], ["\u200b"]]))


@pytest.mark.parametrize("lost", [None, b"", "gone.png"])
def test_a_row_without_its_picture_is_told_before_anything_is_read(lost):
    last = lost if isinstance(lost, str) else {"bytes": lost, "path": None}
    first = str(ROOT / "docs" / "gone.png") if isinstance(lost, str) else {"bytes": encoded(noise(0)), "path": None}
    kind = Features({"image": Image(), "captions": List(Value("string"))})
    split = Dataset.from_dict({"image": [first, last if lost is not None else None], "captions": [["a"]] * 2}, kind)
    with pytest.raises(DataError, match=r"gone\.png in row 0" if isinstance(lost, str) else "no picture in row 1"):
        own_split(split)


def test_pictures_of_a_table_or_in_few_bits_are_taken(talker, processor, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    for i, path in enumerate(paths):
        noise(i).save(path)
    values = torch.tensor(np.stack([np.asarray(noise(i)) for i in range(2)])).permute(0, 3, 1, 2) / 255
    table = pandas.DataFrame({"image": paths}, index=[5, 7])
    wanted = [caption.text for caption in caption_images(talker, processor, paths, max_new_tokens=3)]
    for given in (table, table["image"], values.requires_grad_()):
        assert [c.text for c in caption_images(talker, processor, given, max_new_tokens=3)] == wanted
    assert len(caption_images(talker, processor, values.bfloat16(), max_new_tokens=3)) == 2
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(ImageError, match="caption_folder"):
            caption_images(talker, processor, folder)
    with pytest.raises(ImageError, match="This DataFrame"):
        caption_images(talker, processor, table.rename(columns={"image": "path"}))


def test_what_is_no_pair_of_a_model_and_its_processor_is_told(talker, processor, settings, dataset):
    pictures = [noise(0)]
    with pytest.raises(CheckpointError, match="A GitProcessor is no captioner"):
        caption_images(processor, talker, pictures)
    with pytest.raises(CheckpointError, match=r"model\.module"):
        caption_images(torch.nn.DataParallel(talker), processor, pictures)
    for part in (processor.tokenizer, processor.image_processor, talker):
        with pytest.raises(CheckpointError, match=f"This {type(part).__name__} is no processor"):
            caption_images(talker, part, pictures)
    other = deepcopy(processor)
    other.image_processor.size, other.image_processor.crop_size = {"shortest_edge": 64}, {"height": 64, "width": 64}
    with pytest.raises(CheckpointError, match="64 x 64 pixels, and the model reads 48"):
        caption_images(talker, other, pictures)
    longer = deepcopy(processor)
    longer.tokenizer.add_tokens(["zweiundvierzig"])
    assert caption_images(talker, longer, pictures, max_new_tokens=3)
    with pytest.raises(CheckpointError, match="resize_token_embeddings"):
        CaptionTrainer(talker, longer, dataset, settings)
    with pytest.raises(SettingsError, match="no Settings"):
        CaptionTrainer(talker, processor, dataset, {"epochs": 1})


@pytest.mark.parametrize("save", [family.save for family in FAMILIES.values()], ids=list(FAMILIES))
def test_each_family_knows_its_own_processor(save, tmp_path):
    save(tmp_path, ["a cat"])
    check_pair(*load_checkpoint(str(tmp_path)), learn=True)


def test_what_a_trainer_predicts_is_decoded_in_its_usual_forms(processor):
    ids = np.array([[2, 5, 6, 3], [2, 5, 3, -100]])
    wanted = decode(processor, ids)
    assert (
        decode(processor, (ids, None)) == decode(processor, ids.tolist()) == decode(processor.tokenizer, ids) == wanted
    )
    with pytest.raises(CaptioningError, match="predict_with_generate"):
        decode(processor, np.zeros((2, 4, 50)))


def test_texts_that_come_once_are_scored_and_listed_as_others():
    columns = {name: ["red", "none"] for name in ATTRIBUTES}
    once = score(iter(SAID), map(iter, TRUE), attributes=columns, minus=iter(SAID[::-1]))
    assert once == score(SAID, TRUE, attributes=columns, minus=SAID[::-1])
    series = pandas.Series(SAID, index=[7, 9]), pandas.Series(TRUE, index=[7, 9])
    assert worst_captions(*series) == worst_captions(iter(SAID), iter(TRUE)) == worst_captions(SAID, TRUE)
