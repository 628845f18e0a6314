"""Error analysis of captions, for any data set: worst captions, words that go wrong, lengths, collapse.

Everywhere, predictions are one caption per picture, and references one or more captions per picture.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import jiwer
import numpy as np

from helpers.metrics import align_words, nearest_alignments, normalize, normalized
from helpers.reading.given import lists_of_texts


def nearest_references(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
    """The reference that the word error rate compares each caption with: (pictures,); see `word_errors`."""
    nearest = nearest_alignments(predictions, references)
    return [group[place] for (place, _), group in zip(nearest, references, strict=True)]


def worst_captions(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    most: int = 6,
    confidences: Sequence[float] | None = None,
) -> list[dict[str, object]]:
    """The captions with the most errors per word of their nearest reference, worst first.

    Args:
        most: how many.
        confidences: of each caption, 0 to 1. Captions that are equally wrong stand in this order, least sure first;
            without them, in the order of the pictures.

    Returns:
        Rows with the keys picture (its number in the split), caption, reference (the nearest one) and errors (words).
    """
    predictions, references = lists_of_texts(predictions, references)
    sure = [0.0] * len(predictions) if confidences is None else confidences
    rows = []
    for i, (place, out) in enumerate(nearest_alignments(predictions, references)):
        errors = out.substitutions + out.deletions + out.insertions
        row = {"picture": i, "caption": predictions[i], "reference": references[i][place], "errors": errors}
        rows.append((-out.wer, sure[i], i, row))
    return [row for *_, row in sorted(rows)[:most]]


def _differing(out: jiwer.WordOutput) -> tuple[list[int], list[int]]:
    """The places of the words that differ, by jiwer's alignment: in the reference, in the prediction."""
    chunks = [chunk for chunk in out.alignments[0] if chunk.type != "equal"]
    missed = [place for chunk in chunks for place in range(chunk.ref_start_idx, chunk.ref_end_idx)]
    return missed, [place for chunk in chunks for place in range(chunk.hyp_start_idx, chunk.hyp_end_idx)]


def _marked(text: str, places: Sequence[int]) -> str:
    tokens, start = [], 0
    for token in text.split():
        end = start + len(normalize(token).split())  # a token may hold no word ("–") or several ("yellow-green")
        tokens.append((token, any(start <= place < end for place in places)))
        start = end
    parts = [(" ".join(token for token, _ in run), wrong) for wrong, run in groupby(tokens, key=lambda pair: pair[1])]
    return " ".join(re.sub(r"^(.*?)([.,;:!?]*)$", r"[\1]\2", part) if wrong else part for part, wrong in parts)


def marked_differences(reference: str, prediction: str) -> tuple[str, str]:
    """The two captions with [brackets] around the words that differ, as the word error rate counts them."""
    missed, invented = _differing(align_words(reference, prediction))
    return _marked(reference, missed), _marked(prediction, invented)


def word_mistakes(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, object]]:
    """Which words go wrong, for any data set: each caption is aligned with its nearest reference.

    A word that is often missed and as often invented is said, but elsewhere in the caption.

    Returns:
        Rows with the keys word, missed (times that it stands in a reference and not in the caption at that place),
        invented (the reverse) and expected (times that it stands in a reference); most mistakes first.
    """
    missed, invented, expected = Counter(), Counter(), Counter()
    for _, out in nearest_alignments(predictions, references):
        left, right = _differing(out)
        expected.update(out.references[0])
        missed.update(out.references[0][place] for place in left)
        invented.update(out.hypotheses[0][place] for place in right)
    rows = [
        {"word": word, "missed": missed[word], "invented": invented[word], "expected": expected[word]}
        for word in sorted(missed | invented)
    ]
    return sorted(rows, key=lambda row: -(row["missed"] + row["invented"]))


def caption_lengths(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """How long captions are, in words, against the mean of all their references: float, (pictures, 2).

    Not against the nearest reference alone: that one is chosen for being like the caption, in length too.
    """
    rows = zip(*normalized(predictions, references), strict=True)
    return np.array([[len(text.split()), np.mean([len(each.split()) for each in group])] for text, group in rows])


def distinct_share(captions: Sequence[str]) -> float:
    """How many different captions there are, after normalisation, over all captions: 0 to 1."""
    return len({normalize(caption) for caption in captions}) / len(captions)


def collapse_warning(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """One sentence when a captioner says nearly the same of every picture; empty where all is well.

    References may repeat too, in a set of few kinds of pictures, and a good captioner then repeats as they do. So
    the most frequent caption may be said of no more pictures than halfway between those that share the most frequent
    reference and all of them (75 % where half of the pictures share it), and there must be at least a tenth as many
    different captions as different first references.
    """
    predictions, groups = normalized(predictions, references)
    pictures, distinct = len(predictions), Counter(predictions)
    top, count = distinct.most_common(1)[0]
    shared = Counter(text for group in groups for text in set(group)).most_common(1)[0][1]
    usual = len({group[0] for group in groups})
    if 2 * count <= pictures + shared and 10 * len(distinct) >= usual:
        return ""
    return (
        f"The captioner says nearly the same of every picture (distinct captions: {len(distinct)} for {pictures} "
        f"pictures; said of {count} of them: {top!r}): train it for longer, or with a lower learning rate."
    )
