"""Answers to the exercises of notebook 10."""


def band(seeds, low=min, high=max):
    return low(ends[0] for ends in seeds), high(ends[1] for ends in seeds)


def meet(first, second):
    return first[0] <= second[1] and second[0] <= first[1]


def middle(seeds):
    return sum(low + high for low, high in seeds) / 2 / len(seeds)


def hits(said, true, value):
    return sum(one == there == value for one, there in zip(said, true, strict=True))


def recall(said, true, value):
    return hits(said, true, value) / true.count(value)


def precision(said, true, value):
    return hits(said, true, value) / said.count(value) if value in said else 0.0


def accuracy(said, true, _):
    return sum(one == there for one, there in zip(said, true, strict=True)) / len(true)


def lost(measure):
    return lambda before, after, true, value: measure(before, true, value) - measure(after, true, value)


WRONG = {
    "check_lora_numbers": [
        lambda rank, inputs, outputs: inputs * outputs,
        lambda rank, inputs, outputs: rank * inputs * outputs,
        lambda rank, inputs, outputs: rank * inputs,
        lambda rank, inputs, outputs: rank * outputs,
        lambda rank, inputs, outputs: 2 * rank * inputs,
        lambda rank, inputs, outputs: rank * (inputs + outputs) + outputs,
        lambda rank, inputs, outputs: rank**2 * inputs * outputs,
        lambda rank, inputs, outputs: inputs + outputs,
        lambda rank, inputs, outputs: 5120,  # of the first case
        lambda rank, inputs, outputs: (rank * inputs, outputs * rank),
    ],
    "check_apart": [
        lambda first, second: meet(band(first), band(second)),
        lambda first, second: middle(first) != middle(second),
        lambda first, second: band(first)[0] > band(second)[1],
        lambda first, second: band(second)[0] > band(first)[1],
        lambda first, second: not meet(first[0], second[0]),
        lambda first, second: not any(meet(one, other) for one, other in zip(first, second, strict=False)),
        lambda first, second: not any(meet(one, other) for one in first for other in second),
        lambda first, second: not meet(band(first, max, min), band(second, max, min)),
        lambda first, second: abs(middle(first) - middle(second)) > 0.3,
        lambda first, second: not band(first)[0] <= middle(second) <= band(first)[1],
        lambda first, second: min(first)[0] > max(second)[1] or min(second)[0] > max(first)[1],
        lambda first, second: first[0][0] > second[-1][1] or second[0][0] > first[-1][1],
        lambda first, second: band(first)[0] >= band(second)[1] or band(second)[0] >= band(first)[1],
        lambda first, second: True,
        lambda first, second: "apart",
    ],
    "check_recall_lost": [
        lambda before, after, true, value: lost(recall)(after, before, true, value),
        lambda before, after, true, value: recall(after, true, value),
        lambda before, after, true, value: recall(before, true, value),
        lost(hits),
        lost(precision),
        lost(accuracy),
        lambda before, after, true, value: lost(hits)(before, after, true, value) / len(true),
        lambda before, after, true, value: lost(recall)(before, after, true, value) / recall(before, true, value),
        lambda before, after, true, value: (before.count(value) - after.count(value)) / true.count(value),
        lambda before, after, true, value: max(0, lost(recall)(before, after, true, value)),
        lambda before, after, true, value: lost(hits)(before, after, true, value) / before.count(value),
        lambda before, after, true, value: 1 / 3,
    ],
}
