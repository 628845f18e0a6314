"""What stands in tables of captions, right and wrong; the fuzz runs mutate whole tables."""

import csv
import io
import json
import random
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, List
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.data import data_report, load_captions
from helpers.errors import CaptioningError, DataError
from helpers.reading.tables import read_tables
from helpers.text import whole
from tests.toolbox import noise


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 24 pictures, a text and a damaged picture."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(24):
        noise(i).save(folder / f"{i:02}.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "00.png").read_bytes()[:200])
    return folder


@pytest.fixture
def table(photos):
    """Writes a table beside the pictures, and takes it away again."""
    written = []

    def write(content, name="captions.csv"):
        path = photos / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        written.append(path)
        return str(path)

    yield write
    for path in written:
        path.unlink(missing_ok=True)


def rows(count=24, **changed):
    """Rows of a sound table; `changed` gives some of them other captions, as r3="…"."""
    return [{"file_name": f"{i:02}.png", "text": changed.get(f"r{i}", f"picture {i}")} for i in range(count)]


def as_csv(rows, delimiter=","):
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def as_lines(rows):
    return "\n".join(json.dumps(row) for row in rows)


def captions(splits):
    return sorted(text for split in splits.values() for group in split["captions"] for text in group)


EVERY = sorted(f"picture {i}" for i in range(24))


def refused(path, **options):
    with pytest.raises(DataError) as caught:
        load_captions(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_spreadsheets_write_them(table, delimiter, coding):
    assert captions(load_captions(table(as_csv(rows(), delimiter).encode(coding)))) == EVERY


@pytest.mark.parametrize("name", ["captions.jsonl", "captions.json"])
def test_tables_in_json(table, name):
    content = as_lines(rows()) if name.endswith("l") else json.dumps(rows())
    assert captions(load_captions(table(content, name))) == EVERY


def test_a_parquet_table_of_paths(table, photos):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows()), photos / "captions.parquet")
    assert captions(load_captions(str(photos / "captions.parquet"))) == EVERY
    (photos / "captions.parquet").unlink()


def test_what_was_saved_to_disk(tmp_path, dataset):
    dataset.save_to_disk(tmp_path / "saved")
    again = load_captions(str(tmp_path / "saved"))
    assert {split: again[split]["captions"][:] for split in again} == {s: dataset[s]["captions"][:] for s in dataset}
    dataset["train"].save_to_disk(tmp_path / "one")
    assert sum(map(len, load_captions(str(tmp_path / "one")).values())) == 8


def test_captions_with_commas_quotes_and_line_breaks_stay_whole(table):
    said = {"r0": 'a dog, a "cat"', "r1": "two\nlines", "r2": "NA", "r3": "null"}
    found = captions(load_captions(table(as_csv(rows(**said)))))
    assert set(said.values()) <= set(found)


def test_other_columns_are_kept_and_mixed_ones_become_texts(table):
    made = [{**row, "year": i, "extra": i if i % 2 else "x", "tags": ["a", i]} for i, row in enumerate(rows())]
    dataset = load_captions(table(as_lines(made), "captions.jsonl"))["train"]
    assert {type(value) for value in dataset["year"]} == {int}
    assert {type(value) for value in dataset["extra"]} == {str}
    assert set(dataset.column_names) == {"image", "captions", "year", "extra", "tags"}


def test_a_column_whose_name_is_needed_is_left_out_and_told(table, log):
    made = [row | {"image": "a label", "captions": "a note"} for row in rows()]
    splits = load_captions(table(as_lines(made), "captions.jsonl"), caption_columns="text")
    assert captions(splits) == EVERY
    assert [column in log.text for column in ("column image", "column captions")] == [True, True]
    log.clear()
    load_captions(table(as_lines(rows()), "captions.jsonl"))
    assert "left out" not in log.text


def test_a_column_that_only_some_rows_have_is_kept(table):
    made = rows()
    made[5]["note"] = "seen"
    splits = load_captions(table(as_lines(made), "captions.jsonl"))
    assert sorted(filter(None, (note for split in splits.values() for note in split["note"]))) == ["seen"]


def test_of_several_caption_columns_those_left_empty_do_not_count(table):
    made = [
        {"file_name": f"{i:02}.png", "caption_0": f"picture {i}", "caption_1": "" if i % 2 else "again"}
        for i in range(24)
    ]
    found = load_captions(table(as_csv(made)))
    assert captions(found) == sorted(EVERY + ["again"] * 12)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "caption in the column text is empty"),
        (" \t", "caption in the column text is empty"),
        (None, "has no caption in the column text"),
        (7, "caption 7 in the column text is no text"),
        (7.5, "caption 7.5 in the column text is no text"),
        ("12", "caption '12' in the column text is no text"),
        (True, "caption True in the column text is no text"),
        ([], "has no caption in the column text"),
        (["", " "], "caption in the column text is empty"),
        ("\u200b\ufeff", "caption in the column text is empty"),
        ("['a' b 'c']", "is a list that cannot be read"),
        ("nan", "has no caption in the column text"),
        ("#NAME?", "has no caption in the column text"),
        ("{'en': 'a', 'de': 'b'}", "in the column text is no text"),
        ({"a": 1}, "caption {'a': 1} in the column text is no text"),
    ],
)
def test_a_bad_caption_is_left_out_and_told(table, log, bad, why):
    path = table(as_lines(rows(r5=bad)), "captions.jsonl")
    assert len(captions(load_captions(path))) == 23
    assert "1 of 24" in log.text
    [listed] = [row for row in data_report(path) if row["row"] != "all"]
    assert (listed["split"], listed["row"]) == ("train", "5")
    assert why in listed["reason"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("lost.png", "lost.png"),
        ("notes.txt", "notes.txt"),
        ("cut.png", "cut.png"),
        (".", "folder"),
        ("", "names no picture"),
        (None, "names no picture"),
        (99, "99"),
        ("../secret.png", "leaves"),
        ("/etc/hostname", "leaves"),
        ("https://example.org/a.png", "address"),
        ("a\0b.png", "null byte"),
        ({"path": "00.png"}, "no picture"),
    ],
)
def test_a_bad_picture_is_left_out_and_told(table, log, place, why):
    made = rows()
    made[5]["file_name"] = place
    path = table(as_lines(made), "captions.jsonl")
    assert len(captions(load_captions(path))) == 23
    assert "1 of 24" in log.text
    [listed] = [row for row in data_report(path) if row["row"] != "all"]
    assert why in listed["reason"]
    assert "\n" not in listed["reason"]


@pytest.mark.parametrize("line", ["{oops", "[1, 2]", "7", '"text"', "null", "[" * 5000])
def test_a_line_that_is_no_row_is_left_out_and_told(table, log, line):
    content = as_lines(rows()).replace(json.dumps(rows()[5]), line)
    assert len(captions(load_captions(table(content, "captions.jsonl")))) == 23
    assert "1 of 24" in log.text


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        ("", "captions.csv", "no rows"),
        ("file_name,text\n", "captions.csv", "no rows"),
        ('file_name,text\n00.png,"open\n', "captions.csv", "captions.csv"),
        (b"\xff\xfe\x00", "captions.csv", "captions.csv"),
        (b"file_name,text\n00.png,\xe9\n", "captions.csv", "UTF-8"),
        ("{", "captions.json", "captions.json"),
        ('{"a": 1}', "captions.json", "list"),
        ("[" * 100_000, "captions.json", "captions.json"),
        (b"PAR1 no parquet PAR1", "captions.parquet", "captions.parquet"),
        ("", "captions.parquet", "captions.parquet"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(table, content, name, why):
    assert why in refused(table(content, name))


def test_an_images_folder_that_is_not_there_is_named(table):
    assert "nowhere" in refused(table(as_csv(rows())), images="nowhere")


def test_paths_may_begin_with_the_name_of_a_split(tmp_path, photos):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
    made = [{"file_name": f"{'test' if i < 6 else 'train'}/{i}.png", "text": f"picture {i}"} for i in range(24)]
    for i, row in enumerate(made):
        (tmp_path / row["file_name"]).write_bytes((photos / f"{i:02}.png").read_bytes())
    (tmp_path / "metadata.csv").write_text(as_csv(made))
    splits = load_captions(str(tmp_path))
    assert captions({"test": splits["test"]}) == sorted(f"picture {i}" for i in range(6))


@pytest.mark.parametrize(
    ("column", "names", "asked"),
    [
        ("split", ["train", "train", "val", "test"], None),
        ("Split ", ["Train", "TRAIN ", "Val", "Test"], None),
        ("part", ["training", "train2017", "dev", "testing"], "part"),
    ],
)
def test_a_column_may_name_the_splits(table, log, column, names, asked):
    made = [{**row, column: names[i % 4]} for i, row in enumerate(rows())]
    made[4][column] = "trian"
    path = table(as_csv(made))
    splits = load_captions(path, split_column=asked)
    assert {split: len(dataset) for split, dataset in splits.items()} == {"train": 11, "validation": 6, "test": 6}
    assert "1 of 24" in log.text
    assert any("trian" in row["reason"] for row in data_report(path, split_column=asked))


def test_a_column_of_names_of_splits_alone_need_not_be_called_split(table):
    made = [{**row, "subset": ["Train", "Validation", "Test"][i % 3]} for i, row in enumerate(rows())]
    assert {split: len(rows) for split, rows in load_captions(table(as_csv(made))).items()} == dict.fromkeys(
        ("train", "validation", "test"), 8
    )
    made = [{**row, "fold": row["subset"]} for row in made]
    assert "split_column='subset'" in refused(table(as_csv(made)))
    assert len(load_captions(table(as_csv(made)), split_column="fold")["test"]) == 8


@pytest.mark.parametrize("options", [{}, {"split_column": "split"}])
def test_a_column_that_names_no_split_is_said_and_not_passed_over(table, options):
    made = [{**row, "split": "AB"[i % 2]} for i, row in enumerate(rows())]
    assert "'A', 'B'" in refused(table(as_csv(made)), **options)
    assert "split_column" in refused(table(as_csv(rows())), split_column="absent")


def coco(count=24, per_picture=2):
    """COCO's captions of the photos, as a dictionary to change."""
    return {
        "info": {"year": 2017},
        "images": [{"id": 100 + i, "file_name": f"{i:02}.png", "license": 1} for i in range(count)],
        "annotations": [
            {"id": 10 * i + k, "image_id": 100 + i, "caption": f"picture {i}" + " again" * k}
            for k in range(per_picture)
            for i in range(count)
        ],
    }


def as_groups(splits):
    return {tuple(group) for split in splits.values() for group in split["captions"]}


def test_captions_as_coco_keeps_them(table):
    splits = load_captions(table(json.dumps(coco()), "captions.json"))
    assert as_groups(splits) == {(f"picture {i}", f"picture {i} again") for i in range(24)}
    assert set(splits["train"].column_names) == {"image", "captions", "id", "license"}
    assert all(
        row["captions"][0] == f"picture {row['id'] - 100}" and row["image"].size == (24, 20) for row in splits["test"]
    )


@pytest.mark.parametrize("place", ["captions.json", "annotations/captions.json", "elsewhere/captions.json"])
def test_the_pictures_of_coco_lie_beside_it_or_in_the_folder_named(tmp_path, photos, place):
    shutil.copytree(photos, tmp_path / "train2017")
    (tmp_path / "a").mkdir()
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(coco()))
    images = str(tmp_path / "train2017") if "elsewhere" in place else None
    assert len(as_groups(load_captions(str(path), images=images))) == 24


def changed_coco(change):
    made = coco()
    change(made["images"], made["annotations"])
    return json.dumps(made)


@pytest.mark.parametrize(
    ("change", "left", "why"),
    [
        (lambda images, _: images[5].update(id=106), {"5", "6"}, "id 106"),
        (lambda _, notes: notes.append({"image_id": 7, "caption": "?"}), {"24"}, "image_id 7"),
        (lambda _, notes: notes.append("oops"), {"24"}, "image_id"),
        (lambda _, notes: notes.append({"image_id": [], "caption": "?"}), {"24"}, "image_id"),
        (lambda images, _: images.append({"id": 7, "file_name": "00.png"}), {"24"}, "no caption"),
        (lambda images, _: images.append("oops"), {"24"}, "no id"),
        (lambda images, _: images[3].pop("file_name"), {"3"}, "no picture"),
        (lambda images, _: images[3].update(file_name="../x/00.png"), {"3"}, "leaves"),
    ],
)
def test_what_is_wrong_with_coco_is_left_out_and_told(table, log, change, left, why):
    path = table(changed_coco(change), "captions.json")
    splits = load_captions(path, max_left_out=0.2)
    listed = {row["row"]: row["reason"] for row in data_report(path) if row["row"] != "all"}
    assert left <= set(listed)
    assert any(why in reason for reason in listed.values())
    rows_read = len(listed) + sum(map(len, splits.values()))
    assert f"left out {len(listed)} of {rows_read} rows" in log.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"images": [{"id": 1, "file_name": "00.png"}], "annotations": [{"image_id": 1, "bbox": []}]}, "caption"),
        ({"images": 5, "annotations": []}, "list"),
        ({"images": [{}]}, "list"),
        (7, "list"),
    ],
)
def test_an_object_that_holds_no_captions_is_refused(table, content, why):
    assert why in refused(table(json.dumps(content), "captions.json"))


def karpathy(**other):
    parts = ["train", "val", "test", "restval"]
    images = [
        {
            "filename": f"{i:02}.png",
            "split": parts[i % 4],
            "sentences": [{"raw": f"picture {i}", "tokens": ["picture"]}, {"raw": f"{i} again"}],
            **other,
        }
        for i in range(24)
    ]
    return {"images": images, "dataset": "coco"}


@pytest.mark.parametrize("folder", [{}, {"filepath": "val2014"}])
def test_karpathys_splits(tmp_path, photos, folder):
    shutil.copytree(photos, tmp_path / folder.get("filepath", "."), dirs_exist_ok=True)
    (tmp_path / "dataset.json").write_text(json.dumps(karpathy(**folder)))
    splits = load_captions(str(tmp_path / "dataset.json"))
    assert captions({"test": splits["test"]}) == sorted(
        t for i in range(2, 24, 4) for t in (f"picture {i}", f"{i} again")
    )
    assert {split: len(dataset) for split, dataset in splits.items()} == {"train": 12, "validation": 6, "test": 6}


def test_two_tables_of_one_split_are_too_many(tmp_path):
    for name in ("metadata.csv", "metadata.jsonl"):
        (tmp_path / name).write_text("")
    assert "metadata.jsonl" in refused(str(tmp_path))


def test_another_picture_of_the_same_name_is_another_picture(tmp_path):
    for i in range(4):
        Image.effect_noise((8, 8), 99 + i).save(tmp_path / f"{i:02}.png")
    path = tmp_path / "captions.csv"
    path.write_text(as_csv(rows(4)))
    first = load_captions(str(path))
    Image.new("RGB", (9, 9)).save(tmp_path / "00.png")
    again = load_captions(str(path))
    assert {split._fingerprint for split in first.values()} != {split._fingerprint for split in again.values()}


def notes_of(splits):
    return [row["reason"] for row in data_report(splits) if row["row"] == "note"]


@pytest.mark.parametrize("bad", ["", " ", None, 3, "\u200b", float("nan")])
def test_a_bad_caption_of_several_costs_itself_alone(table, log, bad):
    splits = load_captions(table(as_lines(rows(r5=["one", bad, "two"])), "captions.jsonl"))
    assert ("one", "two") in as_groups(splits)
    assert len(as_groups(splits)) == 24
    [note] = notes_of(splits)
    assert "have others: 1" in note
    assert "row 5" in note
    assert note in log.text


@pytest.mark.parametrize("written", [json.dumps, repr, lambda texts: repr(tuple(texts))])
def test_a_list_in_a_cell_is_a_list(table, written):
    texts = ["a cat, a dog", 'said "no"', "it's"]
    assert as_groups(load_captions(table(as_csv(rows(r5=written(texts))))))  == {tuple(texts)} | {
        (f"picture {i}",) for i in range(24) if i != 5
    }  # fmt: skip


@pytest.mark.parametrize("text", ["[a cat]", "(a cat)", "[sic] a cat", '"a cat"', "['", 'a ["b"]'])
def test_brackets_in_a_caption_are_no_list(table, text):
    assert text in captions(load_captions(table(as_lines(rows(r5=text)), "captions.jsonl")))


@pytest.mark.parametrize("line", ['05.png,"Stop" sign', '05.png,"never closed', "05.png,a,b", '"05.png,x'])
def test_a_bad_line_costs_itself_alone(table, line):
    path = table(as_csv(rows()).replace("05.png,picture 5", line))
    splits = load_captions(path)
    assert captions(splits) == sorted(set(EVERY) - {"picture 5"})
    [listed] = [row for row in data_report(splits) if row["row"].isdigit()]
    assert listed["row"] == "5"
    assert ("line 7" in listed["reason"]) == ('"' in line)


def test_columns_without_a_name_and_a_value_are_passed_over(table):
    content = as_csv(rows()).replace("\r\n", ",,\r\n")
    assert set(load_captions(table(content))["train"].column_names) == {"image", "captions"}
    named = load_captions(table(content.replace("picture 5,,", "picture 5,,x")))["train"]
    assert set(named.column_names) == {"image", "captions", "column 4"}


@pytest.mark.parametrize("coding", ["cp1252", "cp949", "gb18030"])
def test_another_coding_is_said_and_not_guessed(table, coding):
    text = {"cp1252": "été à la forêt", "cp949": "고양이가 앉아"}.get(coding, "一只猫坐在窗台上")
    said = refused(table(as_csv(rows(**{f"r{i}": text for i in range(24)})).encode(coding)))
    assert "anew as UTF-8" in said


def test_bytes_that_are_no_utf_8_cost_their_own_row(table):
    content = as_csv(rows(r4="café", r5="XX")).encode().replace(b"XX", b"caf\xe9").replace(b"text", b"text,\xe9t\xe9")
    splits = load_captions(table(content))
    assert captions(splits) == sorted({*EVERY, "café"} - {"picture 4", "picture 5"})


def test_signs_that_cannot_be_seen_are_taken_out_of_captions_and_told(table):
    splits = load_captions(table(as_csv(rows(r5="\u200ea \u00adcat\ufeff", r6="👩\u200d🚒"))))
    assert {"a cat", "👩\u200d🚒"} <= set(captions(splits))
    assert notes_of(splits) == ["signs that cannot be seen are taken out of captions: 1"]


@pytest.mark.parametrize("change", [lambda text: f"sep=;\n{text}", lambda text: text.replace("\r\n", "\r")])
def test_tables_as_old_programs_write_them(table, change):
    assert captions(load_captions(table(change(as_csv(rows(), ";"))))) == EVERY


def test_utf_16_without_its_mark_is_said(table):
    assert "save it anew as UTF-8" in refused(table(as_csv(rows()).encode("utf-16-le")))


@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl", "captions.ndjson"])
@pytest.mark.parametrize("content", [as_lines(rows()), json.dumps(rows(), indent=1)])
def test_json_is_read_as_what_it_is(table, name, content):
    assert captions(load_captions(table(content, name))) == EVERY


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_a_line_of_json_ends_at_a_line_feed_alone(table, sign):
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows(r5=f"a{sign}b"))
    assert f"a{sign}b" in captions(load_captions(table(content, "captions.jsonl")))


@pytest.mark.parametrize(
    "content",
    [
        {"data": rows(), "info": {}},
        {row["file_name"]: row["text"] for row in rows()},
        {row["file_name"]: [row["text"]] for row in rows()},
        {row["file_name"]: {"caption": row["text"], "tags": "a"} for row in rows()},
    ],
)
def test_other_forms_of_json(table, content):
    assert captions(load_captions(table(json.dumps(content), "captions.json"))) == EVERY


def test_an_annotation_without_a_usable_caption_costs_itself_alone(table):
    made = changed_coco(lambda _, notes: notes.extend([{"image_id": 103}, {"image_id": 103, "caption": 5}]))
    splits = load_captions(table(made, "captions.json"))
    assert len(as_groups(splits)) == 24
    assert "have others: 2" in notes_of(splits)[0]


@pytest.mark.parametrize("way", [str, "{}.0".format, "{:012d}".format, " {} ".format, float])
def test_ids_of_another_kind_are_matched_and_told(table, way):
    made = coco()
    for annotation in made["annotations"]:
        annotation["image_id"] = way(annotation["image_id"])
    splits = load_captions(table(json.dumps(made), "captions.json"))
    assert as_groups(splits) == {(f"picture {i}", f"picture {i} again") for i in range(24)}
    assert (notes_of(splits) == []) == (way is float)


def test_ids_that_two_pictures_share_but_for_their_kind_match_only_as_they_stand(table):
    made = coco()
    made["images"][5]["id"] = "0106"
    made["annotations"][5]["image_id"] = made["annotations"][29]["image_id"] = "0106"
    made["annotations"][7]["image_id"] = "107"
    splits = load_captions(table(json.dumps(made), "captions.json"))
    assert ("picture 5", "picture 5 again") in as_groups(splits)
    assert ("picture 6", "picture 6 again") in as_groups(splits)


def test_captions_in_rows_of_their_own_are_put_together_and_told(table):
    made = [{**row, "text": f"{row['text']} {k}", "number": k} for row in rows() for k in (1, 2)]
    made[10]["text"] = ""
    splits = load_captions(table(as_csv(made)))
    expected = {(f"picture {i} 1", f"picture {i} 2")[i == 5 :] for i in range(24)}
    assert as_groups(splits) == expected
    assert "number the first row" in notes_of(splits)[0]
    assert [row["row"] for row in data_report(splits) if row["row"].isdigit()] == ["10"]


def test_columns_that_may_hold_captions_too_are_told(table):
    made = [{**row, "description": "-"} for row in rows()]
    splits = load_captions(table(as_csv(made)))
    assert "description" in splits["train"].column_names
    assert "too, stays: description" in notes_of(splits)[0]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("file_name,caption,caption_2,caption_10", ["a", "b", "c"]),
        ("File Name,Caption 1,Caption 2,other", ["a", "b"]),
        ("IMAGE,text,Text2,text 3", ["a", "b", "c"]),
        ("\u200bfile_name,\ufeffTEXT,b,c", ["a"]),
    ],
)
def test_columns_are_known_by_what_they_look_like(table, header, expected):
    content = header + "".join(f"\n{i:02}.png,a,b,c" for i in range(24))
    assert load_captions(table(content))["train"][0]["captions"] == expected


def test_a_column_asked_for_need_not_be_written_exactly(table):
    content = as_csv(rows()).replace("text", "Alt Text")
    assert captions(load_captions(table(content), caption_columns="alt_text")) == EVERY


WAYS = ["{}", "images\\{}", "./images/{}", "C:\\me\\set\\images\\{}", "/no/such/place/{}", "\xa0{} ", "%2E/{}", "{}."]
WAYS += ["file:///me/images/{}", "/data/local-files/?d=images/{}"]
CHANGES = [
    str.upper,
    lambda name: name.removesuffix(".png"),
    lambda name: name.translate({ord("0") + i: 0xFF10 + i for i in range(10)}),
    lambda name: str(int(name[:2])),  # as spreadsheets leave of 07
]


@pytest.mark.parametrize(("write", "change"), [(w, str) for w in WAYS] + [("E:\\x\\{}", change) for change in CHANGES])
def test_names_of_pictures_written_otherwise(tmp_path, photos, write, change):
    shutil.copytree(photos, tmp_path / "images", ignore=shutil.ignore_patterns("cut.png", "*.txt"))
    made = [{**row, "file_name": write.format(change(row["file_name"]))} for row in rows()]
    (tmp_path / "captions.csv").write_text(as_csv(made))
    assert captions(load_captions(str(tmp_path / "captions.csv"))) == EVERY


@pytest.mark.parametrize(
    "content", [{"image": ["{}"]}, {"image": 7}, {"id_of_picture": "{}"}, {"image": 9, "path": "{}"}]
)
def test_the_column_of_pictures_is_known_by_its_name_and_by_what_it_holds(table, content):
    made = [json.loads(json.dumps({**content, "text": "a"}).replace("{}", f"{i:02}.png")) for i in range(8)]
    [found] = read_tables(table(as_lines(made), "captions.jsonl")).values()
    assert found.values(found.picture)[3] == ("07.png" if content == {"image": 7} else "03.png")


def test_names_that_may_mean_several_pictures_are_told_and_not_guessed(tmp_path, photos):
    for name in ("00.png", "birds/01.png", "fish/01.jpg", "cats/02.png", "03.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / f"{name[-6:-4]}.png", tmp_path / name)
    names = ["/me/dogs/00.png", "/me/cats/00.png", "01", "birds/02.png", "03.PNG", "cats/02.png"]
    (tmp_path / "t.csv").write_text("file_name,text\n" + "".join(f"{name},of {name}\n" for name in names))
    [found] = read_tables(str(tmp_path / "t.csv")).values()
    assert sorted(found.faults) == [0, 1, 2]
    assert "birds/01.png or fish/01.jpg" in found.faults[2]
    assert found.values("file_name")[3:] == ["birds/02.png", "03.png", "cats/02.png"]


@pytest.mark.parametrize("write", ["{}/{}.png", "/content/set/{}/{}.png", "D:\\set\\{}\\{}.png", "{0}/{1}"])
def test_folders_of_pictures_may_be_the_splits_wherever_a_path_begins(tmp_path, photos, write):
    parts = ["train", "val", "test"]
    for i in range(12):
        (tmp_path / "images" / parts[i % 3]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / f"{i:02}.png", tmp_path / "images" / parts[i % 3])
    made = [{"file_name": write.format(parts[i % 3], f"{i:02}"), "text": f"picture {i}"} for i in range(12)]
    (tmp_path / "captions.csv").write_text(as_csv(made))
    splits = load_captions(str(tmp_path / "captions.csv"))
    assert captions({"test": splits["test"]}) == sorted(f"picture {i}" for i in range(2, 12, 3))


def test_of_pictures_and_their_small_copies_one_folder_must_be_chosen(tmp_path, photos):
    for name in ("images", "thumbs"):
        shutil.copytree(photos, tmp_path / name)
    (tmp_path / "t.csv").write_text(as_csv(rows()))
    assert "images=" in refused(str(tmp_path / "t.csv"))
    assert captions(load_captions(str(tmp_path / "t.csv"), images=str(tmp_path / "thumbs"))) == EVERY


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['a cat'\n 'it\\'s one']", ("a cat", "it's one")),
        ("['a', None]", ("a",)),
        ("[nan, 'a']", ("a",)),
        ("[{'raw': 'a', 'sentid': 3}, {'raw': 'b'}]", ("a", "b")),
        ('{"caption": "a", "tags": "b"}', ("a",)),
    ],
)
def test_what_is_written_into_a_cell_as_python_numpy_or_json_do_is_read_as_that(table, cell, expected):
    assert expected in as_groups(load_captions(table(as_csv(rows(r5=cell)))))


def test_columns_of_the_same_name_are_numbered_and_told(table):
    splits = load_captions(
        table("file_name,text,note,text,note\n" + "".join(f"{i:02}.png,a,b,c,d\n" for i in range(24)))
    )
    assert as_groups(splits) == {("a", "c")}
    assert {"note", "note 2"} <= set(splits["train"].column_names)
    assert "same name (text, note)" in notes_of(splits)[0]


def test_a_quotation_mark_that_a_later_row_closes_swallows_none(table):
    content = as_csv(rows()).replace("picture 5", '"never closed').replace("picture 8", 'a pipe of 6"')
    splits = load_captions(table(content))
    assert captions(splits) == sorted({*EVERY, 'a pipe of 6"'} - {"picture 5", "picture 8"})


def test_names_of_columns_in_the_middle_are_told(table):
    content = as_csv(rows()).replace("12.png", "file_name,text\r\n12.png")
    splits = load_captions(table(content))
    assert captions(splits) == EVERY
    [told] = [row["reason"] for row in data_report(splits) if row["row"] == "12"]
    assert "it repeats the names" in told


@pytest.mark.parametrize("text", ["a cat\na dog", "a cat | a dog"])
def test_captions_that_may_be_several_are_told(table, text):
    splits = load_captions(table(as_lines(rows(r5=text)), "captions.jsonl"))
    assert text in captions(splits)
    assert "stay one each: 1" in notes_of(splits)[0]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (as_lines(rows()).replace("\n", ",\n"), "c.jsonl"),
        (as_lines(rows()).replace("\n", ""), "c.jsonl"),
        ("\n".join(json.dumps(row, indent=1) for row in rows()), "c.jsonl"),
        (json.dumps(rows(), indent=1)[:-2] + ",\n]", "c.json"),
        (json.dumps({c: {str(i): row[c] for i, row in enumerate(rows())} for c in rows()[0]}), "c.json"),
        (json.dumps({c: [row[c] for row in rows()] for c in rows()[0]}), "c.json"),
        (json.dumps({f"{i:02}": {"caption": f"picture {i}", "tags": "a"} for i in range(24)}), "c.json"),
    ],
)
def test_json_as_people_and_programs_leave_it(table, content, name):
    assert captions(load_captions(table(content, name))) == EVERY


def test_a_damaged_object_of_a_list_costs_itself_alone_and_one_of_captions_files_all(table):
    content = json.dumps(rows(), indent=1).replace('"picture 5"', '"picture 5",')
    assert captions(load_captions(table(content, "c.json"))) == sorted({*EVERY} - {"picture 5"})
    assert "cannot be read" in refused(table(json.dumps(coco(), indent=1)[:-5], "c.json"))


def test_of_many_columns_those_with_texts_are_named(table):
    made = [{"file_name": row["file_name"], **{f"n{i}": i for i in range(12)}, "prompt": row["text"]} for row in rows()]
    said = refused(table(as_lines(made), "captions.jsonl"))
    assert "prompt" in said
    assert "n7" not in said


def test_the_rows_lie_on_disk_and_not_in_memory(table):
    assert load_captions(table(as_csv(rows())))["train"].cache_files


SOUND = {"captions.csv": as_csv(rows()), "captions.jsonl": as_lines(rows()), "captions.json": json.dumps(rows())}
SOUND["coco.json"], SOUND["karpathy.json"] = json.dumps(coco()), json.dumps(karpathy())
PIECES = ["", ",", '"', "\n", "{", "}", "[", "]", ":", "null", "NaN", "1e999", "\\", "\0", "\ufeff", "é", "../", "text"]
BOUNDED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutated(content, seed, changes):
    """The text with some pieces of it deleted, doubled or replaced."""
    chance = random.Random(seed)
    for _ in range(changes):
        a = chance.randrange(len(content) + 1)
        b = min(len(content), a + chance.randrange(1, 40))
        middle = chance.choice(["", content[a:b] * 2, chance.choice(PIECES), chr(chance.randrange(1, 0x3000))])
        content = content[:a] + middle + content[b:]
    return content


def read_or_refused(path):
    """The splits, or none where a sentence says why; any other error ends the test."""
    try:
        return load_captions(path, max_left_out=0.9)
    except DataError as error:
        return {} if "\n" not in str(error) else pytest.fail(str(error))


@BOUNDED
@given(
    name=st.sampled_from(sorted(SOUND)),
    seed=st.integers(0, 10**6),
    changes=st.integers(1, 6),
    raw=st.binary(max_size=3),
)
def test_a_mutated_table_is_read_or_refused_in_a_sentence(photos, table, name, seed, changes, raw):
    content = mutated(SOUND[name], seed, changes).encode("utf-8", "surrogatepass")
    place = seed % (len(content) + 1)
    path = table(content[:place] + raw + content[place:], name)
    for split in read_or_refused(path).values():
        assert len(split)
        assert all(isinstance(text, str) and text.strip() for group in split["captions"] for text in group)
        assert split[0]["image"].size == (24, 20)


def test_a_mutated_parquet_file_is_read_or_refused_in_a_sentence(table, dataset_folder):

    content = (Path(dataset_folder) / "train.parquet").read_bytes()
    chance = random.Random(0)
    refusals = 0
    for _ in range(25):
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(changed))
            changed[place : place + chance.choice([0, 1, 50])] = chance.randbytes(chance.choice([0, 1, 20]))
        refusals += not read_or_refused(table(bytes(changed), "captions.parquet"))
    assert refusals > 0


def test_reading_checks_nothing_yet(table):
    [found] = read_tables(table(as_csv(rows(r5="")))).values()
    assert len(found.rows) == 24
    assert found.columns == ["file_name", "text"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_left_out": -1}, "max_left_out"),
        ({"max_left_out": float("nan")}, "max_left_out"),
        ({"max_left_out": "a"}, "max_left_out"),
        ({"seed": -1}, "seed"),
        ({"seed": "a"}, "seed"),
        ({"caption_columns": 5}, "caption_columns"),
        ({"images": []}, "folder"),
    ],
)
def test_options_out_of_their_range_are_named(table, options, named):
    assert named in refused_by_anyone(table(as_csv(rows())), **options)


def refused_by_anyone(path, **options):
    with pytest.raises(CaptioningError) as caught:
        load_captions(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "x" * 300, "a\0b"])
def test_what_is_no_name_of_a_data_set_is_said(name):
    assert ("has no name" in refused_by_anyone(name)) == (name in ("", " "))


def test_blank_lines_and_spaces_around_names_do_not_matter(table):
    content = "\n  \n" + as_csv(rows()).replace("file_name,text", "file_name , text ") + "\n   \n"
    assert captions(load_captions(table(content))) == EVERY


def test_a_very_long_caption_is_read(table):
    assert max(map(len, captions(load_captions(table(as_csv(rows(r3="long " * 40_000))))))) > 100_000


def test_half_a_character_is_a_fault_in_a_caption_and_mended_elsewhere(table, log):
    made = [{**row, "note": "fine"} for row in rows(r5="half \ud800")]
    made[7]["note"] = "half \ud800"
    splits = load_captions(table(as_lines(made), "captions.jsonl"))
    assert len(captions(splits)) == 23
    assert "1 of 24" in log.text
    assert "half ?" in [note for split in splits.values() for note in split["note"]]


def test_half_a_letter_of_a_name_does_not_stand_in_what_is_said(table, log):
    made = as_csv(rows()).encode().replace(b"05.png", b"05.PNG\xe9").replace(b"06.png", b"lost\xe9.png")
    path = table(made)
    load_captions(path, max_left_out=0.2)
    for said in (log.text, *data_report(path)["reason"], refused(path, max_left_out=0)):
        assert whole(said) == said


def test_lines_of_which_none_is_a_row_are_said(table):
    assert "no JSON object" in refused(table("oops\n{oops", "captions.jsonl"))


def embedded(photos, **columns):
    pictures = [{"bytes": (photos / f"{i:02}.png").read_bytes(), "path": None} for i in range(24)]
    path = photos / "embedded.parquet"
    table = {"image": pictures, "text": [f"picture {i}" for i in range(24)], **columns}
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return str(path)


@pytest.mark.parametrize("name", ["path", "file_name"])
def test_embedded_pictures_win_over_a_column_of_names(photos, name):
    path = embedded(photos, **{name: ["gone.png"] * 24})
    splits = load_captions(path)
    assert captions(splits) == EVERY
    assert name in splits["train"].column_names


@pytest.mark.parametrize("image", [list(range(24)), [1.5] * 24])
def test_an_image_column_of_another_kind_is_named(photos, image):
    assert "image" in refused(embedded(photos, image=image))


def test_names_of_pictures_may_be_categories(photos):
    names = pyarrow.array([f"{i:02}.png" for i in range(24)]).dictionary_encode()
    path = photos / "categories.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"file_name": names, "text": [f"picture {i}" for i in range(24)]}), path)
    assert captions(load_captions(str(path))) == EVERY


@pytest.mark.parametrize("several", [False, True])
def test_classes_are_no_captions(tmp_path, dataset, several):
    kind = ClassLabel(names=["cat", "dog"])
    made = dataset["train"].remove_columns("captions").select_columns("image")
    made = made.add_column("label", [[1] if several else 1] * len(made), feature=List(kind) if several else kind)
    made.save_to_disk(tmp_path / "set")
    said = refused(str(tmp_path / "set"), caption_columns="label")
    assert "cat, dog" in said
    assert "caption_columns" in said
