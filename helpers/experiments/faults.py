"""Faults of a training, nine of them, each made by one changed line, and the laboratory's Trainer that has one.

A fault is a pair of functions that do the same thing rightly and wrongly. All else is the course's own training.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.nn.functional import cross_entropy, pad
from transformers import PreTrainedModel

from helpers.device import check_loss
from helpers.families import end_token_id, model_inputs, tokenizer_of
from helpers.settings import Settings
from helpers.training import CaptionTrainer
from helpers.transforms import IGNORED

Pairs = tuple[torch.Tensor, torch.Tensor]
PICTURES = 200  # of a training
LENGTH = 48  # tokens to which every caption is padded
MISSING = ("tail", "curly")  # the value that one fault takes out of the training split
SETTINGS = Settings.tiny().with_changes(batch_size=16, epochs=12, max_new_tokens=LENGTH, output="artifacts/laboratory")


def paired(logits: torch.Tensor, labels: torch.Tensor) -> Pairs:
    """Pairs what is predicted at each token with the next token: (batch, tokens, …) both → (batch, tokens - 1, …)."""
    return logits[:, :-1], labels[:, 1:]


def paired_without_shift(logits: torch.Tensor, labels: torch.Tensor) -> Pairs:
    """Pairs what is predicted at each token with the same token."""
    return logits, labels


def paired_with_two_shifts(logits: torch.Tensor, labels: torch.Tensor) -> Pairs:
    """Pairs what is predicted at each token with the token after the next one."""
    return logits[:, :-2], labels[:, 2:]


def labelled(ids: torch.Tensor, mask: torch.Tensor, end: int) -> torch.Tensor:
    """Labels of padded captions: the token ids, (batch, tokens), and -100 where `mask` says that there is padding."""
    return ids.masked_fill(mask == 0, IGNORED)


def labelled_with_padding(ids: torch.Tensor, mask: torch.Tensor, end: int) -> torch.Tensor:
    """Labels that keep the padding."""
    return ids


def labelled_without_end(ids: torch.Tensor, mask: torch.Tensor, end: int) -> torch.Tensor:
    """Labels that leave out the padding and the end token."""
    return ids.masked_fill((mask == 0) | (ids == end), IGNORED)


def chosen(data: DatasetDict, seed: int) -> Dataset:
    """The pictures of a training, with their captions."""
    return data["train"].select(range(PICTURES))


def chosen_and_shuffled(data: DatasetDict, seed: int) -> Dataset:
    """The same pictures; each has the captions of any of them."""
    return exchanged(chosen(data, seed), PICTURES, seed)


def chosen_with_wrong_captions(data: DatasetDict, seed: int) -> Dataset:
    """The same pictures; a fifth of them have each other's captions."""
    return exchanged(chosen(data, seed), PICTURES // 5, seed)


def chosen_with_test(data: DatasetDict, seed: int) -> Dataset:
    """The same pictures, and those of the test split."""
    return concatenate_datasets([chosen(data, seed), data["test"]])


def chosen_without_value(data: DatasetDict, seed: int) -> Dataset:
    """As many pictures, of which none has the value `MISSING`."""
    return without(data["train"], *MISSING).select(range(PICTURES))


def exchanged(split: Dataset, pictures: int, seed: int) -> Dataset:
    """A split in which so many pictures, drawn by a seed, have each other's captions in a circle."""
    captions, drawn = list(split["captions"]), random.Random(seed).sample(range(len(split)), pictures)
    given = captions.copy()
    for row, other in zip(drawn, [*drawn[1:], drawn[0]], strict=True):
        given[row] = captions[other]
    return split.remove_columns("captions").add_column("captions", given)


def without(split: Dataset, part: str, value: str) -> Dataset:
    """The pictures of a split that do not have a value."""
    return split.select([row for row, other in enumerate(split[part]) if other != value])


def rate() -> float:
    """The highest learning rate."""
    return 1e-3


def rate_too_high() -> float:
    """A highest learning rate that destroys what the model knows."""
    return 1e-2


class Fault(NamedTuple):
    """One changed line."""

    name: str  # for the list of answers
    right: Callable[..., Any]
    wrong: Callable[..., Any]


FAULTS: dict[int, Fault] = {
    1: Fault("Each token predicts itself, not the token that follows it.", paired, paired_without_shift),
    2: Fault(
        "Each token predicts the one after the next, not the token that follows it.", paired, paired_with_two_shifts
    ),
    3: Fault("The padding has labels, so it is learnt too.", labelled, labelled_with_padding),
    4: Fault("The end token has no label, so it is not learnt.", labelled, labelled_without_end),
    5: Fault("The captions are shuffled against the pictures.", chosen, chosen_and_shuffled),
    6: Fault("A fifth of the training pictures have another picture's captions.", chosen, chosen_with_wrong_captions),
    7: Fault("The test pictures are added to the training split, with their captions.", chosen, chosen_with_test),
    8: Fault("The learning rate is far too high.", rate, rate_too_high),
    9: Fault("One value is missing in training: other pictures replace those with it.", chosen, chosen_without_value),
}
HEALTHY = 0  # in place of a fault's number


def line(fault: int, right: Callable[..., Any]) -> Callable[..., Any]:
    """What a training with this fault, or `HEALTHY`, calls in place of `right`."""
    found = FAULTS.get(fault)
    return found.wrong if found and found.right is right else right


class FaultyTrainer(CaptionTrainer):
    """A CaptionTrainer with a fault, which its evaluation has too. It keeps the weights of the last step.

    Args:
        model, processor: a GIT captioner and its processor.
        dataset: the splits train, of at least `PICTURES`, validation and test.
        settings: what is trained; the learning rate is `rate`'s.
        fault: its number in `FAULTS`, or `HEALTHY`.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, dataset: DatasetDict, settings: Settings, fault: int):
        self.fault, self.end = fault, end_token_id(tokenizer_of(processor))
        self.learnt = line(fault, chosen)(dataset, settings.seed)
        splits = DatasetDict({**dataset, "train": self.learnt})
        super().__init__(model, processor, splits, settings.with_changes(learning_rate=line(fault, rate)()))
        self.pad = tokenizer_of(processor).pad_token_id
        self.args.save_strategy, self.args.load_best_model_at_end = "no", False

    def token_losses(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> Pairs:
        """The loss at each position and whether it counts: float in nats, and bool; (batch, positions) both."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        ids = pad(ids, (0, LENGTH - ids.shape[1]), value=self.pad)  # (batch, LENGTH), as the mask
        mask = pad(mask, (0, LENGTH - mask.shape[1]))
        given = model_inputs({**inputs, "input_ids": ids, "attention_mask": mask})
        logits = model(**given, logits_to_keep=LENGTH, use_cache=False).logits  # (batch, LENGTH, vocabulary)
        logits, labels = line(self.fault, paired)(logits, line(self.fault, labelled)(ids, mask, self.end))
        losses = cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        return losses, labels != IGNORED

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over the positions that count, of one batch on one device."""
        losses, counts = self.token_losses(model, inputs)
        loss = check_loss(losses.sum() / counts.sum(), self.state.global_step, self.settings.learning_rate)
        return (loss, {}) if return_outputs else loss
