"""Names of files and splits that are written a little otherwise than what they mean: found by what they look like."""

import logging
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from helpers.errors import DataError
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
# A picture, in a cell.
NAMED = re.compile(rf"\s*(?!\w+://)\S.*({'|'.join(map(re.escape, SUFFIXES))})(#\d+)?\s*", re.IGNORECASE)
_ROOTED = re.compile(r"\s*(file:|[A-Za-z]:)?[/\\]")  # how paths begin that name a place on a machine
_BEFORE = re.compile(r"file://|.*\?d=")  # what addresses of files, and Label Studio, put before a path
_LOOKED_FOR = 100  # pictures of a table, to find their folder
_NUMBERED = re.compile(r"#\d+$")  # the caption's number, behind a picture's name in Flickr8k's and Flickr30k's files


def split_of(name: object) -> str | None:
    """The split that a name means, "Train" and "val2017" as well; None where it means none."""
    return _SPLITS.get(folded(name).rstrip("0123456789"))


def split_in(names: Iterable[str]) -> str | None:
    """The split that the first of some names means, of those that mean one."""
    return next(filter(None, map(split_of, names)), None)


def files_in(folder: Path) -> Iterator[str]:
    """All files of a folder and of those in it, relative, in order; without hidden ones and what systems leave."""
    for place, folders, names in os.walk(folder, onerror=_say):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX", "@eaDir")))
        inside = os.path.relpath(place, folder)
        for name in sorted(names):
            if not name.startswith((".", "~$")) and name != "Thumbs.db":
                yield os.path.normpath(os.path.join(inside, name))


def _say(error: OSError) -> None:
    logger.warning("The folder %s cannot be opened (%s); what lies in it is left out.", error.filename, error.strerror)


class Finder:
    """Finds the files of a folder by names as tables write them; `note` says of the first that had to be looked for.

    The name as it stands comes first. Then a file is meant whose path ends as the name does, or the name as the path.
    Slashes, spaces, capitals, accents stored another way, wide letters and signs that cannot be seen make no
    difference; nor do the number that Flickr8k puts behind a name, an ending, or zeros before a number, which
    spreadsheets drop. `unclear` says why a name that may mean several files, or one that another means, is not found.
    """

    def __init__(self, folder: Path):
        self.folder, self.note = folder, ""
        self.unclear: dict[str, str] = {}

    def __call__(self, names: list[str]) -> list[str]:
        """The relative paths of the files that are meant, or a name as it stands where there is no such file."""
        found, takers = {}, defaultdict(set)
        rooted = ["/".join(_parts(name)[:-1]) for name in names if _ROOTED.match(name)] or [""]
        self._place = len(Path(os.path.commonpath(rooted)).parts)
        for name in dict.fromkeys(names):
            parts = _parts(_NUMBERED.sub("", name))
            files = [name] if os.path.isfile(self._path(name)) else self._meant(parts)
            if not files and _ROOTED.match(name):  # of a place on another machine, what its paths have in common
                files = self._meant(parts[self._place :])
            found[name] = files[0] if len(files) == 1 else name
            takers[found[name]].add(parts[:-1])
            if len(files) > 1:
                self.unclear[name] = f"its picture {name} may be {' or '.join(files[:3])}; write which"
        for name, file in found.items():
            if name != file and not all(_agree(parts, folders) for parts in takers[file] for folders in takers[file]):
                told = f"its picture {name} may be {file}, which another name means too; write its folder as it is"
                self.unclear[name], found[name] = told, name
            elif name != file and not self.note:
                shown = ascii if visible(name) == visible(file) else repr  # where both look the same
                self.note = f"its names of pictures are not all written as their files: {shown(name)} is {shown(file)}"
        return [self._inside(found[name]) for name in names]

    def _meant(self, parts: tuple[str, ...]) -> list[str]:
        """The files that a name may mean."""
        *folders, last = parts or ("",)
        keys = (last, os.path.splitext(last)[0], last.lstrip("0") + "\0" if last.isdigit() else "")
        for key in keys if ".." not in parts else ():
            if files := [file for where, file in self._files.get(key, []) if _agree(where, folders)]:
                same = [file for where, file in self._files[key] if list(where) == folders]
                return same if len(same) == 1 else files
        return []

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name.replace("\0", "?"))

    def _inside(self, file: str) -> str:
        """A path that starts at the root, and leads into the folder, as it is called in there."""
        rooted = os.path.isabs(file) and Path(file).is_relative_to(self.folder)
        return os.path.relpath(file, self.folder) if rooted else file

    @cached_property
    def _files(self) -> dict[str, list[tuple[tuple[str, ...], str]]]:
        """The folders and the path of each file by its name, and of pictures by what they may be called, too."""
        files = defaultdict(list)
        for file in files_in(self.folder):
            *folders, name = _parts(file)
            stem = os.path.splitext(name)[0]
            number = [stem.lstrip("0") + "\0"] * stem.isdigit()
            for key in {name, *([stem, *number] if name.endswith(SUFFIXES) else ())}:
                files[key].append((tuple(folders), file))
        return files


def picture_folder(folder: Path, names: list[str]) -> Path:
    """Where the pictures of a table in this folder lie: in there, in a folder of it, or in one beside it.

    The last counts where the table's folder holds no pictures, as COCO's annotations and Flickr8k_text do. Raises
    DataError where several of these folders have as many of them.
    """
    some, near = names[:_LOOKED_FOR], [place for place in sorted(folder.parent.glob("*/")) if place != folder]
    for places in ([folder, *sorted(folder.glob("*/"))], near):
        found = {place: sum(map(os.path.isfile, map(place.joinpath, Finder(place)(some)))) for place in places}
        best = [place for place in places if found[place] and found[place] == max(found.values())]
        if len(best) > 1 and best[0] != folder:
            raise DataError(f"Pictures such as {some[0]} lie in {best[0]} and {best[1]}; choose one with images=.")
        if best:
            return best[0]
    return folder


def _parts(name: str) -> tuple[str, ...]:
    """The folders of a name, and the last part, as they are compared."""
    plain = unicodedata.normalize("NFKC", visible(unquote(_BEFORE.sub("", name)))).replace("\\", "/").casefold()
    parts = (part.strip() if part.strip() == ".." else part.strip().rstrip(".") for part in plain.split("/"))
    return tuple(filter(None, parts))


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of two paths ends as the other is."""
    return all(a == b for a, b in zip(reversed(one), reversed(other), strict=False))
