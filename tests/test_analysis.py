import pytest

from helpers.analysis import ATTRIBUTES, attributes_of

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
        ("gray with pink spots, that smiles", {"color": "gray", "second_color": "pink", "pattern": "spotted", "mouth": "smile"}),  # noqa: E501
        ("a scarred reddish thing", {}),
    ],
)
def test_what_is_not_named_is_absent(caption, named):
    assert attributes_of(caption) == {**BARE, **named}


def test_the_first_value_named_counts():
    said = attributes_of("red, blue and green; a smile, a frown; striped, spotted")
    assert (said["color"], said["second_color"], said["mouth"], said["pattern"]) == ("red", "blue", "smile", "striped")


def test_every_value_found_is_a_known_one():
    assert all(attributes_of("two horns, a red frown")[name] in [*values, "none"] for name, values in ATTRIBUTES.items())
