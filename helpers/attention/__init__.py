"""Attention and occlusion: where a captioner looks as it says a word, and whether the word comes from there."""

from helpers.attention.comparison import Agreement, agreement, split_agreement
from helpers.attention.maps import WordMaps, occlusion, patch_grid, word_attention
