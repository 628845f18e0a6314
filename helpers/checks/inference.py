"""Checks of notebook 5: where a caption ends, confidence, whether it tells right from wrong (AUROC), top-p sampling."""

import math
from collections.abc import Callable, Sequence

import torch

from helpers.calibration import auroc
from helpers.checks.verdicts import Verdict, check, tried

Rows = Callable[[torch.Tensor, int], list[list[int]]]


@check
def check_until_end(until_end: Rows) -> Verdict:
    """`until_end(token_ids, end)`, (batch, tokens): what stands between the start and the first end token of each."""

    def before(row: list[int], end: int) -> list[int]:
        return row[: row.index(end)] if end in row else row

    def of_rows(cut: Callable[[list[int], int], list[int]]) -> Rows:
        return lambda token_ids, end: [cut(row, end) for row in token_ids.tolist()]

    cases = [
        (torch.tensor([[2, 7, 8, 9, 3, 0]]), 3),
        (torch.tensor([[2, 3, 0], [2, 7, 8]]), 3),  # one says nothing, one is cut off before its end
        (torch.tensor([[5, 6, 9, 8, 9, 1, 1], [5, 1, 7, 9, 1, 1, 1]]), 9),
        (torch.tensor([[3, 7, 8, 3, 3], [3, 4, 3, 3, 3], [3, 4, 5, 6, 3]]), 3),  # one token starts, ends and pads
    ]
    mistakes = [
        (of_rows(lambda row, end: row[1 : len(before(row[1:], end)) + 2]), "Is the end token still there?"),
        (of_rows(lambda row, end: row[: len(before(row[1:], end)) + 1]), "Is the start token still there?"),
        (of_rows(lambda row, end: before(row, end)[1:]), "Does your search find the start token? It may be the same."),
        (
            of_rows(lambda row, end: row[1 : len(row) - row[::-1].index(end) - 1] if end in row else row[1:]),
            "Did you cut at the last end token?",
        ),
        (
            of_rows(lambda row, end: [token for token in row[1:] if token not in (end, row[-1])]),
            "Did you leave tokens out by their number? The place decides: nothing behind the first end token counts.",
        ),
    ]
    shows = "A caption ends at its first end token, or where it was cut off; what stands behind is padding."
    return tried(until_end, of_rows(lambda row, end: before(row[1:], end)), cases, shows, mistakes)


@check
def check_confidence(confidence_of: Callable[[torch.Tensor], float]) -> Verdict:
    """`confidence_of(probabilities)`, float (tokens,): their geometric mean."""
    # The product of the last is smaller than any number that Python knows above 0.
    cases = [(torch.tensor([0.75, 0.5, 0.875]),), (torch.tensor([0.25]),), (torch.linspace(0.01, 0.2, 500),)]
    mistakes = [
        (lambda p: float(p.mean()), "Is this the usual mean? The geometric one multiplies."),
        (
            lambda p: float(p.prod()) ** (1 / len(p)),
            "Did you multiply first? Many small numbers give 0; add logarithms.",
        ),
        (lambda p: float(p.prod()), "Did you multiply, and take no root? Then a longer caption is less sure."),
        (lambda p: float(p.log().mean()), "Is this still a logarithm? `exp` turns it back."),
    ]
    shows = "A longer caption is not less sure for its length, and many small probabilities do not become 0."
    return tried(confidence_of, lambda probabilities: float(probabilities.log().mean().exp()), cases, shows, mistakes)


@check
def check_auroc(auroc_of: Callable[[Sequence[float], Sequence[bool]], float]) -> Verdict:
    """`auroc(confidence, right)`, two lists of one length: the share of pairs in which the right answer is surer."""

    def decided(tie: int) -> Callable[[Sequence[float], Sequence[bool]], float]:
        # A tie is won or lost where right answers are a little surer, or less sure.
        return lambda sure, right: auroc([p + tie * r / 1e9 for p, r in zip(sure, right, strict=True)], right)

    cases = [
        ([0.9, 0.8, 0.7, 0.6, 0.3], [True, False, True, True, False]),
        ([0.93, 0.97, 0.93, 0.99, 0.93, 0.91], [True, True, False, True, True, False]),
        ([0.4, 0.4, 0.4, 0.4], [False, False, True, False]),
        ([0.2, 0.1, 0.3], [True, False, True]),
    ]
    mistakes = [
        (
            lambda sure, right: auroc(sure, right) * sum(right) * right.count(False) / math.comb(len(right), 2),
            "Did you divide by all pairs? Only those of a right and a wrong answer count.",
        ),
        (lambda sure, right: 1 - auroc(sure, right), "Did you count the pairs in which the wrong one is surer?"),
        (decided(1), "Is a tie a win? It counts half."),
        (decided(-1), "Is a tie lost? It counts half."),
        (
            lambda sure, right: sum((p >= 0.5) == r for p, r in zip(sure, right, strict=True)) / len(right),
            "Did you count what is right at a threshold of 0.5? No threshold is needed: compare pairs.",
        ),
    ]
    shows = "A confidence that tells nothing gets 0.5; 1 is for one that sets every right answer above every wrong one."
    return tried(auroc_of, auroc, cases, shows, mistakes)


@check
def check_top_p(keep_top: Callable[[torch.Tensor, float], torch.Tensor]) -> Verdict:
    """`keep_top(logits, top_p)`, float (vocabulary,): -inf for every token but the most probable, top_p together."""

    def kept(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return torch.full_like(logits, -math.inf).index_copy(0, tokens, logits[tokens])

    def added(order: Callable[[torch.Tensor], torch.Tensor], over: int = 1) -> Callable[..., torch.Tensor]:
        def keep(logits: torch.Tensor, top_p: float) -> torch.Tensor:
            below = logits.softmax(dim=-1)[order(logits)].cumsum(dim=-1) < top_p
            return kept(logits, order(logits)[: int(below.sum()) + over])

        return keep

    def best_first(logits: torch.Tensor) -> torch.Tensor:
        return logits.argsort(descending=True)

    solution = added(best_first)
    cases = [
        (torch.tensor([0.1, 0.5, 0.05, 0.3, 0.05]).log(), 0.7),
        (torch.tensor([0.02, 0.01, 0.97]).log() + 3, 0.9),  # the last alone has more
        (torch.tensor([0.5, -2.0, 1.0, 3.0, -0.5, 2.5, 0.0, 1.5]), 0.5),
        (torch.tensor([-4.0, -3.0, -6.0, -3.5, -5.0]), 0.99),  # all are kept
        # Ten of these, where a bound that depends on the largest would keep all.
        (torch.tensor([0.3, 0.2, *(0.059 - 0.002 * i for i in range(10))]).log(), 0.88),
    ]
    mistakes = [
        (
            added(best_first, over=0),
            "Is the token that reaches top_p left out? Without it those kept have less than top_p, or none is kept.",
        ),
        (
            lambda logits, top_p: logits.masked_fill(logits.softmax(dim=-1) < top_p, -math.inf),
            "Did you compare each probability with top_p? It is their sum that counts.",
        ),
        (added(torch.argsort), "Did you begin with the least probable token?"),
        (
            added(lambda logits: torch.arange(len(logits))),
            "Did you add in the order of the vocabulary? Begin with the most probable token.",
        ),
        (
            lambda logits, top_p: solution(logits, top_p).sort(descending=True)[0],
            "Are the logits still sorted? Each belongs to the place of its token.",
        ),
        (
            lambda logits, top_p: logits.masked_fill(
                solution(logits, top_p).sort(descending=True)[0].isinf(), -math.inf
            ),
            "Is what you keep still in sorted order? Put it back to the places of the tokens.",
        ),
        (lambda logits, top_p: solution(logits, top_p).softmax(dim=-1), "Are these probabilities? Give logits."),
        (
            lambda logits, top_p: kept(logits, logits.topk(math.ceil(top_p * len(logits)))[1]),
            "Is this a share of the tokens? top_p is a share of the probability.",
        ),
    ]
    shows = "Where the model is sure, one token may be all that is left; where it is in doubt, many are."
    return tried(keep_top, solution, cases, shows, mistakes)
