"""The glossary: each term in one sentence, with a notebook that uses it, under a heading that can be linked to."""

import re

import pytest

from tools import notebooks as tool

PAGE = tool.ROOT / "docs" / "glossary.md"
ENTRY = re.compile(r"^### (.+)\n\n(.+?) \[(\d+\. [^]]+)\]\(\.\./notebooks/(\S+\.ipynb)\)$", re.MULTILINE)
ENTRIES = ENTRY.findall(PAGE.read_text(encoding="utf-8"))
TERMS = [term for term, *_ in ENTRIES]
# Words that the notebooks write otherwise than in the plural or with a hyphen.
WRITTEN = {
    "attention mask": r"attention_mask",
    "calibration": r"calibrat(ion|ed)",
    "collapse": r"collapse[ds]?",
    "embedding": r"embed(dings?|s)?",
    "fine-tuning": r"fine-tun(ing|ed|es?)",
    "leakage": r"leak(age|s)?",
    "normalize": r"normalizes?",
    "overfitting": r"overfit(ting)?",
    "query, key and value": r"queries, keys and values|query",
    "warm-up": r"warm-?up",
    "Wilson's interval": r"Wilson('s interval)?",
}
entries = pytest.mark.parametrize(("term", "says", "title", "file"), ENTRIES, ids=TERMS)


def anchor(term):
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", term.lower()).replace(" ", "-")


def written(term):
    """The term as prose has it: also in the plural, and with spaces for hyphens or the reverse."""
    plain = r"[- ]".join(map(re.escape, re.split(r"[- ]", term))) + "(e?s)?"
    return re.compile(rf"(?<!\w)(?:{WRITTEN.get(term, plain)})(?!\w)", re.IGNORECASE)


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
