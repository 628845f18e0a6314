import os
import time
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageColumn
from PIL import Image
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from helpers.errors import ImageError
from helpers.reading.pictures import load_image
from helpers.transforms import (
    IGNORED,
    CaptionCollator,
    CaptionTransform,
    denormalize,
    kept_share,
    normalized_pixels,
    picture_pixels,
    prepare_pictures,
)

SIDE = 48


def odd_pictures(pictures):
    wide = pictures[0].resize((150, 60))
    return [pictures[0], wide, wide.transpose(Image.Transpose.ROTATE_90), pictures[1].resize((20, 20))]


def captioned(pictures):
    columns = {"image": pictures, "captions": [[f"picture {i}", f"the {i}"] for i in range(len(pictures))]}
    return Dataset.from_dict(columns).cast_column("image", ImageColumn())


def seen(transform, prepared, epoch):
    """The tokens that each row gets in an epoch."""
    transform.set_epoch(epoch)
    prepared.set_transform(transform)
    return [tuple(ids) for ids in prepared[:]["input_ids"]]


@pytest.fixture(scope="module")
def prepared(dataset, processor):
    return prepare_pictures(dataset["train"], processor)


@pytest.fixture(scope="module")
def firsts(dataset, processor):
    """The tokens of each row's first caption."""
    return [tuple(ids) for ids in processor.tokenizer([c[0] for c in dataset["train"]["captions"]]).input_ids]


@pytest.fixture
def rows(prepared, processor):
    return list(prepared.with_transform(CaptionTransform(processor)))


def test_our_two_steps_equal_the_processors_one(pictures, processor):
    odd = odd_pictures(pictures)
    pixels = picture_pixels(odd, processor)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (4, 3, SIDE, SIDE))
    expected = processor(images=odd, return_tensors="pt").pixel_values
    torch.testing.assert_close(normalized_pixels(pixels, processor), expected, atol=1e-5, rtol=0)


def test_denormalize_undoes_the_normalisation(pictures, processor):
    pixels = picture_pixels(pictures[:2], processor)
    back = denormalize(normalized_pixels(pixels, processor)[1], processor)
    assert (back.dtype, back.shape) == (np.uint8, (SIDE, SIDE, 3))
    assert np.abs(back.astype(int) - pixels[1].transpose(1, 2, 0)).max() <= 1


def test_prepared_rows_hold_the_pixels_the_captions_and_their_number(dataset, prepared, processor):
    assert set(prepared.column_names) == {"pixels", "shape", "kept", "captions", "row"}
    assert prepared["row"][:] == list(range(8))
    assert prepared["captions"][:] == dataset["train"]["captions"][:]
    expected = picture_pixels(dataset["train"]["image"][:], processor)
    for row, pixels in zip(prepared, expected, strict=True):
        assert np.array_equal(np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"]), pixels)


def test_another_processor_prepares_anew(dataset, processor, checkpoint):
    from helpers.families import load_checkpoint

    other = load_checkpoint(checkpoint)[1]
    other.image_processor.size = other.image_processor.crop_size = {"height": 32, "width": 32}
    assert prepare_pictures(dataset["train"], processor)[0]["shape"] == [3, SIDE, SIDE]
    assert prepare_pictures(dataset["train"], other)[0]["shape"] == [3, 32, 32]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1"])
def test_pictures_of_every_kind_are_prepared_as_they_are_read(pictures, processor, mode):
    drawn = pictures[0].convert(mode)
    if mode in ("RGBA", "LA"):
        drawn.putalpha(Image.linear_gradient("L").resize(drawn.size))
    [row] = prepare_pictures(captioned([drawn]), processor)
    [expected] = picture_pixels([load_image(drawn)], processor)
    assert np.array_equal(np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"]), expected)


def test_every_caption_has_its_turn_and_the_order_is_drawn_anew(prepared, processor):
    transform = CaptionTransform(processor, seed=1)
    epochs = [seen(transform, prepared, epoch) for epoch in range(12)]
    tokenizer = processor.tokenizer
    for row, captions in enumerate(prepared.with_format(None)["captions"]):
        each = {tuple(ids) for ids in tokenizer(captions).input_ids}
        turns = [tuple(epoch[row] for epoch in epochs[start : start + 3]) for start in range(0, 12, 3)]
        assert all(set(turn) == each for turn in turns)
    assert any(a[:3] != b[:3] for a, b in pairwise([list(zip(*epochs[s : s + 3], strict=True)) for s in (0, 3, 6)]))


def test_rows_do_not_all_take_the_same_place(prepared, processor, firsts):
    transform = CaptionTransform(processor, seed=1)
    same = [a == b for a, b in zip(seen(transform, prepared, 0), firsts, strict=True)]
    assert any(same)
    assert not all(same)


def test_the_choice_is_a_function_of_seed_epoch_and_row(prepared, processor):
    first, again, other = (CaptionTransform(processor, seed=seed) for seed in (1, 1, 2))
    late = seen(first, prepared, 5)
    assert seen(first, prepared, 2) == seen(again, prepared, 2)
    assert seen(again, prepared, 5) == late
    assert seen(other, prepared, 5) != late
    assert seen(first, prepared.select([6, 2]), 5) == [late[6], late[2]]


def test_without_sampling_the_first_caption_is_taken(prepared, processor, firsts):
    transform = CaptionTransform(processor, sample=False)
    assert seen(transform, prepared, 0) == seen(transform, prepared, 1) == firsts


def test_a_transformed_row_holds_its_pixels_and_whole_caption(rows, dataset, processor):
    for row, group, picture in zip(rows, dataset["train"]["captions"], dataset["train"]["image"], strict=True):
        assert row["pixels"].dtype == torch.uint8
        assert np.array_equal(row["pixels"].numpy(), picture_pixels([picture], processor)[0])
        assert tuple(row["input_ids"]) in {tuple(ids) for ids in processor.tokenizer(group).input_ids}
        assert row["input_ids"][-1] == processor.tokenizer.sep_token_id


def test_a_caption_longer_than_the_model_is_cut_and_still_ends(pictures, processor):
    long = {"pixels": [b"\0" * 12], "shape": [[3, 2, 2]], "captions": [["a red cat " * 60]], "row": [0]}
    [ids] = CaptionTransform(processor)(long)["input_ids"]
    assert len(ids) == processor.tokenizer.model_max_length
    assert ids[-1] == processor.tokenizer.sep_token_id


def test_a_batch_is_padded_to_its_longest_caption(rows, processor):
    lengths = [len(row["input_ids"]) for row in rows]
    assert len(set(lengths)) > 1
    batch = CaptionCollator(processor)(rows)
    assert set(batch) == {"pixel_values", "input_ids", "attention_mask", "labels"}
    assert batch["pixel_values"].shape == (8, 3, SIDE, SIDE)
    assert batch["pixel_values"].dtype == torch.float32
    for name in ("input_ids", "attention_mask", "labels"):
        assert batch[name].shape == (8, max(lengths))
        assert batch[name].dtype == torch.int64
    assert batch["attention_mask"].sum(dim=1).tolist() == lengths


def test_labels_are_ignored_on_padding_and_nowhere_else(rows, processor):
    batch = CaptionCollator(processor)(rows)
    real = batch["attention_mask"].bool()
    assert torch.equal(batch["labels"][real], batch["input_ids"][real])
    assert (batch["labels"][~real] == IGNORED).all()
    assert (batch["input_ids"][~real] == processor.tokenizer.pad_token_id).all()
    ends = batch["labels"] == processor.tokenizer.sep_token_id
    assert (ends.sum(dim=1) == 1).all()


def test_a_batch_shows_the_model_what_the_processor_would(rows, dataset, processor):
    batch = CaptionCollator(processor)(rows)
    expected = processor(images=dataset["train"]["image"][:], return_tensors="pt").pixel_values
    torch.testing.assert_close(batch["pixel_values"], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "kept"),
    [((100, 100), 1), ((48, 48), 1), ((200, 100), 0.5), ((100, 400), 0.25), ((1, 1), 1), ((3000, 30), 0.01)],
)
def test_what_the_crop_keeps_of_a_picture(processor, size, kept):
    assert kept_share(size, processor) == pytest.approx(kept, abs=0.02)


def test_without_a_crop_everything_is_kept():
    squeezing = ViTImageProcessorPil(size={"height": 32, "width": 32})
    assert kept_share((300, 30), SimpleNamespace(image_processor=squeezing)) == 1


def test_a_square_picture_is_not_said_to_be_cut(dataset, processor, log):
    prepared = prepare_pictures(dataset["train"], processor)
    assert prepared["kept"][:] == [1.0] * len(prepared)
    assert log.records == []


@pytest.mark.parametrize("size", [(30_000, 40), (40, 30_000), (36_000, 1)])
def test_of_a_very_wide_picture_only_the_middle_is_resized(processor, size):
    picture = Image.new("RGB", size, (255, 0, 0))
    middle = (size[0] // 2 - 20, size[1] // 2 - 20, size[0] // 2 + 20, size[1] // 2 + 20)
    picture.paste((0, 255, 0), tuple(max(0, place) for place in middle))
    began = time.perf_counter()
    pixels = picture_pixels([picture], processor)
    assert pixels.shape == (1, 3, 48, 48)
    assert (pixels[0, :, 24, 24] == (0, 255, 0)).all()
    assert time.perf_counter() - began < 1


def test_a_wide_picture_is_seen_as_the_processor_sees_it(processor):
    values = np.random.default_rng(0).integers(0, 256, (60, 500, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    own = processor.image_processor(picture, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values
    assert np.abs(picture_pixels([picture], processor) - own).max() <= 1


def test_a_long_caption_is_cut_counted_and_said_once(processor, log):
    transform = CaptionTransform(processor)
    long = "a red creature " * 40
    first = transform.tokens(["a red creature", long])
    assert [len(ids) for ids in first] == [5, processor.tokenizer.model_max_length]
    assert first[1] == processor.tokenizer(long, truncation=True).input_ids
    assert transform.cut == {long}
    assert len(log.records) == 1
    assert "64 tokens" in log.text
    assert transform.tokens([long]) == [first[1]]
    assert len(log.records) == 1
    transform.tokens([long + "again"])
    assert "2 so far" in log.text


def test_captions_that_fit_are_left_alone(processor, log):
    assert CaptionTransform(processor).tokens(["a red creature"]) == processor.tokenizer(["a red creature"]).input_ids
    assert log.records == []


def test_a_picture_replaced_under_the_same_name_and_time_is_prepared_anew(tmp_path, processor):
    file, table = tmp_path / "a.png", tmp_path / "rows.parquet"
    Dataset.from_dict({"image": [str(file)], "captions": [["a square"]]}).to_parquet(table)

    def prepared(color):
        Image.new("RGB", (48, 48), color).save(file)
        os.utime(file, (1_600_000_000, 1_600_000_000))
        [row] = prepare_pictures(Dataset.from_parquet(str(table), cache_dir=str(tmp_path / "cache")), processor)
        return row["pixels"][0], row["pixels"][-1]

    assert prepared("red") == (255, 0)
    assert prepared("blue") == (0, 255)


def test_a_damaged_picture_of_ones_own_is_said(processor):
    with pytest.raises(ImageError, match="no picture"):
        prepare_pictures(Dataset.from_dict({"image": [b"no picture"], "captions": [["a cat"]]}), processor)
