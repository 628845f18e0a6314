"""Metrics of captions: facts, word error rate, ROUGE-L, BLEU-4, CIDEr-D and exact match, a row each in one table.

To add a metric, write its statistic per picture and a row of `METRICS`. Everywhere, predictions are one caption per
picture, and references one or more per picture.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jiwer
import numpy as np
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU
from transformers import EvalPrediction

from helpers.creatures import ATTRIBUTES, fact_counts
from helpers.families import tokenizer_of
from helpers.metrics import cider
from helpers.metrics.intervals import OfSums, mean, ratio, scored, share, value_of
from helpers.metrics.words import nearest_alignments, normalized
from helpers.reading.given import generated_ids, lists_of_texts

Columns = Mapping[str, Sequence[str]]  # attributes: name → one value per picture
# rouge_score's own tokenizer drops every letter that is not Latin.
_ROUGE = rouge_scorer.RougeScorer(["rougeL"], tokenizer=SimpleNamespace(tokenize=str.split))
_BLEU = BLEU(tokenize="none", force=True)  # the texts are words already: nothing to split, nothing to warn of


def word_errors(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Word errors and reference words per picture.

    For each picture the reference with the fewest errors per word counts; on a tie the longer one.

    Returns:
        int, (pictures, 2): errors (substitutions + deletions + insertions), words of the reference taken.
    """
    outs = (out for _, out in nearest_alignments(predictions, references))
    rows = [(out.substitutions + out.deletions + out.insertions, len(out.references[0])) for out in outs]
    return np.array(rows, dtype=int)


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The best ROUGE-L F1 among the references, per picture: (pictures,), 0 to 1 (Lin, 2004)."""
    pairs = zip(*normalized(predictions, references), strict=True)
    return np.array([_ROUGE.score_multi(group, prediction)["rougeL"].fmeasure for prediction, group in pairs])


def bleu_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """What BLEU adds up over pictures, counted by sacrebleu (Papineni et al., 2002).

    Returns:
        int, (pictures, 10): words predicted, words of the reference nearest in length, then for n = 1 to 4 the
        predicted n-grams that a reference holds too, then for n = 1 to 4 all predicted n-grams.
    """
    pairs = zip(*normalized(predictions, references), strict=True)
    counted = (_BLEU.corpus_score([prediction], [[text] for text in group]) for prediction, group in pairs)
    return np.array([[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in counted], dtype=int)


def bleu(sums: np.ndarray, pictures: int) -> np.ndarray:
    """BLEU-4 of sums of `bleu_counts`, (..., 10) → (...), by sacrebleu's formula and its smoothing; 0 to 1."""
    rows = sums.reshape(-1, 10).astype(int).tolist()  # sacrebleu takes Python's whole numbers
    scores = [_BLEU.compute_bleu(row[2:6], row[6:], *row[:2], smooth_method="exp").score / 100 for row in rows]
    return np.minimum(scores, 1).reshape(sums.shape[:-1])  # rounding takes a perfect score a hair beyond


def cider_d(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D per picture: (pictures,), 0 to 10 (Vedantam et al., 2015); `helpers.metrics.cider` says how."""
    return cider.per_picture(*normalized(predictions, references))


def exact_matches(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Whether the caption equals any of its references after normalisation: bool, (pictures,)."""
    pairs = zip(*normalized(predictions, references), strict=True)
    return np.array([prediction in group for prediction, group in pairs], dtype=bool)


class Metric(NamedTuple):
    """A row of `METRICS`. Scores, figures, the report, the model card and the README's table read all from there."""

    label: str  # in prose
    hub: str  # the Hub's name
    better: str  # lower or higher
    best: float
    worst: float | None  # None where it has no end
    per_picture: Callable[..., np.ndarray]  # predictions, what it needs → (pictures,) or (pictures, columns)
    of_sums: OfSums  # the sums of that over pictures → the score; `share` has intervals of its own
    needs: str = "references"  # or attributes


METRICS = {
    # A caption is right when it says every fact of its picture, nothing else, and only in words of the grammar. A fact
    # is wrong where its part is named with another value, left out where it is not named; what is named beyond is
    # invented, a repetition too. So naming every value does not help, nor does saying little.
    "right": Metric(
        "captions right", "captions_right", "higher", 1, 0, partial(fact_counts, "all_right"), share, "attributes"
    ),
    **{
        count: Metric(f"{facts} per caption", count, "lower", 0, None, partial(fact_counts, count), mean, "attributes")
        for count, facts in (("wrong", "wrong facts"), ("left_out", "facts left out"), ("invented", "invented facts"))
    },
    # References word the same thing differently, so one of them counts: that with the fewest errors per word, since the
    # fewest errors alone would favour short ones. Errors and words are added up before they are divided, as in speech
    # recognition: a wrong word costs the same in a short caption as in a long one.
    "wer": Metric("word error rate", "wer", "lower", 0, None, word_errors, ratio),
    # Words in common and in the same order, as F1 (coco-caption weighs recall more, beta = 1.2). The best reference
    # counts, as above. Lin (2004) defines it for one text, so the score of a set is a mean over pictures.
    "rouge_l": Metric("ROUGE-L", "rouge", "higher", 1, 0, rouge_l, mean),
    # A score of the whole set: many a caption shares no four words in a row with a reference, so a mean of single
    # captions' scores would show zeros, or the smoothing. The counts are added up before the formula, in each resample
    # of an interval as well. An n-gram may stand in any of the references.
    "bleu_4": Metric("BLEU-4", "bleu", "higher", 1, 0, bleu_counts, bleu),
    # An n-gram weighs log(pictures / pictures that have it in a reference), in a set of one picture log 1. Resamples
    # of an interval keep the weights of the whole set. All references count, so where they differ none reaches 10.
    "cider_d": Metric("CIDEr-D", "cider", "higher", 10, 0, cider_d, mean),
    # One of the references, word for word, or nothing: it says much where wording follows a pattern, and little of free
    # text, where a good caption seldom equals one that somebody else wrote.
    "exact_match": Metric("exact match", "exact_match", "higher", 1, 0, exact_matches, share),
}


def _statistics(words: tuple, predictions: Sequence[str], attributes: Columns | None) -> dict[str, np.ndarray]:
    """What each row adds up; words are what `normalized` returned, predictions the same captions as they were."""
    given = {"references": words}
    if ATTRIBUTES.keys() <= (attributes or {}).keys():
        given["attributes"] = (predictions, attributes)
    return {name: row.per_picture(*given[row.needs]) for name, row in METRICS.items() if row.needs in given}


def caption_metrics(
    predictions: Sequence[str], references: Sequence[Sequence[str]], attributes: Columns | None = None
) -> dict[str, float]:
    """Scores a set of captions.

    A text without words (empty, or punctuation only) is scored like any other. As a prediction it misses all words of
    its reference; as a reference every predicted word is an insertion. Against each other the two are an exact match
    without word errors, and score 0 in the other metrics.

    Args:
        attributes: what `attribute_columns` gives for these pictures. Any other data set lacks some of `ATTRIBUTES`;
            the rows that need them are left out then.

    Returns:
        A score for each row of `METRICS`, of the whole set. wer and facts per caption can exceed 1; cider_d goes from 0
        to 10, the others from 0 to 1.

    Raises:
        CaptioningError: the numbers of predictions and references differ, one is no text, or there are none.
    """
    predictions, references = lists_of_texts(predictions, references)
    statistics = _statistics(normalized(predictions, references), predictions, attributes)
    return {name: value_of(values, METRICS[name].of_sums) for name, values in statistics.items()}


def score(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    attributes: Columns | None = None,
    minus: Sequence[str] | None = None,
) -> dict[str, dict[str, float]]:
    """`caption_metrics` with a 95 % interval each, by `scored`: metric → {"value", "low", "high"}.

    Args:
        minus: another system's captions of the same pictures; the scores are then the first system's minus this one's.
            Where an interval does not hold 0, the two differ by more than the choice of pictures explains. Shares have
            "p" too, of McNemar's exact test.
    """
    predictions, references = lists_of_texts(predictions, references)
    words, minus = normalized(predictions, references), minus if minus is None else list(minus)
    statistics = _statistics(words, predictions, attributes)
    others = {} if minus is None else _statistics(normalized(minus, words[1]), minus, attributes)
    return {name: scored(ours, others.get(name), METRICS[name].of_sums) for name, ours in statistics.items()}


def decode(processor: Any, token_ids: np.ndarray) -> list[str]:
    """Token ids (pictures, tokens) → captions. -100, which pads ragged batches, becomes the pad token first."""
    tokenizer, ids = tokenizer_of(processor), generated_ids(token_ids)
    return tokenizer.batch_decode(np.where(ids < 0, tokenizer.pad_token_id, ids), skip_special_tokens=True)


def make_compute_metrics(
    processor: Any, references: Sequence[Sequence[str]], attributes: Columns | None = None
) -> Callable[[EvalPrediction], dict[str, float]]:
    """The Trainer's `compute_metrics`: generated token ids, (pictures, tokens), as `caption_metrics` scores them."""
    return lambda prediction: caption_metrics(decode(processor, prediction.predictions), references, attributes)


def load_wer() -> Any:
    """Word error rate as an evaluate.Metric: a check on `word_errors`, of which it shares the normalised texts alone.

    evaluate.load("wer") downloads a script for one reference per picture; this one takes several, without a network.
    """
    import datasets
    import evaluate

    class WordErrorRate(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            features = datasets.Features({"predictions": text, "references": datasets.List(text)})
            return evaluate.MetricInfo("Word error rate against the nearest reference.", "", features)

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
            predictions, references = normalized(predictions, references)
            pairs = zip(predictions, references, strict=True)
            nearest = [min(group, key=lambda one: (jiwer.wer(one, text), -len(one.split()))) for text, group in pairs]
            return {"wer": jiwer.wer(nearest, predictions)}

    return WordErrorRate()
