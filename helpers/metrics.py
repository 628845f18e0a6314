"""Captions and references → numbers.

Every text is normalised first, in one place: lower case, punctuation to spaces, white space folded.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jiwer
import numpy as np
from rouge_score import rouge_scorer
from rouge_score.tokenizers import Tokenizer
from scipy.stats import bootstrap

from helpers.families import tokenizer_of

if TYPE_CHECKING:
    import evaluate
    from transformers import EvalPrediction


class _Words(Tokenizer):
    """rouge_score's own tokenizer drops every letter that is not Latin; ours takes the normalised words."""

    def tokenize(self, text: str) -> list[str]:
        return normalize(text).split()


_ROUGE = rouge_scorer.RougeScorer(["rougeL"], tokenizer=_Words())


def normalize(text: str) -> str:
    """Lower case, punctuation to spaces, white space folded; nothing else is changed."""
    lowered = text.casefold()
    kept = "".join(" " if unicodedata.category(char).startswith("P") else char for char in lowered)
    return " ".join(kept.split())


def align_words(reference: str, prediction: str) -> jiwer.WordOutput:
    """The cheapest way to turn the reference into the prediction, word by word, after normalisation."""
    return jiwer.process_words([normalize(reference)], [normalize(prediction)])


@lru_cache(maxsize=100_000)
def _errors(reference: str, prediction: str) -> int:
    if not reference:  # jiwer refuses an empty reference; every predicted word is an insertion
        return len(prediction.split())
    out = jiwer.process_words(reference, prediction)
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
    _check(predictions, references)
    rows = []
    for prediction, group in zip(predictions, references, strict=True):
        said = normalize(prediction)
        counts = [(_errors(text, said), len(text.split())) for text in map(normalize, group)]
        rows.append(min(counts, key=lambda pair: (pair[0] / max(pair[1], 1), -pair[1])))
    return np.array(rows, dtype=int).reshape(-1, 2)


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The best ROUGE-L F1 among the references, a picture: (pictures,), 0 to 1 (Lin, 2004)."""
    _check(predictions, references)
    pairs = zip(predictions, references, strict=True)
    return np.array([max(_ROUGE.score(text, said)["rougeL"].fmeasure for text in group) for said, group in pairs])


def exact_matches(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Whether the caption equals any of its references after normalisation: bool, (pictures,)."""
    _check(predictions, references)
    pairs = zip(predictions, references, strict=True)
    return np.array([normalize(said) in {normalize(text) for text in group} for said, group in pairs], dtype=bool)


def caption_metrics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Scores a set of captions.

    Args:
        predictions: one caption a picture.
        references: one or more captions a picture.

    Returns:
        wer: word errors over reference words, of the whole set; 0 is perfect and it can exceed 1.
        rouge_l: mean over pictures of the best F1 among the references, 0 to 1.
        exact_match: share of pictures whose caption equals a reference, 0 to 1.

    Raises:
        ValueError: the numbers of predictions and references differ, one is no text, or there are none.
    """
    errors, words = word_errors(predictions, references).sum(axis=0)
    return {
        "wer": float(errors / max(words, 1)),
        "rouge_l": float(rouge_l(predictions, references).mean()),
        "exact_match": float(exact_matches(predictions, references).mean()),
    }


def score(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """`caption_metrics` with a 95 % interval each: metric → {"value", "low", "high"}."""
    per_picture = {
        "wer": word_errors(predictions, references),
        "rouge_l": rouge_l(predictions, references),
        "exact_match": exact_matches(predictions, references),
    }
    found = {}
    for name, value in caption_metrics(predictions, references).items():
        low, high = bootstrap_interval(per_picture[name])
        found[name] = {"value": value, "low": low, "high": high}
    return found


def bootstrap_interval(per_picture: np.ndarray, *, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """How far a score might have moved with other pictures of the same kind: percentile bootstrap (Efron, 1979).

    Args:
        per_picture: a value a picture, (pictures,), whose mean is the score; or (pictures, 2), a numerator and a
            denominator a picture, whose ratio of sums is the score, as `word_errors` gives them.
        confidence: share of resamples inside the interval.
        seed: of the resampling.

    Returns:
        The lower and the upper end.
    """
    values = np.atleast_2d(np.asarray(per_picture, dtype=float).T)
    if values.shape[1] == 1 or (values == values[:, :1]).all():
        same = float(values[0].sum() / (values[1].sum() if len(values) == 2 else values.shape[1]))
        return same, same

    def ratio(*columns: np.ndarray, axis: int) -> np.ndarray:
        below = columns[1].sum(axis=axis) if len(columns) == 2 else columns[0].shape[axis]
        return columns[0].sum(axis=axis) / below

    found = bootstrap(
        tuple(values), ratio, paired=True, vectorized=True, n_resamples=2000, batch=200,
        confidence_level=confidence, method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


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
            return {"wer": caption_metrics(predictions, references)["wer"]}

    return WordErrorRate()


def _check(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(predictions) != len(references):
        raise ValueError(f"There are {len(predictions)} predictions and {len(references)} references; give one each.")
    if not len(predictions):
        raise ValueError("There are no predictions to score; give at least one.")
    for i, (said, group) in enumerate(zip(predictions, references, strict=True)):
        if isinstance(group, str) or not len(group):
            raise ValueError(f"The references of picture {i} are {group!r}; give a list of one or more texts.")
        for text in (said, *group):
            if not isinstance(text, str):
                raise ValueError(f"Picture {i} has the caption {text!r}; give a text.")


def most_central(groups: Sequence[Sequence[str]], *, most: int = 200, seed: int = 0) -> str:
    """The caption that comes nearest to all others: a constant answer that a captioner has to beat.

    Args:
        groups: the captions of each picture.
        most: how many captions are compared with each other, drawn at random.
        seed: of the draw.

    Returns:
        The caption with the fewest word errors against the others.
    """
    captions = sorted({caption for group in groups for caption in group})
    drawn = random.Random(seed).sample(captions, min(most, len(captions)))
    return min(drawn, key=lambda caption: sum(word_errors([caption] * len(drawn), [[text] for text in drawn])[:, 0]))
