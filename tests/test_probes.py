import random

import pytest
import torch

from helpers import probes
from helpers.creatures import ATTRIBUTES, attributes_of, captions_of, random_creature
from helpers.errors import DataError
from helpers.families import vision_encoder_of
from helpers.probes import probe_captions, probe_scores
from helpers.votes import likeliest_caption


def some_creatures(count, seed=0):
    rng = random.Random(seed)
    return [random_creature(rng) for _ in range(count)]


def linear_features(creatures, width=80, noise=0.05):
    """Features that hold each value along a direction of its own."""
    generator = torch.Generator().manual_seed(0)
    facts = [(name, value) for name, values in ATTRIBUTES.items() for value in values]
    there = torch.tensor([[float(creature[name] == value) for name, value in facts] for creature in creatures])
    features = there @ torch.randn(len(facts), width, generator=generator)
    return 30 + 5 * (features + noise * torch.randn(features.shape, generator=generator))


def test_probes_read_what_features_hold_linearly():
    creatures = some_creatures(260)
    train, validation, test = creatures[:200], creatures[200:230], creatures[230:]
    scores = probe_scores(*linear_features(creatures).split([200, 30, 30]), train, validation)
    assert [likeliest_caption(mine) for mine in scores] == [captions_of(creature)[0] for creature in test]
    for mine in scores:
        assert sum(torch.tensor(list(mine["ears"].values())).exp()) == pytest.approx(1, abs=1e-4)


def test_a_value_that_is_not_known_is_left_out_of_a_probe():
    creatures = some_creatures(230)
    train, validation = creatures[:180], creatures[180:200]
    features = linear_features(creatures).split([180, 20, 30])
    train = [creature | {"mouth": "none"} if i % 3 else creature for i, creature in enumerate(train)]
    said = [likeliest_caption(mine) for mine in probe_scores(*features, train, validation)]
    right = [attributes_of(text)["mouth"] == c["mouth"] for text, c in zip(said, creatures[200:], strict=True)]
    assert sum(right) >= 27


def test_the_penalty_is_the_one_that_serves_the_validation_split(monkeypatch):
    creatures = some_creatures(140)
    splits = linear_features(creatures, width=60, noise=1.5).split([80, 60])
    values = [creatures[:80], creatures[80:]]

    def right(strengths):
        monkeypatch.setattr(probes, "STRENGTHS", strengths)
        scores = probe_scores(splits[0], splits[1], splits[1], *values)
        names = [max(mine["ears"], key=mine["ears"].get) for mine in scores]
        return sum(a == b for a, b in zip(names, (c["ears"] for c in values[1]), strict=True))

    each = [right((strength,)) for strength in (10.0, 1e-1, 1e-2, 1e-5)]
    assert len(set(each)) > 1
    assert right((10.0, 1e-1, 1e-2, 1e-5)) == max(each)


def test_probes_learn_from_captions_and_read_no_attribute_column(monkeypatch, talker, processor, dataset):
    monkeypatch.setattr(probes, "STRENGTHS", (1e-3,))
    splits = [dataset[name] for name in ("train", "validation", "test")]
    said = probe_captions(talker, processor, *splits)
    assert said == probe_captions(talker, processor, *(split.select_columns(["image", "captions"]) for split in splits))
    assert all(captions_of(attributes_of(text))[0] == text for text in said)
    train = splits[0]
    found = probe_captions(talker, processor, train, train, train)  # eight pictures, and more features than pictures
    assert found == [group[0] for group in train["captions"]]


def test_features_of_a_split_are_computed_once(monkeypatch, talker, processor, dataset):
    monkeypatch.setattr(probes, "STRENGTHS", (1e-3,))
    read = []
    hook = vision_encoder_of(talker).register_forward_hook(lambda module, args, out: read.append(len(args[0])))
    probe_captions(talker, processor, *(dataset[name] for name in ("train", "validation", "test")))
    hook.remove()
    assert sum(read) == sum(len(split) for split in dataset.values())


def test_captions_that_name_nothing_are_refused(talker, processor, dataset):
    mute = dataset["validation"].map(lambda row: {"captions": ["a toy"]})
    for train, validation in ((mute, dataset["validation"]), (dataset["train"], mute)):
        with pytest.raises(DataError, match="color"):
            probe_captions(talker, processor, train, validation, dataset["test"])
