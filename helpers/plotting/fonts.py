"""Fonts for captions in any script: matplotlib's own has Latin, Greek, Cyrillic and Arabic, and boxes for the rest."""

import logging
from collections.abc import Collection
from functools import cache, lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text

logger = logging.getLogger(__name__)

_logged: set[str] = set()


def fit_fonts(figure: Figure) -> None:
    """Gives the figure's texts fonts of this machine that have their letters, and says which letters none has."""
    texts = [text for text in figure.findobj(Text) if not text.get_text().isascii()]
    letters = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    families, lacking = fonts_for(frozenset(letters - _letters(findfont(FontProperties()))))
    if families:
        for text in texts:
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *families])))
    if fresh := sorted(lacking - _logged):
        _logged.update(fresh)
        logger.warning(
            "No font of this machine has %s, so boxes stand there in the figure; install one that has, such as Noto "
            "Sans CJK, and restart the kernel.",
            " ".join(fresh[:10]) + (" …" if len(fresh) > 10 else ""),
        )


@lru_cache(maxsize=64)
def fonts_for(letters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Names of installed fonts that together have these letters, and the letters that none has."""
    families, left = [], set(letters)
    fonts = {path: left & _letters(path) for path in sorted(findSystemFonts(), key=_plain_first)} if left else {}
    while useful := [path for path in fonts if fonts[path] & left]:
        best = max(useful, key=lambda path: len(fonts[path] & left))
        fontManager.addfont(best)
        families.append(FontProperties(fname=best).get_name())
        left -= fonts[best]
    return families, left


def _plain_first(path: str) -> tuple[bool, bool, str]:
    """Of fonts that have the same letters, a regular one without serifs is taken, as the rest of a figure is."""
    name = path.lower()
    return "serif" in name, "regular" not in name, path


@cache
def _letters(path: str) -> Collection[str]:
    try:
        font = get_font(path)
        return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()  # emoji may be bitmaps
    except (OSError, RuntimeError):  # a file that FreeType cannot read, which is nobody's loss here
        return frozenset()
