"""Errors that the helpers raise on purpose: one sentence each that names the thing and says what to do."""

import math
import os
import re
import reprlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from helpers.text import whole

_TOKEN = re.compile(r"hf_\w{6,}")
_NOISE = re.compile(r"\x1b\[[\d;]*[A-Za-z]|\[Errno -?\d+\] | at 0x[\da-f]+")
_NEXT_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`'\"])")
# The last is oneDNN's, which compiles torch's CPU operations as they are first needed and found no room for the code.
_NO_MEMORY = re.compile(
    "out of memory|can't allocate|cannot allocate|not enough memory|bad_alloc|could not create a primitive$",
    re.IGNORECASE,
)

_FULL = ("[Errno 28]", "[errno 28]", "No space left", "[Errno 122]", "quota exceeded")
NO_ROOM = (
    "The disk, or your share of it, is full; free some space, or name a folder on another disk with the variable "
    "HF_HOME, in which the libraries keep their caches, and start Python anew."
)


class CaptioningError(ValueError):
    """A mistake that the person at the keyboard can mend; the message is one line, and never holds a token."""

    def __init__(self, message: str):
        super().__init__(without_tokens(whole(" ".join(str(message).split()))))

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this: a notebook shows the sentence alone, not the frames of the libraries.
        return [f"{type(self).__name__}: {self}"]


class SettingsError(CaptioningError):
    """A value that cannot be used, or a folder that cannot be written to."""


class ImageError(CaptioningError):
    """A picture that cannot be used."""


class DataError(CaptioningError):
    """A data set that cannot be used."""


class CheckpointError(CaptioningError):
    """A model that cannot be found or loaded."""


class MemoryShortage(CaptioningError):
    """There is too little memory for the values chosen."""


class HubError(CaptioningError):
    """The Hub did not do what it was asked."""


def without_tokens(text: str) -> str:
    """The text with every Hub token in it replaced by "hf_…"."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if len(token := os.environ.get(name, "")) > 6:
            text = text.replace(token, "hf_…")
    return _TOKEN.sub("hf_…", text)


def first_line(error: BaseException) -> str:
    """What a library's error says, in a few words and without a full stop, to stand inside a sentence.

    That is the first sentence, for what follows is advice to those who call the library; the colours of a terminal and
    addresses in memory are left out, and what is too long ends in … after a word. A single word, such as the key of a
    KeyError, says nothing without the kind of the error.
    """
    text = getattr(error, "strerror", None) or next(iter(_NOISE.sub("", str(error)).strip().splitlines()), "")
    said = _NEXT_SENTENCE.split(text)[0].strip().rstrip(".!:;,")
    if " " not in said:
        return f"{type(error).__name__} {said}".strip()
    return said if len(said) <= 200 else said[:200].rpartition(" ")[0] + " …"


def number(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    whole: bool = True,
    above: bool = False,
    kind: type[CaptioningError] = SettingsError,
) -> Any:
    """A number as Python has it, from one of Python, numpy or torch.

    Args:
        name: of the value, for the sentence.
        value: what was given.
        low, high: the smallest and the largest number allowed; with `above`, `low` itself is not.
        whole: whether it must be a whole number.

    Raises:
        kind: it is none, or out of its range; True and False are none.
    """
    held = value.item() if getattr(value, "ndim", None) == 0 else value
    is_number = isinstance(held, int if whole else (int, float)) and not isinstance(held, bool)
    if not is_number or not low <= held <= high or (above and held == low):
        range_ = f"above {low} up" if above else f"from {low}"
        wanted = f"{'whole ' * whole}number {range_}{f' to {high}' if high < math.inf else ''}"
        raise kind(f"{name} is {reprlib.repr(value)}; give a {wanted}.")
    return held


@contextmanager
def readable(kind: type[CaptioningError], sentence: Callable[[Exception], str]) -> Iterator[None]:
    """Turns what a library raises inside a `with` block into an error of this kind; the project's own pass."""
    try:
        yield
    except CaptioningError:
        raise
    except Exception as error:
        raise (SettingsError(NO_ROOM) if is_full_disk(error) else kind(sentence(error))) from None


def is_full_disk(error: BaseException | None) -> bool:
    """Whether a disk, or somebody's share of it, is full: by this error, or by one that it came from."""
    found = error is not None and any(sign in str(error) for sign in _FULL)
    return found or (error is not None and is_full_disk(error.__cause__ or error.__context__))


def is_memory_error(error: BaseException) -> bool:
    """Whether torch, numpy or Python ran out of memory: torch says so on a CPU in a plain RuntimeError."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


class enough_memory(AbstractContextManager):
    """Turns a lack of memory inside a `with` block into one sentence.

    Args:
        doing: what the memory is for, as in "training".
        values: what can be lowered, with its value now.

    Raises:
        MemoryShortage: the message says which values to lower, and to what.
    """

    def __init__(self, doing: str, **values: int):
        self.doing, self.values = doing, values

    def __exit__(self, kind: Any, error: BaseException | None, frames: Any) -> None:
        if error is None or not is_memory_error(error):
            return
        # The frames of what failed hold on to its memory, and a notebook keeps the last error.
        error.__traceback__ = error.__context__ = None
        del frames
        lower = [f"{name} from {value} to {value // 2}" for name, value in self.values.items() if value > 1]
        advice = f"lower {', or '.join(lower)}" if lower else "close other programs, or take a smaller checkpoint"
        raise MemoryShortage(f"There is too little memory for {self.doing}; {advice}.") from None
