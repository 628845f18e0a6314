from collections import Counter
from itertools import pairwise

import jiwer
import numpy as np
import pytest

from helpers.analysis import (
    caption_lengths,
    collapse_warning,
    distinct_share,
    marked_differences,
    nearest_references,
    word_mistakes,
    worst_captions,
)
from helpers.creatures import (
    ATTRIBUTES,
    attribute_accuracy,
    attribute_columns,
    attribute_confusions,
    attributes_of,
    attributes_right,
)
from helpers.metrics import align_words, normalize, word_errors

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
    said = attributes_of("red, blue and green, some pink, some gray; a smile, a frown; striped, spotted")
    assert (said["color"], said["second_color"], said["mouth"], said["pattern"]) == ("red", "pink", "smile", "striped")


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


def test_accuracy_by_hand():
    truth = {"color": ["red", "blue", "red"], "mouth": ["smile", "frown", "open"]}
    said = ["a red cat that smiles", "a green cat with a frown", "a green cat, a blue dog"]
    right = {name: list(values) for name, values in attributes_right(said, truth).items()}
    assert right == {"color": [True, False, False], "mouth": [True, True, False]}
    assert attribute_accuracy(said, truth) == pytest.approx({"color": 1 / 3, "mouth": 2 / 3})


def test_confusions_by_hand():
    truth = {"body": ["round", "round", "tall", "square"], "mouth": ["smile", "open", "open", "frown"]}
    said = ["a round cat that smiles", "a tall cat that smiles", "a tall cat", "a tall cat that frowns"]
    body, mouth = attribute_confusions(said, truth).values()
    assert (body.true, body.said) == (ATTRIBUTES["body"], ATTRIBUTES["body"])
    assert body.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert (mouth.true, mouth.said) == (["smile", "frown", "open"], ["smile", "frown", "open", "none"])
    assert mouth.counts.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]]


def test_a_true_value_that_no_caption_can_name_has_its_row():
    confusion = attribute_confusions(["a black cat", "a red cat"], {"color": ["black", "red"]})["color"]
    assert confusion.true == [*ATTRIBUTES["color"], "black"]
    assert confusion.said == [*ATTRIBUTES["color"], "black", "none"]
    assert confusion.counts[-1].tolist() == [0] * 10 + [1]
    assert confusion.counts[0, 0] == 1


def test_confusions_hold_what_accuracy_tells(creatures):
    truth = attribute_columns(creatures["test"])
    firsts = [captions[0] for captions in creatures["test"]["captions"]]
    said = firsts[1:] + firsts[:1]
    accuracy = attribute_accuracy(said, truth)
    for name, confusion in attribute_confusions(said, truth).items():
        assert confusion.counts.sum() == len(said)
        assert confusion.counts.trace() / len(said) == pytest.approx(accuracy[name])


def test_the_shipped_captions_name_everything_rightly(creatures):
    truth = attribute_columns(creatures["test"])
    firsts = [captions[0] for captions in creatures["test"]["captions"]]
    assert attribute_accuracy(firsts, truth) == dict.fromkeys(ATTRIBUTES, 1.0)
    assert min(attribute_accuracy(firsts[1:] + firsts[:1], truth).values()) < 0.5


def test_another_number_of_captions_raises():
    with pytest.raises(ValueError, match=r"longer|shorter"):
        attributes_right(["a red cat"], {"color": ["red", "blue"]})


# Nothing below needs attributes: any captions will do.
GROUPS = [["a red cat", "one red cat"], ["a dog runs fast in the rain"], ["a blue bird sings"]]
SAID = ["one red cat", "a cat runs fast", "a blue, bird SINGS!"]


def test_the_nearest_reference_is_the_one_that_the_word_error_rate_takes(creatures):
    assert nearest_references(SAID, GROUPS) == ["one red cat", "a dog runs fast in the rain", "a blue bird sings"]
    references = list(creatures["test"]["captions"])[:20]
    said = [group[i % 3] for i, group in enumerate(references[1:] + references[:1])]
    nearest = nearest_references(said, references)
    assert all(text in group for text, group in zip(nearest, references, strict=True))
    alone = word_errors(said, [[text] for text in nearest])
    assert np.array_equal(alone, word_errors(said, references))


def test_of_equally_near_references_the_longer_is_taken():
    assert nearest_references(["cat"], [["a b", "a b c d"]]) == ["a b c d"]


def test_the_worst_captions_stand_first():
    rows = worst_captions(SAID, GROUPS, most=2, confidences=[0.9, 0.9, 0.1])
    assert rows == [
        {"picture": 1, "caption": SAID[1], "reference": GROUPS[1][0], "errors": 4},
        {"picture": 2, "caption": SAID[2], "reference": GROUPS[2][0], "errors": 0},
    ]
    assert [row["picture"] for row in worst_captions(SAID, GROUPS)] == [1, 0, 2]
    assert worst_captions(["two words"], [[""]])[0]["errors"] == 2


@pytest.mark.parametrize(
    ("reference", "prediction", "marked"),
    [
        ("a b c", "a b c", ("a b c", "a b c")),
        ("a b c", "a x c", ("a [b] c", "a [x] c")),
        ("a b c d", "a x y d", ("a [b c] d", "a [x y] d")),
        ("a c", "a b c", ("a c", "a [b] c")),
        ("a b c", "a c", ("a [b] c", "a c")),
        ("a b", "", ("[a b]", "")),
        ("", "a b", ("", "[a b]")),
        ("", "", ("", "")),
        ("a b c d e", "x b c y z", ("[a] b c [d e]", "[x] b c [y z]")),
        ("A red cat, a dog.", "a red cat – a dog", ("A red cat, a dog.", "a red cat – a dog")),
        ("a red, old cat.", "a blue, old 😀!", ("a [red], old [cat].", "a [blue], old [😀]!")),
        ("a yellow-green cat", "a yellow cat", ("a [yellow-green] cat", "a yellow cat")),
        ("빨간 고양이", "파란 고양이", ("[빨간] 고양이", "[파란] 고양이")),
    ],
)
def test_differences_are_marked_by_hand(reference, prediction, marked):
    assert marked_differences(reference, prediction) == marked


def test_as_many_words_are_marked_as_errors_are_counted(creatures):
    texts = [captions[1] for captions in creatures["test"]["captions"]][:20]
    for reference, prediction in pairwise(texts):
        found = align_words(reference, prediction)
        for text, errors in zip(
            marked_differences(reference, prediction),
            (found.substitutions + found.deletions, found.substitutions + found.insertions),
            strict=True,
        ):
            assert sum(len(part.split("]")[0].split()) for part in text.split("[")[1:]) == errors


def test_missed_and_invented_words_by_hand():
    rows = word_mistakes([*SAID, "a dog runs"], [*GROUPS, ["a cat runs"]])
    counts = {row["word"]: (row["missed"], row["invented"], row["expected"]) for row in rows}
    assert counts == {
        "cat": (1, 1, 2),
        "dog": (1, 1, 1),
        "in": (1, 0, 1),
        "rain": (1, 0, 1),
        "the": (1, 0, 1),
    }
    assert [row["word"] for row in rows] == ["cat", "dog", "in", "rain", "the"]
    assert word_mistakes(["one red cat"], GROUPS[:1]) == []


def test_lengths_are_counted_in_words_against_all_references():
    found = caption_lengths(["", "a – b", "a b c d"], [["a b", "a b c"], ["a, b!"], ["a"]])
    assert found.tolist() == [[0, 2.5], [2, 2], [4, 1]]


def test_captions_that_differ_in_case_alone_are_not_distinct():
    assert distinct_share(["a cat", "A cat.", "a dog", "a bird"]) == 0.75


DISTINCT = [[f"a {i} b", f"b {i} a"] for i in range(100)]
KINDS = [["a cat"]] * 50 + [["a dog"]] * 50
RARE = [["a cat"]] * 90 + [["a dog"]] * 10


@pytest.mark.parametrize(
    ("said", "references", "warns"),
    [
        (["a cat"] * 100, DISTINCT, True),
        (["a cat"] * 49 + ["A cat!"] * 2 + [f"a {i} b" for i in range(49)], DISTINCT, True),
        (["a cat"] * 50 + [f"a {i} b" for i in range(50)], DISTINCT, False),
        (["a cat", "a dog", "a bird"] * 33 + ["a cat"], DISTINCT, True),
        ([f"a {i % 10} b" for i in range(100)], DISTINCT, False),
        ([group[0] for group in DISTINCT], DISTINCT, False),
        ([group[0] for group in KINDS], KINDS, False),
        (["a cat"] * 70 + ["a dog"] * 30, KINDS, False),
        (["a cat"] * 80 + ["a dog"] * 20, KINDS, True),
        ([group[0] for group in RARE], RARE, False),
        (["a cat"] * 100, RARE, True),
        (["a cat"] * 100, [["a cat"]] * 100, False),
        (["a cat"], [["a dog"]], False),
    ],
)
def test_a_collapsed_captioner_is_warned_of_and_no_other(said, references, warns):
    warning = collapse_warning(said, references)
    assert bool(warning) == warns
    if warns:
        assert "'a cat'" in warning
        assert str(len({text.lower().strip("!") for text in said})) in warning


MEASURES = [caption_lengths, collapse_warning, nearest_references, worst_captions, word_mistakes]


@pytest.mark.parametrize("measure", MEASURES)
def test_captions_and_pictures_that_do_not_match_raise(measure):
    for predictions, references in ((["a"], [["a"], ["b"]]), ([], [])):
        with pytest.raises(ValueError, match=r"give"):
            measure(predictions, references)


@pytest.mark.parametrize("measure", MEASURES)
def test_texts_are_normalised_once_and_aligned_once(monkeypatch, measure):
    calls = Counter()

    def counted(name, of):
        monkeypatch.setattr(name, lambda *args: calls.update([of.__name__]) or of(*args))

    counted("helpers.metrics.words.normalize", normalize)
    counted("jiwer.process_words", jiwer.process_words)
    measure(SAID, GROUPS)
    assert calls["normalize"] == 3 + 4
    assert calls["process_words"] == (0 if measure in MEASURES[:2] else 4)
