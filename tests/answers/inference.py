"""Answers to the exercises of notebook 5."""

import math
import statistics
from itertools import pairwise, product, takewhile

import torch

from helpers.calibration import auroc


def cuts_all_at_one_place(token_ids, end):
    place = (token_ids[0] == end).nonzero()[0, 0]
    return token_ids[:, 1:place].tolist()


def empties_in_place(token_ids, end):
    token_ids[:, 0] = -1
    return [[token for token in takewhile(lambda token: token != end, row) if token >= 0] for row in token_ids.tolist()]


def pairs_in_order(confidence, right):
    """Compares neighbours alone."""
    return statistics.mean(a > b for a, b in pairwise(confidence))


def sorted_in_place(confidence, right):
    pairs = [(a, b) for a, r in zip(confidence, right, strict=True) if r for b in _wrong(confidence, right)]
    confidence.sort()
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def _wrong(confidence, right):
    return [p for p, is_right in zip(confidence, right, strict=True) if not is_right]


def all_pairs_below(confidence, right):
    wins = sum(a > b for a, r in zip(confidence, right, strict=True) if r for b in _wrong(confidence, right))
    return wins / (len(right) * (len(right) - 1) / 2)


def means_compared(confidence, right):
    sure = [p for p, is_right in zip(confidence, right, strict=True) if is_right]
    return float(statistics.mean(sure) > statistics.mean(_wrong(confidence, right)))


def _kept(logits, tokens):
    left = torch.full_like(logits, -torch.inf)
    left[tokens] = logits[tokens]
    return left


def stops_before_the_sum(logits, top_p):
    sure, order = logits.softmax(-1).sort(descending=True)
    return _kept(logits, order[sure.cumsum(-1) <= top_p])


def in_the_order_of_the_vocabulary(logits, top_p):
    return logits.masked_fill(logits.softmax(-1).cumsum(-1) > top_p, -torch.inf)


def fills_in_place(logits, top_p):
    sure, order = logits.softmax(-1).sort(descending=True)
    logits[order[sure.cumsum(-1) - sure >= top_p]] = -torch.inf
    return logits


def left_sorted(logits, top_p):
    best = logits.sort(descending=True)[0]
    sure = best.softmax(-1)
    return best.masked_fill(sure.cumsum(-1) - sure >= top_p, -torch.inf)


def adds_logits(logits, top_p):
    best, order = logits.sort(descending=True)
    return _kept(logits, order[best.cumsum(-1) - best < top_p])


def _right_so_far(logits, top_p):
    sure, order = logits.softmax(-1).sort(descending=True)
    return _kept(logits, order[sure.cumsum(-1) - sure < top_p])


WRONG = {
    "check_top_p": [
        stops_before_the_sum,
        in_the_order_of_the_vocabulary,
        fills_in_place,
        left_sorted,
        adds_logits,
        lambda logits, top_p: logits,
        lambda logits, top_p: logits / top_p,
        lambda logits, top_p: logits.masked_fill(logits.softmax(-1) < top_p, -torch.inf),
        lambda logits, top_p: logits.masked_fill(logits.softmax(-1) < 1 - top_p, -torch.inf),
        lambda logits, top_p: logits.masked_fill(
            logits.softmax(-1) < (1 - top_p) * logits.softmax(-1).max(), -torch.inf
        ),
        lambda logits, top_p: logits.masked_fill(left_sorted(logits, top_p).isinf(), -torch.inf),
        lambda logits, top_p: _kept(logits, logits.topk(2)[1]),
        lambda logits, top_p: _kept(logits, logits.topk(math.ceil(top_p * len(logits)))[1]),
        lambda logits, top_p: _right_so_far(logits, top_p).softmax(-1),
        lambda logits, top_p: _right_so_far(logits, top_p).nan_to_num(neginf=0),
        lambda logits, top_p: _right_so_far(logits, 1 - top_p),
        lambda logits, top_p: _right_so_far(logits, 0.8),
        lambda logits, top_p: _right_so_far(logits, top_p)[None],
        lambda logits, top_p: torch.tensor([-torch.inf, -0.6931, -torch.inf, -1.204, -torch.inf]),
    ],
    "check_until_end": [
        cuts_all_at_one_place,
        empties_in_place,
        lambda ids, end: [row[1 : row.index(end) + 1] if end in row else row[1:] for row in ids.tolist()],
        lambda ids, end: [[token for token in row[1:] if token not in (0, end)] for row in ids.tolist()],
        lambda ids, end: [row[2 : row.index(end, 1)] if end in row[1:] else row[2:] for row in ids.tolist()],
        lambda ids, end: [row[row != end][1:].tolist() for row in ids],
        lambda ids, end: [row[1:-1] for row in ids.tolist()],
        lambda ids, end: [row[: row.index(end)][1:] if end in row else row[1:] for row in ids.tolist()],
        lambda ids, end: [row[1:][: -row[::-1].index(end) - 1] if end in row else row[1:] for row in ids.tolist()],
        lambda ids, end: [row[: row.index(end, 1)] if end in row[1:] else row for row in ids.tolist()],
        lambda ids, end: ids[0, 1 : int((ids[0, 1:] == end).nonzero()[0]) + 1].tolist(),
        lambda ids, end: [torch.tensor(list(takewhile(lambda token: token != end, row[1:]))) for row in ids.tolist()],
    ],
    "check_confidence": [
        lambda p: p.mean(),
        lambda p: p.prod(),
        lambda p: p.log().mean(),
        lambda p: p.prod() ** (1 / len(p)),
        lambda p: math.prod(p.tolist()) ** (1 / len(p)),
        lambda p: p.log().sum().exp(),
        lambda p: p[:-1].log().mean().exp(),
        lambda p: p.log10().mean().exp(),
        lambda p: p.log_().mean().exp(),
        lambda p: p.prod().sqrt(),
        lambda p: p.min(),
        lambda p: p.median(),
        lambda p: [math.exp(statistics.mean(map(math.log, p)))],
        lambda p: 0.6898,
    ],
    "check_auroc": [
        pairs_in_order,
        sorted_in_place,
        all_pairs_below,
        means_compared,
        lambda c, r: auroc(c, r) * sum(r) * (len(r) - sum(r)) * 2 / len(r) / (len(r) - 1),
        lambda c, r: statistics.mean((p >= 0.5) == bool(x) for p, x in zip(c, r, strict=True)),
        lambda c, r: statistics.mean(a > b for a, x in zip(c, r, strict=True) if x for b in _wrong(c, r)),
        lambda c, r: statistics.mean(a >= b for a, x in zip(c, r, strict=True) if x for b in _wrong(c, r)),
        lambda c, r: statistics.mean(a < b for a, x in zip(c, r, strict=True) if x for b in _wrong(c, r)),
        lambda c, r: statistics.mean(a > b for a, b in product(c, c)),
        lambda c, r: sum(a > b for a, x in zip(c, r, strict=True) if x for b in _wrong(c, r)),
        lambda c, r: sum(r) / len(r),
        lambda c, r: 2 / 3,
    ],
}
