"""The emoji set as captions: names of one language, divided by a column of the set."""

from collections import Counter

import pytest

from helpers.data import load_captions
from tests.test_emoji import COUNTS

# Reading all 6,867 pictures takes seconds; notebook 1 does it in each run.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def korean():
    return load_captions("data/emoji", caption_columns="name_ko", split_column="by_artist")


def test_names_of_one_language_are_the_captions(korean):
    assert {split: len(dataset) for split, dataset in korean.items()} == COUNTS["by_artist"]
    for dataset in korean.values():
        # Names and keywords of the other languages stay as they are, next to the captions.
        assert {"keywords_ko", "keywords_en", "name_en", "artist"} <= set(dataset.column_names)
        about = dataset.remove_columns("image")
        assert all(len(captions) == 1 for captions in about["captions"])
        assert all(isinstance(keywords, list) and keywords for keywords in about["keywords_ko"])
    names = {row["name_en"]: row["captions"] for row in korean["test"].remove_columns("image")}
    assert names["octopus"] == ["문어"]
    assert set(korean["test"]["artist"]) == {"fluent"}


def test_the_same_rows_are_divided_by_combination():
    divided = load_captions("data/emoji", caption_columns="name_en", split_column="by_combination")
    assert {split: len(dataset) for split, dataset in divided.items()} == COUNTS["by_combination"]
    names = {split: {captions[0] for captions in dataset["captions"]} for split, dataset in divided.items()}
    assert not names["train"] & names["test"]
    assert not names["validation"] & (names["train"] | names["test"])
    artists = Counter(artist for dataset in divided.values() for artist in dataset["artist"])
    assert set(artists) == {"noto", "twemoji", "fluent", "emojione", "blob"}
