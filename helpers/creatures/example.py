"""Example folders for notebook 6: pictures with captions.csv and a few faults, and new pictures without captions."""

import csv
import random
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from helpers.data import load_captions
from helpers.paths import beside, resolve
from helpers.settings import Settings

MOODS = {"smile": "cheerful", "frown": "grumpy", "open": "surprised"}
TURNED = 6  # EXIF: the camera was held upright, and the file holds the picture lying on its side


def example_folder(name: str = "artifacts/my-pictures", *, pictures: int = 100, seed: int = 0) -> Path:
    """Makes a folder of pictures and captions.csv with the columns file_name and caption.

    The pictures are from the training split of Pocket Creatures, as PNG, JPEG and WebP files of several sizes, some
    turned by EXIF. The captions are other than those of the data set: shorter, and in words of their own. Three rows
    are added: one whose file is cut off, one without a caption, and one whose picture is a copy of another.

    Args:
        name: the folder; if it is there, it is left as it is.
        pictures: how many without a fault.
        seed: of the choice and of the kinds of files.

    Returns:
        The folder.
    """
    folder = resolve(name)
    if folder.exists():
        return folder
    fresh, draw = _emptied(beside(folder, "new")), random.Random(seed)
    (fresh / "pictures").mkdir()
    split = load_captions(Settings.tiny().dataset)["train"]
    split = split.select(draw.sample(range(len(split)), pictures + 2))
    rows = [(_save(row["image"], fresh, f"{i + 1:03}", draw), own_caption(row)) for i, row in enumerate(split)]
    rows[-1] = (rows[-1][0], "")  # somebody meant to write this one later
    cut_off = fresh / rows[-2][0]
    cut_off.write_bytes(cut_off.read_bytes()[:500])
    copy = "pictures/001-small.jpg"
    split[0]["image"].resize((100, 100)).save(fresh / copy, quality=80)
    rows.append((copy, rows[0][1]))
    with (fresh / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "caption"), *rows])
    fresh.rename(folder)
    return folder


def own_caption(attributes: Mapping[str, str]) -> str:
    """A caption in somebody's own words, of the attributes that matter to them: the mood, the colours, the wings."""
    other = "" if attributes["second_color"] == "none" else f" and {attributes['second_color']}"
    flight = ", ready to fly" if attributes["wings"] == "wings" else ""
    return f"A {MOODS[attributes['mouth']]} little monster in {attributes['color']}{other}{flight}."


def new_pictures(name: str = "artifacts/new-pictures", *, pictures: int = 6) -> Path:
    """Makes a folder of pictures without captions, from the test split of Pocket Creatures; see `example_folder`."""
    folder = resolve(name)
    if not folder.exists():
        fresh = _emptied(beside(folder, "new"))
        split = load_captions(Settings.tiny().dataset)["test"]
        for i, picture in enumerate(split.select(range(pictures))["image"]):
            picture.save(fresh / f"new-{i + 1}.png")
        fresh.rename(folder)
    return folder


def _emptied(folder: Path) -> Path:
    """A folder without anything in it, whatever a call that was stopped has left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _save(picture: Image.Image, folder: Path, name: str, draw: random.Random) -> str:
    """Writes a picture as one of several kinds of file, and returns its path inside the folder."""
    kind, size = draw.choice(("png", "jpg", "webp")), draw.choice((128, 192, 256))
    picture, exif = picture.resize((size, size)), Image.Exif()
    if kind == "jpg" and draw.random() < 0.3:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = TURNED
    path = f"pictures/{name}.{kind}"
    picture.save(folder / path, exif=exif, **({} if kind == "png" else {"quality": 90}))
    return path
