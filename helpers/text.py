"""Text as people see it: without signs that cannot be seen, and folded, for comparing names that look the same."""

import re
import unicodedata

# What Unicode calls default ignorable, and control characters that are no white space. The joiner and the non-joiner
# (U+200D, U+200C) stay, for they change an emoji and a Persian word; so do the tags of flags.
_UNSEEN = re.compile(
    "[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
)


def visible(text: str) -> str:
    """The text without signs that cannot be seen, each letter stored as one sign (Unicode's NFC)."""
    return unicodedata.normalize("NFC", text if text.isascii() and text.isprintable() else _UNSEEN.sub("", text))


def folded(name: object) -> str:
    """What the names of columns and splits are compared by: their letters and digits, capitals as small letters."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", visible(str(name))).casefold()))


def alike(text: str) -> str:
    """What names of files are compared by: the text as it is seen, capitals as small letters."""
    return visible(text).casefold()


def whole(text: str) -> str:
    """The text with a question mark in place of each half of a letter (a lone surrogate), which no file can hold."""
    return text.encode(errors="replace").decode()


def tick_name(value: object) -> str:
    """What stands beside a bar: on one line, and cut where a long name would leave the bars no room."""
    name = visible(" ".join(str(value).split()))
    return name if len(name) <= 24 else f"{name[:23]}…"
