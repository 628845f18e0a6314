"""The exercises' checks: as shipped "not yet", with the folded solution "right", and never anything but a verdict."""

import contextlib
import functools
import itertools
import os
import re
import time
from pathlib import Path

import pytest

from helpers import checks
from helpers.checks import verdicts
from helpers.checks.verdicts import check, tried
from tests.answers import RIGHT, WRONG
from tools import classroom, exercises
from tools import notebooks as tool

NAMES = sorted(name for name in dir(checks) if name.startswith("check_"))
EXERCISES = [
    pytest.param(cell.source, solution, id=f"{path.stem[:2]}-{cell.id}")
    for path in tool.paths()
    for cell, solution in exercises.with_checks(tool.read(path))
]


class Hostile:
    """A value that cannot be looked at, compared or shown."""

    def refuse(self, *_):
        raise RuntimeError("no")

    __repr__ = __eq__ = __len__ = __iter__ = __bool__ = __float__ = refuse
    __hash__ = None


def endless():
    while True:
        pass


def endless_and_deaf(*_):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.005)


def verdict_of(code, context):
    """What the last statement of an exercise's cell gives."""
    *before, (_, last) = exercises.statements(code)
    names = context()
    exec("\n".join(text for _, text in before), names)
    return eval(last, names)


@functools.cache
def _shipped():
    """What the cells above an exercise have made; most exercises need nothing of it."""
    names = {}
    exec(classroom.BEFORE, names)
    return names


def context():
    return dict(_shipped())


def test_there_are_twenty_checks_and_each_has_its_exercise():
    used = [set(re.findall(r"check_\w+", cell)) for cell, _ in (param.values for param in EXERCISES)]
    assert set().union(*used) == set(NAMES)
    assert len(NAMES) >= 20


@pytest.mark.parametrize("path", tool.paths(), ids=lambda path: path.stem)
def test_an_exercise_has_two_hints_and_a_solution(path):
    cells = tool.read(path).cells
    for number, cell in enumerate(cells):
        if exercises.checked(cell):
            behind = itertools.takewhile(lambda each: each.cell_type == "markdown", cells[number + 1 :])
            folds = re.findall(r"<summary>(.+?)</summary>", "\n".join(each.source for each in behind))
            assert folds[:3] == ["A hint", "A second hint", "One solution"], cell.id


@pytest.mark.parametrize(("cell", "solution"), EXERCISES)
def test_as_shipped_it_is_not_written_yet(cell, solution):
    assert verdict_of(cell, context).kind == "not yet"


@pytest.mark.parametrize(("cell", "solution"), EXERCISES)
def test_the_folded_solution_is_right(cell, solution):
    verdict = verdict_of(exercises.put(solution, cell), context)
    assert verdict, verdict


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in NAMES for i in range(len(WRONG.get(name, [])))])
def test_a_wrong_answer_is_not_right(name, number):
    answer = WRONG[name][number]
    verdict = getattr(checks, name)(*(answer if isinstance(answer, tuple) else (answer,)))
    assert verdict.kind in ("almost", "not yet")
    assert verdict.sentence.endswith((".", "?", ")")), verdict
    assert len(verdict.sentence) < 500


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in NAMES for i in range(len(RIGHT.get(name, [])))])
def test_another_right_answer_is_right(name, number):
    answer = RIGHT[name][number]
    verdict = getattr(checks, name)(*(answer if isinstance(answer, tuple) else (answer,)))
    assert verdict, verdict


@pytest.mark.parametrize("name", NAMES)
def test_each_check_has_five_wrong_answers_and_three_right_ones(name):
    assert len(WRONG.get(name, [])) >= 5
    assert len(RIGHT.get(name, [])) >= 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", [None, 3, "?", Hostile(), [], lambda: None, lambda *_: Hostile(), lambda *_: 1 / 0])
def test_a_check_never_raises(name, given):
    assert getattr(checks, name)(given).kind in ("not yet", "almost")
    assert getattr(checks, name)().kind == "not yet"


@pytest.mark.parametrize("given", [lambda a: endless(), endless_and_deaf])
def test_a_function_that_never_returns_gets_its_sentence(given, monkeypatch):
    monkeypatch.setattr(verdicts, "SECONDS", 0.2)
    began = time.perf_counter()
    found = check(lambda function: tried(function, lambda a: a, [(1,)], "It is 1."))(given)
    assert "never ends" in found.sentence
    assert time.perf_counter() - began < 2


def test_the_time_that_a_check_waits():
    assert verdicts.SECONDS < 9


@pytest.mark.executed
@pytest.mark.parametrize("path", tool.paths(), ids=lambda path: path.stem)
def test_run_as_shipped_every_check_says_not_yet(path):
    run = tool.read(Path(os.environ["EXECUTED_NOTEBOOKS"]) / path.name)
    assert exercises.verdicts(run) == dict.fromkeys(exercises.names(tool.read(path)), "not yet")
