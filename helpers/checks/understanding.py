"""Checks of notebooks 6 and 7: the least sure captions, keywords named, a map's top patch, right tokens."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch

from helpers.checks.verdicts import Verdict, check, tried


@check
def check_least_sure(least_sure: Callable[[Sequence[float], float], Sequence[int]]) -> Verdict:
    """`least_sure(confidences, share)`: the places of so many of the pictures, the least sure first."""

    def solution(confidences: Sequence[float], share: float) -> list[int]:
        order = sorted(range(len(confidences)), key=lambda place: confidences[place])
        return order[: round(share * len(confidences))]

    cases = [
        ([0.9, 0.2, 0.7, 0.15, 0.8], 0.55),
        ([0.62, 0.55, 0.71, 0.4], 0.3),
        ([0.3, 0.1, 0.25, 0.2, 0.6, 0.55], 0.5),
        ([0.8, 0.7, 0.9], 1.0),
        ([0.45, 0.9, 0.45, 0.7], 0.5),  # two that are alike
    ]
    mistakes = [
        (lambda sure, share: solution([-each for each in sure], share), "Are these the surest ones?"),
        (lambda sure, share: sorted(sure)[: round(share * len(sure))], "Are these confidences? Give their places."),
        (
            lambda sure, share: [place for place, each in enumerate(sure) if each <= share],
            "Is the share a bound on the confidence? It says how many pictures to take.",
        ),
        (lambda sure, share: solution(sure, share)[: int(share * len(sure))], "Did you round down?"),
        (lambda sure, share: sorted(solution(sure, share)), "Is this in the list's order? Begin with the least sure."),
    ]
    return tried(least_sure, solution, cases, "Who checks by hand can begin here, and stop anywhere.", mistakes)


@check
def check_named_share(named_share: Callable[[Sequence[str], Sequence[Sequence[str]]], Sequence[float]]) -> Verdict:
    """`named_share(captions, keywords)`: for each picture, the share of its keywords that its caption names."""

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    def solution(
        captions: Sequence[str], keywords: Sequence[Sequence[str]], split: Callable = words, fold: Callable = str.lower
    ) -> list[float]:
        pairs = zip(captions, keywords, strict=True)
        return [sum(fold(word) in split(text) for word in wanted) / len(wanted) for text, wanted in pairs]

    cases = [
        (["one cat", "Snow!", "(a carpet)"], [["two", "cat", "car"], ["snow", "ice"], ["Carpet", "pet"]]),
        (["evergreen trees", "a Red bird, and a red ball."], [["trees", "green"], ["red", "ball", "bird", "boat"]]),
        (["two kites, one tree"], [["Two", "green", "kites", "kite", "sky"]]),
        (["¡Dos árboles!"], [["árboles", "uno"]]),
    ]
    mistakes = [
        (lambda said, wanted: solution(said, wanted, str.lower), 'Are parts of words counted? A "carpet" is no "pet".'),
        (lambda said, wanted: solution(said, wanted, lambda text: text.lower().split()), "Do commas stay on words?"),
        (lambda said, wanted: solution(said, wanted, fold=str), "Do capital letters count in your keywords?"),
        (
            lambda said, wanted: solution([" ".join(each) for each in wanted], [words(text) for text in said]),
            "Is this a share of the caption's words? Divide by the number of keywords.",
        ),
        (
            lambda said, wanted: np.average(solution(said, wanted), weights=[len(each) for each in wanted]),
            "Is this one share for all keywords? Give one for each picture.",
        ),
    ]
    return tried(named_share, solution, cases, "A caption can hold its facts in any order and wording.", mistakes)


@check
def check_token_accuracy(token_accuracy: Callable[..., float]) -> Verdict:
    """`token_accuracy(predicted, labels, mask, image_positions)`: the share of real tokens that are predicted.

    predicted is (batch, image_positions + tokens), labels and the bool mask are (batch, tokens).
    """

    def share(right: torch.Tensor, counts: torch.Tensor) -> float:
        return float(right[counts].float().mean())

    def solution(predicted: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, image_positions: int) -> float:
        return share(predicted[:, image_positions:-1] == labels[:, 1:], mask[:, 1:])

    def mean_of_pictures(predicted: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, at: int) -> float:
        rows = zip(predicted.split(1), labels.split(1), mask.split(1), strict=True)
        return float(np.mean([solution(*row, at) for row in rows]))

    cases = []  # with this seed, each mistake below gives another share in each case
    for pictures, positions, lengths in ((2, 3, (4, 7)), (3, 5, (6, 2, 4)), (4, 2, (3, 5, 2, 5))):
        draw, tokens = torch.Generator().manual_seed(20), max(lengths) + 1
        mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
        labels = torch.randint(1, 4, (pictures, tokens), generator=draw) * mask
        predicted = torch.randint(0, 4, (pictures, positions + tokens), generator=draw)
        cases.append((predicted, labels, mask, positions))
    mistakes = [
        (lambda p, ids, m, at: share(p[:, at:] == ids, m), "Is a place compared with its own token?"),
        (lambda p, ids, m, at: share(p[:, at:-1] == ids[:, 1:], m[:, 1:] >= 0), "Is padding counted?"),
        (lambda p, ids, m, at: share(p[:, at:-1] == ids[:, 1:], m[:, :-1]), "Is the mask moved with the labels?"),
        (lambda p, ids, m, at: share(p[:, : -at - 1] == ids[:, 1:], m[:, 1:]), "Are these the picture's positions?"),
        (lambda p, ids, m, at: share(p[:, at - 1 : -1] == ids, m), "Is the first token counted? It is given."),
        (lambda p, ids, m, at: (m[:, 1:] & (p[:, at:-1] == ids[:, 1:])).float().mean(), "Does padding divide?"),
        (mean_of_pictures, "Is this a mean of the pictures' shares? Each token counts the same, in whichever picture."),
    ]
    return tried(token_accuracy, solution, cases, "Only what was learnt counts: real tokens, one place on.", mistakes)


@check
def check_top_patch(top_patch: Callable[[np.ndarray, Sequence[str]], Sequence]) -> Verdict:
    """`top_patch(falls, words)`: the word, row and column, counted from 1, of the largest of (words, rows, columns)."""

    def solution(falls: np.ndarray, words: Sequence[str], start: int = 1) -> tuple[str, int, int]:
        word, row, column = np.unravel_index(falls.argmax(), falls.shape)
        return words[word], int(row) + start, int(column) + start

    cases = []
    for text, rows, columns, gain in (("a red bird", 2, 4, 1.5), ("two cats", 5, 3, 4), ("it eats", 7, 6, 4)):
        words = text.split()
        falls = np.random.default_rng(columns).permutation(len(words) * rows * columns) / 10 - gain
        cases.append((falls.reshape(-1, rows, columns), words))
    mistakes = [
        (lambda falls, words: solution(falls, words, 0), "Did you count from 0? Count from 1."),
        (lambda falls, words: solution(falls.transpose(0, 2, 1), words), "Are row and column swapped?"),
        (lambda falls, words: solution(falls[:1], words), "Is this the top of the first word's map alone?"),
        (lambda falls, words: solution(np.abs(falls), words), "What of the signs? A word of a negative fall gains."),
    ]
    return tried(top_patch, solution, cases, "You can read a place in three dimensions out of one number.", mistakes)
