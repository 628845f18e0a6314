"""The glossary's links: in the notebooks, the first use of each of its terms is a link to its entry."""

import re
from typing import NamedTuple

from nbformat import NotebookNode

from helpers.paths import ROOT
from tools.exercises import FENCE, FOLDED

PAGE = ROOT / "docs" / "glossary.md"
ENTRY = re.compile(r"^### (.+)\n\n(.+?) \[(\d+\. [^]]+)\]\(\.\./notebooks/(\S+\.ipynb)\)$", re.MULTILINE)
# Words that the notebooks write otherwise than in the plural or with a hyphen.
WRITTEN = {
    "attention mask": r"attention_mask",
    "calibration": r"calibrat(ion|ed)",
    "collapse": r"collapse[ds]?",
    "decorative picture": r"decorative",
    "embedding": r"embed(dings?|s)?",
    "fine-tuning": r"fine-tun(ing|ed|es?)",
    "functional picture": r"functional",
    "informative picture": r"informative",
    "leakage": r"leak(age|s)?",
    "normalize": r"normalizes?",
    "overfitting": r"overfit(ting)?",
    "query, key and value": r"queries, keys and values|query",
    "warm-up": r"warm-?up",
    "Wilson's interval": r"Wilson('s interval)?",
}
# Everyday words: before the notebook that teaches their other meaning, they are not looked for.
EVERYDAY = (
    "attention", "attribute", "bias", "block", "calibration", "collapse", "confidence", "fact", "greedy", "head",
    "interval", "label", "leakage", "mask", "normalize", "parameter", "patch", "prediction", "probe", "processor",
    "query, key and value", "reference", "right caption", "seed", "shift", "split",
)  # fmt: skip
LINK = re.compile(r"!?\[[^]]*\]\([^)]*\)")
OURS = re.compile(r"\[([^]]*)\]\(\.\./docs/glossary\.md#[^)]*\)")
# Headings, titles of exercises, summaries of folds, code and formulas are left as they are.
APART = re.compile(r"^#.*$|^\*\*\d+\. .*?\*\*|<summary>.*?</summary>|`[^`]*`|\$[^$]*\$", re.MULTILINE)


class Entry(NamedTuple):
    """A term, its sentence, and the title and file of the notebook that teaches it."""

    term: str
    says: str
    title: str
    file: str


def entries() -> list[Entry]:
    """The glossary's entries, in its order."""
    return [Entry(*found) for found in ENTRY.findall(PAGE.read_text(encoding="utf-8"))]


def anchor(term: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", term.lower()).replace(" ", "-")


def written(term: str) -> re.Pattern[str]:
    """The term as prose has it: also in the plural, and with spaces for hyphens or the reverse."""
    plain = r"[- ]".join(map(re.escape, re.split(r"[- ]", term))) + "(e?s)?"
    return re.compile(rf"(?<!\w)(?:{WRITTEN.get(term, plain)})(?!\w)", re.IGNORECASE)


def link(books: dict[str, NotebookNode]) -> dict[str, str]:
    """Links the first use of each term in the notebooks, file name → notebook in the order of the course, in place.

    Returns:
        The notebook of each link; a term without plain words of its own has none.
    """
    cells = [(name, c) for name, book in books.items() for c in book.cells[1:] if c.cell_type == "markdown"]
    for _, cell in cells:
        cell.source = OURS.sub(r"\1", cell.source)
    terms, linked, places = entries(), {}, []
    for term, _, _, file in terms:
        longer = [written(entry.term) for entry in terms if entry.term != term and written(term).search(entry.term)]
        for name, cell in cells:
            apart = [hit.span() for kind in (FOLDED, FENCE, APART, LINK, *longer) for hit in kind.finditer(cell.source)]
            uses = (use for use in written(term).finditer(cell.source) if name >= file or term not in EVERYDAY)
            free = (use.span() for use in uses if not any(a < use.end() and use.start() < b for a, b in apart))
            if place := next(free, None):
                linked[term] = name
                places.append((*place, term, cell))
                break
    for begin, end, term, cell in sorted(places, key=lambda place: -place[0]):
        text = cell.source
        cell.source = f"{text[:begin]}[{text[begin:end]}](../docs/glossary.md#{anchor(term)}){text[end:]}"
    return linked
