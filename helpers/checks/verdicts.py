"""Verdicts on exercises: a learner's function is tried on small cases, its mistake is named, and no error is raised."""

import contextlib
import copy
import ctypes
import functools
import inspect
import math
import reprlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from PIL import Image

from helpers.notebook import markdown_text

SECONDS = 8.0  # that a check waits for what the learner made
MIME = "application/vnd.pocket-captions.verdict+json"  # `make marks` reads it; a notebook shows the Markdown
Mistake = tuple[Callable[..., Any], str]  # a wrong solution, and what to ask whoever wrote it


@dataclass(frozen=True)
class Verdict:
    """What a check found: `kind` is "not yet", "almost" or "right", and only "right" is true."""

    kind: str
    sentence: str
    check: str = "check"

    def __bool__(self) -> bool:
        return self.kind == "right"

    def __str__(self) -> str:
        return f"{self.kind.capitalize()}. {self.sentence}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = f"**{self.kind.capitalize()}.** {markdown_text(self.sentence)}"
        return {"text/plain": str(self), "text/markdown": shown, MIME: {"check": self.check, "verdict": self.kind}}


def not_yet(sentence: str) -> Verdict:
    """There is nothing to compare."""
    return Verdict("not yet", sentence)


def almost(sentence: str) -> Verdict:
    """What was made differs from what was expected."""
    return Verdict("almost", sentence)


def right(sentence: str) -> Verdict:
    """All cases agree; the sentence tells what that shows."""
    return Verdict("right", sentence)


def check(body: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Makes a check of a function that gives a Verdict: it raises nothing, and answers within ten seconds."""

    @functools.wraps(body)
    def checked(*given: Any, **named: Any) -> Verdict:
        found: list[Verdict] = []
        worker = threading.Thread(target=lambda: found.append(_guarded(body, given, named)), daemon=True)
        late = not_yet(f"It gave nothing back in {SECONDS:.0f} seconds. Is there a loop that never ends?")
        try:
            worker.start()
            worker.join(SECONDS)
        except KeyboardInterrupt:
            late = not_yet("You stopped it before it gave anything back.")
        verdict = found[0] if found else late
        _stop(worker)
        return replace(verdict, check=body.__name__)

    return checked


def _guarded(body: Callable[..., Verdict], given: tuple[Any, ...], named: dict[str, Any]) -> Verdict:
    try:
        return body(*given, **named)
    except BaseException as error:  # of a value that cannot even be looked at
        return not_yet(f"It could not be checked: {_said_by(error)}")


def _stop(worker: threading.Thread) -> None:
    # Python can end a thread by raising in it; one that sleeps, or catches everything, goes on until the kernel ends.
    for _ in range(20):
        if worker.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(SystemExit))
            worker.join(0.02)


def tried(
    function: Any,
    solution: Callable[..., Any],
    cases: Iterable[Sequence[Any]],
    shows: str,
    mistakes: Sequence[Mistake] = (),
    bound: float = 1e-5,
) -> Verdict:
    """Tries a learner's function on each case, beside a solution.

    Args:
        function: what the learner made.
        solution: the same, right; the names of its parameters stand in the sentence.
        cases: the arguments of each call; each function gets a copy of its own.
        shows: what a right solution shows.
        mistakes: wrong solutions; where one gives in each case what the learner's function gives, its question is
            asked.
        bound: the largest difference allowed between two numbers.
    """
    if function is None:
        return not_yet("There is nothing to check so far.")
    if not callable(function):
        return not_yet(f"Give the function itself; this is {_kind(function)}.")
    cases, names = list(cases), list(inspect.signature(solution).parameters)
    for case in cases:
        handed = copy.deepcopy(case)
        where = ", ".join(f"{name} = {short(value)}" for name, value in zip(names, case, strict=False))
        try:
            given = function(*handed)
        except NotImplementedError:
            return not_yet("It is not written.")
        except BaseException as error:
            return not_yet(f"For {where} it stopped: {_said_by(error)}")
        if given is None and case is cases[0]:
            return not_yet("It returns nothing so far.")
        expected = solution(*copy.deepcopy(case))
        if fault := difference(given, expected, bound):
            asked = (question for wrong, question in mistakes if _alike(function, wrong, cases, bound))
            return almost(f"For {where}, {fault}. {next(asked, '')}".rstrip())
        for name, now, before in zip(names, handed, case, strict=False):
            if isinstance(before, torch.Tensor | list | dict) and difference(now, before, 0):
                return almost(f"The result is right, but {name} itself has changed; make a new one instead.")
    return right(shows)


def difference(given: Any, expected: Any, bound: float = 1e-5) -> str:
    """How a value differs from the one expected, in words; nothing where it does not.

    A number may be of Python, of NumPy, or, where it is a float, a tensor of one number. A list may be a tuple or an
    array.
    """
    if isinstance(given, np.ndarray) and isinstance(expected, list | tuple):
        given = given.tolist()
    kinds = f"you gave {_kind(given)}, expected {_kind(expected)}"
    values = f"you gave {short(given)}, expected {short(expected)}"
    if isinstance(expected, torch.Tensor | Image.Image):
        return _arrays(given, expected, bound) if isinstance(given, type(expected)) else kinds
    if isinstance(expected, dict | list | tuple):
        if not isinstance(given, dict if isinstance(expected, dict) else (list, tuple)):
            return kinds
        keys = expected if isinstance(expected, dict) else range(len(expected))
        if len(given) != len(expected) or (isinstance(given, dict) and given.keys() != expected.keys()):
            return f"{values}: {len(given)} in place of {len(expected)}" if len(given) != len(expected) else values
        faults = ((key, difference(given[key], expected[key], bound)) for key in keys)
        return next((f"at {key!r} {fault}" for key, fault in faults if fault), "")
    if isinstance(expected, Real):
        one = isinstance(given, torch.Tensor | np.ndarray | np.generic) and math.prod(given.shape) == 1
        number = given.item() if one and not (isinstance(expected, Integral) and torch.is_tensor(given)) else given
        if not isinstance(number, Real):
            return f"you gave {_kind(given)}, expected the number {short(expected)}"
        return "" if abs(number - expected) <= bound else values  # nan is near nothing
    return "" if isinstance(given, type(expected)) and given == expected else values  # np.str_ is a str


def _arrays(given: Any, expected: Any, bound: float) -> str:
    """Tensors, or pictures as arrays of (height, width, colours)."""
    if isinstance(expected, Image.Image):
        if (given.size, given.mode) != (expected.size, expected.mode):
            return f"you gave {short(given)}, expected {short(expected)}"
        given, expected = (torch.from_numpy(np.array(picture)) for picture in (given, expected))
    if given.shape != expected.shape:
        return f"you gave the shape {tuple(given.shape)}, expected {tuple(expected.shape)}"
    kinds = [(tensor.is_floating_point(), tensor.dtype == torch.bool) for tensor in (given, expected)]
    if kinds[0] != kinds[1]:
        return f"you gave numbers of the type {given.dtype}, expected {expected.dtype}"
    theirs, ours = (tensor.detach().cpu().double() for tensor in (given, expected))
    same = (theirs == ours) | (theirs.isnan() & ours.isnan())
    off = (theirs - ours).abs().nan_to_num(nan=math.inf).masked_fill(same, 0)
    if off.numel() == 0 or off.max() <= bound:
        return ""
    place = np.unravel_index(int(off.argmax()), off.shape)
    where = f" at {[int(i) for i in place]}" if place else ""
    pair = f"you gave {short(theirs[place].item())}, expected {short(ours[place].item())}{where}"
    return f"{pair}: the largest difference, where at most {bound:g} is allowed" if kinds[1][0] else pair


def short(value: Any) -> str:
    """A value in a few words: a float in six digits, a larger tensor by its shape."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        if value.shape == ():
            return short(value.item())
        many = math.prod(value.shape) > 6
        return f"{_kind(value)} of shape {tuple(value.shape)}" if many else f"tensor({short(value.tolist())})"
    if isinstance(value, Image.Image):
        return f"a picture ({value.mode}, {value.width} x {value.height})"
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value) or hasattr(value, "_fields"):
        return "a function" if callable(value) else _kind(value)
    if type(value) in (list, tuple):
        inside = ", ".join([*map(short, value[:12]), *["..."] * (len(value) > 12)])
        return f"[{inside}]" if type(value) is list else f"({inside})"
    text = reprlib.Repr()
    text.maxstring = text.maxother = 90
    return text.repr(value)


def _alike(function: Callable[..., Any], wrong: Callable[..., Any], cases: Sequence[Any], bound: float) -> bool:
    """Whether a wrong solution gives what the learner's function gives, in every case that both can do."""
    compared = []
    for case in cases:
        with contextlib.suppress(Exception):
            compared.append(difference(function(*copy.deepcopy(case)), wrong(*copy.deepcopy(case)), bound))
    return bool(compared) and not any(compared)


def _said_by(error: BaseException) -> str:
    first = next(iter(str(error).splitlines()), "")[:200]
    return f"{type(error).__name__}{': ' * bool(first)}{first.rstrip('.')}."


def _kind(value: Any) -> str:
    name = "array" if isinstance(value, np.ndarray) else type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
