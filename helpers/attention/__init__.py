"""Attention and occlusion: where a captioner looks as it says a word, and whether the word comes from there."""

from helpers.attention.maps import WordMaps, occlusion, patch_grid, word_attention
from helpers.attention.pointing import Pointing, pointing_game
