"""CIDEr-D: n-grams that a caption shares with its references, the rarer the more (Vedantam et al., 2015).

Written for numpy: the texts of a whole corpus are rows of n-gram numbers, and every step is one array operation.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

ORDERS = 4  # n-grams of 1 to 4 words
SIGMA = 6.0  # words by which a caption may be longer or shorter before the penalty bites
SCALE = 10.0


def per_picture(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D per picture, equal to coco-caption's reference implementation.

    An n-gram weighs its count times log(pictures / pictures whose references hold it). The score of a caption and a
    reference is the cosine of their weights, those of the caption clipped to the reference's, times
    exp(-(difference in words)² / 2σ²). It is averaged over n = 1 to 4, then over the references, times 10.

    Returns:
        (pictures,), 0 to 10. An n-gram that all pictures have in common weighs nothing. Words are separated by white
        space and compared as they are.
    """
    pictures = len(predictions)
    texts = [*predictions, *(text for group in references for text in group)]
    picture = np.concatenate([np.arange(pictures), np.repeat(np.arange(pictures), [len(g) for g in references])])
    split = [text.split() for text in texts]
    lengths = np.array([len(words) for words in split])
    number = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(split)))}
    words = np.array([number[word] for word in chain.from_iterable(split)], dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), lengths)  # the text that each word is in: (words,)
    left = np.concatenate([np.arange(n, 0, -1) for n in lengths])  # words from each one to the end

    similarity, grams = np.zeros(len(texts)), np.zeros_like(words)
    for n in range(1, ORDERS + 1):
        starts = np.flatnonzero(left >= n)
        # an n-gram is the (n-1)-gram before its last word, and that word: numbered anew, so that the pair stays small
        pairs = grams[starts] * len(number) + words[starts + n - 1]
        grams[starts] = np.unique(pairs, return_inverse=True)[1]
        similarity += _cosines(row[starts], grams[starts], picture)
    similarity *= np.exp(-((lengths - lengths[picture]) ** 2) / (2 * SIGMA**2))
    sums = np.bincount(picture[pictures:], similarity[pictures:], minlength=pictures)
    return SCALE * sums / ORDERS / np.bincount(picture[pictures:], minlength=pictures)


def _cosines(row: np.ndarray, grams: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """How like its prediction each text is, for n-grams of one length: (texts,).

    Args:
        row: the text that each n-gram is in, (n-grams,); text i below the number of pictures predicts picture i.
        grams: the n-gram's number, (n-grams,).
        picture: the picture that each text is about, (texts,).
    """
    kinds, pictures = grams.max(initial=0) + 1, picture.max() + 1
    keys, counts = np.unique(row * kinds + grams, return_counts=True)  # sorted: a text's n-grams stand together
    row, grams = np.divmod(keys, kinds)
    referred = row >= pictures
    seen_in = np.unique(picture[row[referred]] * kinds + grams[referred]) % kinds  # each picture counts once
    frequency = np.bincount(seen_in, minlength=kinds)
    weights = counts * (np.log(pictures) - np.log(np.maximum(1, frequency)))[grams]
    norms = np.sqrt(np.bincount(row, weights**2, minlength=len(picture)))

    wanted = picture[row] * kinds + grams  # where the prediction of the same picture would hold this n-gram
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    predicted = np.where(keys[places] == wanted, weights[places], 0)
    shared = np.bincount(row, np.minimum(predicted, weights) * weights, minlength=len(picture))
    below = norms * norms[picture]
    return np.divide(shared, below, out=np.zeros(len(picture)), where=below > 0)
