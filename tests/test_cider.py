"""CIDEr-D against three others: vectors of the reference implementation, the published formula, and by hand.

VECTORS were made once with coco-caption's own code, as pycocoevalcap 1.2 packs it (cider/cider.py; none of it is here):
`Cider().compute_score({i: group for i, group in enumerate(references)}, {i: [said] for i, said in enumerate(said)})`.
"""

import random
from collections import Counter
from math import exp, log, sqrt

import numpy as np
import pytest

from helpers.metrics.cider import per_picture


def corpus(seed, pictures):
    """Random captions of few words, so that n-grams repeat; some are empty."""
    drawn = random.Random(seed)

    def caption():
        return " ".join(drawn.choices("abcdef", k=drawn.randint(0, 9)))

    predictions = [caption() for _ in range(pictures)]
    return predictions, [[caption() for _ in range(drawn.randint(1, 4))] for _ in range(pictures)]


VECTORS = {
    "two pictures": (
        ["a man is speaking", "rain falls"],
        [
            ["a man speaks", "someone speaks", "a man is speaking while a bird is chirping in the background"],
            ["rain is falling hard on a surface"],
        ],
        [1.3640549170323026, 0.5586545156664786],
    ),
    "empty, repeated, Korean": (
        [
            "a red cat sits on a mat",
            "",
            "two birds",
            "a a a a a",
            "빨간 고양이가 웃는다",
            "a dog runs in the park with a ball",
        ],
        [
            ["a red cat sits on the mat", "the cat is on a mat"],
            ["a dog sleeps"],
            ["two birds sing in a tree", "birds", "two small birds"],
            ["a cat and a dog and a bird"],
            ["빨간 고양이가 웃는다", "고양이가 웃는다"],
            ["a dog runs in a park", "the dog plays with a ball in the park", "", "a brown dog runs with a ball"],
        ],
        [4.851149871972461, 0.0, 2.0217265770228594, 0.17047571590189434, 5.628235598515068, 2.756966139856714],
    ),
    "random": (
        *corpus(0, 5),
        [1.2102704010500942, 0.401277142059536, 1.3636110576908447, 1.7940679850078631, 0.0],
    ),
}


@pytest.mark.parametrize(("predictions", "references", "expected"), VECTORS.values(), ids=VECTORS)
def test_scores_are_those_of_the_reference_implementation(predictions, references, expected):
    assert per_picture(predictions, references) == pytest.approx(expected, abs=1e-9)


def test_the_mean_is_that_of_the_reference_implementation():
    assert per_picture(*corpus(1, 40)).mean() == pytest.approx(0.7514041366813811, abs=1e-9)


def by_the_formula(predictions, references, sigma=6):
    """CIDEr-D of Vedantam et al. (2015), with dictionaries."""

    def counted(text, n):
        words = text.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    def weighted(text, n):
        weights = {}
        for gram, count in counted(text, n).items():
            pictures = sum(any(gram in counted(text, n) for text in group) for group in references)
            weights[gram] = count * log(len(references) / max(1, pictures))
        return weights

    def compared(said, text, n):
        ours, theirs = weighted(said, n), weighted(text, n)
        dot = sum(min(ours[gram], theirs[gram]) * theirs[gram] for gram in ours.keys() & theirs.keys())
        norms = sqrt(sum(w**2 for w in ours.values())) * sqrt(sum(w**2 for w in theirs.values()))
        longer = len(said.split()) - len(text.split())
        return exp(-(longer**2) / (2 * sigma**2)) * dot / norms if norms else 0

    scores = []
    for said, group in zip(predictions, references, strict=True):
        total = sum(compared(said, text, n) for n in (1, 2, 3, 4) for text in group)
        scores.append(10 * total / 4 / len(group))
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_published_formula(seed):
    predictions, references = corpus(seed, pictures=3 * seed + 2)
    assert per_picture(predictions, references) == pytest.approx(by_the_formula(predictions, references), abs=1e-9)


def test_distinct_perfect_captions_of_four_words_score_ten():
    texts = ["a red cat with wings", "the blue dog has horns"]
    assert per_picture(texts, [[text] for text in texts]) == pytest.approx([10, 10])


def test_perfect_captions_of_two_words_score_half_of_it():
    assert per_picture(["red cat", "blue dog"], [["red cat"], ["blue dog"]]) == pytest.approx([5, 5])


def test_words_that_all_pictures_have_weigh_nothing():
    assert per_picture(["a cat", "a dog"], [["a bird"], ["a fish"]]).tolist() == [0, 0]


def test_another_length_costs_by_the_gaussian():
    references = [["a b c d e f g h"], ["x"]]
    assert per_picture(["a b", "x"], references)[0] == pytest.approx(
        10 / 4 * exp(-(6**2) / 72) * (2 / sqrt(2 * 8) + 1 / sqrt(1 * 7))
    )


def test_saying_a_word_again_does_not_help():
    once, again = (per_picture([said, "x"], [["red cat"], ["x"]])[0] for said in ("red", "red red red"))
    assert again < once


@pytest.mark.parametrize(
    ("predictions", "references"),
    [(["a red cat"], [["a red cat"]]), ([""], [[""]]), (["", ""], [["", ""], [""]]), (["", "a"], [["a"], [""]])],
    ids=["one picture", "one without words", "no words at all", "no words in common"],
)
def test_scores_are_zero_where_nothing_can_be_told(predictions, references):
    assert per_picture(predictions, references).tolist() == [0] * len(predictions)


def test_each_picture_is_scored_in_its_own_place():
    predictions, references = corpus(3, pictures=12)
    order = np.random.default_rng(0).permutation(12)
    shuffled = per_picture([predictions[i] for i in order], [references[i] for i in order])
    assert shuffled == pytest.approx(per_picture(predictions, references)[order])
