"""Linear probes of a vision encoder: a baseline that says, without fine-tuning, what its features hold.

The model's weights stay as they are. The probes learn from captions; attribute columns are never read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from torch.nn.functional import cross_entropy, pad
from transformers import PreTrainedModel

from helpers.baselines import split_features
from helpers.creatures import ATTRIBUTES, attribute_columns
from helpers.errors import DataError
from helpers.transforms import IGNORED
from helpers.votes import NOT_NAMED, likeliest_caption, named_values, voted_captions

Values = Mapping[str, str]  # of one picture: attribute → its value
STRENGTHS = (1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)  # of a probe's L2 penalty


def fact_baselines(model: PreTrainedModel, processor: Any, dataset: DatasetDict, test: Dataset) -> dict[str, list[str]]:
    """What the votes and the probes say of each picture of `test`; nothing for a data set without attributes.

    Args:
        model: before fine-tuning.
        processor: its processor.
        dataset: whose captions both learn from: train and validation.
        test: a split with the columns image and captions; its captions are not read.
    """
    if not attribute_columns(test):
        return {}
    train, validation = dataset["train"], dataset["validation"]
    return {
        "voted": voted_captions(model, processor, validation, test),
        "probes": probe_captions(model, processor, train, validation, test),
    }


def probe_captions(
    model: PreTrainedModel, processor: Any, train: Dataset, validation: Dataset, test: Dataset
) -> list[str]:
    """Captions of what linear probes find in a vision encoder's features (Alain & Bengio, 2016), without fine-tuning.

    Each attribute has its probe, which learns from what the captions of `train` name.

    Args:
        model, processor: a captioner and its processor.
        train, validation, test: splits with the columns image and captions; the captions of `test` are not read.

    Returns:
        A caption for each picture of `test`.

    Raises:
        DataError: a split holds no pictures, or the captions of `train` or `validation` name no value of an attribute.
    """
    features = [split_features(model, processor, split) for split in (train, validation, test)]
    named = [[named_values(group) for group in split["captions"]] for split in (train, validation)]
    return [likeliest_caption(scores) for scores in probe_scores(*features, *named)]


def probe_scores(
    train: torch.Tensor,
    validation: torch.Tensor,
    test: torch.Tensor,
    train_values: Sequence[Values],
    validation_values: Sequence[Values],
) -> list[dict[str, dict[str, float]]]:
    """The log-probabilities of all values, by a probe for each attribute, for each picture of `test`.

    Of `STRENGTHS` a probe takes the one that gets most of `validation` right, on a tie the one with the lower loss.

    Args:
        train, validation, test: features, (pictures, width).
        train_values, validation_values: of each picture; one that has no value of `ATTRIBUTES` is left out.
    """
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0) + 1e-6
    learnt, checked, asked = (pad((each - mean) / std, (0, 1), value=1.0) for each in (train, validation, test))
    logs = {}
    for name, values in ATTRIBUTES.items():
        numbers = {value: number for number, value in enumerate(values)}
        labels, wanted = (
            torch.tensor([numbers.get(facts[name], IGNORED) for facts in split])  # (pictures,)
            for split in (train_values, validation_values)
        )
        if IGNORED in (labels.max(), wanted.max()):
            raise DataError(NOT_NAMED.format(name))
        probes = [fit_probe(learnt, labels, len(values), strength) for strength in STRENGTHS]
        logits = [checked @ probe for probe in probes]  # (pictures, values) each
        quality = [(int((o.argmax(dim=1) == wanted).sum()), -float(cross_entropy(o, wanted))) for o in logits]
        logs[name] = (asked @ probes[quality.index(max(quality))]).log_softmax(dim=1).tolist()
    return [{n: dict(zip(v, logs[n][i], strict=True)) for n, v in ATTRIBUTES.items()} for i in range(len(test))]


def fit_probe(features: torch.Tensor, labels: torch.Tensor, values: int, strength: float) -> torch.Tensor:
    """Logistic regression: weights (width, values) with the lowest cross-entropy and L2 penalty, by L-BFGS.

    Args:
        features: (pictures, width), whose last column is 1; its weights, the bias, are not punished.
        labels: (pictures,), the number of each one's value, or -100.
        values: how many there are.
        strength: what the sum of squared weights is multiplied by.
    """
    weights = torch.zeros(features.shape[1], values, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(features @ weights, labels) + strength * weights[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach()
