"""The example folder is a data set with the faults that it promises."""

import csv

import numpy as np
import pytest
from PIL import Image

from helpers.creatures import ATTRIBUTES, example
from helpers.creatures.example import example_folder, new_pictures, own_caption
from helpers.data import data_report, load_captions
from helpers.reading.copies import groups_by_split, in_other_splits
from helpers.reading.pictures import load_image


@pytest.fixture(scope="module", autouse=True)
def data_set(creatures):
    """The data set that the pictures are taken from, read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "load_captions", {"data/pocket-creatures": creatures}.get)
        yield


@pytest.fixture(scope="module")
def folder(data_set, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPTIONING_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
        return example_folder(pictures=40)


def rows_of(folder):
    with (folder / "captions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_loads_and_its_faults_are_told(folder):
    table = str(folder / "captions.csv")
    dataset = load_captions(table, max_left_out=0.1)
    assert {name: len(split) for name, split in dataset.items()} == {"train": 33, "validation": 4, "test": 4}
    cut_off, empty = [row["reason"] for row in data_report(table) if row["reason"]]
    assert "damaged" in cut_off
    assert "empty" in empty


def test_its_copy_stays_with_its_original(folder):
    groups = groups_by_split(load_captions(str(folder / "captions.csv"), max_left_out=0.1))
    assert sum(len(rows) - len(set(rows.tolist())) for rows in groups.values()) == 1
    assert not any(in_other_splits(groups).values())


def test_its_files_are_of_several_kinds_and_show_what_was_drawn(folder, creatures):
    drawn = {own_caption(row): [] for row in creatures["train"].remove_columns("image")}
    for row in creatures["train"]:
        drawn[own_caption(row)].append(np.asarray(row["image"].resize((32, 32)), dtype=float))
    names = [row["file_name"] for row in rows_of(folder)]
    assert {name.rpartition(".")[2] for name in names} == {"png", "jpg", "webp"}
    sizes = {opened(folder / name).size for name in names}
    assert sizes == {(100, 100), (128, 128), (192, 192), (256, 256)}
    with_exif = [name for name in names if name.endswith("jpg") and opened(folder / name).getexif().get(0x0112)]
    assert 0 < len(with_exif) < len(names)
    dataset = load_captions(str(folder / "captions.csv"), max_left_out=0.1)
    for split in dataset.values():
        for row in split:  # upright, or it would be like none
            seen = np.asarray(row["image"].convert("RGB").resize((32, 32)), dtype=float)
            assert min(np.abs(seen - other).mean() for other in drawn[row["captions"][0]]) < 6


def opened(path):
    with Image.open(path) as picture:
        return picture


def test_the_same_seed_gives_the_same_folder_and_a_folder_that_is_there_is_kept(tmp_path):
    first, again, other = (
        rows_of(example_folder(str(tmp_path / name), pictures=3, seed=seed))
        for name, seed in {"first": 0, "again": 0, "other": 1}.items()
    )
    assert first == again != other
    again = tmp_path / "again"
    (again / "captions.csv").write_text("mine")
    assert example_folder(str(tmp_path / "again")) == again
    assert (again / "captions.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "first", "other"]


@pytest.mark.parametrize("make", [example_folder, new_pictures])
def test_a_folder_that_was_stopped_while_it_was_made_is_made_again(make, artifacts, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", stopped)
        with pytest.raises(KeyboardInterrupt):
            make(pictures=2)
    assert list(make(pictures=2).rglob("*.*"))
    assert [path.name for path in artifacts.iterdir()] == [make(pictures=2).name]


def test_a_caption_names_mood_colours_and_wings():
    row = {"color": "red", "second_color": "none", "mouth": "frown", "wings": "none"}
    assert own_caption(row) == "A grumpy little monster in red."
    row = {"color": "red", "second_color": "blue", "mouth": "open", "wings": "wings"}
    assert own_caption(row) == "A surprised little monster in red and blue, ready to fly."
    assert len({own_caption(row | {"mouth": mouth}) for mouth in ATTRIBUTES["mouth"]}) == 3


def test_new_pictures_are_of_the_test_split_and_made_once(artifacts, creatures):
    folder = new_pictures(pictures=2)
    assert sorted(path.name for path in folder.iterdir()) == ["new-1.png", "new-2.png"]
    for i in range(2):
        assert load_image(folder / f"new-{i + 1}.png").tobytes() == creatures["test"][i]["image"].tobytes()
    (folder / "new-1.png").unlink()
    assert len(list(new_pictures(pictures=2).iterdir())) == 1
