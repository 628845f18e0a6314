"""Checks of notebook 10: the numbers that LoRA learns, two ways told apart by their seeds, recall that was lost."""

from collections.abc import Callable, Sequence

from helpers.checks.verdicts import Verdict, check, tried

Intervals = Sequence[tuple[float, float]]  # one for each seed: low, high


@check
def check_lora_numbers(numbers: Callable[[int, int, int], int]) -> Verdict:
    """`numbers(rank, inputs, outputs)`: how many numbers LoRA learns beside a layer's outputs × inputs weights."""

    def solution(rank: int, inputs: int, outputs: int) -> int:
        return rank * (inputs + outputs)

    cases = [(8, 128, 512), (4, 100, 30), (1, 7, 11)]
    mistakes = [
        (lambda rank, inputs, outputs: inputs * outputs, "Is this the layer itself? LoRA leaves its weights alone."),
        (
            lambda rank, inputs, outputs: rank * inputs * outputs,
            "Did you count B A, the product? What is learnt are the two matrices before they are multiplied.",
        ),
        (lambda rank, inputs, outputs: rank * inputs, "Where is B, which has a row for each output?"),
        (lambda rank, inputs, outputs: rank * outputs, "Where is A, which has a column for each input?"),
        (lambda rank, inputs, outputs: 2 * rank * inputs, "Are both matrices equally large? Only in a square layer."),
        (lambda rank, inputs, outputs: 2 * rank * outputs, "Are both matrices equally large? Only in a square layer."),
        (lambda rank, inputs, outputs: rank * inputs * rank * outputs, "Add the two matrices' numbers up."),
        (
            lambda rank, inputs, outputs: rank * (inputs + outputs) + outputs,
            "Did you count a bias? A and B have none, and the layer's own is left alone.",
        ),
    ]
    return tried(
        numbers, solution, cases, "It grows with the sum of both sides, the layer with their product.", mistakes
    )


@check
def check_apart(apart: Callable[[Intervals, Intervals], bool]) -> Verdict:
    """`apart(first, second)`: whether the bands of two ways, each over its seeds' intervals, share no value."""

    def band(
        seeds: Intervals, low: Callable[..., float] = min, high: Callable[..., float] = max
    ) -> tuple[float, float]:
        return low(ends[0] for ends in seeds), high(ends[1] for ends in seeds)

    def solution(first: Intervals, second: Intervals) -> bool:
        (low, high), (other_low, other_high) = band(first), band(second)
        return low > other_high or other_low > high

    def mean(seeds: Intervals) -> float:
        return sum(low + high for low, high in seeds) / len(seeds)

    far, near, wide = [(0.1, 0.2), (0.15, 0.3)], [(0.26, 0.4), (0.35, 0.5)], [(0.05, 0.6), (0.3, 0.35)]
    high, split = [(0.7, 0.8), (0.6, 0.75), (0.62, 0.7)], [(0.1, 0.2), (0.8, 0.9)]
    cases = [(far, high), (high, far), (far, near), (near, far), (wide, far), (far, wide), (split, [(0.45, 0.55)])]
    cases += [(near, high), ([(0.2, 0.3)], [(0.1, 0.25)] * 3), (high, split)]
    cases += [([(0.5, 0.52), (0.51, 0.53)], [(0.54, 0.55)]), ([(0.0, 0.1), (0.05, 0.62)], [(0.6, 0.9)])]
    # Ends that touch; a seed with the lowest low and the highest high; seeds in no order.
    cases += [([(0.1, 0.3)], [(0.3, 0.5)]), (wide, [(0.5, 0.9)]), ([(0.3, 0.4), (0.1, 0.2)], [(0.21, 0.25)])]
    mistakes = [
        (lambda a, b: not solution(a, b), "Did you answer whether they overlap? Asked is whether they do not."),
        (lambda a, b: mean(a) != mean(b), "Did you compare means? Ask whether the intervals meet."),
        (lambda a, b: band(a)[0] > band(b)[1], "The first way may be the worse one, too."),
        (lambda a, b: band(b)[0] > band(a)[1], "The first way may be the better one, too."),
        (lambda a, b: solution(a[:1], b[:1]), "Did you look at one seed alone?"),
        (lambda a, b: solution(a[-1:], b[-1:]), "Did you look at one seed alone?"),
        (
            lambda a, b: all(solution([x], [y]) for x, y in zip(a, b, strict=False)),
            "Did you compare seed 0 with seed 0? Any seed of one way may meet any of the other.",
        ),
        (
            lambda a, b: all(solution([x], [y]) for x in a for y in b),
            "What lies between two seeds of a way belongs to its band, too.",
        ),
        (
            lambda a, b: solution([band(a, max, min)], [band(b, max, min)]),
            "Is this what all seeds share? A band reaches from the lowest low to the highest high.",
        ),
    ]
    shows = "What is told apart so is more than the choice of test pictures and of these seeds."
    return tried(apart, solution, cases, shows, mistakes)


@check
def check_recall_lost(lost: Callable[[list[str], list[str], list[str], str], float]) -> Verdict:
    """`lost(before, after, true, value)`: values said of each picture, and those that are true → lost recall."""

    def recall(said: list[str], true: list[str], value: str) -> float:
        return sum(one == value for one, there in zip(said, true, strict=True) if there == value) / true.count(value)

    def solution(before: list[str], after: list[str], true: list[str], value: str) -> float:
        return recall(before, true, value) - recall(after, true, value)

    def of_said(said: list[str], true: list[str], value: str) -> float:
        return recall(true, said, value)  # precision: of the pictures where it is said

    def texts(*lists: str) -> list[list[str]]:
        return [words.split() for words in lists]

    cases = [
        (*texts("blue blue none red blue", "green blue red red none", "blue blue blue red green"), "blue"),
        (*texts("none pink none pink", "pink pink red pink", "pink pink red blue"), "pink"),
        (*texts("red blue gray red", "blue none gray none", "red blue gray red"), "red"),
        (*texts("blue red red", "red red blue", "blue blue red"), "blue"),
    ]
    mistakes = [
        (lambda b, a, t, v: solution(a, b, t, v), "Did you swap before and after? What is lost counts above zero."),
        (lambda b, a, t, v: recall(a, t, v), "Is this the recall that is left? Asked is what was lost."),
        (lambda b, a, t, v: recall(b, t, v), "Is this the recall before?"),
        (
            lambda b, a, t, v: solution(b, a, t, v) * t.count(v) / len(t),
            "Did you divide by all pictures? Recall asks those that have the value.",
        ),
        (lambda b, a, t, v: solution(b, a, t, v) * t.count(v), "Is this a number of pictures? Give a share."),
        (
            lambda b, a, t, v: of_said(b, t, v) - of_said(a, t, v),
            "Did you ask the captions that say the value? That is precision; recall asks the pictures that have it.",
        ),
        (
            lambda b, a, t, v: (b.count(v) - a.count(v)) / t.count(v),
            "Did you count the value wherever it is said? It has to be true of the picture.",
        ),
        (
            lambda b, a, t, v: (
                sum(x == y for x, y in zip(b, t, strict=True)) / len(t)
                - sum(x == y for x, y in zip(a, t, strict=True)) / len(t)
            ),
            "Is this of all values? Asked is this value alone.",
        ),
        (
            lambda b, a, t, v: solution(b, a, t, v) / recall(b, t, v),
            "Did you divide by the recall before? Give the difference of two shares.",
        ),
    ]
    shows = "A difference of recalls can be below zero: then the value was learnt, not lost."
    return tried(lost, solution, cases, shows, mistakes)
