"""Captioned sets as people keep them: each loads as it stands, or a sentence says how."""

import io
import json
import os
import shutil
import tarfile

import pytest
from datasets import ClassLabel, Dataset, DatasetDict
from datasets import Image as ImageColumn

from helpers.data import data_report, load_captions
from helpers.errors import DataError
from tests.toolbox import encoded, noise

EVERY = [f"picture {i}" for i in range(12)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 12 pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(12):
        noise(i).save(folder / f"{i:02}.jpg")
    return folder


def texts(splits):
    return sorted(text for split in splits.values() for group in split["captions"] for text in group)


def told(splits):
    return " ".join(row["reason"] for row in data_report(splits) if row["row"] == "note")


def test_a_text_beside_each_picture_at_any_depth(tmp_path, pictures):
    """As LoRA trainers keep them."""
    for i in range(12):
        place = tmp_path / ("10_cats", "20_dogs/more")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures / f"{i:02}.jpg", place / f"{i:02}.JPG")
        (place / (f"{i:02}.txt", f"{i:02}.caption")[i % 3 == 0]).write_text(f"picture {i}\n\n", encoding="utf-8-sig")
    splits = load_captions(str(tmp_path))
    assert texts(splits) == sorted(EVERY)
    assert told(splits) == ""
    for row in splits["train"]:
        assert row["image"].size == (24, 20)
    (tmp_path / "10_cats" / "00.caption").write_text("one\ntwo\n")
    (tmp_path / "10_cats" / "02.txt").unlink()
    (tmp_path / "notes.txt").write_text("no caption")
    again = load_captions(str(tmp_path), max_left_out=0.1)
    assert texts(again) == sorted({*EVERY, "one", "two"} - {"picture 0", "picture 2"})
    assert "pictures that have several: 1" in told(again)
    assert "notes.txt, 1 in all" in told(again)
    [left] = [row["reason"] for row in data_report(again) if row["row"].isdigit()]
    assert "write one into 10_cats/02.txt" in left


def test_what_systems_leave_in_folders_is_ignored(tmp_path, pictures):
    for i in range(12):
        shutil.copy(pictures / f"{i:02}.jpg", tmp_path / f"{i:02}.jpg")
        (tmp_path / f"{i:02}.txt").write_text(f"picture {i}")
    (tmp_path / "__MACOSX").mkdir()
    for name in ("._00.jpg", "._00.txt", ".DS_Store", "Thumbs.db", "__MACOSX/00.jpg", "__MACOSX/00.txt"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    splits = load_captions(str(tmp_path))
    assert texts(splits) == sorted(EVERY)
    assert told(splits) == ""


def test_texts_in_folders_of_splits(tmp_path, pictures):
    for i in range(12):
        place = tmp_path / ("Train", "val", "test")[i % 3]
        place.mkdir(exist_ok=True)
        shutil.copy(pictures / f"{i:02}.jpg", place)
        (place / f"{i:02}.txt").write_text(f"picture {i}")
    splits = load_captions(str(tmp_path))
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 4, "validation": 4, "test": 4}
    assert texts({"": splits["test"]}) == sorted(f"picture {i}" for i in range(2, 12, 3))


@pytest.mark.parametrize(("ending", "said"), [(".svg", "SVG"), (".heic", "HEIC")])
def test_pictures_that_are_not_read_are_said_and_not_passed_over(tmp_path, ending, said):
    content = b"<svg/>" if ending == ".svg" else b"\0\0\0\x18ftypheic" + bytes(40)
    for i in range(12):
        (tmp_path / f"{i}{ending}").write_bytes(content)
        (tmp_path / f"{i}.txt").write_text("a cat")
    with pytest.raises(DataError, match=said):
        load_captions(str(tmp_path))


def test_of_a_photo_and_its_copy_in_another_kind_the_one_that_is_read_has_the_caption(tmp_path, pictures):
    for i in range(12):
        shutil.copy(pictures / f"{i:02}.jpg", tmp_path / f"{i:02}.jpg")
        (tmp_path / f"{i:02}.txt").write_text(f"picture {i}")
    (tmp_path / "03.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    splits = load_captions(str(tmp_path), max_left_out=0.1)
    assert texts(splits) == sorted(EVERY)
    [left] = [row["reason"] for row in data_report(splits) if row["row"].isdigit()]
    assert "that of 03.jpg too" in left


FLICKR8K = "image,caption\n" + "".join(f'{i:02}.jpg,"picture {i} , again"\n{i:02}.jpg,picture {i}\n' for i in range(12))
TOKENS = "".join(f"{i:02}.jpg#{k}\tpicture {i} , {k} .\n" for i in range(12) for k in range(2))
FLICKR30K = "image_name| comment_number| comment\n" + "".join(
    f"{i:02}.jpg| {k}| picture {i} , {k} .\n" for i in range(12) for k in range(2)
)


@pytest.mark.parametrize(
    ("table", "folder", "content", "second"),
    [
        ("captions.txt", "Images", FLICKR8K, "picture 3"),
        ("Flickr8k_text/Flickr8k.token.txt", "Flicker8k_Dataset", TOKENS, "picture 3 , 1 ."),
        ("results_20130124.token", "flickr30k-images", TOKENS, "picture 3 , 1 ."),
        ("results.csv", "flickr30k_images", FLICKR30K, "picture 3 , 1 ."),
        ("flickr30k_images/results.csv", "flickr30k_images", FLICKR30K, "picture 3 , 1 ."),
        ("data.tsv", "images", FLICKR30K.replace("| ", "\t"), "picture 3 , 1 ."),
    ],
)
def test_tables_of_known_sets(tmp_path, pictures, table, folder, content, second):
    shutil.copytree(pictures, tmp_path / folder)
    (tmp_path / table).parent.mkdir(exist_ok=True)
    (tmp_path / table).write_text(content)
    splits = load_captions(str(tmp_path / table))
    groups = [list(group) for split in splits.values() for group in split["captions"]]
    assert len(groups) == 12
    assert all(len(group) == 2 and group[0] != group[1] for group in groups)
    assert second in [group[1] for group in groups]
    assert "24 rows name 12 pictures" in told(splits)
    assert texts(load_captions(str(tmp_path))) == texts(splits)  # the folder that holds one table will do


def test_a_line_of_flickr30k_that_lacks_a_bar_costs_itself_alone(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "images")
    (tmp_path / "results.csv").write_text(FLICKR30K.replace("03.jpg| 1| picture", "03.jpg| 1   picture"))
    splits = load_captions(str(tmp_path / "results.csv"))
    assert sorted(len(group) for split in splits.values() for group in split["captions"]) == [1] + [2] * 11
    assert [row["row"] for row in data_report(splits) if row["row"].isdigit()] == ["7"]


def test_of_several_tables_one_must_be_named(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "Images")
    (tmp_path / "captions.txt").write_text(FLICKR8K)
    (tmp_path / "more.csv").write_text(FLICKR8K)
    with pytest.raises(DataError, match=r"2 tables \(captions\.txt, more\.csv\)"):
        load_captions(str(tmp_path))


def parquet(folder, name="train", **columns):
    """A parquet file of twelve embedded pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [{"bytes": encoded(noise(i)), "path": None} for i in range(12)]
    made = Dataset.from_dict({"image": pictures, **columns}).cast_column("image", ImageColumn())
    made.to_parquet(folder / f"{name}.parquet")
    return made


@pytest.mark.parametrize("column", ["sentences_raw", "answer", "alt_text", "Captions"])
def test_other_usual_names_of_columns(tmp_path, column):
    parquet(tmp_path / "set", **{column: [[text, "again"] for text in EVERY]})
    assert texts(load_captions(str(tmp_path / "set"))) == sorted(EVERY + ["again"] * 12)


def test_of_two_languages_one_must_be_chosen(tmp_path):
    parquet(tmp_path / "set", en_text=EVERY, zh_text=["猫"] * 12)
    with pytest.raises(DataError, match=r"caption_columns.*en_text, zh_text"):
        load_captions(str(tmp_path / "set"))
    assert texts(load_captions(str(tmp_path / "set"), caption_columns="zh_text")) == ["猫"] * 12


@pytest.mark.parametrize("kind", ["folder", "file", "saved"])
def test_one_split_with_the_splits_in_a_column(tmp_path, kind):
    """As nlphuji/flickr30k is kept."""
    made = parquet(
        tmp_path / "set", "test-00000", caption=[[text] for text in EVERY], split=["train", "val", "test"] * 4
    )
    made.save_to_disk(tmp_path / "saved")
    name = {"folder": "set", "file": "set/test-00000.parquet", "saved": "saved"}[kind]
    splits = load_captions(str(tmp_path / name))
    assert {split: rows["split"][:] for split, rows in splits.items()} == {
        "train": ["train"] * 4,
        "validation": ["val"] * 4,
        "test": ["test"] * 4,
    }


def test_splits_that_are_there_stay_unless_a_column_is_named(tmp_path):
    parts = ["train", "validation", "test"] * 4
    for split in ("train", "validation", "test"):
        parquet(tmp_path / "set", split, caption=EVERY, other=parts)
    as_it_comes = load_captions(str(tmp_path / "set"))
    assert as_it_comes["train"]["other"][:] == parts
    chosen = load_captions(str(tmp_path / "set"), split_column="other")
    assert {split: set(rows["other"]) for split, rows in chosen.items()} == {split: {split} for split in chosen}
    assert sum(map(len, chosen.values())) == 36
    assert {row["split"] for row in data_report(str(tmp_path / "set"), split_column="other")} == set(chosen)


def configured(folder):
    for language in ("english", "german"):
        parquet(folder / language, caption=[f"{language} {i}" for i in range(12)])
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("english", "german"))
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    return str(folder)


def test_of_several_configurations_one_is_chosen(tmp_path):
    folder = configured(tmp_path / "birds")
    for wrong in ({}, {"config": "french"}):
        with pytest.raises(DataError, match="config= one of english, german"):
            load_captions(folder, **wrong)
    assert texts(load_captions(folder, config="german")) == sorted(f"german {i}" for i in range(12))
    assert data_report(folder, config="german")[0]["pictures"] == 12
    with pytest.raises(DataError, match="no configurations"):
        load_captions(f"{folder}/german/train.parquet", config="german")


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("texts_in", ["txt", "json"])
def test_webdataset_tars(tmp_path, pictures, texts_in):
    def said(i):
        return (json.dumps({"caption": f"picture {i}"}) if texts_in == "json" else f"picture {i}").encode()

    for part in range(2):
        rows = [(f"{i:04}", i) for i in range(6 * part, 6 * part + 6)]
        members = [
            member
            for key, i in rows
            for member in ((f"{key}.jpg", (pictures / f"{i:02}.jpg").read_bytes()), (f"{key}.{texts_in}", said(i)))
        ]
        tar(tmp_path / f"train-{part:04}.tar", members)
    assert texts(load_captions(str(tmp_path))) == sorted(EVERY)
    assert texts(load_captions(str(tmp_path / "train-0001.tar"))) == sorted(EVERY[6:])


def test_signs_of_patterns_in_a_path(tmp_path, pictures):
    folder = tmp_path / "birds [2024]"
    shutil.copytree(pictures, folder)
    (folder / "metadata.csv").write_text("file_name,text\n" + "".join(f"{i:02}.jpg,picture {i}\n" for i in range(12)))
    assert texts(load_captions(str(folder))) == sorted(EVERY)
    parquet(tmp_path / "cats*", caption=EVERY)
    assert texts(load_captions(str(tmp_path / "cats*" / "train.parquet"))) == sorted(EVERY)
    with pytest.raises(DataError, match="rename the folder"):
        load_captions(str(tmp_path / "cats*"))


@pytest.mark.parametrize("name", ["set", "set/train.parquet"])
def test_another_file_of_the_same_name_and_time_is_read_anew(tmp_path, name):
    for words in (EVERY, [f"another {i}" for i in range(12)]):
        parquet(tmp_path / "set", caption=words)
        os.utime(tmp_path / "set" / "train.parquet", (1_600_000_000, 1_600_000_000))
        assert texts(load_captions(str(tmp_path / name))) == sorted(words)


def beside(folder, pictures):
    """Twelve pictures, each with a text."""
    for i in range(12):
        shutil.copy(pictures / f"{i:02}.jpg", folder / f"{i:02}.jpg")
        (folder / f"{i:02}.txt").write_text(f"picture {i}")
    return folder


@pytest.mark.parametrize("harm", ["cp1252", "zeros", "gone"])
def test_a_text_that_cannot_be_read_costs_its_picture_alone(tmp_path, pictures, harm):
    text = beside(tmp_path, pictures) / "03.txt"
    if harm == "gone":
        text.unlink()
        text.symlink_to("nothing.txt")
    else:
        text.write_bytes("forêt".encode("cp1252") if harm == "cp1252" else "a cat".encode("utf-16-le"))
    splits = load_captions(str(tmp_path), max_left_out=0.1)
    assert texts(splits) == sorted({*EVERY} - {"picture 3"})
    assert [row["row"] for row in data_report(splits) if row["row"].isdigit()] == ["3"]


def test_texts_belong_to_the_picture_whose_name_is_theirs(tmp_path, pictures):
    beside(tmp_path, pictures)
    noise(50).save(tmp_path / "A.png")
    noise(51).save(tmp_path / "a.png")
    (tmp_path / "A.txt").write_text("large")
    (tmp_path / "a.png.txt").write_text("small")
    found = {
        text: row["image"]
        for split in load_captions(str(tmp_path)).values()
        for row in split
        for text in row["captions"]
    }
    assert found.keys() == {*EVERY, "large", "small"}
    assert found["large"].tobytes() == noise(50).tobytes()
    assert found["small"].tobytes() == noise(51).tobytes()


@pytest.mark.parametrize("table", ["metadata.csv", "captions.csv"])
def test_what_is_read_of_texts_and_a_table_is_told(tmp_path, pictures, table):
    rows = "".join(f"{i:02}.jpg,row {i}\n" for i in range(12))
    (beside(tmp_path, pictures) / table).write_text("file_name,text\n" + rows)
    splits = load_captions(str(tmp_path))
    assert texts(splits)[0] == ("row 0" if table == "metadata.csv" else "picture 0")
    assert ("00.txt, 01.txt, 02.txt, 12 in all" if table == "metadata.csv" else "captions.csv, 1 in all") in told(
        splits
    )


@pytest.mark.parametrize(
    "names", [("data/train/metadata.csv", "data/val/metadata.csv"), ("a/c_train2017.csv", "a/c_val2017.csv")]
)
def test_tables_whose_names_or_folders_say_their_split(tmp_path, pictures, names):
    for k, name in enumerate(names):
        place = (tmp_path / name).parent if "metadata" in name else tmp_path / f"{('train', 'val')[k]}2017"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(exist_ok=True)
        for i in range(k, 12, 2):
            shutil.copy(pictures / f"{i:02}.jpg", place)
        (tmp_path / name).write_text("file_name,text\n" + "".join(f"{i:02}.jpg,picture {i}\n" for i in range(k, 12, 2)))
    splits = load_captions(str(tmp_path))
    assert texts({"": splits["validation"]}) == sorted(EVERY[1::2])
    assert texts(splits) == sorted(EVERY)


def test_a_folder_with_a_spreadsheet_says_what_to_do_with_it(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "set")
    (tmp_path / "set" / "captions.xlsx").touch()
    with pytest.raises(DataError, match=r"captions\.xlsx.*save it as CSV"):
        load_captions(str(tmp_path / "set"))


def test_a_parquet_file_of_names_in_a_folder(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "images")
    columns = {"image": [f"images\\{i:02}.JPG" for i in range(12)], "text": EVERY}
    Dataset.from_dict(columns).to_parquet(tmp_path / "train.parquet")
    assert texts(load_captions(str(tmp_path))) == sorted(EVERY)


def test_what_the_library_passes_over_in_a_folder_is_told(tmp_path):
    for name in ("trainval", "test"):
        parquet(tmp_path, name, caption=EVERY)
    (tmp_path / "old.parquet").symlink_to("nothing.parquet")
    said = told(load_captions(str(tmp_path)))
    assert "trainval.parquet" in said
    assert "its only split, test, is divided" in said


def test_splits_in_a_column_of_classes(tmp_path):
    parts = ["train", "validation", "test"]
    made = parquet(tmp_path / "set", caption=["", *EVERY[1:]], split=[i % 3 for i in range(12)])
    made.cast_column("split", ClassLabel(names=parts)).save_to_disk(tmp_path / "saved")
    splits = load_captions(str(tmp_path / "saved"), max_left_out=0.1)
    assert [texts({"": splits[split]}) for split in parts] == [sorted(EVERY[k:12:3])[not k :] for k in range(3)]


def test_a_column_that_contradicts_the_splits_is_told(tmp_path):
    made = parquet(tmp_path / "set", caption=EVERY, split=["train"] * 12)
    DatasetDict({"train": made, "test": made}).save_to_disk(tmp_path / "saved")
    assert "its column split names other splits" in told(load_captions(str(tmp_path / "saved")))


def test_quotation_marks_around_a_path_and_addresses(tmp_path, pictures):
    assert texts(load_captions(f'"{beside(tmp_path, pictures)}"')) == sorted(EVERY)
    with pytest.raises(DataError, match="is an address; download"):
        load_captions("https://www.kaggle.com/datasets/adityajn105/flickr8k")
