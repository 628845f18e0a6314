import csv
import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from datasets import Image as ImageColumn

from helpers.data import copies_by_split, data_report, fingerprint, load_captions, nearest_pairs, picture_hashes
from helpers.errors import DataError
from tests.toolbox import encoded, noise


def save_pictures(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i:02}.png" for i in range(count)]
    for i, name in enumerate(names):
        noise(i).save(folder / name)
    return names


def save_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def csv_of(folder, count, **captions):
    """A csv file of pictures; `captions` gives some rows another caption, by row number as r0, r1, …"""
    names = save_pictures(folder, count)
    rows = [[name, captions.get(f"r{i}", f"picture {i}")] for i, name in enumerate(names)]
    return save_csv(folder / "captions.csv", ["file_name", "caption"], rows)


def saved(splits, folder, decoded=True):
    """A folder of parquet files, as the Hub holds a data set: the files say that `image` is a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, columns in splits.items():
        pictures = [c for c in ("image", "photo") if c in columns]
        made = Dataset.from_dict(columns)
        for name in pictures if decoded else []:
            made = made.cast_column(name, ImageColumn())
        made.to_parquet(folder / f"{split}.parquet")
    return str(folder)


def png(seed):
    return {"bytes": encoded(noise(seed)), "path": None}


def column(count, start=0):
    return [png(start + i) for i in range(count)]


def sizes(splits):
    return {split: len(dataset) for split, dataset in splits.items()}


def texts(splits):
    return {split: [group[0] for group in dataset["captions"]] for split, dataset in splits.items()}


def every_text(splits):
    return sorted(text for found in texts(splits).values() for text in found)


def test_the_shipped_set_has_three_splits_and_three_captions(creatures):
    assert sizes(creatures) == {"train": 800, "validation": 100, "test": 100}
    assert all(len(group) == 3 for dataset in creatures.values() for group in dataset["captions"])
    assert creatures["train"][0]["image"].size == (128, 128)
    assert {"color", "mouth"} <= set(creatures["train"].column_names)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_of_pictures_with_a_table(tmp_path, kind):
    names = save_pictures(tmp_path / "train", 5)
    rows = [{"file_name": name, "text": f"picture {i}"} for i, name in enumerate(names)]
    if kind == "csv":
        save_csv(tmp_path / "train" / "metadata.csv", ["file_name", "text"], [row.values() for row in rows])
    else:
        lines = "\n".join(json.dumps(row) for row in rows)
        (tmp_path / "train" / "metadata.jsonl").write_text(lines, encoding="utf-8")
    splits = load_captions(str(tmp_path))
    assert sizes(splits) == {"train": 3, "validation": 1, "test": 1}
    for dataset in splits.values():
        for row in dataset:
            number = int(row["captions"][0].removeprefix("picture "))
            assert np.array_equal(np.asarray(row["image"]), np.asarray(noise(number)))


@pytest.mark.parametrize(
    ("columns", "captions"),
    [
        ({"text": ["x", "y", "z"]}, [["x"], ["y"], ["z"]]),
        ({"caption": ["x", "y", "z"], "text": ["-", "-", "-"]}, [["x"], ["y"], ["z"]]),
        ({"sentences": [["x", "xx"], ["y"], ["z"]]}, [["x", "xx"], ["y"], ["z"]]),
        ({"sentences": [[{"raw": t, "tokens": [t]}] * 2 for t in "xyz"]}, [["x", "x"], ["y", "y"], ["z", "z"]]),
        ({f"caption_{i}": ["x", "y", "z"] for i in range(12)}, [["x"] * 12, ["y"] * 12, ["z"] * 12]),
        ({"caption_10": ["c"] * 3, "caption_2": ["b"] * 3, "caption_0": ["a"] * 3}, [["a", "b", "c"]] * 3),
        ({"captions": [["x", "xx"], ["y"], ["z"]]}, [["x", "xx"], ["y"], ["z"]]),
        ({"captions": ["x", "y", "z"]}, [["x"], ["y"], ["z"]]),
        ({"caption_0": ["x", "y", "z"], "caption_1": ["a", "b", "c"]}, [["x", "a"], ["y", "b"], ["z", "c"]]),
    ],
)
def test_captions_are_found_by_their_usual_names(tmp_path, columns, captions):
    rows = {"image": column(3), "kind": ["k"] * 3, **columns}
    splits = load_captions(saved(dict.fromkeys(("train", "validation", "test"), rows), tmp_path / "set"))
    assert [splits[split]["captions"][:] for split in splits] == [captions] * 3
    assert splits["train"]["kind"][:] == ["k"] * 3
    assert splits["train"][0]["image"].size == (24, 20)


@pytest.mark.parametrize("asked", ["alt", ["alt"], ["alt", "title"]])
def test_caption_columns_can_be_named(tmp_path, asked):
    folder = saved({"train": {"image": column(3), "alt": ["x"] * 3, "title": ["t"] * 3}}, tmp_path / "set")
    expected = ["x", "t"] if "title" in asked else ["x"]
    assert load_captions(folder, caption_columns=asked)["train"]["captions"][0] == expected


def test_a_named_column_wins_over_one_called_captions(tmp_path):
    folder = saved({"train": {"image": column(3), "alt": ["x"] * 3, "captions": ["c"] * 3}}, tmp_path / "set")
    assert load_captions(folder, caption_columns="alt")["train"]["captions"][0] == ["x"]


def test_pictures_are_decoded_even_where_the_file_does_not_say_that_they_are_pictures(tmp_path):
    folder = saved({"train": {"image": column(3), "caption": ["x"] * 3}}, tmp_path / "set", decoded=False)
    assert load_captions(folder)["train"][0]["image"].size == (24, 20)


def test_a_file_finds_its_pictures_beside_it_or_in_the_folder_named(tmp_path):
    path = csv_of(tmp_path / "pictures", 4)
    splits = load_captions(path)
    assert every_text(splits) == [f"picture {i}" for i in range(4)]
    (tmp_path / "elsewhere.csv").write_text((tmp_path / "pictures" / "captions.csv").read_text(encoding="utf-8"))
    moved = load_captions(str(tmp_path / "elsewhere.csv"), images=str(tmp_path / "pictures"))
    assert texts(moved) == texts(splits)
    assert moved["test"][0]["image"].size == (24, 20)


@pytest.mark.parametrize("asked", [None, "caption"])
def test_no_caption_column_raises_and_names_the_columns(tmp_path, asked):
    folder = saved({"train": {"image": column(3), "label": [0, 1, 2], "author": ["x"] * 3}}, tmp_path / "set")
    with pytest.raises(DataError, match=r"(?=.*label)(?=.*author)"):
        load_captions(folder, caption_columns=asked)


def test_no_picture_column_raises_and_names_the_columns(tmp_path):
    folder = saved({"train": {"sound": ["x"] * 3, "caption": ["x"] * 3}}, tmp_path / "set")
    with pytest.raises(DataError, match=r"(?=.*sound)(?=.*caption)"):
        load_captions(folder)


@pytest.mark.parametrize("decoded", [True, False])
def test_a_column_of_pictures_may_have_another_name(tmp_path, decoded):
    folder = saved({"train": {"photo": column(3), "caption": ["x"] * 3}}, tmp_path / "set", decoded)
    assert load_captions(folder)["train"][0]["image"].size == (24, 20)


@pytest.mark.parametrize("name", ["data/absent", "./absent", "artifacts/absent", "/absent/folder"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(name):
    with pytest.raises(DataError, match="absent"):
        load_captions(name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    for name, advice in (("captions.xlsx", "save it as CSV"), ("captions.docx", r"\.csv")):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=rf"(?=.*{name})(?=.*{advice})"):
            load_captions(str(tmp_path / name))


def test_a_lone_split_is_divided_by_the_seed(tmp_path):
    path = csv_of(tmp_path, 30)
    splits = load_captions(path, seed=1)
    assert sizes(splits) == {"train": 24, "validation": 3, "test": 3}
    assert every_text(splits) == sorted(f"picture {i}" for i in range(30))
    assert texts(load_captions(path, seed=1)) == texts(splits)
    assert texts(load_captions(path, seed=2))["test"] != texts(splits)["test"]


@pytest.mark.parametrize(
    ("given", "made"), [("test", "validation"), ("validation", "test"), ("val", "test"), ("dev", "test")]
)
def test_a_split_that_is_there_stays_untouched(tmp_path, given, made):
    names = {"train": [f"t{i}" for i in range(10)], given: ["a", "b"]}
    folder = saved({s: {"image": column(len(n)), "caption": n} for s, n in names.items()}, tmp_path / "set")
    splits = load_captions(folder)
    kept = "test" if given == "test" else "validation"
    assert list(splits) == ["train", "validation", "test"]
    assert texts(splits)[kept] == ["a", "b"]
    assert len(splits[made]) == 1
    assert sorted(texts(splits)["train"] + texts(splits)[made]) == names["train"]


def copied(picture, kind):
    """The bytes of a picture as it was, saved again, or resized."""
    again = picture.resize((100, 90)) if kind == "resized" else picture
    content = encoded(again.convert("RGB"), "JPEG", quality=90) if kind == "saved again" else encoded(again)
    return {"bytes": content, "path": None}


def splits_of_numbers(splits):
    """Which splits each picture stands in, by the number in its captions."""
    found = {}
    for split, names in texts(splits).items():
        for name in names:
            found.setdefault(name.split()[0], set()).add(split)
    return found


@pytest.mark.parametrize("kind", ["identical", "saved again", "resized"])
@pytest.mark.parametrize("seed", [0, 1])
def test_copies_never_land_in_two_splits(tmp_path, creatures, kind, seed):
    first, again = ([copied(p, way) for p in creatures["test"]["image"][:20]] for way in ("identical", kind))
    captions = [f"p{i} {copy}" for copy in "ab" for i in range(20)]
    splits = load_captions(saved({"train": {"image": first + again, "caption": captions}}, tmp_path / "set"), seed=seed)
    assert sizes(splits) == {"train": 32, "validation": 4, "test": 4}
    assert all(len(found) == 1 for found in splits_of_numbers(splits).values())


def test_many_copies_of_one_picture_leave_each_split_its_own(tmp_path):
    columns = {"image": [png(0)] * 18 + [png(1), png(2)], "caption": ["a"] * 18 + ["b", "c"]}
    splits = load_captions(saved({"train": columns}, tmp_path / "set"))
    assert sizes(splits) == {"train": 18, "validation": 1, "test": 1}


def test_copies_stay_together_when_the_missing_split_is_taken_from_train(tmp_path):
    names = [f"p{i % 15}" for i in range(30)]
    train = {"image": [png(i % 15) for i in range(30)], "caption": names}
    folder = saved({"train": train, "test": {"image": column(2, 90), "caption": ["x", "y"]}}, tmp_path / "set")
    splits = load_captions(folder)
    assert texts(splits)["test"] == ["x", "y"]
    assert len(splits["validation"]) in (2, 4)
    assert all(len(found) == 1 for found in splits_of_numbers(splits).values())


def test_rows_keep_their_order_when_they_are_divided(tmp_path):
    splits = load_captions(csv_of(tmp_path, 30))
    for names in texts(splits).values():
        assert names == sorted(names, key=lambda name: int(name.split()[1]))


def test_copies_across_splits_that_are_there_are_told_and_stay(tmp_path, log):
    train = {"image": column(10), "caption": [f"t{i}" for i in range(10)]}
    test = {"image": [png(3), png(4), png(50)], "caption": ["a", "b", "c"]}
    folder = saved({"train": train, "test": test}, tmp_path / "set")
    splits = load_captions(folder)
    [said] = [record.getMessage() for record in log.records if record.name == "helpers.data"]
    assert " 4 pictures" in said
    assert texts(splits)["test"] == ["a", "b", "c"]
    assert {row["split"]: row["in_other_splits"] for row in data_report(folder)} == {"train": 2, "test": 2}


def test_a_set_that_comes_divided_stays_as_it_is(tmp_path, log):
    columns = {"image": column(3), "caption": ["x", "y", "z"]}
    folder = saved(dict.fromkeys(("train", "validation", "test"), columns), tmp_path / "set")
    assert sizes(load_captions(folder)) == {"train": 3, "validation": 3, "test": 3}
    [said] = [record.getMessage() for record in log.records if record.name == "helpers.data"]
    assert " 9 pictures" in said
    assert f"data_report({folder!r})" in said
    assert [row["in_other_splits"] for row in data_report(folder)] == [3, 3, 3]


def test_of_splits_that_share_no_picture_nothing_is_said(tmp_path, log):
    splits = {
        name: {"image": column(3, start), "caption": ["x"] * 3}
        for name, start in (("train", 0), ("validation", 10), ("test", 20))
    }
    load_captions(saved(splits, tmp_path / "set"))
    assert log.records == []


def test_a_split_of_another_name_is_left_out_and_told(tmp_path, dataset, log):
    made = DatasetDict({"train": dataset["train"], "extra": dataset["train"], "test": dataset["test"]})
    made.save_to_disk(tmp_path / "saved")
    assert len(load_captions(str(tmp_path / "saved"))["test"]) == len(dataset["test"])
    assert "extra" in log.text


def test_two_splits_for_one_raise(tmp_path, dataset):
    DatasetDict({"train": dataset["train"], "val": dataset["test"], "dev": dataset["test"]}).save_to_disk(
        tmp_path / "x"
    )
    with pytest.raises(DataError, match=r"(?=.*validation)(?=.*dev)"):
        load_captions(str(tmp_path / "x"))


def test_too_few_different_pictures_to_divide_raise(tmp_path):
    folder = saved({"train": {"image": [png(0), png(1)] * 5, "caption": ["x"] * 10}}, tmp_path / "set")
    with pytest.raises(DataError, match=r"2.*3"):
        load_captions(folder)


@pytest.mark.parametrize("name", [5, None, ["a"], {"train": 1}, Dataset.from_dict({"a": [1]})])
def test_what_is_no_name_is_said(name):
    with pytest.raises(DataError, match="is no name of a folder"):
        load_captions(name)


def test_too_few_rows_to_divide_raise(tmp_path):
    with pytest.raises(DataError, match=r"2.*3"):
        load_captions(csv_of(tmp_path, 2))


def test_too_many_bad_rows_raise_and_name_the_first(tmp_path):
    path = csv_of(tmp_path, 24)
    (tmp_path / "05.png").unlink()
    with pytest.raises(DataError, match=r"(?=.*1 of 24)(?=.*train row 5)(?=.*max_left_out)"):
        load_captions(path, max_left_out=0.01)
    assert len(every_text(load_captions(path, max_left_out=1 / 24))) == 23


def test_the_report_counts_pictures_captions_and_copies(tmp_path):
    same = png(0)
    columns = {"image": [same, png(1), same, png(2)], "captions": [["a", "b"], ["c"], ["d"], ["e"]]}
    [row] = data_report(saved({"train": columns}, tmp_path / "set"))
    assert (row["pictures"], row["captions"], row["identical_pictures"]) == (4, 5, 2)


def test_the_report_of_a_loaded_set_reads_nothing_again(tmp_path, monkeypatch):
    path = csv_of(tmp_path, 24, r5="")
    loaded = load_captions(path)
    named = [row for row in data_report(path) if row["reason"]]
    monkeypatch.setattr("helpers.data.read_tables", None)
    report = data_report(loaded)
    assert [row for row in report if row["reason"]] == named
    assert len(named) == 1
    assert {row["split"]: row["pictures"] for row in report if not row["reason"]} == sizes(loaded)


def test_copies_are_counted_by_split(tmp_path, creatures):
    drawn = creatures["test"]["image"][:3]
    train = {"image": [copied(drawn[i], way) for i, way in ((0, ""), (1, ""), (0, "resized"))], "caption": ["x"] * 3}
    test = {"image": [copied(drawn[1], "saved again"), copied(drawn[2], "")], "caption": ["x"] * 2}
    splits = load_captions(saved({"train": train, "validation": test, "test": test}, tmp_path / "set"))
    del splits["validation"]
    assert copies_by_split(splits) == [
        {"split": "train", "pictures": 3, "copies": 1, "in_other_splits": 1},
        {"split": "test", "pictures": 2, "copies": 0, "in_other_splits": 1},
    ]


def test_the_report_finds_copies_among_files_too(tmp_path):
    path = csv_of(tmp_path, 5)
    noise(0).save(tmp_path / "03.png")
    [row] = data_report(path)
    assert (row["pictures"], row["identical_pictures"]) == (5, 2)


def test_a_resized_copy_has_nearly_the_same_hash_and_another_picture_has_not(creatures):
    first, second = creatures["train"][0]["image"], creatures["train"][1]["image"]
    copies = [first, first.resize((100, 100)), first.resize((300, 300)), second]
    same, small, large, other = picture_hashes({"image": copies})
    assert same.hash.size == 256
    assert same - small <= 8
    assert same - large <= 8
    assert same - other > 8


def test_nearest_pairs_come_nearest_first(creatures):
    first = creatures["train"].select([3, 4, 5])
    second = creatures["train"].select([6, 5, 7])
    pairs = nearest_pairs(first, second, most=2)
    assert pairs[0] == (0, 2, 1)
    assert len(pairs) == 2
    assert pairs[1][0] > 8


def test_the_fingerprint_changes_with_a_caption_and_with_a_picture(tmp_path):
    def of(captions, start=0):
        columns = {"image": column(3, start), "captions": captions}
        return fingerprint(Dataset.from_dict(columns).cast_column("image", ImageColumn()))

    captions = [["x"], ["y", "yy"], ["z"]]
    assert of(captions) == of(captions)
    assert len(of(captions)) == 16
    assert len({of(captions), of([["x"], ["yy", "y"], ["z"]]), of([["x"], ["y", "yyy"], ["z"]]), of(captions, 1)}) == 4


def test_of_a_table_with_embedded_pictures_every_row_may_be_at_fault(tmp_path, creatures):
    few = creatures["test"].select(range(4)).select_columns(["image"])
    few.add_column("text", [1, 2, 3, 4]).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="4 of 4 rows cannot be used"):
        load_captions(str(tmp_path / "train.parquet"))
    assert len(data_report(str(tmp_path / "train.parquet"))) == 5


def test_what_is_known_of_the_pictures_of_a_loaded_set_is_not_read_again(tmp_path, monkeypatch):
    loaded = load_captions(csv_of(tmp_path, 12))
    first = data_report(loaded).to_list()
    monkeypatch.setattr("helpers.reading.copies.looks", None)
    assert data_report(loaded).to_list() == first
    loaded["test"] = loaded["train"]
    assert data_report(loaded)[2]["in_other_splits"] == len(loaded["train"])


def test_somebodys_own_set_is_counted_or_refused_in_a_sentence(dataset):
    own = dataset.map(lambda row: row)
    counted = [
        [row[key] for key in ("split", "pictures", "captions")] for row in data_report(own) if row["row"] == "all"
    ]
    assert counted == [[split, len(rows), sum(map(len, rows["captions"]))] for split, rows in dataset.items()]
    wrong = own.remove_columns("captions")
    for ask in (data_report, copies_by_split, lambda splits: fingerprint(splits["train"]), fingerprint, picture_hashes):
        with pytest.raises(DataError):
            ask(wrong)


def test_numbers_of_numpy_are_numbers(tmp_path):
    path = csv_of(tmp_path, 12)
    assert texts(load_captions(path, seed=np.int64(3), max_left_out=np.float32(0.5))) == texts(
        load_captions(path, seed=3)
    )
