import pytest

from helpers.analysis import (
    ATTRIBUTES,
    attribute_accuracy,
    attribute_columns,
    attribute_mistakes,
    attributes_of,
    attributes_right,
)

STRIPED = {
    "color": "orange",
    "second_color": "green",
    "pattern": "striped",
    "body": "tall",
    "ears": "pointy",
    "horns": "none",
    "wings": "wings",
    "tail": "none",
    "mouth": "open",
}
BARE = {**dict.fromkeys(ATTRIBUTES, "none"), "pattern": "plain"}


@pytest.mark.parametrize(
    "caption",
    [
        "a drawing of a tall orange and green striped creature with pointy ears, wings and an open mouth",
        "an orange creature with green stripes, a tall body, pointy ears, wings and an open mouth",
        "A tall creature, ORANGE with green stripes, that opens its mouth and has pointy ears and wings.",
    ],
)
def test_every_wording_gives_the_same_attributes(caption):
    assert attributes_of(caption) == STRIPED


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("", {}),
        ("a photo of nothing", {}),
        ("round ears", {"ears": "round"}),
        ("a round creature with long ears", {"body": "round", "ears": "long"}),
        ("a square body , one horn", {"body": "square", "horns": "one"}),
        ("two horns and a spiky tail", {"horns": "two", "tail": "spiky"}),
        ("a curly tail and a frown", {"tail": "curly", "mouth": "frown"}),
        (
            "gray with pink spots, that smiles",
            {"color": "gray", "second_color": "pink", "pattern": "spotted", "mouth": "smile"},
        ),
        ("a scarred reddish thing", {}),
    ],
)
def test_what_is_not_named_is_absent(caption, named):
    assert attributes_of(caption) == {**BARE, **named}


def test_the_first_value_named_counts():
    said = attributes_of("red, blue and green; a smile, a frown; striped, spotted")
    assert (said["color"], said["second_color"], said["mouth"], said["pattern"]) == ("red", "blue", "smile", "striped")


def test_every_value_found_is_a_known_one():
    found = attributes_of("two horns, a red frown")
    assert list(found) == list(ATTRIBUTES)
    assert all(found[name] in [*values, "none"] for name, values in ATTRIBUTES.items())


def test_attribute_columns_are_those_that_a_split_has(creatures):
    found = attribute_columns(creatures["test"])
    assert list(found) == list(ATTRIBUTES)
    assert found["color"] == creatures["test"]["color"][:]
    assert attribute_columns(creatures["test"].select_columns(["captions", "color"])) == {"color": found["color"]}
    assert attribute_columns(creatures["test"].select_columns(["captions"])) == {}


def test_accuracy_and_mistakes_by_hand():
    truth = {"color": ["red", "blue", "red"], "mouth": ["smile", "frown", "open"]}
    said = ["a red cat that smiles", "a green cat with a frown", "a green cat, a blue dog"]
    right = {name: list(values) for name, values in attributes_right(said, truth).items()}
    assert right == {"color": [True, False, False], "mouth": [True, True, False]}
    assert attribute_accuracy(said, truth) == pytest.approx({"color": 1 / 3, "mouth": 2 / 3})
    assert attribute_mistakes([*said, "a green dog that smiles"], {"color": [*truth["color"], "blue"]}) == [
        {"attribute": "color", "true": "blue", "said": "green", "pictures": 2},
        {"attribute": "color", "true": "red", "said": "green", "pictures": 1},
    ]


def test_the_shipped_captions_name_everything_rightly(creatures):
    truth = attribute_columns(creatures["test"])
    firsts = [captions[0] for captions in creatures["test"]["captions"]]
    assert attribute_accuracy(firsts, truth) == dict.fromkeys(ATTRIBUTES, 1.0)
    assert attribute_mistakes(firsts, truth) == []
    assert min(attribute_accuracy(firsts[1:] + firsts[:1], truth).values()) < 0.5


def test_another_number_of_captions_raises():
    with pytest.raises(ValueError, match=r"longer|shorter"):
        attributes_right(["a red cat"], {"color": ["red", "blue"]})
