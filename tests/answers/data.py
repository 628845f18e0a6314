"""Answers to the exercises of notebooks 1 and 2."""

from collections import Counter

import torch
from PIL import Image, ImageOps


def first_row_alone(columns, wanted):
    for i in range(len(columns[next(iter(wanted))])):
        if all(columns[name][i] == value for name, value in wanted.items()):
            return [i]
    return []


def last_condition_alone(columns, wanted):
    for name, value in wanted.items():
        found = [i for i, each in enumerate(columns[name]) if each == value]
    return found


def same_place(train, test):
    return [sum(a != b for a, b in zip(*pair, strict=True)) for pair in zip(train, test, strict=False)]


def empties_the_longer(train, test):
    found = [min(sum(a != b for a, b in zip(one, other, strict=True)) for other in train) for one in test]
    train.clear()
    return found


def cut(word, vocabulary, *, longest=True, mark="##", unknown=lambda found: ["[UNK]"]):
    found, begin = [], 0
    while begin < len(word):
        lead = mark if begin else ""
        ends = [end for end in range(begin + 1, len(word) + 1) if lead + word[begin:end] in vocabulary]
        if not ends:
            return unknown(found)
        end = ends[-1] if longest else ends[0]
        found.append(lead + word[begin:end])
        begin = end
    return found


def pieces_by_recursion(word, vocabulary, lead=""):
    if not word:
        return []
    for end in range(len(word), 0, -1):
        if lead + word[:end] in vocabulary:
            rest = pieces_by_recursion(word[end:], vocabulary, "##")
            return ["[UNK]"] if "[UNK]" in rest else [lead + word[:end], *rest]
    return ["[UNK]"]


def without_the_last_batch(lengths, size):
    batches = [lengths[i : i + size] for i in range(0, len(lengths) - size + 1, size)]
    return 1 - sum(map(sum, batches)) / sum(max(batch) * len(batch) for batch in batches)


def share_in_place(lengths, size):
    total, blocks = sum(lengths), 0
    while lengths:
        blocks += max(lengths[:size]) * len(lengths[:size])
        del lengths[:size]
    return 1 - total / blocks


def squared(picture, color="white", place=lambda missing: missing // 2, side=max):
    square = Image.new("RGB", (side(picture.size),) * 2, color)
    square.paste(picture, tuple(place(square.width - length) for length in picture.size))
    return square


def offsets_swapped(picture):
    square = Image.new("RGB", (max(picture.size),) * 2, "white")
    square.paste(picture, ((square.width - picture.height) // 2, (square.height - picture.width) // 2))
    return square


def as_columns(values):
    return torch.tensor(values).view(3, 1, 1)


def fills_in_place(input_ids, attention_mask):
    input_ids[attention_mask == 0] = -100
    return input_ids


WRONG = {
    "check_matching": [
        first_row_alone,
        last_condition_alone,
        lambda columns, wanted: [
            i for i in range(len(columns["hat"])) if any(columns[name][i] == wanted[name] for name in wanted)
        ],
        lambda columns, wanted: [columns[name][0] == value for name, value in wanted.items()],
        lambda columns, wanted: len(first_row_alone(columns, wanted)),
        lambda columns, wanted: [i for i, hat in enumerate(columns["hat"]) if hat == wanted["hat"]],
        lambda columns, wanted: [columns[name].index(value) for name, value in wanted.items()],
        lambda columns, wanted: [
            i for i, row in enumerate(zip(*columns.values(), strict=True)) if {*wanted.values()} <= {*row}
        ],
    ],
    "check_laziest": [
        lambda columns: {name: max(values) for name, values in columns.items()},
        lambda columns: {name: values[0] for name, values in columns.items()},
        lambda columns: {name: Counter(values).most_common(1) for name, values in columns.items()},
        lambda columns: {name: Counter(values).most_common(1)[0] for name, values in columns.items()},
        lambda columns: {name: min(set(values), key=values.count) for name, values in columns.items()},
        lambda columns: {name: Counter(values).most_common()[-1][0] for name, values in columns.items()},
        lambda columns: [Counter(values).most_common(1)[0][0] for values in columns.values()],
        lambda columns: Counter(value for values in columns.values() for value in values).most_common(1)[0][0],
    ],
    "check_nearest": [
        same_place,
        empties_the_longer,
        lambda train, test: [min(sum(a != b for a, b in zip(x, y, strict=True)) for y in test) for x in train],
        lambda train, test: [max(sum(a == b for a, b in zip(x, y, strict=True)) for y in train) for x in test],
        lambda train, test: [max(sum(a != b for a, b in zip(x, y, strict=True)) for y in train) for x in test],
        lambda train, test: [sum(a != b for a, b in zip(x, y, strict=True)) for y in train for x in test],
        lambda train, test: [min(sum(abs(sum(x) - sum(y)) for y in train) for _ in x) for x in test],
        lambda train, test: min(sum(a != b for a, b in zip(x, y, strict=True)) for y in train for x in test),
        lambda train, test: [int(x not in train) for x in test],
    ],
    "check_pieces": [
        lambda word, vocabulary: cut(word, vocabulary, longest=False),
        lambda word, vocabulary: cut(word, vocabulary, mark=""),
        lambda word, vocabulary: cut(word, vocabulary, unknown=lambda found: [*found, "[UNK]"]),
        lambda word, vocabulary: cut(word, vocabulary, unknown=lambda found: "[UNK]"),
        lambda word, vocabulary: [piece.removeprefix("##") for piece in cut(word, vocabulary)],
        lambda word, vocabulary: [piece for piece in vocabulary if piece.strip("#") in word],
        lambda word, vocabulary: len(cut(word, vocabulary)),
        lambda word, vocabulary: [word],
    ],
    "check_padding_share": [
        without_the_last_batch,
        share_in_place,
        lambda lengths, size: 1 - sum(lengths) / (max(lengths) * len(lengths)),
        lambda lengths, size: (
            sum(lengths) / sum(max(lengths[i : i + size]) * size for i in range(0, len(lengths), size))
        ),
        lambda lengths, size: 100 * (1 - sum(lengths) / (max(lengths) * len(lengths))),
        lambda lengths, size: (
            sum(max(lengths[i : i + size]) * size for i in range(0, len(lengths), size)) - sum(lengths)
        ),
        lambda lengths, size: share_in_place(sorted(lengths), size),
        lambda lengths, size: 0.23,
    ],
    "check_pad_to_square": [
        lambda picture: picture.resize((max(picture.size),) * 2),
        lambda picture: squared(picture, place=lambda missing: 0),
        lambda picture: squared(picture, place=lambda missing: missing),
        lambda picture: squared(picture, color="black"),
        offsets_swapped,
        lambda picture: squared(picture, side=min),
        lambda picture: ImageOps.fit(picture, (max(picture.size),) * 2),
        lambda picture: squared(picture).convert("RGBA"),
        lambda picture: torch.ones(max(picture.size), max(picture.size), 3),
        lambda picture: picture,
    ],
    "check_normalized": [
        lambda pixels, mean, std: (pixels - as_columns(mean)) / as_columns(std),
        lambda pixels, mean, std: (pixels / 255 - torch.tensor(mean)) / torch.tensor(std),
        lambda pixels, mean, std: (pixels / 255 - as_columns(mean)) * as_columns(std),
        lambda pixels, mean, std: (pixels / 256 - as_columns(mean)) / as_columns(std),
        lambda pixels, mean, std: pixels / 255 - as_columns(mean) / as_columns(std),
        lambda pixels, mean, std: (pixels / 255 - mean[0]) / std[0],
        lambda pixels, mean, std: ((pixels / 255 - as_columns(mean)) / as_columns(std)).permute(1, 2, 0),
        lambda pixels, mean, std: ((pixels / 255 - as_columns(mean)) / as_columns(std)).tolist(),
    ],
    "check_labels": [
        fills_in_place,
        lambda ids, mask: ids.masked_fill(mask == 1, -100),
        lambda ids, mask: ids.masked_fill(ids == 0, -100),
        lambda ids, mask: ids.masked_fill(mask == 0, -100).tolist(),
        lambda ids, mask: ids.masked_fill(mask == 0, -100)[:, 1:],
        lambda ids, mask: ids * mask,
    ],
}
