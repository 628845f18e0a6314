"""Checks of the exercises: `check_x(what you made)` says not yet, almost or right, and never raises."""

from helpers.checks.by_hand import (
    check_attend,
    check_embed_patches,
    check_embed_tokens,
    check_layer_norm,
    check_logits_of,
    check_loss_of,
    check_mask_of,
    check_patches_of,
    check_see,
    check_several_heads,
    check_softmax,
    check_text_block,
    check_vision_block,
    check_write,
    written,
)
from helpers.checks.data import check_labels
from helpers.checks.verdicts import Verdict
