"""The closing project: captions checked by hand keep their marks, and what was not done is said."""

import csv
import logging

import pytest

from helpers.errors import DataError
from helpers.families import load_checkpoint
from helpers.project import captions_to_check, share_right, what_was_done
from tests.toolbox import FAMILIES, noise
from tools import notebooks as tool

PICTURES = [noise(seed) for seed in range(9)]
CAPTIONS = ['a "cat",\n\0 and\x19 more', *(f"a „cat“, number {i}" for i in range(8))]  # as an untrained model may say


def chosen(captions=CAPTIONS, **options):
    return captions_to_check("artifacts/report", PICTURES, captions, **options)


@pytest.fixture
def table(artifacts):
    return artifacts / "report" / "to-check.csv"


def filled_in(table, marks, dialect="excel", encoding="utf-8-sig"):
    """The table as somebody saves it from a spreadsheet, with these marks from the top."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row, mark in zip(rows, marks, strict=False):
        row["facts"] = mark
    with table.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";" if dialect == "semicolon" else ",")
        writer.writeheader()
        writer.writerows(rows)


def test_a_sample_is_drawn_by_the_seed_and_few_pictures_are_taken_all(table):
    rows = chosen(most=5)
    places = [row["picture"] for row in rows]
    assert places == sorted(set(places))
    assert len(places) == 5
    assert [row["caption"] for row in rows] == [CAPTIONS[place] for place in places]
    assert [row["picture"] for row in chosen(most=5, seed=1)] != places
    assert rows == chosen(most=5)
    assert [row["picture"] for row in chosen(most=50)] == list(range(9))


@pytest.mark.parametrize(("dialect", "encoding"), [("excel", "utf-8-sig"), ("semicolon", "utf-16")])
def test_marks_are_read_back_and_a_table_in_use_is_left_alone(table, dialect, encoding):
    assert [row["facts"] for row in chosen()] == [""] * 9
    filled_in(table, ["right", " Wrong", ""], dialect, encoding)
    before = table.read_bytes()
    assert [row["facts"] for row in chosen()] == ["right", "wrong", *[""] * 7]
    assert table.read_bytes() == before


def test_a_mark_stays_with_its_caption_and_with_no_other(table, caplog):
    chosen()
    filled_in(table, ["right"] * 9)
    with caplog.at_level(logging.WARNING):
        rows = chosen(["another", *CAPTIONS[1:]])
    assert [row["facts"] for row in rows] == ["", *["right"] * 8]
    assert "Marks of other captions than these: 1;" in caplog.text
    assert table.with_name("to-check.csv-1").is_file()


def test_a_mark_stays_with_its_picture(table):
    chosen()
    filled_in(table, ["right"] * 9)
    rows = captions_to_check("artifacts/report", [PICTURES[0], *PICTURES[:0:-1]], CAPTIONS)
    assert [row["picture"] for row in rows if row["facts"]] == [0]


def test_rows_that_were_removed_come_back_without_a_mark(table):
    chosen()
    filled_in(table, ["right"] * 9)
    table.write_text("\n".join(table.read_text(encoding="utf-8-sig").splitlines()[:-1]), encoding="utf-8")
    assert share_right(chosen()) == "not yet: 8 of 9 are marked"


def test_a_mark_that_is_none_is_named(table):
    chosen()
    filled_in(table, ["right", "ok"])
    with pytest.raises(DataError, match=r"to-check.csv: picture 1 is marked 'ok'; write right or wrong, or leave"):
        chosen()


def test_a_table_without_its_columns_is_refused(table):
    chosen()
    table.write_text("picture,caption,facts\n0,a cat,right\n", encoding="utf-8")
    with pytest.raises(DataError, match="without the column id; write its name again"):
        chosen()


def test_a_caption_for_each_picture():
    with pytest.raises(DataError, match="9 pictures and 8 captions"):
        chosen(CAPTIONS[1:])


def test_a_share_is_said_of_all_with_wilsons_interval():
    rows = [{"facts": mark} for mark in ["right"] * 38 + ["wrong"] * 12]
    # Wilson, 1927: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.96, worked out by hand.
    assert share_right(rows) == "facts right in 38 of 50 captions, or 0.76 (0.63 to 0.86)"
    assert share_right([*rows, {"facts": ""}]) == "not yet: 50 of 51 are marked"


def test_what_was_not_done_is_said():
    report = [
        {"row": "all", "pictures": 8}, {"row": "all", "pictures": 2}, {"row": "7", "pictures": 0},
        {"row": "note", "pictures": 0},
    ]  # fmt: skip
    copies = [{"in_other_splits": 0}, {"in_other_splits": 3}]
    answers = {"Purpose": "for me", "Worst captions": "  ", "Limits": None}
    rows = what_was_done(report, copies, ["a", "b"], [{"facts": "right"}, {"facts": ""}], answers)
    assert [tuple(row.values()) for row in rows] == [
        ("Purpose", "for me", "the author"),
        ("Worst captions", "not yet", "the author"),
        ("Limits", "not yet", "the author"),
        ("Rows read", "10; left out: 1", "the notebook"),
        ("Split without copies", "no: pictures with a copy in another split: 3", "the notebook"),
        ("Baselines beaten, by word error rate", "a\nb", "the notebook"),
        ("Captions checked by hand for facts", "not yet: 1 of 2 are marked", "the notebook"),
    ]
    assert what_was_done(report, copies[:1], [], [{"facts": ""}], {})[1]["what was done"].startswith("yes")


@pytest.mark.parametrize("family", [None, "blip", "vision-encoder-decoder"])
def test_a_captioner_of_another_family_is_one_more_line_to_beat(
    family, tmp_path, dataset, model, processor, settings, capsys
):
    cells = {cell.id: cell.source for cell in tool.read(tool.FOLDER / "06_your_own_pictures.ipynb").cells}
    names = {"dataset": dataset, "model": model, "processor": processor, "settings": settings}
    names["load_checkpoint"] = load_checkpoint
    if family:
        FAMILIES[family].save(tmp_path / "other", [text for texts in dataset["train"]["captions"] for text in texts])
        assert 'zero_shot = ""' in cells["before"]
        cells["before"] = cells["before"].replace('zero_shot = ""', f'zero_shot = "{tmp_path / "other"}"')
    for cell in ("before", "scores", "beaten"):
        exec(cells[cell], names)
    said, texts = capsys.readouterr().out, names["untrained"].get("zero-shot")
    assert ("zero-shot said: " in said, "trained minus zero-shot: " in said) == (bool(family), bool(family))
    assert (texts is None) == (family is None)
    assert family is None or (len(texts), texts == names["untrained"]["base"]) == (len(dataset["test"]), False)
    assert len(names["beaten"]) == len(names["by_system"])  # one for each rival, and what few errors mean
