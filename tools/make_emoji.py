"""Builds the emoji set, pictures with names in five languages, from packages: `python -m tools.make_emoji [folder]`.

It needs what the project does not: npm, Debian's apt-get and dpkg-deb, and the package resvg-py, which draws. What it
fetches (about 110 MB) stays in artifacts/emoji/.
"""

import importlib.metadata
import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet
from datasets import Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as PillowImage
from PIL import ImageOps
from tqdm.auto import tqdm

from helpers.paths import ROOT, artifacts_folder, write_whole
from tools.data_card import write_splits
from tools.emoji_card import LICENSE_OF_EMOJIONE, PACKAGE_OF_EMOJIONE, card, licenses
from tools.emoji_parts import TEST, VALIDATION, Parts, checksum, combinations, held_out
from tools.emoji_sources import (
    ARTISTS,
    COMPLETE,
    LANGUAGES,
    LICENSES,
    bare,
    drawings,
    license_text,
    list_of_emoji,
    npm,
    read_list,
    read_names,
)  # fmt: skip

FOLDER = ROOT / "data" / "emoji"
SIZE, COLORS = 96, 64
SAME = 5.0  # of 255: pictures that differ less, when they are small, are one picture
RESVG = "0.5.0"
UNSEEN = "fluent"  # the artist of the test split: of those who drew everything, the hardest to tell from the others
# Pictures that do not show their name: a revolver, drawn before the name changed; a white frame, lost on white.
MISLEADING = {("emojione", "water pistol"), ("fluent", "white square button")}
DRAWING = {"size": SIZE, "colors": COLORS, "same": SAME, "unseen": UNSEEN, "resvg": RESVG}

Key = tuple[str, str]  # artist and bare emoji


def draw(svg: str) -> PillowImage.Image:
    """The drawing on white, `SIZE` x `SIZE` pixels, RGB, in at most `COLORS` colours.

    It is drawn at its final size: a picture that is made smaller gets faint rings, which cost bytes.
    """
    import resvg_py

    drawn = PillowImage.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE))))
    picture = PillowImage.new("RGBA", (SIZE, SIZE), "white")
    picture.alpha_composite(drawn.convert("RGBA"))
    few = {"colors": COLORS, "method": PillowImage.Quantize.MEDIANCUT, "dither": PillowImage.Dither.NONE}
    return picture.convert("RGB").quantize(**few).convert("RGB")


def encode(picture: PillowImage.Image) -> bytes:
    """A picture's bytes, without loss; a higher quality takes 25 times as long and saves a hundredth."""
    content = io.BytesIO()
    picture.save(content, "WEBP", lossless=True, quality=80, method=6)
    return content.getvalue()


def repeats(pictures: list[PillowImage.Image]) -> dict[int, int]:
    """Which pictures show again what an earlier one shows, by number: two names for one picture teach nothing.

    They do where they differ by less than `SAME` of 255 (root mean square) after both are shrunk to 16 x 16 pixels.
    """
    small = [np.asarray(picture.resize((16, 16), PillowImage.Resampling.BOX), np.float32) for picture in pictures]
    flat = np.stack(small).reshape(len(pictures), -1)  # (pictures, 768)
    squares, found = (flat**2).sum(axis=1), {}
    for start in range(0, len(flat), 512):
        part = slice(start, start + 512)
        apart = squares[part, None] + squares[: part.stop] - 2 * flat[part] @ flat[: part.stop].T
        for i, first in np.argwhere(apart < SAME**2 * flat.shape[1]).tolist():
            if first < i + start and first not in found:
                found.setdefault(i + start, first)
    return found


def by_artist(drawn: list[Key]) -> dict[Key, str]:
    """The split of each picture, so that no picture of the artist `UNSEEN` is seen before the test.

    A tenth of the other artists' pictures is for validation, each of an emoji that another of these artists shows in
    training. Which ones, a checksum decides.
    """
    splits = {key: "test" if key[0] == UNSEEN else "train" for key in drawn}
    known = [key for key in drawn if key[0] != UNSEEN]
    left, wanted = Counter(emoji for _, emoji in known), len(known) // 10
    for key in sorted(known, key=lambda key: checksum(" ".join(key))):
        if wanted and left[key[1]] > 1:
            splits[key], left[key[1]], wanted = "validation", left[key[1]] - 1, wanted - 1
    return splits


def by_combination(parts: dict[str, Parts]) -> dict[str, str]:
    """The split of each name that is made of parts; all others are for training."""
    test = held_out(parts, TEST)
    validation = held_out(parts, VALIDATION, test)
    return {name: "test" if name in test else "validation" if name in validation else "train" for name in parts}


def features() -> Features:
    """What the columns hold, in their order."""
    text = Value("string")
    said = {f"{what}_{one}": kind for one in LANGUAGES for what, kind in (("name", text), ("keywords", List(text)))}
    about = {"group": text, "subgroup": text, "version": Value("float64"), "skin_tone": Value("bool")}
    ends = ("family", "first", "second", "license", "by_artist", "by_combination")
    return Features({"image": Image(), "artist": text, "emoji": text, **said, **about, **dict.fromkeys(ends, text)})


def make(work: Path) -> tuple[DatasetDict, Counter[str]]:
    """Fetches and draws everything; also counts what was left out, by reason."""
    lines, left_out = read_list(list_of_emoji(work))
    said = read_names(work)
    # Names as CLDR gives them: those of the list follow Debian's version.
    listed = {bare(line.text): line._replace(name=said["en"][bare(line.text)].name) for line in lines}
    sources = {artist: drawings(work, artist, listed.values()) for artist in ARTISTS}
    kept = {text: one for text, one in listed.items() if all(text in sources[artist] for artist in COMPLETE)}
    left_out[f"emoji that {', '.join(COMPLETE)} did not all draw"] = len(listed) - len(kept)
    # Of two names for one picture the plainer stays: fewer code points, then the shorter name.
    plain = sorted(kept, key=lambda text: (len(kept[text].text), len(kept[text].name)))
    drawn = [(artist, text) for artist in ARTISTS for text in plain if text in sources[artist]]
    keys = [(artist, text) for artist, text in drawn if (artist, kept[text].name) not in MISLEADING]
    left_out["pictures that mislead"] = len(drawn) - len(keys)
    pictures = [draw(sources[artist][text]) for artist, text in tqdm(keys, desc="Drawing", unit="picture")]
    for number in (gone := repeats(pictures)):
        left_out[f"pictures that repeat another, by {keys[number][0]}"] += 1
    stay = {
        key: picture for number, (key, picture) in enumerate(zip(keys, pictures, strict=True)) if number not in gone
    }
    parts = combinations(kept.values())
    names, artists = by_combination(parts), by_artist(list(stay))
    rows = []
    # The artists of one emoji side by side: their equal names then cost next to nothing in the file.
    ordered = [(artist, text) for text in kept for artist in ARTISTS if (artist, text) in stay]
    for artist, text in tqdm(ordered, desc="Encoding", unit="picture"):
        one, path = kept[text], f"{artist}-{'-'.join(f'{ord(sign):04x}' for sign in text)}.webp"
        row = {"image": {"bytes": encode(stay[artist, text]), "path": path}, "artist": artist, "emoji": one.text}
        row |= {f"name_{language}": said[language][text].name for language in LANGUAGES}
        row |= {f"keywords_{language}": said[language][text].keywords for language in LANGUAGES}
        row |= {name: getattr(one, name) for name in ("group", "subgroup", "version", "skin_tone")}
        row |= parts.get(one.name, Parts("", "", ""))._asdict()
        row |= {"license": ARTISTS[artist].license, "by_artist": artists[artist, text]}
        rows.append(row | {"by_combination": names.get(one.name, "train")})
    return DatasetDict(
        {
            split: Dataset.from_list([row for row in rows if row["by_artist"] == split], features=features())
            for split in ("train", "validation", "test")
        }
    ), left_out


def nearest_share(train: Dataset, test: Dataset) -> float:
    """How often the training picture that is most alike has the right name.

    Alike is the cosine of 24 x 24 pixels around what is drawn, the mean of each picture taken off.
    """
    looks = []
    for split in (train, test):
        drawn = [picture.crop(ImageOps.invert(picture).getbbox()) for picture in split["image"]]
        small = [ImageOps.pad(picture, (24, 24), PillowImage.Resampling.BOX, color="white") for picture in drawn]
        flat = np.stack([np.asarray(picture, np.float32).ravel() for picture in small])
        flat -= flat.mean(axis=1, keepdims=True)
        looks.append(flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-6))
    nearest = (looks[1] @ looks[0].T).argmax(axis=1)
    return float(np.mean(np.array(train["emoji"])[nearest] == np.array(test["emoji"])))


def save(dataset: Dataset, path: Path) -> None:
    """Writes a split as small as parquet allows: each column in one piece, so that equal neighbours cost little."""
    small = {"compression": "zstd", "compression_level": 22, "use_dictionary": False, "write_statistics": False}
    table = dataset.with_format("arrow")[:]
    pyarrow.parquet.write_table(table, path, row_group_size=len(table), data_page_size=1 << 24, **small)


def check_quotes(package: Path) -> None:
    """Makes sure that the card quotes EmojiOne's package as it is.

    Raises:
        SystemExit: the package says something else.
    """
    license_md, about = ((package / name).read_text(encoding="utf-8") for name in ("LICENSE.md", "package.json"))
    if license_md.split() != LICENSE_OF_EMOJIONE.split() or PACKAGE_OF_EMOJIONE not in about:
        raise SystemExit(f"{package} says another thing of its licence than tools/emoji_card.py quotes; quote it anew.")


def main(folder: Path = FOLDER) -> None:
    """Writes the three parquet files, the card and the licences into a folder."""
    found = [it.version for it in importlib.metadata.distributions(name="resvg-py")]
    if RESVG not in found[:1]:
        raise SystemExit(f"`make emoji` needs resvg-py {RESVG} to draw; run `.venv/bin/pip install resvg-py=={RESVG}`.")
    work = artifacts_folder() / "emoji"
    work.mkdir(parents=True, exist_ok=True)
    check_quotes(npm(work, *ARTISTS["emojione"][:2]))
    splits, left_out = make(work)
    sizes = write_splits(splits, folder, save)
    for name in LICENSES:
        write_whole(folder / "licenses" / f"{name}.txt", license_text(work, name))
    write_whole(folder / "LICENSE.md", licenses())
    line = {split: nearest_share(splits["train"], splits[split]) for split in ("validation", "test")}
    write_whole(folder / "README.md", card(splits, sizes, left_out, line, **DRAWING))
    print(f"{folder}: {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
