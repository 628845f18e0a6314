"""Each mistake that people make, made; the sentence that answers it stands in docs/when-something-goes-wrong.md."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from PIL import Image

from helpers import folder, inference, training
from helpers.calibration import auroc
from helpers.captioner import load_or_train, save_captioner
from helpers.data import load_captions
from helpers.errors import CaptioningError, enough_memory
from helpers.experiments.learning_curve import learning_curve
from helpers.families import load_checkpoint, load_processor
from helpers.folder import caption_folder
from helpers.hub import share
from helpers.inference import Caption, caption_images
from helpers.metrics import decode
from helpers.notebook import serve_folder
from helpers.paths import ROOT, resolve
from helpers.plotting import plot_training_history
from helpers.project import captions_to_check
from helpers.reading import pictures
from helpers.reading.pictures import load_image
from helpers.settings import Settings
from helpers.training import CaptionTrainer, training_arguments
from helpers.transforms import CaptionTransform, prepare_pictures

PAGE = ROOT / "docs" / "when-something-goes-wrong.md"
OPENING = """# When something goes wrong

Each row is a mistake that is easy to make, and the sentence that you get. Some sentences stop what you were doing.
Those marked *goes on* do not: they say what was left out, cut or done instead, and nothing else is lost.

A test makes each of these mistakes and compares the sentence; `make mistakes` writes this page.
"""


class Mistake(NamedTuple):
    section: str
    title: str
    make: Callable[[Room], Any]
    goes_on: bool


MISTAKES: list[Mistake] = []


def mistake(section: str, title: str, *, goes_on: bool = False) -> Callable:
    def keep(make: Callable[[Room], Any]) -> Callable:
        MISTAKES.append(Mistake(section, title, make, goes_on))
        return make

    return keep


class Room:
    """A folder for one mistake, and what a mistake is made with."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        log: Any,
        local_hub: Callable,
        trained: Callable[[], Path],
    ):
        self.folder, self.settings, self.monkeypatch, self.log = folder, settings, monkeypatch, log
        self.local_hub, self.trained = local_hub, trained
        self.held: list[bytes] = []

    def then(self) -> None:
        """Here the mistake begins: what was logged so far does not count, and what lies in the folder must stay."""
        self.log.clear()
        self.held = list(contents(self.folder))

    def captioner(self) -> Path:
        """The folder of a saved captioner of these settings."""
        shutil.copytree(self.trained(), resolve("artifacts"))
        return resolve(self.settings.output)

    def file(self, name: str, content: bytes | str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() in self.held:
            self.held.remove(path.read_bytes())
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def set(self, *rows: list[Any], header: str = "file_name,text", count: int = 24) -> str:
        """A folder of pictures with a table; `rows` stand in place of its first rows."""
        for i in range(count):
            self.file(f"photos/{i:02}.png", png(i))
        table = io.StringIO()
        all_rows = [*rows, *([f"{i:02}.png", f"picture {i}"] for i in range(len(rows), count))]
        csv.writer(table).writerows([header.split(","), *all_rows])
        self.file("photos/metadata.csv", table.getvalue())
        self.then()
        return str(self.folder / "photos")


def png(seed: int = 0, size: tuple[int, int] = (24, 20)) -> bytes:
    content = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(content, "PNG")
    return content.getvalue()


# Pictures


@mistake("Pictures", "A picture's name is mistyped")
def _(room):
    room.file("creature.png", png())
    load_image(room.folder / "craeture.png")


@mistake("Pictures", "A folder is given where a picture is wanted")
def _(room):
    room.file("photos/a.png", png())
    load_image(room.folder / "photos")


@mistake("Pictures", "A file is empty")
def _(room):
    load_image(room.file("empty.png", b""))


@mistake("Pictures", "A file is no picture, whatever its name says")
def _(room):
    load_image(room.file("notes.png", "These are notes."))


@mistake("Pictures", "A telephone saved the picture as HEIC")
def _(room):
    load_image(room.file("photo.jpg", b"\0\0\0\x18ftypheic" + bytes(100)))


@mistake("Pictures", "A data set was cloned without Git LFS")
def _(room):
    load_image(room.file("p.jpg", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"))


@mistake("Pictures", "A camera saved the picture raw")
def _(room):
    content = io.BytesIO()
    Image.new("RGB", (160, 120)).save(content, "TIFF", tiffinfo={254: 1})
    load_image(room.file("photo.nef", content.getvalue()))


@mistake("Pictures", "A download broke off and left zeros")
def _(room):
    load_image(room.file("picture.jpg", bytes(5000)))


@mistake("Pictures", "A picture's color profile is damaged", goes_on=True)
def _(room):
    content = io.BytesIO()
    Image.new("RGB", (20, 20)).save(content, "PNG", icc_profile=b"no profile")
    load_image(room.file("picture.png", content.getvalue()))


@mistake("Pictures", "A row of another set is given")
def _(room):
    load_image({"pixel_values": np.zeros((3, 96, 96))})


@mistake("Pictures", "A file is opened as text")
def _(room):
    with open(room.file("picture.png", png()), errors="replace") as file:
        load_image(file)


@mistake("Pictures", "A web page was saved instead of its picture")
def _(room):
    load_image(room.file("picture.jpg", "<!DOCTYPE html><html><body>…</body></html>"))


@mistake("Pictures", "A picture was cut off while it was copied")
def _(room):
    load_image(room.file("cut.png", png(0, (64, 64))[:5000]))


@mistake("Pictures", "A picture has too many pixels")
def _(room):
    content = io.BytesIO()
    Image.new("1", (9000, 9000)).save(content, "PNG")
    load_image(room.file("poster.png", content.getvalue()))


@mistake("Pictures", "A file has too many bytes")
def _(room):
    load_image(room.file("scan.bmp", bytes(pictures.MAX_BYTES + 1)))


@mistake("Pictures", "An array holds several pictures")
def _(room):
    load_image(np.zeros((8, 3, 96, 96), np.uint8))


@mistake("Pictures", "An array holds normalized values")
def _(room):
    load_image(np.linspace(-2.5, 2.5, 48, dtype=np.float32).reshape(4, 4, 3))


@mistake("Pictures", "A path is one of Windows")
def _(room):
    load_image("C:\\Users\\me\\creature.png")


@mistake("Pictures", "A path has quotation marks inside")
def _(room):
    load_image('"creature.png"')


@mistake("Pictures", "An address lacks its beginning")
def _(room):
    load_image("www.example.org/creature.png")


@mistake("Pictures", "A text of base64 is given for a path")
def _(room):
    load_image(b64encode(png()).decode())


@mistake("Pictures", "A picture was closed before it is read")
def _(room):
    with Image.open(room.file("creature.png", png())) as picture:
        pass
    load_image(picture)


@mistake("Pictures", "A folder is given for a list of pictures")
def _(room):
    caption_images(*load_checkpoint(room.settings.checkpoint), str(room.folder))


@mistake("Pictures", "An address is neither http nor https")
def _(room):
    load_image("ftp://example.org/creature.png")


@mistake("Pictures", "An address lies on this machine")
def _(room):
    load_image("http://localhost/creature.png")


@mistake("Pictures", "An address has no picture")
def _(room):
    refused(room, 404)


@mistake("Pictures", "A server of pictures is busy")
def _(room):
    refused(room, 429)


@mistake("Pictures", "A server keeps its pictures to itself")
def _(room):
    refused(room, 403)


def refused(room: Room, status: int) -> None:
    """Asks a server that answers so."""
    room.monkeypatch.setattr(SimpleHTTPRequestHandler, "do_GET", lambda handler: handler.send_error(status))
    with serve_folder(room.folder) as address:
        try:
            load_image(f"{address}/creature.png", allow_local=True)
        except CaptioningError as error:
            raise type(error)(str(error).replace(address, "http://127.0.0.1:8000")) from None


@mistake("Pictures", "The centre crop cuts much off a wide picture", goes_on=True)
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    caption_images(model, processor, [png(0, (400, 100)), png(1, (100, 100))], max_new_tokens=2)


@mistake("Pictures", "One picture, as an array, is given where many are wanted")
def _(room):
    caption_images(*load_checkpoint(room.settings.checkpoint), np.zeros((40, 48, 3), np.uint8))


# A folder's captions


def caption_photos(room, **options: Any) -> None:
    """Captions the photos of the room, of which there is one."""
    room.file("photos/a.png", png())
    room.then()
    caption_folder(*load_checkpoint(room.settings.checkpoint), room.folder / "photos", max_new_tokens=4, **options)


@mistake("Captions of a folder", "A folder to caption holds no pictures")
def _(room):
    (room.folder / "empty").mkdir()
    caption_folder(*load_checkpoint(room.settings.checkpoint), room.folder / "empty")


@mistake("Captions of a folder", "Captions are asked for in a form that is not known")
def _(room):
    caption_photos(room, write="json")


@mistake("Captions of a folder", "The folder may only be read")
def _(room):
    def read_only(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    room.monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    caption_photos(room, write="txt")


@mistake("Captions of a folder", "The table that is there has other columns")
def _(room):
    room.file("photos/captions.csv", "picture,text\na.png,mine\n")
    caption_photos(room, write="csv")


@mistake("Captions of a folder", "The disk is full in the middle of a folder")
def _(room):
    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    room.monkeypatch.setattr(folder, "write_whole", no_space)
    caption_photos(room, write="txt")


@mistake("Captions of a folder", "Some pictures have a caption already", goes_on=True)
def _(room):
    room.file("photos/a.txt", "mine")
    caption_photos(room, write="txt")


@mistake("Captions of a folder", "Two pictures would share a text", goes_on=True)
def _(room):
    room.file("photos/a.jpg", png(1))
    caption_photos(room, write="txt")


@mistake("Captions of a folder", "A text beside a picture is empty", goes_on=True)
def _(room):
    room.file("photos/a.txt", "")
    caption_photos(room, write="txt")


@mistake("Captions of a folder", "A picture of the folder is damaged", goes_on=True)
def _(room):
    room.file("photos/b.png", png(1)[:500])
    caption_photos(room)


@mistake("Captions of a folder", "Some pictures are of a kind that is not read", goes_on=True)
def _(room):
    room.file("photos/b.svg", "<svg/>")
    caption_photos(room)


@mistake("Captions of a folder", "Memory is short for a batch", goes_on=True)
def _(room):
    def short(model: Any, processor: Any, pictures: list[Any], *, batch_size: int, **_: Any) -> list[Caption]:
        if batch_size == 1:
            return [Caption("a creature", 0.5, ())]
        with enough_memory("captioning", batch_size=batch_size):
            full()

    room.monkeypatch.setattr(folder, "caption_batch", short)
    caption_photos(room, batch_size=2)


def marked(room, mark: str, *captions: str) -> None:
    """Marks a caption that was to be checked by hand, and asks again, for these captions."""
    captions_to_check(room.folder / "report", [Image.new("RGB", (4, 4))], ["a cat"])
    table = room.folder / "report" / "to-check.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("a cat,", f"a cat,{mark}"), encoding="utf-8")
    room.then()
    captions_to_check(room.folder / "report", [Image.new("RGB", (4, 4))], captions)


@mistake("Captions of a folder", "A caption is marked neither right nor wrong")
def _(room):
    marked(room, "maybe", "a cat")


@mistake("Captions of a folder", "Captions were marked, and then another captioner was trained", goes_on=True)
def _(room):
    marked(room, "right", "a dog")


# Data


@mistake("Data", "A folder of pictures has no table of captions")
def _(room):
    room.file("photos/a.png", png())
    load_captions(str(room.folder / "photos"))


@mistake("Data", "The home folder cannot be written to, and the cache lies there")
def _(room):
    room.monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", room.file("cache", ""))
    load_captions(room.set())


@mistake("Data", "The disk is full while pictures are prepared")
def _(room):
    splits = load_captions(room.set())
    room.monkeypatch.setattr(datasets.Dataset, "map", disk_full)
    prepare_pictures(splits["train"], load_checkpoint(room.settings.checkpoint)[1])


@mistake("Data", "A data set of one's own has no splits")
def _(room):
    own_data(room, load_captions(room.set())["train"])


@mistake("Data", "The captions of a data set of one's own stand in another column")
def _(room):
    splits = load_captions(room.set())
    own_data(room, splits.rename_column("captions", "text"))


@mistake("Data", "A row of a data set of one's own has no caption")
def _(room):
    splits = load_captions(room.set())
    splits["train"] = splits["train"].map(lambda row: {"captions": []})
    own_data(room, splits)


@mistake("Data", "A data set of one's own is streamed")
def _(room):
    splits = load_captions(room.set())
    own_data(room, {name: split.to_iterable_dataset() for name, split in splits.items()})


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def own_data(room, dataset: Any) -> None:
    CaptionTrainer(*load_checkpoint(room.settings.checkpoint), dataset, room.settings)


@mistake("Data", "The table has another name than metadata.csv", goes_on=True)
def _(room):
    folder = room.set()
    (Path(folder) / "metadata.csv").rename(Path(folder) / "captions.csv")
    load_captions(folder)


@mistake("Data", "A folder has several tables, and none is called metadata.csv")
def _(room):
    folder = room.set()
    (Path(folder) / "metadata.csv").rename(Path(folder) / "captions.csv")
    room.file("photos/more.jsonl", "")
    load_captions(folder)


@mistake("Data", "The table is a spreadsheet's own file")
def _(room):
    load_captions(room.file("captions.xlsx", b"PK"))


@mistake("Data", "The data set is still packed")
def _(room):
    load_captions(room.file("photos.zip", b"PK"))


@mistake("Data", "Some pictures have no text beside them", goes_on=True)
def _(room):
    for i in range(24):
        room.file(f"photos/{i:02}.png", png(i))
        if i:
            room.file(f"photos/{i:02}.txt", f"picture {i}")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "A folder has texts that belong to no picture", goes_on=True)
def _(room):
    for i in range(24):
        room.file(f"photos/{i:02}.png", png(i))
        room.file(f"photos/{i:02}.txt", f"picture {i}")
    room.file("photos/notes.txt", "what the pictures are")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "A text beside a picture cannot be read", goes_on=True)
def _(room):
    for i in range(24):
        room.file(f"photos/{i:02}.png", png(i))
        room.file(f"photos/{i:02}.txt", f"picture {i}" if i else "picture".encode("utf-16-le"))
    load_captions(str(room.folder / "photos"))


@mistake("Data", "The captions stand in a spreadsheet beside the pictures")
def _(room):
    room.file("photos/00.png", png(0))
    room.file("photos/captions.xlsx", "")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "The address of a data set is given")
def _(room):
    load_captions("https://example.org/pictures.zip")


@mistake("Data", "The only split is called test", goes_on=True)
def _(room):
    load_captions(
        room.set(*[[f"{i:02}.png", f"picture {i}", "test"] for i in range(24)], header="file_name,text,split")
    )


@mistake("Data", "The column split contradicts the splits of a data set", goes_on=True)
def _(room):
    columns = {"image": [{"bytes": png(i), "path": None} for i in range(6)], "text": ["a dot"] * 6}
    made = Dataset.from_dict({**columns, "split": ["train"] * 6}).cast_column("image", datasets.Image())
    splits = {name: made.select(range(k, 6, 3)) for k, name in enumerate(("train", "validation", "test"))}
    DatasetDict(splits).save_to_disk(room.folder / "photos")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "The path of a data set holds signs of a pattern")
def _(room):
    made = load_captions(room.settings.dataset)
    folder = room.folder / "birds [2024]"
    folder.mkdir()
    made["train"].to_parquet(folder / "train.parquet")
    load_captions(str(folder))


@mistake("Data", "The table has no column of captions")
def _(room):
    load_captions(room.set(header="file_name,label"))


@mistake("Data", "The caption column asked for is not there")
def _(room):
    load_captions(room.set(), caption_columns="description")


@mistake("Data", "The table has no column of pictures")
def _(room):
    load_captions(room.set(*[[i, f"picture {i}"] for i in range(24)], header="sound,text"))


@mistake("Data", "A name in the table may mean several pictures", goes_on=True)
def _(room):
    room.file("photos/00.jpg", png(50))
    load_captions(room.set(["00", "picture 0"]))


@mistake("Data", "Two names in the table mean one picture", goes_on=True)
def _(room):
    load_captions(room.set(["/me/cats/00.png", "a cat"], ["/me/dogs/00.png", "a dog"]), max_left_out=0.1)


@mistake("Data", "The pictures of a table lie in two folders")
def _(room):
    for i in range(6):
        room.file(f"large/{i}.png", png(i))
        room.file(f"small/{i}.png", png(i))
    load_captions(room.file("captions.csv", "file_name,text\n" + "".join(f"{i}.png,picture {i}\n" for i in range(6))))


@mistake("Data", "Two columns of a table have the same name", goes_on=True)
def _(room):
    load_captions(room.set(*[[f"{i:02}.png", "a dot", "a spot"] for i in range(24)], header="file_name,text,text"))


@mistake("Data", "The names of the columns stand in a table twice", goes_on=True)
def _(room):
    load_captions(room.set(["file_name", "text"]))


@mistake("Data", "Captions stand in two languages, and none is chosen")
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", f"그림 {i}"] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text_en,text_ko"))


@mistake("Data", "Captions may stand in another column, too", goes_on=True)
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", f"it is {i}"] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text,description"))


@mistake("Data", "The captions of a picture stand in rows of their own", goes_on=True)
def _(room):
    rows = [[f"{i // 2:02}.png", f"picture {i // 2}, {i % 2}", i] for i in range(48)]
    load_captions(room.set(*rows, header="file_name,text,number"))


@mistake("Data", "The table writes the names of pictures otherwise than their files", goes_on=True)
def _(room):
    load_captions(room.set(*([f"C:\\photos\\{i:02}.PNG", f"picture {i}"] for i in range(24))))


@mistake("Data", "A table's first line names no columns", goes_on=True)
def _(room):
    load_captions(room.set(*([f"{i:02}.png", f"picture {i}"] for i in range(24)), header="00.png,picture 0"))


@mistake("Data", "The table has no rows")
def _(room):
    load_captions(room.set(count=0))


@mistake("Data", "A split is empty")
def _(room):
    train, test = json.dumps({"file_name": "a.png", "text": "a picture"}), ""
    room.file("photos/a.png", png())
    room.file("photos/train.jsonl", train)
    room.file("photos/test.jsonl", test)
    load_captions(str(room.folder / "photos"))


@mistake("Data", "Captions with commas are not in quotation marks")
def _(room):
    rows = "\n".join(f"{i:02}.png,a dog, a cat" for i in range(24))
    room.set()
    room.file("photos/metadata.csv", f"file_name,text\n{rows}\n")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "A quotation mark is never closed")
def _(room):
    room.set()
    room.file("photos/metadata.csv", 'file_name,text\n00.png,"a dog\n01.png,a cat\n')
    load_captions(str(room.folder / "photos"))


@mistake("Data", "A quotation mark is out of place", goes_on=True)
def _(room):
    room.set()
    rows = "\n".join(f"{i:02}.png," + ('"Stop" sign' if i == 3 else "a sign") for i in range(24))
    room.file("photos/metadata.csv", f"file_name,text\n{rows}\n")
    load_captions(str(room.folder / "photos"))


@mistake("Data", "A caption in a table has several lines", goes_on=True)
def _(room):
    load_captions(room.set(["00.png", "a dog\nand a cat"]))


@mistake("Data", "The table was not saved in UTF-8")
def _(room):
    room.file("photos/metadata.csv", "file_name,text\n00.png,un garçon\n".encode("latin-1"))
    load_captions(str(room.folder / "photos"))


@mistake("Data", "The caption column holds numbers")
def _(room):
    load_captions(room.set(*([f"{i:02}.png", i] for i in range(24))))


@mistake("Data", "The caption column holds classes")
def _(room):
    made = load_captions(room.settings.dataset)["train"].select_columns("image")
    made = made.add_column("label", [0, 1] * (len(made) // 2), feature=ClassLabel(names=["cat", "dog"]))
    made.to_parquet(room.folder / "set.parquet")
    room.then()
    load_captions(str(room.folder / "set.parquet"), caption_columns="label")


@mistake("Data", "A table has a column image beside its file names", goes_on=True)
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", f"a label {i}"] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text,image"))


@mistake("Data", "A caption is empty", goes_on=True)
def _(room):
    load_captions(room.set(["00.png", " "]))


@mistake("Data", "One of several captions of a picture is empty", goes_on=True)
def _(room):
    folder = room.set()
    rows = [{"file_name": f"{i:02}.png", "captions": ["a picture", "" if i == 3 else "it"]} for i in range(24)]
    room.file("photos/captions.json", json.dumps(rows))
    load_captions(f"{folder}/captions.json")


@mistake("Data", "A list of captions in a cell cannot be read", goes_on=True)
def _(room):
    load_captions(room.set(["00.png", "['a picture' and 'it is a picture']"]))


@mistake("Data", "A caption holds signs that cannot be seen", goes_on=True)
def _(room):
    load_captions(room.set(["00.png", "a\u200b picture"]))


@mistake("Data", "A data set is given where its name is wanted")
def _(room):
    load_captions(Dataset.from_dict({"image": [], "captions": []}))


@mistake("Data", "A caption is missing", goes_on=True)
def _(room):
    load_captions(room.set(["00.png"]))


@mistake("Data", "A picture is missing or damaged", goes_on=True)
def _(room):
    folder = room.set()
    room.file("photos/03.png", png(3)[:500])
    load_captions(folder)


@mistake("Data", "More than one row in twenty is at fault")
def _(room):
    load_captions(room.set(["00.png", ""], ["01.png", ""], ["lost.png", "a picture"]))


@mistake("Data", "A path leads out of the folder")
def _(room):
    room.file("other/a.png", png())
    load_captions(room.set(["../other/a.png", "a picture"]), max_left_out=0)


@mistake("Data", "A row of a parquet file names a picture outside its folder")
def _(room):
    room.file("other/a.png", png())
    pictures = [{"bytes": png(i), "path": None} for i in range(23)] + [{"bytes": None, "path": "../other/a.png"}]
    table = pyarrow.table({"image": pictures, "text": [f"picture {i}" for i in range(24)]})
    (room.folder / "photos").mkdir()
    pyarrow.parquet.write_table(table, room.folder / "photos" / "train.parquet")
    room.then()
    load_captions(str(room.folder / "photos"), max_left_out=0)


@mistake("Data", "All pictures but two are copies of one")
def _(room):
    room.set()
    for i in range(2, 24):
        room.file(f"photos/{i:02}.png", png(0))
    room.file("photos/00.png", png(0))
    room.then()
    load_captions(str(room.folder / "photos"))


@mistake("Data", "Pictures of the test are in train, too", goes_on=True)
def _(room):
    for split, first in (("train", 0), ("test", 20)):
        rows = [{"file_name": f"{i:02}.png", "text": f"picture {i}"} for i in range(first, first + 20)]
        for i, row in enumerate(rows, first):
            room.file(f"photos/{row['file_name']}", png(i))
        rows += [{"file_name": "05.png", "text": "picture 5 again"}] if split == "test" else []
        room.file(f"photos/{split}.jsonl", "\n".join(json.dumps(row) for row in rows))
    load_captions(str(room.folder / "photos"))


@mistake("Data", "Pictures of one split of three are in another, too", goes_on=True)
def _(room):
    made = load_captions(room.settings.dataset)
    for split in made:
        made["train" if split == "test" else split].to_parquet(room.folder / "set" / f"{split}.parquet")
    room.then()
    load_captions(str(room.folder / "set"))


@mistake("Data", "Two splits have names that mean the same")
def _(room):
    made = load_captions(room.settings.dataset)
    DatasetDict({"train": made["train"], "val": made["test"], "dev": made["test"]}).save_to_disk(room.folder / "set")
    load_captions(str(room.folder / "set"))


@mistake("Data", "A split has a name that is not known", goes_on=True)
def _(room):
    made = load_captions(room.settings.dataset)
    made["holdout"] = made["test"]
    made.save_to_disk(room.folder / "set")
    room.then()
    load_captions(str(room.folder / "set"))


@mistake("Data", "A split is mistyped in the column split")
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", "trian" if i == 3 else "train"] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text,split"), max_left_out=0)


@mistake("Data", "The column split names no splits")
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", "AB"[i % 2]] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text,split"))


@mistake("Data", "Two columns name splits")
def _(room):
    rows = [[f"{i:02}.png", f"picture {i}", *[("train", "test")[i % 2]] * 2] for i in range(24)]
    load_captions(room.set(*rows, header="file_name,text,by_day,by_place"))


@mistake("Data", "A data set has several configurations")
def _(room):
    made = load_captions(room.settings.dataset)
    for language in ("english", "german"):
        made["train"].to_parquet(room.folder / "set" / language / "train.parquet")
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("english", "german"))
    room.file("set/README.md", f"---\nconfigs:\n{configs}---\n")
    room.then()
    load_captions(str(room.folder / "set"))


@mistake("Data", "A configuration is asked of a file")
def _(room):
    load_captions(f"{room.set()}/metadata.csv", config="german")


def coco(room, *, annotations=None):
    room.set()
    images = [{"id": i, "file_name": f"{i:02}.png"} for i in range(24)]
    notes = annotations or [{"image_id": i, "caption": f"picture {i}"} for i in range(24)]
    return room.file("photos/captions.json", json.dumps({"images": images, "annotations": notes}))


@mistake("Data", "A file of COCO's holds boxes and no captions")
def _(room):
    load_captions(coco(room, annotations=[{"image_id": 0, "bbox": [0, 0, 5, 5]}]))


@mistake("Data", "A caption of COCO's belongs to no picture")
def _(room):
    notes = [{"image_id": 7 * i, "caption": f"picture {i}"} for i in range(24)]
    load_captions(coco(room, annotations=notes))


@mistake("Data", "Ids of COCO's are numbers in one list and texts in the other", goes_on=True)
def _(room):
    notes = [{"image_id": str(i), "caption": f"picture {i}"} for i in range(24)]
    load_captions(coco(room, annotations=notes))


@mistake("Data", "A JSON file holds neither rows nor COCO's captions")
def _(room):
    load_captions(room.file("photos/captions.json", '{"picture": "a picture"}'))


@mistake("Data", "A caption has more tokens than the model has positions", goes_on=True)
def _(room):
    _, processor = load_checkpoint(room.settings.checkpoint)
    CaptionTransform(processor).tokens(["a red creature", "a very long caption " * 20])


def begin_training(room, captions: list[str], max_new_tokens: int = 48) -> None:
    """With these captions in place of the first."""
    dataset = load_captions(room.set(*([f"{i:02}.png", caption] for i, caption in enumerate(captions))))
    settings = room.settings.with_changes(max_new_tokens=max_new_tokens)
    CaptionTrainer(*load_checkpoint(settings.checkpoint), dataset, settings)


@mistake("Data", "Captions have more tokens than the model may say", goes_on=True)
def _(room):
    begin_training(room, ["a red creature with two horns and wings"] * 12, max_new_tokens=8)


@mistake("Data", "The checkpoint's vocabulary lacks some letters of the captions", goes_on=True)
def _(room):
    begin_training(room, ["ein grünes Tier", "ein grüner Baum"] * 12)


@mistake("Data", "The checkpoint's vocabulary lacks the script of the captions")
def _(room):
    begin_training(room, ["초록색 동물이 웃고 있다"] * 24)


@mistake("Data", "The centre crop cuts much off some pictures of the set", goes_on=True)
def _(room):
    rows = [[f"wide-{i}.png", f"picture {i}"] for i in range(4)]
    for name, _ in rows:
        room.file(f"photos/{name}", png(0, (300, 60)))
    _, processor = load_checkpoint(room.settings.checkpoint)
    prepare_pictures(load_captions(room.set(*rows))["train"], processor)


# Names


def copied(room, name: str, content: bytes | None) -> None:
    """Loads a copy of the checkpoint in which one file has other content, or is not there."""
    for path in Path(room.settings.checkpoint).iterdir():
        if path.name != name or content is not None:
            room.file(f"model/{path.name}", content if path.name == name else path.read_bytes())
    load_checkpoint(str(room.folder / "model"))


@mistake("Names and values", "A checkpoint's name is mistyped")
def _(room):
    load_checkpoint("models/git-tny")


@mistake("Names and values", "A data set's name is mistyped")
def _(room):
    load_captions("data/pocket-creatrues")


@mistake("Names and values", "A checkpoint of the Hub is asked for without a network")
def _(room):
    load_checkpoint("microsoft/git-base")


@mistake("Names and values", "A checkpoint is of a family that the helpers do not know")
def _(room):
    room.file("other/config.json", '{"model_type": "bert"}')
    load_checkpoint(str(room.folder / "other"))


@mistake("Names and values", "A checkpoint's weights are damaged")
def _(room):
    content = (Path(room.settings.checkpoint) / "model.safetensors").read_bytes()
    copied(room, "model.safetensors", content[: len(content) // 2])


@mistake("Names and values", "Git LFS was not installed when a checkpoint was cloned")
def _(room):
    copied(room, "model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@mistake("Names and values", "Only the model was saved, without its processor")
def _(room):
    copied(room, "processor_config.json", None)


@mistake("Names and values", "A file of a checkpoint is damaged")
def _(room):
    copied(room, "tokenizer.json", b"{cut")


@mistake("Names and values", "A checkpoint is an adapter without its base")
def _(room):
    room.file("model/adapter_config.json", "{}")
    load_checkpoint(str(room.folder / "model"))


@mistake("Names and values", "The folder above a checkpoint is named")
def _(room):
    room.file("model/checkpoint-500/config.json", "{}")
    load_checkpoint(str(room.folder / "model"))


@mistake("Names and values", "A precision does not work on this device")
def _(room):
    training_arguments(room.settings.with_changes(precision="fp16"))


@mistake("Names and values", "CAPTIONING_PROFILE names no profile")
def _(room):
    room.monkeypatch.setenv("CAPTIONING_PROFILE", "huge")
    Settings.from_environment()


@mistake("Names and values", "A value of Settings is out of its range")
def _(room):
    Settings.tiny().with_changes(batch_size=0)


@mistake("Names and values", "A value of Settings is of another kind")
def _(room):
    Settings.tiny().with_changes(epochs="3")


@mistake("Names and values", "A value of Settings is mistyped")
def _(room):
    Settings.tiny().with_changes(epoch=3)


@mistake("Names and values", "A learning curve asks for more pictures than there are to learn from")
def _(room):
    learning_curve(room.settings, load_captions(room.settings.dataset), [4, 100])


@mistake("Names and values", "A learning curve is of other pictures or settings than the one in its file", goes_on=True)
def _(room):
    room.file("curve.json", '{"made_from": {"batch_size": 99}, "rows": []}')
    room.then()
    learning_curve(room.settings, load_captions(room.settings.dataset), [], file=room.folder / "curve.json")


@mistake("Names and values", "A repository to share to is no name")
def _(room):
    Settings.tiny().with_changes(push_to="https://huggingface.co/me/captioner")


@mistake("Names and values", "Something else is given where Settings are wanted")
def _(room):
    load_or_train("models/git-tiny")


@mistake("Names and values", "The processor is given before the model")
def _(room):
    caption_images(*load_checkpoint(room.settings.checkpoint)[::-1], [room.file("creature.png", png())])


@mistake("Names and values", "A tokenizer is given for a processor")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    caption_images(model, processor.tokenizer, [room.file("creature.png", png())])


@mistake("Names and values", "The processor is another model's, of larger pictures")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    processor.image_processor.crop_size = {"height": 96, "width": 96}
    caption_images(model, processor, [room.file("creature.png", png())])


@mistake("Names and values", "Words are added to the tokenizer alone")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    processor.tokenizer.add_tokens(["axolotl"])
    CaptionTrainer(model, processor, load_captions(room.settings.dataset), room.settings)


@mistake("Names and values", "A Trainer's scores are counted of what it does not generate")
def _(room):
    decode(load_processor(room.settings.checkpoint), np.zeros((2, 4, 50)))


@mistake("Names and values", "Confidences are of other answers than those that are right or wrong")
def _(room):
    auroc([0.9, 0.8], [True, False, True])


@mistake("Names and values", "There is nothing to draw")
def _(room):
    plot_training_history([])


@mistake("Names and values", "A row of a data set of your own has no picture")
def _(room):
    rows = Dataset.from_dict({"image": [png(), None], "captions": [["a"], ["b"]]})
    CaptionTrainer(*load_checkpoint(room.settings.checkpoint), DatasetDict(train=rows, validation=rows), room.settings)


@mistake("Names and values", "A whole model is pickled in place of its weights")
def _(room):
    place = shutil.copytree(room.settings.checkpoint, room.folder / "mine")
    torch.save(load_checkpoint(room.settings.checkpoint)[0], place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    load_checkpoint(str(place))


# Order


@mistake("Saved captioners", "A notebook is opened before one was trained", goes_on=True)
def _(room):
    load_or_train(room.settings)


@mistake("Saved captioners", "The saved captioner was trained with other values", goes_on=True)
def _(room):
    room.captioner()
    room.then()
    load_or_train(room.settings.with_changes(seed=1))


@mistake("Saved captioners", "The data set has changed since the captioner was trained", goes_on=True)
def _(room):
    dataset = load_captions(room.settings.dataset)
    room.captioner()
    room.then()
    dataset["train"] = dataset["train"].select(range(4))
    load_or_train(room.settings, dataset=dataset)


@mistake("Saved captioners", "The base model has changed since the captioner was trained", goes_on=True)
def _(room):
    file = room.captioner() / "training.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "base": "of another time"}))
    room.then()
    load_or_train(room.settings)


@mistake("Saved captioners", "The training was stopped early", goes_on=True)
def _(room):
    file = room.captioner() / "training.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "interrupted": True, "steps": 1}))
    room.then()
    load_or_train(room.settings)


@mistake("Saved captioners", "The saved captioner is damaged", goes_on=True)
def _(room):
    file = room.captioner() / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    room.then()
    load_or_train(room.settings)


@mistake("Saved captioners", "What lies beside the captioner is damaged", goes_on=True)
def _(room):
    (room.captioner() / "training.json").write_text('{"settings": {"epo')
    room.then()
    load_or_train(room.settings)


@mistake("Saved captioners", "A file stands where the artifacts folder should be")
def _(room):
    room.monkeypatch.setenv("CAPTIONING_ARTIFACTS", room.file("artifacts-file", "oops"))
    load_or_train(room.settings)


@mistake("Saved captioners", "The output is a folder of other things")
def _(room):
    room.file("my-thesis/chapter-1.txt", "Once upon a time")
    room.then()
    load_or_train(room.settings.with_changes(output=str(room.folder / "my-thesis")))


@mistake("Saved captioners", "The loss becomes nan while a captioner is trained")
def _(room):
    trainer = CaptionTrainer(
        *load_checkpoint(room.settings.checkpoint), load_captions(room.settings.dataset), room.settings
    )
    loss = training.caption_loss
    room.monkeypatch.setattr(
        training, "caption_loss", lambda *given: loss(*given) * (np.nan if trainer.state.global_step else 1)
    )
    trainer.train()


@mistake("Saved captioners", "A model is saved whose weights are no numbers any more")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    trainer = CaptionTrainer(model, processor, load_captions(room.settings.dataset), room.settings)
    next(model.parameters()).data.fill_(np.nan)
    save_captioner(trainer)


@mistake("Saved captioners", "The disk is full when the captioner is saved")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    trainer = CaptionTrainer(model, processor, load_captions(room.settings.dataset), room.settings)
    save_captioner(trainer)
    room.then()
    trainer.train()
    room.monkeypatch.setattr(processor, "save_pretrained", disk_full)
    save_captioner(trainer)


# Memory


def full(*_: Any, **__: Any) -> None:
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@mistake("Memory", "There is too little memory for training")
def _(room):
    settings = room.settings.with_changes(batch_size=256, max_new_tokens=48)
    trainer = CaptionTrainer(*load_checkpoint(settings.checkpoint), load_captions(settings.dataset), settings)
    room.monkeypatch.setattr(training, "caption_loss", full)
    trainer.train()


@mistake("Memory", "There is too little memory for captioning")
def _(room):
    model, processor = load_checkpoint(room.settings.checkpoint)
    room.monkeypatch.setattr(model, "generate", full)
    inference.caption_images(model, processor, [png()], batch_size=64, num_beams=4)


# The Hub


def shared(room, status: int = 0, token: str = "") -> None:
    """Shares to a Hub that answers everything with `status`, or without a network."""
    model, processor = load_checkpoint(str(room.captioner()))
    if token:
        room.monkeypatch.setenv("HF_TOKEN", token)
    room.then()
    with room.local_hub(answer=lambda request: (status, None, {"error": "No."})) if status else nullcontext():
        share(model, processor, "me/captioner", settings=room.settings)


@mistake("The Hub", "A captioner is shared without logging in")
def _(room):
    shared(room, 401)


@mistake("The Hub", "A captioner is shared with a token that the Hub does not know")
def _(room):
    shared(room, 401, "hf_" + "madeUp" * 5)


@mistake("The Hub", "A captioner is shared to somebody else's repository, or with a token that may only read")
def _(room):
    shared(room, 403, "hf_" + "madeUp" * 5)


@mistake("The Hub", "The Hub has a fault while a captioner is shared")
def _(room):
    shared(room, 500, "hf_" + "madeUp" * 5)


@mistake("The Hub", "A captioner is shared without a network")
def _(room):
    shared(room)


@pytest.fixture
def room(tmp_path, settings, monkeypatch, log, local_hub, request) -> Room:
    return Room(tmp_path, settings, monkeypatch, log, local_hub, lambda: request.getfixturevalue("trained"))


def contents(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def told(room: Room, sentence: str) -> str:
    """The sentence without what differs from one machine to the next."""
    names = {str(room.folder): "…", room.settings.checkpoint: "models/mine", room.settings.dataset: "data/mine"}
    for name, shown in {**names, str(ROOT): "…"}.items():
        sentence = sentence.replace(name, shown)
    return sentence.replace("|", "\\|")


def row_of(made: Mistake, sentence: str) -> str:
    return f"| {made.title} | {'*goes on* ' if made.goes_on else ''}{sentence} |"


@pytest.mark.parametrize("made", MISTAKES, ids=lambda made: made.title)
def test_a_mistake_is_answered_in_a_sentence_and_loses_nothing(made, room, log, request):
    if made.goes_on:
        made.make(room)
        sentences = [record.getMessage() for record in log.records if record.name.startswith("helpers")]
        assert sentences
        sentence = sentences[0]
    else:
        with pytest.raises(CaptioningError) as caught:
            made.make(room)
        sentence = str(caught.value)
    left = set(contents(room.folder))
    assert all(content in left for content in room.held)
    sentence = told(room, sentence)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    assert str(Path.home()) not in sentence
    row = row_of(made, sentence)
    written = request.config.stash.setdefault(ROWS, {})
    written[made.title] = row
    if not request.config.getoption("--write-mistakes"):
        assert row in PAGE.read_text(encoding="utf-8").splitlines(), f"run `make mistakes`; the sentence is: {row}"


ROWS = pytest.StashKey[dict[str, str]]()


def test_the_page_has_each_mistake_once_and_no_other(request):
    rows = request.config.stash.get(ROWS, {})
    if request.config.getoption("--write-mistakes"):
        lines = [OPENING]
        for section in dict.fromkeys(made.section for made in MISTAKES):
            lines += [f"## {section}\n", "| What happened | What you are told |", "| --- | --- |"]
            lines += [rows[made.title] for made in MISTAKES if made.section == section]
            lines.append("")
        PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    shown = [line.split(" | ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    titles = [title.removeprefix("| ") for title in shown]
    assert [title for title in titles if title not in ("What happened", "---")] == [made.title for made in MISTAKES]
