"""The words that metrics compare: texts checked, normalised once, and aligned."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import jiwer

from helpers.reading.given import lists_of_texts
from helpers.text import visible

# How Unicode's names begin for the characters of scripts that are written without spaces between words.
UNSPACED = ("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")

# What people and keyboards write for an apostrophe, a hyphen, a space; and the stroke that stretches an Arabic word.
_SAME = str.maketrans(dict.fromkeys("\u02bb\u02bc`\u00b4", "'") | {"\u2212": "-", "\u2800": " ", "\u0640": ""})
_IDLE_JOINER = re.compile("(?<![^\0-\u036f])[\u200c\u200d]|[\u200c\u200d](?![^\0-\u036f])")  # beside Latin or nothing

_FORMS = re.compile("[\ufb00-\ufdff\ufe70-\ufefc\uff01-\uffee]+")  # not all of NFKC, to which 3½ is 31⁄2


def normalize(text: str) -> str:
    """Lower case, punctuation to spaces, white space folded; what looks the same is the same. Emoji and accents stay.

    White space separates words. In scripts that have none between words, such as the Chinese, each character with its
    vowel signs and tones is a word: a word error rate is a character error rate there. One letter may be stored as one
    sign or as several, wide, in a ligature or in the form that it has in a word, and signs may stand there that cannot
    be seen: none of that counts. Letters of different scripts stay different, however alike they look.
    """
    shown = _IDLE_JOINER.sub("", visible(text)).translate(_SAME)
    shown = _FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), shown)
    lowered = unicodedata.normalize("NFC", shown.casefold().replace("i\u0307", "i"))  # of the Turkish capital
    kept = "".join(" " if unicodedata.category(char).startswith("P") else char for char in lowered)
    if not kept.isascii():
        kept = "".join(map(_apart, kept)).replace(" \x1f", "")  # a vowel sign joins the letter before it
    return " ".join(kept.split())


def _apart(char: str) -> str:
    mark = "\x1f" if unicodedata.category(char).startswith("M") else " "
    return f"{mark}{char} " if unicodedata.name(char, "").startswith(UNSPACED) else char


class _Normalized(list):
    """Texts, or groups of them, that `normalized` has been through: the next metric takes them as they are."""


def normalized(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Predictions and references, checked and normalised; what this function returned comes back as it is."""
    if isinstance(predictions, _Normalized) and isinstance(references, _Normalized):
        return predictions, references
    fresh = not isinstance(references, _Normalized)
    predictions, groups = lists_of_texts(predictions, references)
    if fresh:
        references = _Normalized([normalize(text) for text in group] for group in groups)
    return _Normalized(map(normalize, predictions)), references


def align_words(reference: str, prediction: str) -> jiwer.WordOutput:
    """The cheapest way to turn the reference into the prediction, word by word, after normalisation."""
    return jiwer.process_words([normalize(reference)], [normalize(prediction)])


def nearest_alignments(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Iterator[tuple[int, jiwer.WordOutput]]:
    """For each picture: which of its references is the nearest (see `word_errors`), and how that one is aligned."""
    # Errors per word order them, then the length. One pair a call is as fast as a batch, and holds one alignment.
    return (
        min(
            enumerate(jiwer.process_words(text, prediction) for text in group),
            key=lambda numbered: (numbered[1].wer, -len(numbered[1].references[0])),
        )
        for prediction, group in zip(*normalized(predictions, references), strict=True)
    )
