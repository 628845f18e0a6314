"""Which attributes a caption names, and which of them go wrong."""

from __future__ import annotations

import re

ATTRIBUTES: dict[str, list[str]] = {
    "color": ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray"],
    "second_color": ["none", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray"],
    "pattern": ["plain", "spotted", "striped"],
    "body": ["round", "tall", "square"],
    "ears": ["none", "pointy", "round", "long"],
    "horns": ["none", "one", "two"],
    "wings": ["none", "wings"],
    "tail": ["none", "curly", "spiky"],
    "mouth": ["smile", "frown", "open"],
}

# One pattern a value; colours are found by their order instead. "round" is a body unless it stands before "ears".
_PATTERNS = {
    "pattern": {"spotted": r"spotted|spots", "striped": r"striped|stripes"},
    "body": {value: rf"{value}(?! ears)" for value in ATTRIBUTES["body"]},
    "ears": {value: f"{value} ears" for value in ATTRIBUTES["ears"][1:]},
    "horns": {"one": "one horn", "two": "two horns"},
    "wings": {"wings": "wings"},
    "tail": {"curly": "curly tail", "spiky": "spiky tail"},
    "mouth": {"smile": "smile|smiles", "frown": "frown|frowns", "open": "open mouth|opens its mouth"},
}


def attributes_of(caption: str) -> dict[str, str]:
    """The Pocket Creatures attributes that a caption names.

    The first value named counts. What a caption does not name is "plain" for the pattern and "none" for all else,
    so a caption that forgets the mouth is wrong about the mouth.

    Args:
        caption: an English caption, as in the data set or as a model says it.

    Returns:
        A value for each name in `ATTRIBUTES`.
    """
    text = " ".join(re.findall(r"[a-z]+", caption.lower()))
    colors = re.findall(rf"\b(?:{'|'.join(ATTRIBUTES['color'])})\b", text)
    found = {"color": colors[0] if colors else "none", "second_color": colors[1] if len(colors) > 1 else "none"}
    for name, values in _PATTERNS.items():
        hits = {value: re.search(rf"\b(?:{pattern})\b", text) for value, pattern in values.items()}
        places = {value: hit.start() for value, hit in hits.items() if hit}
        found[name] = min(places, key=places.get) if places else ("plain" if name == "pattern" else "none")
    return found
