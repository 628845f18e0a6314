"""The glossary: each term in one sentence, with a notebook that uses it, linked where the course first uses it."""

import copy
import re

import pytest

from tools import glossary
from tools import notebooks as tool
from tools.glossary import PAGE, anchor, written

ENTRIES = glossary.entries()
TERMS = [entry.term for entry in ENTRIES]
# They stand in code and in titles alone.
UNLINKED = {"attention mask", "layer norm", "optimizer"}
entries = pytest.mark.parametrize(("term", "says", "title", "file"), ENTRIES, ids=TERMS)


def test_every_heading_is_an_entry():
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == TERMS
    assert len(TERMS) > 50


def test_terms_stand_in_order_under_their_letter():
    assert sorted(TERMS, key=str.lower) == TERMS
    letter = None
    for level, heading in re.findall(r"^(##+) (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        letter = heading if level == "##" else letter
        assert heading[0].upper() == letter


def test_each_anchor_is_unique_also_beside_those_of_the_letters():
    anchors = [anchor(term) for term in [*TERMS, *{term[0] for term in TERMS}]]
    assert len(set(anchors)) == len({term[0].upper() for term in TERMS}) + len(TERMS)


@entries
def test_an_entry_is_one_sentence_and_names_a_notebook_that_uses_the_term(term, says, title, file):
    assert re.fullmatch(r"[A-Z].+\.", says)
    assert not re.search(r"[.?!] [A-Z]", says)
    assert len(says.split()) <= 40
    notebook = tool.read(tool.FOLDER / file)
    assert notebook.cells[0].source.splitlines()[0] == f"# {title}"
    assert written(term).search("\n".join(cell.source for cell in notebook.cells))


def test_the_first_use_of_each_term_is_a_link_to_its_entry():
    books = {path.name: tool.read(path) for path in tool.paths()}
    before = copy.deepcopy(books)
    assert glossary.link(books).keys() == set(TERMS) - UNLINKED
    assert books == before, "`make links` writes them"


def test_where_a_link_is_put():
    def book(*texts):
        return tool.nbformat.v4.new_notebook(cells=[tool.nbformat.v4.new_markdown_cell(text) for text in texts])

    texts = [
        "a token",
        "# Tokens\n`token`, [token](x)\n\n```python\ntoken\n```\n\nTwo end tokens, *tokens* and tokens.",
    ]
    books = {"01.ipynb": book(*texts), "02.ipynb": book("", "A token.")}
    assert glossary.link(books)["token"] == "01.ipynb"
    for _ in range(2):
        lines = books["01.ipynb"].cells[1].source.splitlines()
        assert lines[-1] == (
            "Two [end tokens](../docs/glossary.md#end-token), *[tokens](../docs/glossary.md#token)* and tokens."
        )
        assert "\n".join(lines[:-1]) == texts[1].rpartition("\n")[0]
        assert books["02.ipynb"].cells[1].source == "A token."
        glossary.link(books)
