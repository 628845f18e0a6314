"""Scores of captions: facts, word error rate, ROUGE-L, BLEU-4, CIDEr-D, exact match, and their intervals."""

from helpers.metrics.intervals import bootstrap_interval, few_errors, paired_difference, wilson_interval
from helpers.metrics.scores import (
    METRICS,
    bleu_counts,
    caption_metrics,
    cider_d,
    decode,
    exact_matches,
    load_wer,
    make_compute_metrics,
    rouge_l,
    score,
    word_errors,
)
from helpers.metrics.words import align_words, nearest_alignments, normalize, normalized
