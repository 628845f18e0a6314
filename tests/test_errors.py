import sys
import weakref
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from helpers import errors
from helpers.errors import CaptioningError, MemoryShortage, enough_memory, first_line, is_memory_error, without_tokens
from helpers.paths import ROOT
from tests.toolbox import ended

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CaptioningError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_a_value_error_of_one_line(kind):
    with pytest.raises(ValueError, match=r"^one two three$"):
        raise kind("one\n  two\tthree ")


def test_a_message_never_holds_a_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "a-token-of-another-form")
    told = str(CaptioningError("hf_abcdefGHIJKL1234 and a-token-of-another-form were refused"))
    assert told == "hf_… and hf_… were refused"
    assert without_tokens("hf_hub and half_hf_x stay") == "hf_hub and half_hf_x stay"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("Can't load it for 'a.b/c'. If you were trying, make sure. Otherwise, "),
            "Can't load it for 'a.b/c'",
        ),
        (
            ValueError("\n\x1b[31mred\x1b[0m words; see v1.2 at <A object at 0x7f01ab>\nmore"),
            "red words; see v1.2 at <A object>",
        ),
        (OSError(28, "No space left on device", "/a/b"), "No space left on device"),
        (RuntimeError("[Errno -2] Name or service not known"), "Name or service not known"),
        (KeyError("image"), "KeyError 'image'"),
        (StopIteration(), "StopIteration"),
        (ValueError("word " * 60), "word " * 39 + "word …"),
        (ValueError("of 3.5 GB: row 4. in part 2!"), "of 3.5 GB: row 4. in part 2"),
    ],
)
def test_of_a_librarys_error_the_first_sentence_is_kept_whole(error, said):
    assert first_line(error) == said


def test_a_notebook_shows_the_sentence_alone(capsys):
    shell = InteractiveShell.instance()
    try:
        shell.run_cell("from helpers.inference import load_image\nload_image('absent.png')")
    finally:
        InteractiveShell.clear_instance()
    shown = "".join(capsys.readouterr())
    assert "ImageError: absent.png is no file" in shown
    assert "helpers/reading/pictures.py" not in shown


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_a_lack_of_memory_names_what_to_lower(error):
    assert is_memory_error(error)
    with pytest.raises(MemoryShortage) as caught, enough_memory("training", batch_size=33, num_beams=1):
        raise error
    assert str(caught.value) == "There is too little memory for training; lower batch_size from 33 to 16."


NO_ROOM = """
import resource, sys
from pathlib import Path
import torch
from helpers.errors import is_memory_error
torch.nn.functional.gelu(torch.randn(3, 3))
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
for room in map(int, sys.argv[1:]):
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + room, hard))
    try:
        for size in range(1, 2000):
            torch.nn.functional.gelu(torch.randn(size, size + 1))
    except (MemoryError, RuntimeError) as error:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print("no room" if is_memory_error(error) else f"not understood: {error}")
"""


# Which of its words torch says depends on whether a tensor or the code for it was the first to find no room.
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells a process its address space")
def test_all_that_torch_says_of_a_lack_of_memory_is_understood():
    run = ended([sys.executable, "-c", NO_ROOM, "0", "1000000"], cwd=ROOT, seconds=120)
    assert run.stdout.splitlines() == ["no room"] * 2, run.stderr[-1000:]


def test_where_nothing_can_be_lowered_something_else_is_said():
    with pytest.raises(MemoryShortage, match="smaller checkpoint"), enough_memory("training", batch_size=1):
        raise MemoryError


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("training", batch_size=8):
        raise RuntimeError("shapes do not fit")
    assert not is_memory_error(ValueError("out of memory"))


def test_what_the_failed_step_held_is_let_go():
    class Large:
        pass

    held = []

    def step():
        large = Large()
        held.append(weakref.ref(large))
        raise MemoryError

    with pytest.raises(MemoryShortage) as caught, enough_memory("training", batch_size=8):
        step()
    assert held[0]() is None
    assert isinstance(caught.value, MemoryShortage)
