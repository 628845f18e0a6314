import io
import random
import re
from itertools import pairwise

import numpy as np
import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from helpers.creatures import (
    ATTRIBUTES,
    attributes_of,
    captions_of,
    chosen_creature,
    draw_creature,
    fresh,
    random_creature,
)
from helpers.creatures.canvas import PAINTS, SIZE
from helpers.creatures.captions import with_article
from helpers.data import load_captions, picture_hashes
from helpers.errors import DataError
from helpers.reading.copies import NEAR, groups_of_copies
from tools import make_base_model, make_data
from tools.make_data import FOLDER, card, draw, key_of

# What a caption may only say of a creature that has it: attribute and value → the words for it.
WORDS = {
    ("ears", "none"): "ears?",
    ("horns", "none"): "horns?",
    ("wings", "none"): "wings?",
    ("tail", "none"): "tail",
    ("pattern", "plain"): "spots|spotted|stripes|striped",
    ("second_color", "none"): "and (red|orange|yellow|green|blue|purple|pink|brown|gray)",
}
BODY = fresh.creature_of("orange-green-striped-tall-pointy-two-wings-curly-open")


def repeats(caption: str) -> bool:
    """Whether a word stands twice in a row or a phrase between commas is said twice."""
    words = caption.replace(",", "").split()
    phrases = [phrase.strip() for phrase in caption.replace(" and ", ",").split(",")]
    return any(a == b for a, b in pairwise(words)) or len(set(phrases)) < len(phrases)


@pytest.fixture(scope="module")
def rows(creatures):
    """All 1,000 rows without their pictures, each with its split."""
    return [
        {**row, "split": split}
        for split, dataset in creatures.items()
        for row in dataset.remove_columns("image").to_list()
    ]


@pytest.fixture(scope="module")
def captions(rows):
    return [caption for row in rows for caption in row["captions"]]


def creature_of(row):
    return {name: row[name] for name in ATTRIBUTES}


def test_no_two_creatures_are_alike_in_any_split(rows):
    assert len(rows) == 1000
    assert len({key_of(creature_of(row)) for row in rows}) == 1000


def test_any_two_pictures_differ_by_more_than_eight_bits_and_count_as_no_copies(creatures):
    hashes = [found.hash.ravel() for dataset in creatures.values() for found in picture_hashes(dataset)]
    bits = np.array(hashes, dtype=np.int32)
    same = bits @ bits.T + (1 - bits) @ (1 - bits).T
    differ = 256 - same + 256 * np.eye(len(bits), dtype=np.int32)
    assert bits.shape == (1000, 256)
    assert differ.min() > 8
    groups = groups_of_copies(np.packbits(bits.astype(np.uint8), axis=1))
    assert sorted(groups) == list(range(1000))


def test_every_picture_is_small_and_in_colour(creatures):
    assert {(p.size, p.mode) for dataset in creatures.values() for p in dataset["image"]} == {((128, 128), "RGB")}


def test_every_caption_gives_every_attribute_back(rows):
    wrong = [caption for row in rows for caption in row["captions"] if attributes_of(caption) != creature_of(row)]
    assert wrong == []


def test_no_caption_speaks_of_what_is_not_there(rows):
    for row in rows:
        for (name, value), words in WORDS.items():
            if row[name] == value:
                assert not any(re.search(rf"\b({words})\b", caption) for caption in row["captions"])


def test_every_value_is_known_and_occurs_in_every_split(rows):
    for split in ("train", "validation", "test"):
        for name, values in ATTRIBUTES.items():
            assert {row[name] for row in rows if row["split"] == split} == set(values)


def test_the_three_captions_differ(rows):
    assert all(len({*row["captions"]}) == 3 for row in rows)


def test_a_and_an_are_right(captions):
    articles = {pair for caption in captions for pair in re.findall(r"\b(an?) (\w)", caption)}
    assert {letter for article, letter in articles if article == "an"} <= set("aeio")
    assert {letter for article, letter in articles if article == "a"}.isdisjoint("aeio")
    assert {article for article, _ in articles} == {"a", "an"}


def test_no_caption_repeats_itself(captions):
    assert not any(repeats(caption) for caption in captions)
    assert all(a != b for caption in captions for a, b in pairwise(caption.replace(",", "").split()))


def test_captions_are_clean_text(captions):
    assert all(re.fullmatch(r"[a-z]+(,? [a-z]+)*", caption) for caption in captions)


@pytest.mark.parametrize(
    ("caption", "repeated"),
    [
        ("a red red cat", True),
        ("a cat with horns, wings, a tail and wings", True),
        ("a red cat with red spots and wings", False),
    ],
)
def test_repetition_is_found(caption, repeated):
    assert repeats(caption) == repeated


@pytest.mark.parametrize(("phrase", "said"), [("orange cat", "an orange cat"), ("tall cat", "a tall cat")])
def test_the_article_follows_the_next_word(phrase, said):
    assert with_article(phrase) == said


def test_captions_in_full():
    assert captions_of(BODY) == [
        "a drawing of a tall orange and green striped creature with pointy ears, two horns, wings, a curly tail and "
        "an open mouth",
        "an orange creature with green stripes, a tall body, pointy ears, two horns, wings, a curly tail and an open "
        "mouth",
        "a tall creature, orange with green stripes, that opens its mouth and has pointy ears, two horns, wings and "
        "a curly tail",
    ]


def test_captions_of_a_bare_creature_in_full():
    nothing = dict.fromkeys(("second_color", "ears", "horns", "wings", "tail"), "none")
    assert captions_of({**BODY, **nothing, "pattern": "plain", "mouth": "smile"}) == [
        "a drawing of a tall orange creature with a smile",
        "an orange creature with a tall body and a smile",
        "a tall creature, all orange, that smiles",
    ]


def test_random_creatures_have_two_different_colours_or_one():
    for seed in range(300):
        creature = random_creature(random.Random(seed))
        assert creature["second_color"] != creature["color"]
        assert (creature["second_color"] == "none") == (creature["pattern"] == "plain")


def test_the_data_set_can_be_drawn_again(creatures, rows):
    made = make_data.creatures()
    assert [key_of(creature) for creature in made] == [key_of(creature_of(row)) for row in rows]
    assert [row["number"] for row in rows] == list(range(1000))
    shipped = {split: dataset.cast_column("image", dataset.features["image"]) for split, dataset in creatures.items()}
    drawn_twice = [row["number"] for row in rows if row["attempt"] > 0]
    for number in [*range(0, 1000, 53), *drawn_twice[:3]]:
        row = rows[number]
        place = number - {"train": 0, "validation": 800, "test": 900}[row["split"]]
        picture = draw(number, made[number], row["attempt"])
        stored = shipped[row["split"]][place]["image"]
        assert captions_of(made[number]) == row["captions"]
        assert np.abs(np.asarray(picture, dtype=float) - np.asarray(stored, dtype=float)).mean() < 1


@pytest.mark.parametrize("name", list(ATTRIBUTES))
def test_the_pen_shows_every_value_of_every_attribute(name):
    values = [value for value in ATTRIBUTES[name] if (name, value) not in {("second_color", "none")}]
    values = [value for value in values if name != "second_color" or value != BODY["color"]]
    shown = {draw_creature({**BODY, name: value}, random.Random(0)).tobytes() for value in values}
    assert len(shown) == len(values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ears": "pointed"}, "ears is 'pointed'; give one of none, pointy, round, long."),
        ({"mouth": None}, "mouth is None; give one of smile, frown, open."),
        ({"eyes": "blue"}, f"A creature has no 'eyes'; give values for {', '.join(ATTRIBUTES)}."),
        (
            {"pattern": "plain"},
            "second_color is 'green'; for a plain creature that is orange, give none.",
        ),
        (
            {"second_color": "orange"},
            "second_color is 'orange'; for a striped creature that is orange, give red or yellow or green or blue or "
            "purple or pink or brown or gray.",
        ),
    ],
)
def test_a_creature_that_nobody_can_draw_is_answered_with_what_there_is(change, sentence):
    with pytest.raises(DataError) as caught:
        chosen_creature(BODY | change)
    assert str(caught.value) == sentence


def test_a_creature_lacks_no_attribute_and_they_stand_in_their_order():
    assert list(chosen_creature(dict(reversed(BODY.items()))).items()) == list(BODY.items())
    with pytest.raises(DataError, match="tail is missing; give one of none, curly, spiky"):
        chosen_creature({name: value for name, value in BODY.items() if name != "tail"})
    rng = random.Random(0)
    for creature in (random_creature(rng) for _ in range(200)):
        assert chosen_creature(creature) == creature


def test_the_pen_depends_on_the_attributes_and_the_seed_alone():
    first, again, other = (draw_creature(BODY, random.Random(seed)) for seed in (1, 1, 2))
    assert (first.size, first.mode) == ((SIZE, SIZE), "RGB")
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("color", list(PAINTS))
def test_a_plain_creature_is_painted_in_its_colour(color):
    plain = {**BODY, "color": color, "second_color": "none", "pattern": "plain"}
    pixels = np.asarray(draw_creature(plain, random.Random(0)), dtype=float).reshape(-1, 3)
    distance = {name: np.abs(pixels - paint).sum(axis=1) for name, paint in PAINTS.items()}
    near = {name: (found < 45).sum() for name, found in distance.items()}
    assert max(near, key=near.get) == color


def test_a_picture_too_like_an_earlier_one_is_drawn_again(monkeypatch, tmp_path):
    def draw_alike(number, creature, attempt=0):
        return draw(0, creatures[0]) if attempt == 0 else draw(number, creature, attempt)

    creatures = make_data.creatures()[:5]
    monkeypatch.setattr(make_data, "SPLITS", {"train": 3, "validation": 1, "test": 1})
    monkeypatch.setattr(make_data, "creatures", lambda: creatures)
    monkeypatch.setattr(make_data, "draw", draw_alike)
    make_data.main(tmp_path)
    made = load_captions(str(tmp_path))
    rows = [row for split in made.values() for row in split]
    assert [row["attempt"] for row in rows] == [0, 1, 1, 1, 1]
    hashes = picture_hashes({"image": [row["image"] for row in rows]})
    assert all(a - b > NEAR for i, a in enumerate(hashes) for b in hashes[:i])
    assert [creature_of(row) for row in rows] == creatures


def test_pictures_are_stored_without_loss(monkeypatch):
    creatures = make_data.creatures()[:3]
    monkeypatch.setattr(make_data, "SPLITS", {"train": 1, "validation": 1, "test": 1})
    monkeypatch.setattr(make_data, "creatures", lambda: creatures)
    made = make_data.make()
    assert made["test"][0]["image"].tobytes() == draw(2, creatures[2]).tobytes()


def test_the_card_says_what_the_files_hold(creatures):
    found = DatasetCard.load(FOLDER / "README.md").data.to_dict()
    assert found["license"] == "cc0-1.0"
    paths = {entry["split"]: FOLDER / entry["path"] for entry in found["configs"][0]["data_files"]}
    assert list(paths) == list(creatures)
    counts = {entry["name"]: entry["num_examples"] for entry in found["dataset_info"]["splits"]}
    assert counts == {split: len(dataset) for split, dataset in creatures.items()}
    named = [feature["name"] for feature in found["dataset_info"]["features"]]
    assert named == creatures["train"].column_names
    sizes = {split: path.stat().st_size for split, path in paths.items()}
    assert card(creatures, sizes) == (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_vocabulary_knows_every_word_of_the_data_set(captions):
    processor = make_base_model.make_processor()
    tokenizer = processor.tokenizer
    assert len(set(make_base_model.vocabulary().values())) == len(tokenizer)
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(captions).input_ids)
    longest = max(captions, key=len)
    decoded = tokenizer.decode(tokenizer(longest).input_ids, skip_special_tokens=True)
    assert decoded.replace(" ,", ",") == longest


def test_stored_pictures_can_be_opened_by_anything(creatures):
    row = creatures["train"].with_format("arrow")[0]["image"][0].as_py()
    assert Image.open(io.BytesIO(row["bytes"])).format == "PNG"
