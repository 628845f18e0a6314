"""Scores of captions: word error rate, ROUGE-L, BLEU-4, CIDEr-D, exact match, and their intervals."""

from helpers.metrics.intervals import bootstrap_interval, value_of
from helpers.metrics.scores import (
    align_words,
    bleu_counts,
    caption_metrics,
    cider_d,
    decode,
    exact_matches,
    load_wer,
    make_compute_metrics,
    normalize,
    rouge_l,
    score,
    word_errors,
)

__all__ = [
    "align_words",
    "bleu_counts",
    "bootstrap_interval",
    "caption_metrics",
    "cider_d",
    "decode",
    "exact_matches",
    "load_wer",
    "make_compute_metrics",
    "normalize",
    "rouge_l",
    "score",
    "value_of",
    "word_errors",
]
