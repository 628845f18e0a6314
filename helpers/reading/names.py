"""Names of files and splits that are written a little otherwise than what they mean: found by what they look like."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from helpers.reading.pictures import SUFFIXES
from helpers.text import folded, visible

logger = logging.getLogger(__name__)

# What people call their splits, folded and without numbers, and what they are called here.
_SPLITS = dict.fromkeys(("train", "training", "trainset", "trn"), "train")
_SPLITS |= dict.fromkeys(("test", "testing", "testset", "tst"), "test")
_SPLITS |= dict.fromkeys(
    ("validation", "val", "valid", "validate", "valset", "dev", "devset", "development", "eval", "evaluation"),
    "validation",
)  # fmt: skip
_ROOTED = re.compile("/|[A-Za-z]:")  # how paths begin that name a place on a machine
_NUMBERED = re.compile(r"#\d+$")  # the caption's number, behind a picture's name in Flickr8k's and Flickr30k's files


def split_of(name: object) -> str | None:
    """The split that a name means, "Train" and "val2017" as well; None where it means none."""
    return _SPLITS.get(folded(name).rstrip("0123456789"))


def files_in(folder: Path) -> Iterator[str]:
    """All files of a folder and of those in it, relative, in order; without hidden ones and what systems leave."""
    for place, folders, names in os.walk(folder, onerror=_say):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        inside = os.path.relpath(place, folder)
        for name in sorted(names):
            if not name.startswith(".") and name != "Thumbs.db":
                yield os.path.normpath(os.path.join(inside, name))


def _say(error: OSError) -> None:
    logger.warning("The folder %s cannot be opened (%s); what lies in it is left out.", error.filename, error.strerror)


class Finder:
    """Finds the files of a folder by names as tables write them; `note` says of the first that had to be looked for.

    The name as it stands comes first. Then slashes, spaces at its ends, capitals, accents stored another way and signs
    that cannot be seen make no difference; nor do the folders before it on another machine, the number that Flickr8k
    puts behind it, or an ending, where one file alone is meant.
    """

    def __init__(self, folder: Path):
        self.folder, self.note = folder, ""

    def __call__(self, name: str) -> str:
        """The relative path of the file that is meant, or the name as it stands where there is no such file."""
        if os.path.isfile(self._path(name)):
            return name
        for tail in self._meant(_NUMBERED.sub("", _spelled(name))):
            name_only = os.path.splitext(tail)[0].casefold()
            found = self._by_name.get(tail.casefold()) or self._by_stem.get(name_only, [])
            if len(found) == 1:
                shown = ascii if visible(name) == visible(found[0]) else repr  # where both look the same
                told = f"its names of pictures are not all written as their files: {shown(name)} is {shown(found[0])}"
                self.note = self.note or told
                return found[0]
        return name

    def _meant(self, plain: str) -> list[str]:
        """What a name may mean inside the folder; of a path on another machine, its end."""
        parts = [part for part in unquote(plain).split("/") if part not in ("", ".")]  # %20, as in addresses
        if _ROOTED.match(plain) and not os.path.exists(self._path(plain)):
            return ["/".join(parts[start:]) for start in range(len(parts))]
        return ["/".join(parts), *["/".join(parts[1:])] * (parts[:1] == [self.folder.name])]

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name.replace("\0", "?"))

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _listed((_spelled(file).casefold(), file) for file in files_in(self.folder))

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _listed(
            (os.path.splitext(name)[0], file)
            for name, files in self._by_name.items()
            if name.endswith(SUFFIXES)
            for file in files
        )


def _spelled(name: str) -> str:
    return "/".join(part.strip() for part in visible(name).replace("\\", "/").split("/"))


def _listed(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        lists[key].append(value)
    return lists
