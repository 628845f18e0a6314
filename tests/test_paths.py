"""Where the pictures of a data set may lie whose rows hold paths: in its own folder, and nowhere else."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as Picture
from PIL import Image

from helpers.data import data_report, load_captions
from helpers.errors import DataError
from helpers.reading import tables
from tests.toolbox import noise

COUNT = 24


@pytest.fixture
def folder(tmp_path):
    """A data set's folder, in a place that nothing else is in."""
    for i in range(COUNT):
        picture_in(tmp_path / "set" / "photos" / f"{i:02}.png", i)
    picture_in(tmp_path / "secret.png", 99)
    return tmp_path / "set"


def picture_in(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(seed).save(path)
    return path


def names(folder):
    return [str(folder / "photos" / f"{i:02}.png") for i in range(COUNT)]


def parquet(path, images):
    """A table whose column of pictures holds what is given: paths as texts, or both parts."""
    pictures = [{"bytes": None, "path": image} if isinstance(image, str) else image for image in images]
    columns = {"image": pictures, "text": [f"picture {i}" for i in range(len(images))]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def arrow(path, images, feature):
    columns = {"image": images, "text": [f"picture {i}" for i in range(len(images))]}
    made = Dataset.from_dict(columns, features=Features({"image": feature, "text": Value("string")}))
    # What the library saves now holds the pictures; older releases left the paths.
    DatasetDict({"train": made}).save_to_disk(path)
    return path


def reasons(name, **options):
    return [row["reason"] for row in data_report(str(name), **options) if row["row"] != "all"]


ELSEWHERE = ["/etc/hostname", "../secret.png", "photos/../../secret.png", "{above}/secret.png", "{above}/set-2/a.png"]


@pytest.mark.parametrize(
    ("what", "place"),
    [
        *(("a file", place) for place in ELSEWHERE),
        ("a folder", ELSEWHERE[0]),
        *(("saved to disk", e) for e in ELSEWHERE[:2]),
    ],
)
def test_a_row_cannot_name_a_picture_elsewhere(folder, what, place, log):
    picture_in(folder.parent / "set-2" / "a.png", 98)
    bad = place.format(above=folder.parent)
    images = [bad, *names(folder)[1:]]
    if what == "saved to disk":
        arrow(folder / "saved", images, Value("string"))
        bad = bad if bad.startswith("/") else f"../{bad}"
        shown = arrow(folder, images, Value("string"))
    else:
        file = parquet(folder / "train.parquet", images)
        shown = file if what == "a file" else folder
    [reason] = reasons(shown)
    assert "leaves the folder of the pictures" in reason
    splits = load_captions(str(shown))
    assert sum(map(len, splits.values())) == COUNT - 1
    assert "1 of 24" in log.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.png", "hf://datasets/a/b/c.png"])
def test_a_row_cannot_name_an_address(folder, address):
    [reason] = reasons(parquet(folder / "train.parquet", [address, *names(folder)[1:]]))
    assert reason == f"{address} is an address; download the picture and give its path"


def test_a_row_cannot_name_a_picture_in_an_archive(folder):
    """So the library calls the pictures of an imagefolder that is packed."""
    archive = "zip://a.png::/tmp/b.zip"
    [reason] = reasons(parquet(folder / "train.parquet", [archive, *names(folder)[1:]]))
    assert reason == f"{archive} lies in an archive; unpack it and give its path"


def test_a_picture_without_bytes_is_not_looked_for_elsewhere(folder):
    """Bytes that are there and empty are no picture, whatever path stands beside them."""
    [reason] = reasons(parquet(folder / "a.parquet", [{"bytes": b"", "path": names(folder)[0]}, *names(folder)[1:]]))
    assert "names no picture" in reason


def test_the_name_beside_embedded_bytes_does_not_matter(folder):
    content = Path(names(folder)[0]).read_bytes()
    within = {"bytes": content, "path": "/etc/hostname"}
    assert reasons(parquet(folder / "train.parquet", [within, *names(folder)[1:]])) == []


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("what", ["a file", "a folder"])
def test_pictures_in_the_folder_are_read_wherever_the_kernel_was_started(folder, what, relative, monkeypatch):
    paths = [str(Path(name).relative_to(folder)) for name in names(folder)] if relative else names(folder)
    content = {"bytes": Path(names(folder)[0]).read_bytes(), "path": paths[0]}
    file = parquet(folder / "train.parquet", [content, *paths[1:]])
    monkeypatch.chdir(folder.parent)
    splits = load_captions(str(file if what == "a file" else folder))
    assert sum(map(len, splits.values())) == COUNT
    for split in splits.values():
        for row in split:
            [number] = [int(caption.split()[1]) for caption in row["captions"]]
            with Image.open(names(folder)[number]) as picture:
                assert row["image"].tobytes() == picture.tobytes()


def test_a_link_in_the_folder_may_lead_elsewhere(folder):
    (folder / "photos" / "link.png").symlink_to(folder.parent / "secret.png")
    assert reasons(parquet(folder / "train.parquet", ["photos/link.png", *names(folder)[1:]])) == []


def test_the_folder_that_is_named_is_the_one_to_stay_in(folder):
    file = parquet(folder.parent / "train.parquet", [Path(name).name for name in names(folder)])
    assert len(reasons(file)) == COUNT
    assert reasons(file, images=str(folder / "photos")) == []
    file = parquet(folder.parent / "train.parquet", [str(folder.parent / "secret.png"), *names(folder)[1:]])
    assert len(reasons(file, images=str(folder / "photos"))) == 1


def test_what_was_saved_to_disk_holds_its_pictures(folder):
    saved = arrow(folder.parent / "saved", names(folder), Picture())
    assert reasons(saved) == []


@pytest.fixture
def hub(folder, monkeypatch):
    """What `load_dataset` gives for an id: rows with paths in the caches of the libraries."""
    monkeypatch.setattr(tables.constants, "HF_HUB_CACHE", str(folder.parent / "hub"))
    monkeypatch.setattr(tables.config, "DOWNLOADED_DATASETS_PATH", folder.parent / "downloads")
    monkeypatch.setattr(tables.config, "EXTRACTED_DATASETS_PATH", folder.parent / "unpacked")

    def answer(images):
        columns = {"image": images, "text": [f"picture {i}" for i in range(len(images))]}
        features = Features({"image": Picture(), "text": Value("string")})
        monkeypatch.setattr(tables, "locate", lambda name, kind: name)
        monkeypatch.setattr(tables, "load_dataset", lambda place, name: Dataset.from_dict(columns, features=features))
        return "somebody/pictures"

    return answer


SNAPSHOT = "hub/datasets--somebody--pictures/snapshots/0123/{i}.png"


@pytest.mark.parametrize("place", [SNAPSHOT, "downloads/extracted/0123/{i}.png", "unpacked/0123/{i}.png"])
def test_what_the_library_downloaded_is_read(hub, folder, place):
    assert reasons(hub([str(picture_in(folder.parent / place.format(i=i), i)) for i in range(COUNT)])) == []


@pytest.mark.parametrize("place", ["secret.png", "hub/datasets--somebody--else/snapshots/0123/a.png", "token.png"])
def test_a_set_of_the_hub_cannot_name_a_picture_of_this_machine(hub, folder, place):
    bad = str(picture_in(folder.parent / place, 99))
    sound = [str(picture_in(folder.parent / SNAPSHOT.format(i=i), i)) for i in range(1, COUNT)]
    [reason] = reasons(hub([bad, *sound]))
    assert "leaves the folder of the pictures" in reason
    with pytest.raises(DataError, match="leaves"):
        load_captions("somebody/pictures", max_left_out=0)
