"""Sources of the emoji set: packages with drawings, names, licences and the list of emoji, fetched once and read.

Drawings, names and licences come from npm, the list of emoji from Debian. An emoji is known here by its `bare` text,
without the sign that asks for a coloured picture, because sources differ in where they write that sign.
"""

import json
import re
import shutil
import subprocess
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from helpers.text import visible

LANGUAGES = ("en", "ko", "zh", "ar", "es")
NEWEST = 15.0  # a later list must not change the set
ANNOTATIONS = {"annotations": "cldr-annotations-full", "annotationsDerived": "cldr-annotations-derived-full"}
CLDR = "48.2.0"
LIST = "unicode-data"  # Debian's package of the list of emoji


class Artist(NamedTuple):
    """Who drew, and where the drawings come from.

    Attributes:
        package, version: of npm.
        drawn_by: as the drawings are credited.
        license: of the drawings, by its SPDX name; the package's code may have another.
        home: of the drawings.
    """

    package: str
    version: str
    drawn_by: str
    license: str
    home: str


GOOGLE, ICONS = "https://github.com/googlefonts/noto-emoji", "@iconify-json"
ARTISTS = {
    "noto": Artist(f"{ICONS}/noto", "1.2.9", "Google, Noto Emoji", "Apache-2.0", GOOGLE),
    "twemoji": Artist(
        f"{ICONS}/twemoji", "1.2.5", "Twitter, Inc and other contributors, Twemoji", "CC-BY-4.0",
        "https://github.com/jdecked/twemoji",
    ),
    "fluent": Artist(
        f"{ICONS}/fluent-emoji-flat", "1.2.6", "Microsoft Corporation, Fluent Emoji, flat", "MIT",
        "https://github.com/microsoft/fluentui-emoji",
    ),
    "emojione": Artist("emojione", "2.2.7", "EmojiOne, version 2", "CC-BY-4.0", "https://github.com/Ranks/emojione"),
    "blob": Artist(f"{ICONS}/noto-v1", "1.2.5", "Google, Noto Emoji of 2017", "Apache-2.0", GOOGLE),
}  # fmt: skip
COMPLETE = ("noto", "twemoji", "fluent")  # an emoji counts if all of these drew it
OLD = 4.0  # the newest emoji that blob holds

# The npm package and the file that carry each licence's text in full; that of MIT is Microsoft's own, as the project of
# the drawings words it, because Iconify's package has none.
LICENSES = {
    "Apache-2.0": ("spdx-license-list", "6.10.0", "licenses/Apache-2.0.json"),
    "CC-BY-4.0": ("spdx-license-list", "6.10.0", "licenses/CC-BY-4.0.json"),
    "MIT": ("fluentui-emoji-js", "1.2.1", "LICENSE"),
    "Unicode-3.0": (ANNOTATIONS["annotations"], CLDR, "LICENSE"),
}

# What a class of any age and country need not be shown.
LEFT_OUT = {"middle finger", "love hotel", "no one under eighteen"}
TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
COLOURED, JOINER = "\ufe0f", "\u200d"


class Emoji(NamedTuple):
    """A line of the list of emoji; `text` is the emoji itself."""

    text: str
    name: str
    group: str
    subgroup: str
    version: float
    skin_tone: bool = False


class Said(NamedTuple):
    """What people call an emoji in one language."""

    name: str
    keywords: list[str]


def bare(emoji: str) -> str:
    """What an emoji is looked up by."""
    return emoji.replace(COLOURED, "")


def from_points(points: str) -> str:
    """The bare emoji of code points, as sets of pictures name them: "1f3d4-fe0f"."""
    return bare("".join(chr(int(point, 16)) for point in re.split("[ -]", points)))


def run(program: str, *arguments: str, work: Path, remedy: str) -> str:
    """What a program prints.

    Raises:
        SystemExit: it is missing, or it failed; one sentence says what to do.
    """
    if not shutil.which(program):
        raise SystemExit(f"`make emoji` needs {program}; {remedy}.")
    done = subprocess.run([program, *arguments], cwd=work, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise SystemExit(f"`{program} {' '.join(arguments)}` failed ({said}); check the network and run it again.")
    return done.stdout


def npm(work: Path, package: str, version: str) -> Path:
    """The folder of an npm package, fetched once."""
    folder = work / f"{package.lstrip('@').replace('/', '-')}-{version}"
    if not folder.exists():
        remedy = "install it, for example with `apt-get install npm`"
        archive = work / run("npm", "pack", "--silent", f"{package}@{version}", work=work, remedy=remedy).split()[-1]
        part = folder.with_name(f"{folder.name}.part")
        with tarfile.open(archive) as tar:
            tar.extractall(part, filter="data")
        (part / "package").rename(folder)  # last, so that a stop leaves no half a folder
        part.rmdir()
        archive.unlink()
    return folder


def list_of_emoji(work: Path) -> str:
    """The text of emoji-test.txt, from Debian's package."""
    found = work / LIST / "usr/share/unicode/emoji/emoji-test.txt"
    if not found.exists():
        remedy = f"run it on Debian or Ubuntu, whose package {LIST} holds the list of emoji"
        run("apt-get", "download", LIST, work=work, remedy=remedy)
        run("dpkg-deb", "-x", next(work.glob(f"{LIST}_*.deb")).name, LIST, work=work, remedy=remedy)
    return found.read_text(encoding="utf-8")


def read_list(lines: str) -> tuple[list[Emoji], Counter[str]]:
    """The emoji that may enter the set, in the order of the list, and how many lines were left out for which reason."""
    kept, toned, counts, heading = [], set(), Counter(), {}
    for line in lines.splitlines():
        if part := re.fullmatch(r"# (group|subgroup): (.+)", line):
            heading[part[1]] = part[2]
        elif part := re.fullmatch(r"([0-9A-F ]+); (\S+)\s+# \S+ E([\d.]+) (.+)", line):
            points, status, version, name = part.groups()
            text = "".join(chr(int(point, 16)) for point in points.split())
            emoji = Emoji(text, name, **heading, version=float(version))
            if status != "fully-qualified":
                counts["other spellings of the same emoji"] += status != "component"
            elif TONES.search(emoji.text):
                counts["variants in a skin tone"] += 1
                toned.add(bare(TONES.sub("", emoji.text)))
            elif emoji.group == "Flags":
                counts["flags"] += 1
            elif emoji.version > NEWEST:
                counts[f"newer than Emoji {NEWEST}"] += 1
            elif name in LEFT_OUT:
                counts["by name: " + ", ".join(sorted(LEFT_OUT))] += 1
            else:
                kept.append(emoji)
    return [emoji._replace(skin_tone=bare(emoji.text) in toned) for emoji in kept], counts


def read_names(work: Path) -> dict[str, dict[str, Said]]:
    """Language → bare emoji → its name and keywords."""
    said: dict[str, dict[str, Said]] = {language: {} for language in LANGUAGES}
    for language in LANGUAGES:
        for part, package in ANNOTATIONS.items():
            found = read_json(npm(work, package, CLDR) / part / language / "annotations.json")[part]["annotations"]
            for emoji, entry in found.items():
                if "tts" in entry:
                    words = [visible(word).strip() for word in [entry["tts"][0], *entry.get("default", [])]]
                    said[language][bare(emoji)] = Said(words[0], words[1:])
    return said


def read_json(file: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def square(body: str, width: float, height: float, flip: bool = False) -> str:
    """An SVG document on a square canvas, in the middle of it; a few drawings are higher than wide."""
    if flip:
        body = f'<g transform="translate({width} 0) scale(-1 1)">{body}</g>'
    side = max(width, height)
    canvas = f"{(width - side) / 2:g} {(height - side) / 2:g} {side} {side}"
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{canvas}">{body}</svg>'


def icon(icons: dict[str, Any], name: str) -> str | None:
    """The SVG of an icon of an Iconify set, which may be another icon, or that one seen in a mirror."""
    flip = False
    while alias := icons.get("aliases", {}).get(name):
        flip ^= alias.get("hFlip", False)
        name = alias["parent"]
    if found := icons["icons"].get(name):
        return square(found["body"], *(found.get(side, icons[side]) for side in ("width", "height")), flip)
    return None


def slug(name: str) -> str:
    """A name as sets of icons write it."""
    plain = unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower().replace("'", "")).strip("-")


def drawings(work: Path, artist: str, emoji: Iterable[Emoji]) -> dict[str, str]:
    """Bare emoji → the SVG by this artist, for those that the artist drew."""
    folder = npm(work, *ARTISTS[artist][:2])
    if artist == "emojione":  # files are named by code points, some without the joiner
        files = {from_points(file.stem).replace(JOINER, ""): file for file in sorted((folder / "assets/svg").iterdir())}
        found = {bare(one.text): files.get(bare(one.text).replace(JOINER, "")) for one in emoji}
        return {text: file.read_text(encoding="utf-8") for text, file in found.items() if file}
    icons = read_json(folder / "icons.json")
    if artist == "blob":  # named like today's Noto, or by the list; what is newer shares names by chance
        today = names_of(npm(work, *ARTISTS["noto"][:2]))
        names = {bare(one.text): [today.get(bare(one.text)), slug(one.name)] for one in emoji if one.version <= OLD}
    else:
        own = names_of(folder)
        names = {bare(one.text): [own.get(bare(one.text))] for one in emoji}
    drawn = {text: (icon(icons, name) for name in names if name) for text, names in names.items()}
    return {text: svg for text, svgs in drawn.items() if (svg := next(filter(None, svgs), None))}


def names_of(folder: Path) -> dict[str, str]:
    """Bare emoji → the name of its icon, as an Iconify set lists them."""
    return {from_points(points): name for points, name in read_json(folder / "chars.json").items()}


def license_text(work: Path, name: str) -> str:
    """The full text of a licence."""
    package, version, inside = LICENSES[name]
    file = npm(work, package, version) / inside
    text = read_json(file)["licenseText"] if file.suffix == ".json" else file.read_text(encoding="utf-8")
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
