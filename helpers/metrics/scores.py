"""Captions and references → numbers.

Every metric sees the same words: `normalize` makes them, in this one place. A metric is a statistic a picture, computed
once, and a score of their sums; the intervals draw pictures anew and score those sums again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jiwer
import numpy as np
from rouge_score import rouge_scorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics import BLEU

from helpers.errors import CaptioningError
from helpers.families import tokenizer_of
from helpers.metrics import cider
from helpers.metrics.intervals import bootstrap_interval, value_of

if TYPE_CHECKING:
    import evaluate
    from transformers import EvalPrediction


class _Words(Tokenizer):
    """rouge_score's own tokenizer drops every letter that is not Latin; ours takes the normalised words."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


# How Unicode's names begin for the characters of scripts that are written without spaces between words.
UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
_ROUGE = rouge_scorer.RougeScorer(["rougeL"], tokenizer=_Words())
_BLEU = BLEU(tokenize="none", force=True)  # the texts are words already: nothing to split, nothing to warn of


def normalize(text: str) -> str:
    """Lower case, punctuation to spaces, white space folded; nothing else is changed. Emoji and accents stay.

    White space separates words. In scripts that have none between words, such as the Chinese, each character counts as
    a word, so that a word error rate is a character error rate there. One letter may be stored as one sign or as
    several; both are the same here (Unicode's NFC).
    """
    lowered = unicodedata.normalize("NFC", text.casefold())
    kept = "".join(" " if unicodedata.category(char).startswith("P") else char for char in lowered)
    if not kept.isascii():
        kept = "".join(f" {char} " if unicodedata.name(char, "").startswith(UNSPACED) else char for char in kept)
    return " ".join(kept.split())


def align_words(reference: str, prediction: str) -> jiwer.WordOutput:
    """The cheapest way to turn the reference into the prediction, word by word, after normalisation."""
    return jiwer.process_words([normalize(reference)], [normalize(prediction)])


def _errors(reference: str, prediction: str) -> int:
    out = jiwer.process_words(reference, prediction)  # one pair a call: as fast as a batch, and keeps no alignments
    return out.substitutions + out.deletions + out.insertions


def word_errors(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Word errors and reference words a picture.

    For each picture the reference with the fewest errors per word counts; on a tie the longer one.

    Args:
        predictions: one caption a picture.
        references: one or more captions a picture.

    Returns:
        int, (pictures, 2): errors (substitutions + deletions + insertions), words of the reference taken.
    """
    rows = []
    for said, group in _prepared(predictions, references):
        counts = [(_errors(text, said), len(text.split())) for text in group]
        rows.append(min(counts, key=lambda pair: (pair[0] / max(pair[1], 1), -pair[1])))
    return np.array(rows, dtype=int)


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The best ROUGE-L F1 among the references, a picture: (pictures,), 0 to 1 (Lin, 2004)."""
    pairs = _prepared(predictions, references)
    return np.array([max(_ROUGE.score(text, said)["rougeL"].fmeasure for text in group) for said, group in pairs])


def bleu_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """What BLEU adds up over pictures, counted by sacrebleu (Papineni et al., 2002).

    Returns:
        int, (pictures, 10): words said, words of the reference nearest in length, then for n = 1 to 4 the n-grams said
        that a reference holds too, then for n = 1 to 4 all n-grams said.
    """
    rows = []
    for said, group in _prepared(predictions, references):
        found = _BLEU.corpus_score([said], [[text] for text in group])
        rows.append([found.sys_len, found.ref_len, *found.counts, *found.totals])
    return np.array(rows, dtype=int)


def cider_d(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D a picture: (pictures,), 0 to 10 (Vedantam et al., 2015); `helpers.cider` says how.

    An n-gram counts for more the fewer pictures have it in a reference. So the scores depend on all pictures together,
    and are 0 where there is only one.
    """
    said, groups = zip(*_prepared(predictions, references), strict=True)
    return cider.per_picture(said, groups)


def exact_matches(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Whether the caption equals any of its references after normalisation: bool, (pictures,)."""
    return np.array([said in group for said, group in _prepared(predictions, references)], dtype=bool)


_PER_PICTURE = {
    "wer": word_errors,
    "rouge_l": rouge_l,
    "bleu_4": bleu_counts,
    "cider_d": cider_d,
    "exact_match": exact_matches,
}


def caption_metrics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Scores a set of captions.

    A text without words (empty, or punctuation only) is scored like any other. As a prediction it misses all words of
    its reference; as a reference every predicted word is an insertion. Against each other the two are an exact match
    without word errors, and score 0 in the other metrics.

    Args:
        predictions: one caption a picture.
        references: one or more captions a picture; their number may differ.

    Returns:
        wer: word errors over reference words, of the whole set; 0 is perfect and it can exceed 1.
        rouge_l: mean over pictures of the best F1 among the references, 0 to 1.
        bleu_4: sacrebleu's corpus score over 100, 0 to 1; 0 where no caption has four words.
        cider_d: mean over pictures, 0 to 10; 0 where there is one picture.
        exact_match: share of pictures whose caption equals a reference, 0 to 1.

    Raises:
        CaptioningError: the numbers of predictions and references differ, one is no text, or there are none.
    """
    return {name: value_of(of(predictions, references)) for name, of in _PER_PICTURE.items()}


def score(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, minus: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """`caption_metrics` with a 95 % interval each: metric → {"value", "low", "high"}.

    Args:
        predictions: one caption a picture.
        references: one or more captions a picture.
        minus: another system's captions of the same pictures; the scores are then the first system's minus this one's.
            Where an interval does not hold 0, the two differ by more than the choice of pictures explains.
    """
    found = {}
    for name, of in _PER_PICTURE.items():
        first = of(predictions, references)
        second = None if minus is None else of(minus, references)
        low, high = bootstrap_interval(first, minus=second)
        value = value_of(first) - (0.0 if second is None else value_of(second))
        found[name] = {"value": value, "low": low, "high": high}
    return found


def decode(processor: Any, token_ids: np.ndarray) -> list[str]:
    """Token ids (pictures, tokens) → captions. -100, which pads ragged batches, becomes the pad token first."""
    tokenizer = tokenizer_of(processor)
    return tokenizer.batch_decode(np.where(token_ids < 0, tokenizer.pad_token_id, token_ids), skip_special_tokens=True)


def make_compute_metrics(
    processor: Any, references: Sequence[Sequence[str]]
) -> Callable[[EvalPrediction], dict[str, float]]:
    """The Trainer's `compute_metrics`: generated token ids against all captions of each picture.

    Args:
        processor: turns token ids back into text.
        references: the captions of each picture, in the order of the evaluation split.

    Returns:
        A function of an EvalPrediction whose predictions are token ids, (pictures, tokens).
    """

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        return caption_metrics(decode(processor, prediction.predictions), references)

    return compute_metrics


def load_wer() -> evaluate.Metric:
    """Word error rate as a metric of the evaluate library, with several references a picture.

    evaluate.load("wer") downloads a script that takes one reference; this one needs no network.
    """
    import datasets
    import evaluate

    class WordErrorRate(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description="Word error rate against the best of several references.",
                citation="",
                features=datasets.Features({"predictions": text, "references": datasets.List(text)}),
            )

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
            return {"wer": value_of(word_errors(predictions, references))}

    return WordErrorRate()


def _prepared(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    """A picture's prediction and references, checked and normalised."""
    for name, texts in (("predictions", predictions), ("references", references)):
        if texts is None or isinstance(texts, str):
            raise CaptioningError(f"The {name} are {texts!r}; give a list with an entry for each picture.")
    if len(predictions) != len(references):
        raise CaptioningError(
            f"There are {len(predictions)} predictions and {len(references)} references; give one each."
        )
    if not len(predictions):
        raise CaptioningError("There are no predictions to score; give at least one.")
    found = []
    for i, (said, group) in enumerate(zip(predictions, references, strict=True)):
        if isinstance(group, str) or not hasattr(group, "__len__") or not len(group):
            raise CaptioningError(f"The references of picture {i} are {group!r}; give a list of one or more texts.")
        for text in (said, *group):
            if not isinstance(text, str):
                raise CaptioningError(f"Picture {i} has the caption {text!r}; give a text.")
        found.append((normalize(said), [normalize(text) for text in group]))
    return found
