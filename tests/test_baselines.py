import numpy as np
import pytest
import torch
from PIL import Image

from helpers.baselines import most_central, most_frequent_caption, nearest_captions, shuffled_pictures
from helpers.families import picture_features, vision_encoder_of
from helpers.metrics import normalize
from helpers.transforms import normalized_pixels, picture_pixels


def test_the_caption_of_most_pictures_is_taken():
    assert most_frequent_caption([["a cat", "A red cat."], ["a dog"], ["a red cat", "a bird"]]) == "A red cat."


def test_the_first_spelling_is_given():
    assert most_frequent_caption([["A cat.", "a cat"], ["a cat"], ["a dog"]]) == "A cat."


def test_a_caption_counts_once_a_picture():
    assert most_frequent_caption([["a cat", "A cat", "a cat!"], ["a dog"], ["a dog"]]) == "a dog"


def test_of_equally_frequent_captions_the_most_central_is_taken():
    tied = ["a red cat", "a red dog", "a blue cat", "one green bird"]
    assert most_frequent_caption([[text] for text in tied]) == "a red cat"
    assert most_frequent_caption([[text] for text in tied] + [["one green bird"], ["one green bird"]]) == tied[3]


def test_where_all_captions_differ_it_is_the_most_central_one(dataset):
    groups = list(dataset["train"]["captions"])
    found = most_frequent_caption(groups, seed=1)
    assert any(found in group for group in groups)
    assert normalize(found) == most_central([[normalize(text) for text in group] for group in groups], seed=1)


def test_the_most_central_caption_is_nearest_to_all_others():
    groups = [["a red cat", "some dog"], ["a red dog"], ["a blue cat"], ["one two three four five"]]
    assert most_central(groups) == "a red cat"
    assert most_central(groups, most=3, seed=1) in {caption for group in groups for caption in group}
    assert most_central(groups, most=3, seed=1) == most_central(groups, most=3, seed=1)


def test_without_captions_there_is_nothing_to_choose():
    with pytest.raises(ValueError, match="give"):
        most_frequent_caption([])


def test_features_are_a_vector_a_picture(talker, processor, pictures):
    pixels = normalized_pixels(picture_pixels(pictures[:3], processor), processor)
    found = picture_features(talker, pixels)
    assert found.shape == (3, 32)
    assert not found.requires_grad
    torch.testing.assert_close(found[1:2], picture_features(talker, pixels[1:2]))
    with torch.no_grad():
        seen = vision_encoder_of(talker)(pixels).last_hidden_state
    torch.testing.assert_close(found, seen.mean(dim=1))


@pytest.mark.parametrize("batch_size", [3, 64])
def test_a_picture_is_nearest_to_itself(talker, processor, dataset, batch_size):
    train = dataset["train"]
    turned = train.select([5, 2, 7, 0])
    said = nearest_captions(talker, processor, train, turned, batch_size=batch_size)
    assert said == [group[0] for group in turned["captions"]]


def test_the_nearest_picture_has_the_largest_cosine(talker, processor, dataset):
    train, test = dataset["train"], dataset["test"]
    pixels = [normalized_pixels(picture_pixels(split["image"][:], processor), processor) for split in (train, test)]
    known, asked = (picture_features(talker, each).double().numpy() for each in pixels)
    cosines = asked @ known.T / np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(known, axis=1))
    wanted = [train[int(place)]["captions"][0] for place in cosines.argmax(axis=1)]
    assert nearest_captions(talker, processor, train, test, batch_size=3) == wanted
    assert len(set(wanted)) > 1


def test_a_split_without_pictures_is_named(talker, processor, dataset):
    empty = dataset["test"].select([])
    for train, test, name in ((empty, dataset["test"], "train"), (dataset["train"], empty, "test")):
        with pytest.raises(ValueError, match=name):
            nearest_captions(talker, processor, train, test)


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (2, 1), (3, 2), (101, 0)])
def test_no_picture_stays_in_its_place_and_none_is_lost(count, seed):
    places = list(range(count))
    moved = shuffled_pictures(places, seed)
    assert sorted(moved) == places
    assert all(a != b for a, b in zip(moved, places, strict=True))
    assert moved == shuffled_pictures(places, seed)


def test_another_seed_is_another_order():
    assert shuffled_pictures(range(50), 0) != shuffled_pictures(range(50), 1)


def test_a_column_of_a_data_set_can_be_moved(dataset):
    moved = shuffled_pictures(dataset["test"]["image"])
    assert len(moved) == 4
    assert all(isinstance(picture, Image.Image) for picture in moved)


def test_one_picture_has_no_other_place():
    with pytest.raises(ValueError, match="two"):
        shuffled_pictures(["only"])
