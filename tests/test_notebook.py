"""helpers.notebook: tables that show a text as it is, whatever it holds."""

import html
import re

import numpy as np
import pytest
from datasets import Dataset
from nbconvert.filters import markdown2html
from PIL import Image

from helpers.notebook import markdown_table, markdown_text, start
from helpers.plotting import plot_captioned_images
from helpers.plotting.figure import html_table
from helpers.report import write_report
from helpers.settings import Settings

STRANGE = [
    "cat | outdoors",
    "a <person> holds a <unk> & an &amp;",
    "it costs $5 and $6",
    r"\(x\) and \[y\] and C:\new\|",
    "*bold* **bold** _slant_ a_b_c `code`",
    "# no head",
    "[link](target) ![picture](target)",
    "~~gone~~",
    "['a', 'b']",
    "- no list",
    "---",
    "1. no list",
    "=1+2",
]


def cells(page):
    """What a browser shows in each cell of a page's table."""
    found = re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<br ?/?>", "\n", cell))).strip() for cell in found]


@pytest.mark.parametrize("text", [*STRANGE, "first line\nsecond line", "a\r\n\r\nb".replace("\r", "")])
def test_a_text_stands_in_its_cell_as_it_is(text):
    rows = [{"caption": text, "errors": 3}, {"caption": "a cat", "errors": 0}]
    assert cells(markdown2html(markdown_table(rows).data)) == [text, "3", "a cat", "0"]
    assert cells(html_table(rows)) == [text, "3", "a cat", "0"]


def test_names_of_columns_are_texts_too():
    page = markdown2html(markdown_table([{"a|b": 1, "<c>": 2}]).data)
    assert re.findall(r"<th[^>]*>(.*?)</th>", page) == ["a|b", "&lt;c&gt;"]


def test_no_reader_of_formulas_finds_one():
    source = markdown_table([{"caption": r"$5 and $6 or \(x\)"}]).data
    assert "$" not in source
    assert "\\" not in source
    assert "mathjax_ignore" in source
    assert "mathjax_ignore" in html_table([{"caption": "$5 and $6"}])
    assert "mathjax" not in markdown_table([{"caption": "a cat"}]).data


def test_numbers_have_three_digits_whoever_made_them():
    row = {"a": 0.12345, "b": np.float32(0.12345), "c": np.int64(7), "d": None, "e": True, "f": [1, 2]}
    assert cells(markdown2html(markdown_table([row]).data)) == ["0.123", "0.123", "7", "None", "True", "[1, 2]"]


def test_signs_that_cannot_be_seen_are_left_out_and_no_rows_are_no_table():
    assert markdown_table([{"a": "x\u200b\x1b\ty"}]).data.splitlines()[2] == "| x y |"
    assert markdown_table([]).data == "None."


def test_a_text_on_one_line_is_shown_as_it_is():
    for text in STRANGE:
        shown = markdown2html(f"A line: {markdown_text(text)}")
        assert html.unescape(re.sub(r"<[^>]+>", "", shown)).strip() == f"A line: {text}"


def test_the_settings_are_shown_as_they_are():
    table = start(Settings(dataset="data/a|b$c"))
    assert "data/a|b$c" in cells(markdown2html(table.data))


def test_rows_may_differ_and_come_as_people_have_them():
    rows = [{"a": "x", "b": 2}, {"a": "y", "c": 3}]
    table = markdown_table(rows).data
    assert table.splitlines()[0] == "| a | b | c |"
    assert "| y |  | 3 |" in table
    same = [{"a": "x"}, {"a": "y"}]
    for given in (iter(same), tuple(same), Dataset.from_list(same), Dataset.from_list(same).to_pandas()):
        assert markdown_table(given).data == markdown_table(same).data
    assert "<td>2</td><td></td>" in html_table(rows)


def test_half_a_letter_is_a_question_mark_on_every_page(tmp_path):
    text = "a \ud83d"
    figure = plot_captioned_images([Image.new("RGB", (4, 4))], [text], title=text)
    page = write_report(tmp_path / "page.html", text, {text: [text, [{text: text}], figure]})
    assert "a ?" in page.read_text(encoding="utf-8")
    assert "a ?" in markdown_table([{"a": text}]).data
