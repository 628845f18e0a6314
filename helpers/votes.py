"""Votes over captions sampled from a model: a baseline that says, without fine-tuning, what most samples name.

The model's weights stay as they are. What is chosen is chosen from captions; attribute columns are never read.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from transformers import PreTrainedModel

from helpers.creatures import ATTRIBUTES, attributes_of, captions_of, facts_of
from helpers.creatures.facts import ABSENT
from helpers.errors import DataError, enough_memory, number
from helpers.families import generation_inputs, tokenizer_of
from helpers.inference import pictures_read_once
from helpers.transforms import normalized_pixels, prepare_pictures, stored_pixels

COAT = ("color", "second_color", "pattern")  # attributes whose values have to go together
NOT_NAMED = "No caption of a split names the {} of a creature; take the splits of Pocket Creatures."


class Rule(NamedTuple):
    """How votes decide an attribute."""

    least: int  # how many captions have to name the part
    below: str  # its value where fewer do
    usual: Counter  # value → pictures that have it: decides between values with equally many votes, or without any


def voted_captions(
    model: PreTrainedModel, processor: Any, validation: Dataset, test: Dataset, *, samples: int = 30, seed: int = 0
) -> list[str]:
    """Captions of what sampled captions name most often: a vote (Wang et al., 2023), without fine-tuning.

    A caption leaves much unsaid. So how many samples have to name a part, and what is said of it where fewer do, is
    chosen for each part on the captions of `validation` (`choose_rules`).

    Args:
        model, processor: a captioner and its processor.
        validation, test: splits with the columns image and captions; the captions of `test` are not read.
        samples: captions of each picture.
        seed: of the sampling.

    Returns:
        A caption for each picture of `test`.

    Raises:
        DataError: a split holds no pictures, or the captions of `validation` name no value of an attribute.
        SettingsError: `samples` is no whole number from 1.
    """
    known, asked = (
        [count_votes(group) for group in sampled_captions(model, processor, split, samples=samples, seed=seed)]
        for split in (validation, test)
    )
    rules = choose_rules(known, [named_values(group) for group in validation["captions"]])
    scores = ({name: vote_scores(votes, name, rule) for name, rule in rules.items()} for votes in asked)
    return [likeliest_caption(mine) for mine in scores]


@torch.inference_mode()
def sampled_captions(
    model: PreTrainedModel, processor: Any, split: Dataset, *, samples: int, seed: int = 0, batch_size: int = 8
) -> list[list[str]]:
    """So many captions of each picture, drawn at temperature 1; torch's random state is as before."""
    samples = number("samples", samples, 1)
    drawing = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_beams": 1, "max_new_tokens": 48}
    texts = []
    with torch.random.fork_rng(), enough_memory("sampling", batch_size=batch_size, samples=samples):
        torch.manual_seed(seed)
        for rows in prepare_pictures(split, processor).iter(batch_size):
            pixel_values = normalized_pixels(torch.stack(stored_pixels(rows)), processor).to(model.device)
            inputs = generation_inputs({"pixel_values": pixel_values})
            with pictures_read_once(model.eval(), samples):
                ids = model.generate(**inputs, **drawing, num_return_sequences=samples)  # (batch * samples, tokens)
            texts += tokenizer_of(processor).batch_decode(ids, skip_special_tokens=True)
    return [texts[start : start + samples] for start in range(0, len(texts), samples)]


def count_votes(captions: Iterable[str]) -> Counter:
    """How many captions name each fact, (part, value), and each part; a second colour names the pattern too."""
    votes = Counter()
    for caption in captions:
        facts = set(facts_of(caption).named)
        votes.update(facts | {"pattern" if part == "second_color" else part for part, _ in facts})
    return votes


def named_values(captions: Sequence[str]) -> dict[str, str]:
    """What most captions of one picture name, by attribute; "none", or "plain", where they name no value."""
    votes = count_votes(captions)
    best = {name: max(values, key=lambda value, of=name: votes[of, value]) for name, values in ATTRIBUTES.items()}
    return attributes_of("") | {name: value for name, value in best.items() if votes[name, value]}


def choose_rules(votes: Sequence[Counter], true: Sequence[Mapping[str, str]]) -> dict[str, Rule]:
    """For each attribute the rule that gets most pictures right; of equally good ones the middle.

    Where fewer than `least` captions name a part, it takes the most frequent value of such pictures: "none" for what
    few creatures have. The second colour has no limit of its own: it is said where a pattern is.
    """
    rules = {}
    for name, values in ATTRIBUTES.items():
        pictures = [(mine, facts[name]) for mine, facts in zip(votes, true, strict=True) if facts[name] in values]
        usual, tried = Counter(value for _, value in pictures), []
        if not usual:
            raise DataError(NOT_NAMED.format(name))
        for least in [0] if name == "second_color" else range(1, max(mine[name] for mine, _ in pictures) + 2):
            below = Counter(value for mine, value in pictures if mine[name] < least) or usual
            tried.append(Rule(least, below.most_common(1)[0][0], usual))
        right = [sum(_first(vote_scores(mine, name, rule)) == value for mine, value in pictures) for rule in tried]
        best = [rule for rule, count in zip(tried, right, strict=True) if count == max(right)]
        rules[name] = best[len(best) // 2]
    return rules


def vote_scores(votes: Counter, name: str, rule: Rule) -> dict[str, float]:
    """The votes for each value that an attribute may have; where too few captions name the part, the rule's alone."""
    if votes[name] < rule.least:
        return {rule.below: 0.0}
    values = [value for value in ATTRIBUTES[name] if value not in ABSENT or name == "second_color"]
    less_than_a_vote = len(COAT) * (rule.usual.total() + 1)  # added up over the coat, too
    return {value: votes[name, value] + rule.usual[value] / less_than_a_vote for value in values}


def _first(scores: Mapping[str, float]) -> str:
    return max(scores, key=scores.get)


def likeliest_caption(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The creature with the highest sum of scores among those that can be, in the first template.

    A plain creature has no second colour, and any other has one that is not its main colour. Where the best values of
    pattern and colours do not go together, those that do and have the next highest sum are taken.
    """
    best = {name: _first(mine) for name, mine in scores.items()}
    coats = [
        dict(zip(COAT, coat, strict=True))
        for coat in product(*(scores[name] for name in COAT))
        if (coat[1] == "none") == (coat[2] == "plain") and coat[0] != coat[1]
    ]
    coat = max(coats, key=lambda coat: sum(scores[name][value] for name, value in coat.items()))
    return captions_of(best | coat)[0]
