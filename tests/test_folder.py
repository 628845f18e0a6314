import csv
import io
import json
import os
import tempfile

import pytest
from PIL import Image

from helpers import folder as module
from helpers.data import data_report, load_captions
from helpers.errors import ImageError, MemoryShortage, SettingsError
from helpers.folder import caption_folder
from helpers.inference import Caption, caption_images
from helpers.reading import pictures as reading
from helpers.text import visible
from tests.toolbox import noise

BATCH = 2


@pytest.fixture(scope="module")
def said(talker, processor, pictures):
    """The captions of the pictures, in order."""
    return [caption.text for caption in caption_images(talker, processor, pictures, max_new_tokens=12)]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "mine"


@pytest.fixture
def fill(place, pictures):
    """Puts pictures into the folder, by name: the number of one, or the content of a file."""

    def put(**files):
        for name, content in files.items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                pictures[content].save(file, "PNG")
            else:
                file.write_bytes(content.encode() if isinstance(content, str) else content)

    return put


@pytest.fixture
def named(talker, processor, place):
    def call(folder=place, **options):
        return caption_folder(talker, processor, folder, **{"batch_size": BATCH, "max_new_tokens": 12} | options)

    return call


@pytest.fixture
def asked(monkeypatch):
    """The sizes of the batches that are captioned; `most` of them, and then the power goes."""
    sizes, caption = [], module.caption_batch

    def counted(model, processor, pictures, **numbers):
        if len(sizes) == counted.most:
            raise KeyboardInterrupt
        sizes.append(len(pictures))
        return caption(model, processor, pictures, **numbers)

    counted.most, counted.sizes = -1, sizes
    monkeypatch.setattr(module, "caption_batch", counted)
    return counted


def texts(place):
    return {file.relative_to(place).as_posix(): file.read_text(encoding="utf-8") for file in place.rglob("*.txt")}


def captions(rows):
    return {row["file_name"]: row["caption"] for row in rows}


def test_each_picture_is_a_row_with_its_caption_or_the_reason_why_it_has_none(named, fill, said, artifacts, log):
    place = artifacts / "mine"
    fill(**{f"../artifacts/mine/{n}": c for n, c in {"1.PNG": 1, "0.jpeg": 0, "in/2.png": 2, "3.png": "none"}.items()})
    rows = named("artifacts/mine")
    assert [list(row) for row in rows] == [["file_name", "caption", "confidence", "reason"]] * 4
    assert captions(rows) == {"0.jpeg": said[0], "1.PNG": said[1], "3.png": "", "in/2.png": said[2]}
    assert [0 <= row["confidence"] == round(row["confidence"], 3) <= 1 for row in rows if row["caption"]] == [True] * 3
    assert [(row["confidence"], str(place) in row["reason"]) for row in rows if row["reason"]] == [(None, False)]
    assert "1 of 4 pictures have no caption; the first is 3.png: it is a text and no picture" in log.text
    assert captions(named("artifacts/mine", nested=False)).keys() == {"0.jpeg", "1.PNG", "3.png"}
    assert not list(place.glob("captions.*"))


def test_what_is_no_picture_of_ones_own_is_passed_over(named, fill, place, tmp_path, log):
    fill(**{"0.png": 0, "._0.png": "a Mac's", ".thumbnails/0.png": 1, "Thumbs.db": "", "notes.md": "", "1.xbm": "…"})
    (place / "folder.png").mkdir()
    (place / "again").symlink_to(place)
    (tmp_path / "link").symlink_to(place)
    assert captions(named(tmp_path / "link")).keys() == {"0.png"}
    [told] = log.messages
    assert "1 .xbm" in told


def test_a_picture_is_decoded_once(named, fill, asked, monkeypatch):
    fill(**{f"{i}.png": i for i in range(3)}, bad="")
    opened, open_one = [], reading.opened
    monkeypatch.setattr(reading, "opened", lambda *args: opened.append(1) or open_one(*args))
    named()
    assert (len(opened), asked.sizes) == (3, [2, 1])


def test_pictures_that_the_crop_cuts_are_counted_over_all_batches(named, fill, place, log):
    fill(**{"0.png": 0, "2.png": 2, "3.png": 3})
    Image.new("RGB", (300, 100)).save(place / "1.png")
    named(batch_size=1)
    [told] = log.messages
    assert "1 of 4 pictures" in told


@pytest.mark.parametrize("write", ["txt", "csv", "jsonl"])
def test_a_run_that_was_stopped_goes_on_where_it_stopped(named, fill, place, said, asked, log, write):
    fill(**{f"in/{i}.png" if i % 2 else f"{i}.png": i for i in range(5)}, **{"3.png": "damaged"})
    asked.most = 2
    with pytest.raises(KeyboardInterrupt):
        named(write=write)
    fill(**{"captions.jsonl.new": '{"fi', "captions.csv.new": "fi", "in/1.txt.new": "hal"})
    asked.most = -1
    asked.sizes.clear()
    rows = named(write=write)
    assert sum(asked.sizes) == 2
    expected = {"0.png": said[0], "2.png": said[2], "3.png": "", "4.png": said[4]}
    expected |= {"in/1.png": said[1], "in/3.png": said[3]}
    assert captions(rows) == expected
    assert "3 of 6 pictures have a caption" in log.text
    if write == "txt":
        assert texts(place) == {f"{name[:-4]}.txt": f"{text}\n" for name, text in expected.items() if text}
        assert not list(place.glob("**/*.txt.new"))
    else:
        dataset = load_captions(str(place / f"captions.{write}"), max_left_out=0.2)
        assert sorted(text for split in dataset.values() for [text] in split["captions"]) == sorted(said[:5])
        assert [row["row"] for row in data_report(dataset) if row["reason"]] == ["3"]
        assert not (place / f"captions.{write}.new").exists()
        assert (place / f"captions.{write}").read_bytes()[0] in b"f{"


def test_texts_that_are_there_stay_and_pictures_share_none(named, fill, place, said, asked, log):
    there = {"0.txt": "mine, in two\nlines", "1.txt": "", "D.TXT": "mine", "e.caption": "mine"}
    fill(**there, **{"0.jpg": "never read", "1.jpg": 1, "B.jpg": 2, "b.PNG": 3, "c.v2.jpg": 3, "d.jpg": 1, "e.jpg": 1})
    rows = named(write="txt")
    spoken = {"0.jpg": there["0.txt"], "B.jpg": said[2], "c.v2.jpg": said[3], "d.jpg": "mine", "e.jpg": "mine"}
    assert captions(rows) == {"1.jpg": "", "b.PNG": ""} | spoken
    reasons = {row["file_name"]: row["reason"] for row in rows if row["reason"]}
    assert reasons.keys() == {"1.jpg", "b.PNG"}
    assert "1.txt is empty" in reasons["1.jpg"]
    assert "share its text with B.jpg" in reasons["b.PNG"]
    new = {"B.txt": f"{said[2]}\n", "c.v2.txt": f"{said[3]}\n"}
    assert {file.name: file.read_text() for file in place.iterdir() if file.suffix not in (".jpg", ".PNG")} == (
        there | new
    )
    assert "3 of 7 pictures have a caption" in log.text
    asked.sizes.clear()
    assert captions(named(write="txt")) == captions(rows)
    assert asked.sizes == []


def test_texts_that_cannot_be_read_stay_too(named, fill, place):
    fill(**{"0.jpg": 0, "1.jpg": 1, "1.txt": b"\xef\xbb\xbfcaf\xe9"})
    (place / "0.txt").symlink_to("gone.txt")
    lost, spoilt = named(write="txt")
    assert "0.txt cannot be read" in lost["reason"]
    assert "not in UTF-8" in spoilt["reason"]
    assert spoilt["caption"] == ""
    assert (place / "0.txt").is_symlink()
    assert (place / "1.txt").read_bytes() == b"\xef\xbb\xbfcaf\xe9"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("é.txt", "mine".encode("utf-16")),
        ("captions.csv", 'file_name;caption\ne\u0301.png;mine\n"in\\1.png";mine\n'.encode()),
        ("captions.csv", "file_name,caption\né.png,mine\n".encode("utf-16")),
        ("captions.jsonl", '{"file_name": "é.png", "caption": "mine"}\n'.encode()),
    ],
)
def test_what_is_there_is_found_however_its_names_and_its_text_are_stored(named, fill, place, file, content):
    fill(**{"e\u0301.png": 0, "in/1.png": 1, file: content})
    rows = named(write=file.rpartition(".")[2])
    assert rows[0]["caption"] == "mine"
    assert (rows[1]["caption"] == "mine") == (b";" in content)


@pytest.mark.parametrize("write", ["csv", "jsonl"])
def test_a_table_that_is_there_is_continued_and_keeps_what_it_holds(named, fill, place, said, write):
    """Captions mended by hand, a column of one's own, an empty caption, a row of a picture that is gone."""
    fill(**{f"{i}.png": i for i in range(4)})
    old = [
        {"file_name": "1.png", "caption": "=mine", "confidence": "sure", "reason": "", "by": "me"},
        {"file_name": "gone.png", "caption": "é", "confidence": "0.5", "reason": "", "by": ""},
        {"file_name": "2.png", "caption": "", "confidence": "", "reason": "", "by": "me"},
        {"file_name": "3.png", "caption": "", "confidence": "", "reason": "was damaged", "by": ""},
    ]
    content = io.StringIO()
    writer = csv.DictWriter(content, old[0])
    writer.writeheader()
    writer.writerows(old)
    fill(**{"captions.csv": content.getvalue(), "captions.jsonl": "".join(json.dumps(row) + "\n" for row in old)})
    rows = named(write=write)
    assert captions(rows) == {"0.png": said[0], "1.png": "=mine", "2.png": "", "3.png": said[3]}
    assert "empty" in rows[2]["reason"]
    text = (place / f"captions.{write}").read_text(encoding="utf-8")
    assert "é" in text
    lines = text.removeprefix("\ufeff").splitlines()
    kept = list(csv.DictReader(lines)) if write == "csv" else [json.loads(line) for line in lines]
    assert kept[:3] == old[:3]
    assert [row["file_name"] for row in kept[3:]] == ["0.png", "3.png"]
    assert text.startswith("\ufeff") == (write == "csv")  # so that a spreadsheet reads é
    # As a spreadsheet may save it; with nothing to add, nothing is written.
    spelled = text.replace("\n", "\r\n").encode()
    (place / f"captions.{write}").write_bytes(spelled)
    assert named(write=write) == rows
    assert (place / f"captions.{write}").read_bytes() == spelled


@pytest.mark.parametrize("write", ["txt", "csv", "jsonl"])
def test_any_name_and_any_caption_come_back_as_they_were(named, fill, place, monkeypatch, write):
    odd = ['a, "b"', "two\nlines", "=1+1", "새 그림", "e\u0301", "100%", "[1]", "back\\slash", "'", "x" * 200]
    spoken = [visible(f'{name}, said "so"') for name in odd]  # as a Caption's text is
    fill(**{f"{name}.png": 0 for name in odd})
    for i, name in enumerate(sorted(odd)):
        noise(i).save(place / f"{name}.png")
    by_name = dict(zip(sorted(odd), spoken, strict=True))
    left = iter(by_name.values())
    monkeypatch.setattr(module, "caption_batch", lambda *args, **_: [Caption(next(left), 0.5, ()) for _ in args[2]])
    expected = {f"{name}.png": " ".join(text.split()) for name, text in by_name.items()}
    assert captions(named(write=write)) == expected
    assert captions(named(write=write)) == expected
    if write == "txt":
        assert texts(place) == {f"{name[:-4]}.txt": f"{text}\n" for name, text in expected.items()}
    else:
        dataset = load_captions(str(place / f"captions.{write}"))
        found = [text for split in dataset.values() for [text] in split["captions"]]
        assert sorted(found) == sorted(expected.values())
        assert {"file_name", "reason"}.isdisjoint(dataset["train"].column_names)


@pytest.mark.parametrize("write", ["txt", "csv", "jsonl"])
def test_a_name_that_is_no_text_is_a_reason(named, fill, place, write):
    fill(**{"0.png": 0})
    os.rename(place / "0.png", os.fsencode(place) + b"/caf\xe9.png")
    for _ in range(2):
        [row] = named(write=write)
        assert (row["file_name"], row["caption"]) == ("caf?.png", "")
        assert "UTF-8" in row["reason"]
        assert (place / f"captions.{write}").exists() == (write != "txt")
    assert write == "txt" or len((place / f"captions.{write}").read_text().splitlines()) == 1 + (write == "csv")


def test_a_captioner_that_says_nothing_writes_nothing(named, fill, place, monkeypatch):
    fill(**{"0.png": 0})
    monkeypatch.setattr(module, "caption_batch", lambda *_, **__: [Caption(" ", 0.5, ())])
    [row] = named(write="txt")
    assert row["reason"]
    assert texts(place) == {}


def test_a_folder_that_is_divided_by_its_folders_stays_divided(named, fill, place, said):
    fill(**{f"{split}/{i}.png": i for i, split in enumerate(("train", "train", "val", "test"))})
    named(write="csv")
    dataset = load_captions(str(place / "captions.csv"))
    assert {split: [text for [text] in rows["captions"]] for split, rows in dataset.items()} == {
        "train": said[:2], "validation": said[2:3], "test": said[3:4],
    }  # fmt: skip


def test_too_little_memory_for_a_batch_means_smaller_ones(named, fill, talker, said, monkeypatch, log):
    fill(**{f"{i}.png": i for i in range(3)})
    generate, most = talker.generate, 1

    def full(pixel_values, **options):
        if len(pixel_values) > most:
            raise RuntimeError("CUDA out of memory.")
        return generate(pixel_values=pixel_values, **options)

    monkeypatch.setattr(talker, "generate", full, raising=False)
    assert list(captions(named(batch_size=4)).values()) == said[:3]
    assert [message[-13:] for message in log.messages] == ["batch_size=2.", "batch_size=1."]
    most = 0
    with pytest.raises(MemoryShortage):
        named()


@pytest.mark.parametrize("name", ["absent", "empty", "file.txt"])
def test_a_folder_without_pictures_is_said(named, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(ImageError, match=name):
        named(tmp_path / name)


HEAD = "file_name,caption\n0.png"
SPOILT = ["a,b\n1,2\n", f"{HEAD},a, b\n", f'{HEAD},"open\n', "\0"]
SPOILT += [f"{HEAD},".encode() + b"\xe9\n"]
SPOILT_LINES = ["{", '{"file_name": "0.png", "text": ""}', '{"file_name": "0.png", "caption": ["a"]}']


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({"write": "json"}, {}),
        ({"batch_size": 0}, {}),
        *(({"write": "csv"}, {"captions.csv": text}) for text in SPOILT),
        *(({"write": "jsonl"}, {"captions.jsonl": text}) for text in SPOILT_LINES),
        ({"write": "csv"}, {"captions.csv/0.png": 0}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_captioned(named, fill, place, asked, options, file):
    fill(**{"0.png": 0}, **file)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match=f"{next(iter(options))}|rename it"):
        named(**options)
    assert asked.sizes == []
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("write", "refused"), [("txt", "in"), ("csv", "mine"), ("jsonl", "mine")])
def test_a_folder_that_cannot_be_written_to_is_said_first(named, fill, place, asked, monkeypatch, write, refused):
    fill(**{"0.png": 0, "in/1.png": 1})
    temporary = tempfile.TemporaryFile

    def read_only(dir):
        if dir.name == refused:
            raise OSError(30, "Read-only file system")
        return temporary(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(SettingsError, match=rf"{refused} cannot be written to \(Read-only file system\)"):
        named(write=write)
    assert asked.sizes == []
    assert len(named()) == 2


def test_a_full_disk_ends_the_run_and_loses_nothing(named, fill, place, said, monkeypatch):
    fill(**{f"{i}.png": i for i in range(4)})
    write_whole = module.write_whole

    def full(file, text):
        if file.name == "2.txt":
            raise OSError(28, "No space left on device")
        write_whole(file, text)

    monkeypatch.setattr(module, "write_whole", full)
    with pytest.raises(SettingsError, match=r"2\.txt"):
        named(write="txt")
    assert texts(place) == {"0.txt": f"{said[0]}\n", "1.txt": f"{said[1]}\n"}


@pytest.mark.parametrize(("pause", "times"), [(0, 4), (60, 2)])
def test_a_table_is_written_again_after_a_while_and_at_the_end(named, fill, place, monkeypatch, pause, times):
    fill(**{f"{i}.png": i for i in range(3)})
    times_written, write_whole = [], module.write_whole
    monkeypatch.setattr(module, "PAUSE", pause)
    monkeypatch.setattr(module, "write_whole", lambda *args: times_written.append(1) or write_whole(*args))
    named(write="jsonl", batch_size=1)
    assert len(times_written) == times
    assert len((place / "captions.jsonl").read_text().splitlines()) == 3


def test_the_texts_of_a_folder_are_read_as_they_were_said(named, fill, place, said):
    """From folders inside the folder, too; the picture that could not be read has none."""
    fill(**{f"in/{i}.png": i for i in range(3)}, **{"deep/er/3.png": 3, "4.png": "damaged"})
    named(write="txt")
    dataset = load_captions(str(place), max_left_out=0.2)
    assert sorted(text for split in dataset.values() for [text] in split["captions"]) == sorted(said[:4])
    assert [row["reason"][:17] for row in data_report(dataset) if row["row"].isdigit()] == ["it has no caption"]
