"""The order of steps: which weights a training keeps, and whether they are better than those before it."""

import pytest

from helpers.resuming import best_row, improved, kept_row

ENDED = {"step": 9, "train_runtime": 1.0}


def row(step, wer, **facts):
    return {"step": step, "eval_wer": wer} | {f"eval_{name}": value for name, value in facts.items()}


def of_facts(step, right, wrong, left_out, invented, wer):
    return row(step, wer, right=right, wrong=wrong, left_out=left_out, invented=invented)


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ([of_facts(1, 0.2, 0, 0, 0, 0.1), of_facts(2, 0.3, 3, 3, 3, 0.9)], 2),  # more captions right
        ([of_facts(1, 0.3, 0, 1, 0, 0.1), of_facts(2, 0.3, 0.1, 0.2, 0.3, 0.9)], 2),  # fewer faulty facts
        ([of_facts(1, 0.3, 0, 0, 1, 0.3), of_facts(2, 0.3, 1, 0, 0, 0.2)], 2),  # fewer word errors
        ([of_facts(1, 0.3, 0.3, 0.2, 0.1, 0.3), of_facts(2, 0.3, 0.1, 0.2, 0.3, 0.2)], 2),  # as many, added otherwise
        ([of_facts(1, 0.3, 0, 0, 1, 0.2), of_facts(2, 0.3, 0, 0, 1, 0.2)], 1),  # the first of equals
        ([row(1, 0.3), row(2, 0.2), row(3, 0.4)], 2),
        ([row(0, 0.1), row(1, 0.3)], 1),  # never the one before training
    ],
)
def test_the_best_step_has_most_right_captions_then_fewest_faulty_facts_then_word_errors(history, best):
    assert best_row(history)["step"] == best
    assert kept_row([*history, ENDED])["step"] == best
    assert kept_row(history) is None


def test_a_stopped_training_keeps_its_last_step():
    history = [of_facts(1, 0.3, 0, 0, 0, 0.1), of_facts(2, 0.1, 0, 0, 0, 0.1)]
    assert kept_row([*history, {"step": 2, "interrupted": True}])["step"] == 2
    assert best_row([]) is None


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (of_facts(0, 0.5, 1, 0, 0, 0.5), of_facts(2, 0.4, 0, 0, 0, 0.1), False),
        (of_facts(0, 0.5, 1, 0, 0, 0.1), of_facts(2, 0.6, 2, 0, 0, 0.5), True),
        (of_facts(0, 0, 4, 1, 0, 0.1), of_facts(2, 0, 3, 1, 0, 0.5), True),
        (of_facts(0, 0, 4, 1, 0, 0.1), of_facts(2, 0, 4, 1, 0, 0.1), False),
        (row(0, 0.3), row(2, 0.2), True),
        (row(0, 0.2), row(2, 0.2), False),
    ],
)
def test_a_training_is_better_than_what_it_began_with_by_the_same_order(before, after, better):
    assert improved([before, after, ENDED]) == better
