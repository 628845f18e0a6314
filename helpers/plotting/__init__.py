"""Figures and charts (matplotlib) of the series: each is returned, never shown, and carries its own alt text.

Where there is nothing to draw, a sentence is returned that says so.
"""

from helpers.plotting.attention import plot_edits, plot_heads, plot_pointing, plot_word_attention
from helpers.plotting.charts import (
    plot_attention_rule,
    plot_attribute_counts,
    plot_caption_words,
    plot_loss,
    plot_padding,
    plot_token_lengths,
    plot_training_history,
)
from helpers.plotting.confidence import plot_confidence
from helpers.plotting.facts import plot_facts, plot_value_recall
from helpers.plotting.figure import DescribedFigure
from helpers.plotting.laboratory import plot_case, plot_values_named
from helpers.plotting.learning import plot_learning_curve
from helpers.plotting.mistakes import plot_confusions, plot_word_mistakes
from helpers.plotting.pictures import plot_captioned_images, plot_gallery, plot_patches, plot_picture_pairs
from helpers.plotting.scores import (
    plot_attribute_accuracy,
    plot_compared,
    plot_lengths,
    plot_scores,
    plot_steps,
    plot_word_probabilities,
)
from helpers.plotting.ways import plot_sides, plot_ways
