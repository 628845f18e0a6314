"""Checks of notebooks 1 and 2: rows and words of a data set, padding, labels."""

from collections.abc import Callable

import torch

from helpers.checks.verdicts import Verdict, check, tried
from helpers.transforms import IGNORED


@check
def check_labels(labels_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Verdict:
    """`labels_of(input_ids, attention_mask)`, both (batch, tokens): the ids, -100 where the mask is 0."""

    def solution(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return input_ids.masked_fill(attention_mask == 0, IGNORED)

    # Token 3 ends a caption, and in the second case it is the padding too.
    cases = [
        (torch.tensor([[2, 7, 3, 0, 0], [2, 8, 9, 5, 3]]), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])),
        (torch.tensor([[2, 7, 3, 3], [2, 3, 3, 3]]), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])),
        (torch.tensor([[2, 9, 9, 3, 0, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0, 0]])),
    ]
    mistakes = [
        (lambda ids, mask: ids.masked_fill(mask == 1, IGNORED), "Did you leave out the tokens, and keep the padding?"),
        (
            lambda ids, mask: ids.masked_fill(ids == ids[0, -1], IGNORED),
            "Did you go by the token? It may end a caption, too.",
        ),
        (lambda ids, mask: ids * mask, "Did you multiply? What does not count has the label -100, not 0."),
    ]
    return tried(labels_of, solution, cases, "Padding counts no more, and the end token is still learnt.", mistakes)
