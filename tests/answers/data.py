"""Answers to the exercises of notebooks 1 and 2."""

import torch


def fills_in_place(input_ids, attention_mask):
    input_ids[attention_mask == 0] = -100
    return input_ids


WRONG = {
    "check_labels": [
        fills_in_place,
        lambda ids, mask: ids.masked_fill(mask == 1, -100),
        lambda ids, mask: ids.masked_fill(ids == 0, -100),
        lambda ids, mask: ids.masked_fill(mask == 0, -100).tolist(),
        lambda ids, mask: ids.masked_fill(mask == 0, -100)[:, 1:],
        lambda ids, mask: ids * mask,
    ],
}

RIGHT = {
    "check_labels": [
        lambda ids, mask: torch.where(mask.bool(), ids, -100),
    ],
}
