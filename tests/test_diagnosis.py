"""Diagnoses of the laboratory's cases: nine faults that are told apart in every seed, and what an answer is told."""

import itertools
import json

import pytest

from helpers.checks import check_diagnosis
from helpers.experiments.faults import FAULTS, HEALTHY
from helpers.experiments.hallmarks import HALLMARKS, speaks
from helpers.experiments.laboratory import measured_rows
from helpers.experiments.symptoms import (
    CASES,
    SHOWN,
    contradicts,
    draw_cases,
    drawn,
    healthy_beside,
    pictures_of,
    symptom_table,
    symptoms,
)

ROWS = measured_rows()
DRAWS = range(12)


@pytest.fixture(scope="module")
def found(creatures):
    """(fault, seed) → the symptoms of a training, and those of the healthy one beside it."""
    healthy = {row["seed"]: row for row in ROWS if row["fault"] == HEALTHY}
    pairs = {(row["fault"], row["seed"]): (row, healthy[row["seed"]]) for row in ROWS}
    return {key: [symptoms(each, pair[1], creatures) for each in pair] for key, pair in pairs.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hallmark_is_that_of_its_fault_alone_in_every_seed(fault, found):
    shown = {key for key, pair in found.items() if speaks(fault, *pair)[0]}
    assert shown == {key for key in found if key[0] == fault}


def test_a_value_is_counted_in_both_trainings(found):
    for (fault, _), (case, healthy) in found.items():
        told = speaks(9, case, healthy)[1]
        assert f"({case.lost_healthy} of {case.lost_of} and here {case.lost_named})" in told
        assert case.lost_named <= case.lost_healthy <= case.lost_of or fault == HEALTHY


def test_symptoms_are_those_of_the_captions(found, creatures):
    row = next(row for row in ROWS if row["fault"] == 4 and row["seed"] == 0)
    case, healthy = found[4, 0]
    assert case.ended == sum(map(int, row["ended"])) / 100
    assert case.words > 1.3 * healthy.words
    blank = symptoms({**row, "said": [""] * 100, "ended": "1" * 100}, healthy_beside(ROWS, row), creatures)
    assert (blank.words, blank.different, blank.ended, blank.right_test) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("caption", "is_so"),
    [("a red creature", False), ("a creature with long ears", True), ("a red creature with a curly tail", True)],
)
def test_what_contradicts_a_creature(caption, is_so):
    assert contradicts(caption, {"color": "red", "ears": "none", "tail": "spiky"}) is is_so


@pytest.mark.parametrize("draw", DRAWS)
def test_cases_are_six_faults_of_one_seed_and_do_not_name_them(draw):
    cases, healthy = draw_cases(ROWS, draw)
    whole = drawn(ROWS, draw)
    assert "".join(cases) == "".join(whole) == CASES
    assert len({row["fault"] for row in whole.values()}) == len(CASES)
    assert {row["seed"] for row in cases.values()} == {healthy["seed"]}
    assert healthy["fault"] == HEALTHY
    assert not any("fault" in row for row in cases.values())
    assert "fault" not in json.dumps(cases)


def test_draws_differ():
    drawn_faults = {tuple(row["fault"] for row in drawn(ROWS, draw).values()) for draw in DRAWS}
    assert len(drawn_faults) == len(DRAWS)
    assert set(itertools.chain(*drawn_faults)) == set(FAULTS)


def test_a_case_shows_pictures_with_captions(creatures):
    cases, _ = draw_cases(ROWS, 0)
    said, learnt = pictures_of(cases["A"], creatures)
    assert [text or "" for _, text in said] == [cases["A"]["said"][i] or "(no word)" for i in SHOWN]
    hard = [[*row["least_likely"][0][:2], loss] for row, loss in ((cases["A"], 0.00614), (cases["B"], 0.2))]
    texts = [pictures_of({**cases["A"], "least_likely": [each]}, creatures)[1][0][1] for each in hard]
    assert texts == [f"0.0061: {hard[0][1]}", f"0.20: {hard[1][1]}"]
    assert len(learnt) == len(SHOWN)


def test_a_table_has_a_column_for_each_system(found):
    table = symptom_table({"healthy": found[0, 0][0], "A": found[3, 0][0]})
    assert {tuple(row) for row in table} == {("symptom", "healthy", "A")}
    assert len({row["symptom"] for row in table}) == len(table)
    fractions = [row["A"].partition(".")[2] for row in table if "." in row["A"]]
    assert fractions
    assert {len(digits) for digits in fractions} == {3}


def answers(draw):
    return {letter: row["fault"] for letter, row in drawn(ROWS, draw).items()}


@pytest.mark.parametrize("draw", DRAWS)
def test_the_faults_are_right_whatever_was_drawn(draw):
    verdict = check_diagnosis(answers(draw), draw)
    assert verdict, verdict
    assert len(verdict.sentence) < 1500


@pytest.mark.parametrize("letter", CASES)
def test_a_wrong_answer_is_told_what_the_case_shows_and_not_the_right_one(letter):
    right = answers(9)
    for wrong in set(FAULTS) - {right[letter]}:
        verdict = check_diagnosis({**right, letter: wrong})
        assert verdict.kind == "almost"
        assert f"Against {wrong} for case {letter}" in verdict.sentence
        assert HALLMARKS[wrong].expected in verdict.sentence
        assert HALLMARKS[right[letter]].expected not in verdict.sentence
        assert FAULTS[right[letter]].name not in verdict.sentence
        assert f"These fit: {', '.join(sorted(set(CASES) - {letter}))}" in verdict.sentence


def test_answers_may_come_one_by_one():
    right = answers(9)
    verdict = check_diagnosis({**dict.fromkeys(CASES), "C": right["C"]})
    assert verdict.kind == "not yet"
    assert "1 of 6 cases have an answer, and it fits. C: " in verdict.sentence


def test_every_fault_has_a_hallmark_of_its_own():
    assert HALLMARKS.keys() == FAULTS.keys()
    assert len({hallmark.expected for hallmark in HALLMARKS.values()}) == len(FAULTS)
