"""helpers.text: what can be seen of a text, and what names are compared by."""

import unicodedata

import pytest

from helpers.text import folded, visible, whole


@pytest.mark.parametrize("code", [0xAD, 0x200B, 0x200E, 0x200F, 0x202B, 0x2060, 0x2069, 0xFEFF, 0x00, 0x1B, 0xFE0F])
def test_signs_that_cannot_be_seen_are_gone(code):
    assert visible(f"a b{chr(code)}lue cat{chr(code)}") == "a blue cat"


def test_what_can_be_seen_stays():
    family, persian, flag = "👩\u200d🚒", "می\u200cخواهم", "🏴\U000e0067\U000e007f"
    for text in (family, persian, flag, "two\nlines\tand  spaces", "\u0600", "naïve 고양이 猫"):
        assert visible(text) == text


def test_a_letter_is_one_sign():
    assert visible(unicodedata.normalize("NFD", "café")) == "café"


def test_names_that_look_alike_are_the_same():
    assert {folded(name) for name in ("file_name", "File Name", " FILENAME\u200b", "file-name", "\ufefffilename")} == {
        "filename"
    }
    assert folded("caption_2") != folded("caption_3")
    assert folded(7) == "7"


def test_half_a_letter_is_a_question_mark():
    assert whole("a \ud800 b\udce9 é") == "a ? b? é"
