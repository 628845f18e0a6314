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
from helpers.checks.data import (
    check_labels,
    check_laziest,
    check_matching,
    check_nearest,
    check_normalized,
    check_pad_to_square,
    check_padding_share,
    check_pieces,
)
from helpers.checks.diagnosis import check_contradictions, check_diagnosis, check_leaked, check_never_named
from helpers.checks.experiments import check_apart, check_lora_numbers, check_recall_lost
from helpers.checks.inference import check_auroc, check_confidence, check_top_p, check_until_end
from helpers.checks.names import check_put_together
from helpers.checks.scores import check_alignment, check_contradiction, check_faults, check_interval, check_word_errors
from helpers.checks.training import check_epochs_for, check_training_step, check_whole_loss, check_with_other_pictures
from helpers.checks.understanding import check_least_sure, check_named_share, check_token_accuracy, check_top_patch
from helpers.checks.verdicts import Verdict
