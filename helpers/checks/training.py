"""Checks of notebook 3: captions at other pictures, epochs for so many steps, a training step, a loss of parts."""

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import clip_grad_norm_

from helpers.checks.verdicts import Verdict, check, tried
from helpers.transforms import IGNORED

Batch, Parts = dict[str, torch.Tensor], list[tuple[torch.Tensor, torch.Tensor]]


class Seen(str):
    """What a batch is found to be, in words that stand in a sentence without quotation marks."""

    __repr__ = str.__str__


OTHERS, OWN = Seen("at each picture the caption of another"), Seen("at some picture the caption that it had")
STRANGE, MIXED = Seen("pictures that were not there"), Seen("captions that were not there, or one twice")


@check
def check_with_other_pictures(with_other_pictures: Callable[[Batch], Batch]) -> Verdict:
    """`with_other_pictures(batch)`: a new batch in which each picture has the caption of another, each caption once."""

    @cache  # an order of chance is tried once
    def given(pictures: int) -> Any:
        ids = torch.arange(1, 1 + 6 * pictures).reshape(pictures, 6)  # (batch, tokens), no number twice
        mask = (torch.arange(6) < 3 + torch.arange(pictures)[:, None] % 4).long()
        pixels = torch.arange(60.0 * pictures).reshape(pictures, 3, 4, 5)  # (batch, colours, height, width)
        batch = {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}
        batch["labels"] = ids.masked_fill(mask == 0, IGNORED)
        before = _captions(batch)
        if not isinstance(made := with_other_pictures(batch), Mapping):
            return made
        if made.keys() != batch.keys() or _captions(batch) != before:
            return Seen("other parts than the batch has, or the batch itself, changed")
        if (after := _captions(made)).keys() != before.keys():
            return STRANGE
        if any(after[picture] == before[picture] for picture in before):
            return OWN
        return OTHERS if sorted(after.values()) == sorted(before.values()) else MIXED

    def own_or_others(pictures: int) -> Any:
        return seen if (seen := given(pictures)) in (OWN, OTHERS) else None

    mistakes = [
        (own_or_others, "Did both move alike, or in an order that may leave one in place, as of chance?"),
        (lambda pictures: STRANGE, "Did you go along another dimension than the first, that of the batch?"),
        (lambda pictures: MIXED, "A caption is three tensors: input_ids, attention_mask, labels. Did all move alike?"),
    ]
    sizes = [(pictures,) for pictures in (4, 2, 7, 3, 8, 6, 5, 9)]  # chance rarely moves all pictures of all of these
    shows = "Pictures and captions are whole, and no picture has its own."
    function = given if callable(with_other_pictures) else with_other_pictures
    return tried(function, lambda pictures: OTHERS, sizes, shows, mistakes)


def _captions(batch: Batch) -> dict[Any, Any]:
    """The numbers of each picture → those of its caption."""
    words = torch.cat([batch[name] for name in ("input_ids", "attention_mask", "labels")], dim=1)
    return dict(zip(map(tuple, batch["pixel_values"].flatten(1).tolist()), map(tuple, words.tolist()), strict=True))


@check
def check_epochs_for(epochs_for: Callable[[int, int, int], int]) -> Verdict:
    """`epochs_for(steps, pictures, batch_size)`: the fewest whole epochs with at least so many steps."""

    def solution(steps: int, pictures: int, batch_size: int) -> int:
        return math.ceil(steps / math.ceil(pictures / batch_size))

    cases = [(60, 20, 16), (60, 100, 16), (7, 10, 5), (9, 12, 32), (11, 33, 8), (24, 64, 8)]
    mistakes = [
        (lambda s, p, b: math.ceil(s / max(1, p // b)), "The last batch of an epoch may be smaller. Did you count it?"),
        (lambda s, p, b: math.ceil(s * b / p), "Did you count pictures? The last batch of an epoch may be smaller."),
        (lambda s, p, b: s // math.ceil(p / b), "Did you round down? Then some steps are missing."),
        (lambda s, p, b: s / math.ceil(p / b), "Did you forget to round up to whole epochs?"),
    ]
    return tried(epochs_for, solution, cases, "So two trainings on unequal sets make equally many steps.", mistakes)


@check
def check_training_step(training_step: Callable[..., float]) -> Verdict:
    """`training_step(model, batch, optimizer, loss_of)`: one step; gives the loss before it, as a number."""

    def loss_of(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return mse_loss(model(batch[0]), batch[1])

    def trained(step: Callable[..., Any], steps: int, rows: int) -> Any:
        numbers = torch.Generator().manual_seed(10 * steps + rows)
        model = torch.nn.utils.skip_init(torch.nn.Linear, 3, 2)  # Linear itself would ask the global generator
        for weights in model.parameters():
            weights.data.normal_(generator=numbers)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        losses = []
        for _ in range(steps):
            batch = tuple(torch.randn(rows, width, generator=numbers) for width in (3, 2))
            losses.append(step(model, batch, optimizer, loss_of))
        held = sum(isinstance(loss, torch.Tensor) for loss in losses)
        return None if None in losses else {"losses": losses, "weights": model.weight.data, "tensors returned": held}

    def solution(model: Any, batch: Any, optimizer: Any, loss_of: Any, order: str = "bsz", item: bool = True) -> Any:
        loss = loss_of(model, batch)
        clip = partial(clip_grad_norm_, list(model.parameters()), 1.0)
        for each in order:
            {"b": loss.backward, "c": clip, "s": optimizer.step, "z": optimizer.zero_grad}[each]()
        return loss.item() if item else loss

    wrong = [
        ({"order": "bs"}, "Do the gradients of the step before add to these? See `zero_grad`."),
        ({"order": "b"}, "The weights are as they were. Are the three in order: `backward`, `step`, `zero_grad`?"),
        ({"item": False}, "Did you return a tensor, even if detached? `loss.item()` is the number alone."),
        ({"order": "bcsz"}, "Did you clip the gradients? Here the optimizer takes them as they are."),
    ]
    mistakes = [(partial(trained, partial(solution, **how)), asked) for how, asked in wrong]
    given = partial(trained, training_step) if callable(training_step) else training_step
    shows = "Each step goes down its own batch's slope, and keeps nothing but a number."
    return tried(given, partial(trained, solution), [(2, 5), (1, 4), (4, 7)], shows, mistakes)


@check
def check_whole_loss(whole_loss: Callable[[Parts], Any]) -> Verdict:
    """`whole_loss(parts)`, pairs of logits (positions, vocabulary) and labels (positions,): the mean of all tokens."""

    def parts_of(tokens: list[int]) -> Parts:
        numbers = torch.Generator().manual_seed(sum(tokens))
        parts = []
        for place, count in enumerate(tokens):
            labels = torch.randint(11, (count + place % 3,), generator=numbers)
            labels[count:] = IGNORED
            parts.append((3 * torch.randn(len(labels), 11, generator=numbers), labels))
        return parts

    def joined(parts: Parts, reduction: str = "mean") -> torch.Tensor:
        return cross_entropy(*map(torch.cat, zip(*parts, strict=True)), ignore_index=IGNORED, reduction=reduction)

    def mean_of_means(parts: Parts) -> torch.Tensor:
        return torch.stack([joined([part]) for part in parts]).mean()

    def by_length(parts: Parts) -> torch.Tensor:
        return sum(joined([part]) * len(part[1]) for part in parts) / sum(len(part[1]) for part in parts)

    wrong = [
        (mean_of_means, "Did you take the mean of the parts' means? Then a token of a short part counts more."),
        (lambda parts: joined(parts, "none").mean(), "Did you count the padding, whose label is -100?"),
        (by_length, "Did you weigh a part by `len(labels)`? That counts its padding, whose label is -100."),
        (lambda parts: joined(parts, "sum"), "Did you divide by the number of tokens?"),
    ]
    mistakes = [(lambda tokens, way=way: way(parts_of(tokens)).item(), asked) for way, asked in wrong]
    given = (lambda tokens: whole_loss(parts_of(tokens))) if callable(whole_loss) else whole_loss
    cases = [([2, 9],), ([5],), ([1, 4, 12],), ([7, 3, 3, 1],)]
    shows = "Each token counts the same, in whichever part it stands."
    return tried(given, lambda tokens: joined(parts_of(tokens)).item(), cases, shows, mistakes)
