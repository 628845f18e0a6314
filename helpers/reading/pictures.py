"""One picture, read safely from a path, an address, bytes, an array or a PIL picture: RGB, upright, within limits."""

import logging
import os
import reprlib
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.errors import ImageError, SettingsError
from helpers.paths import resolve
from helpers.reading.addresses import fetch, shown
from helpers.reading.limits import Claims, check_size, opened

logger = logging.getLogger(__name__)

MAX_BYTES = 25_000_000  # of a file or an answer, before it is read
MAX_PIXELS = 36_000_000  # before they are decoded; a telephone takes 12 or 24 million
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")  # of their files
TIMEOUT = 10  # seconds, for everything that an address takes
# Pillow makes a list of all entries of an EXIF block, each as long as it says; one JPEG segment holds this much.
_MAX_EXIF = 65_536
# How files begin that people take for pictures.
_OTHERS = {
    (b"<!doctype html", b"<html"): "a web page; take the address of the picture itself",
    (b"<svg",): "an SVG drawing; save it as PNG",
    (b"<?xml",): "an XML text, perhaps a drawing; save it as PNG",
    (b"%pdf",): "a PDF document; save its picture as PNG",
}


def load_image(source: Any, *, allow_local: bool = False) -> Image.Image:
    """Reads a picture from wherever it is.

    Args:
        source: a path, an http(s) address, bytes, a PIL picture, or an array (height, width) or (height, width,
            channels) of whole numbers from 0 to 255 or real numbers from 0 to 1.
        allow_local: whether an address may lie on this machine or in a private network.

    Returns:
        An RGB picture, upright (EXIF), fully loaded, and no one else's; transparent parts are white, and of an
        animation it is the first frame.

    Raises:
        ImageError: there is no picture, it is damaged, or it is larger than MAX_BYTES or MAX_PIXELS.
    """
    if isinstance(source, Image.Image):
        return _rgb(source, "The picture")
    if isinstance(source, np.ndarray):
        return _rgb(_from_array(source), "The array")
    return _rgb(*_opened(*content_of(source, allow_local)))


def check_image(source: Any) -> None:
    """Raises ImageError where `load_image` would, for a path or bytes, and keeps nothing."""
    picture, name = _opened(*content_of(source))
    # A JPEG decodes faster at an eighth of its size, and what is cut or damaged fails just the same.
    picture.draft(picture.mode, tuple(max(1, side // 8) for side in picture.size))
    _carefully(picture.load, name)


def load_small(content: bytes, name: str = "The picture", side: int = 128) -> Image.Image:
    """What `load_image` gives, of a file's content; a large JPEG at a fraction of its size, no side below `side`."""
    picture, name = _opened(content, name)
    picture.draft(picture.mode, (side, side))
    return _rgb(picture, name)


def _opened(content: bytes, name: str) -> tuple[Image.Image, str]:
    """The picture, not yet decoded, within the limits; and what to call it in a sentence."""
    if not content:
        raise ImageError(f"{name} has no bytes at all; copy or download it again.")
    return _carefully(lambda: opened(content, FORMATS, MAX_PIXELS), name, content), name


def content_of(source: Any, allow_local: bool = False) -> tuple[bytes, str]:
    """The bytes of a picture, from a path, an address or bytes; and what to call it in a sentence."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        if (size := memoryview(source).nbytes) > MAX_BYTES:
            raise ImageError(f"The picture has {size:,} bytes; the limit is {MAX_BYTES:,}. Make it smaller.")
        return bytes(source), "The picture"
    if not isinstance(source, (str, os.PathLike)) or not (name := os.fsdecode(source)):
        shortened = reprlib.repr(source)[:60]  # which is quick for a list of a million, too
        raise ImageError(f"{shortened} is no picture; give a path, an address, bytes, an array or a PIL picture.")
    if "://" in name[:12]:
        return fetch(name, max_bytes=MAX_BYTES, timeout=TIMEOUT, allow_local=allow_local), shown(name)
    return _file(name), name


def _file(name: str) -> bytes:
    try:
        path = resolve(name)
        if not path.is_file():
            raise ImageError(f"{name} is {_instead(path)}.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except SettingsError as error:
        raise ImageError(str(error)) from None
    except OSError as error:
        raise ImageError(f"{name[:80]} cannot be opened: {error.strerror}; check the path.") from None
    if len(content) > MAX_BYTES:
        raise ImageError(f"{name} has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}. Make it smaller.")
    return content


def _instead(path: Path) -> str:
    """What a path is that is no file, and what to do about it."""
    if path.is_dir():
        return "a folder; give the path of one picture in it"
    if path.exists():
        return "a device or a pipe; give the path of a file"
    if not path.parent.is_dir():
        return f"no file; check the spelling, there is no folder {path.parent}"
    names = [entry.name for entry in islice(path.parent.iterdir(), 5_000)]  # comparing takes a second for 10,000
    near = get_close_matches(path.name, names, 1)
    return f"no file; check the spelling, {path.parent} has {near[0] if near else 'nothing like it'}"


def _rgb(picture: Image.Image, name: str) -> Image.Image:
    """A new picture: decoded, upright, on white, in RGB."""
    _carefully(lambda: check_size(picture, MAX_PIXELS), name)
    _carefully(picture.load, name)
    return _carefully(lambda: _on_white(_upright(picture, name)), name)


def _carefully(step: Callable[[], Any], name: str, content: bytes = b"") -> Any:
    """Runs a step of Pillow's, whose decoders raise nearly every kind of exception on damaged files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return step()
    except Exception as error:
        why = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        sentences = {
            Claims: str(error),
            MemoryError: "needs more memory than there is; make it smaller",
            Image.DecompressionBombError: f"has more than {MAX_PIXELS:,} pixels, the limit. Make it smaller",
            UnidentifiedImageError: f"is {_kind_of(content)}; {', '.join(FORMATS)} are read",
            Exception: f"is damaged or of a rare kind ({why}); copy it again or save it as PNG",
        }
        what = next(sentence for kind, sentence in sentences.items() if isinstance(error, kind))
        raise ImageError(f"{name} {what}.") from None


def _kind_of(content: bytes) -> str:
    """What a file is that is no picture of a kind that is read."""
    start = content[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if content[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file, which many phones make; save it as JPEG"
    return next((what for signs, what in _OTHERS.items() if start.startswith(signs)), "no picture, or a damaged one")


def _upright(picture: Image.Image, name: str) -> Image.Image:
    try:
        if len(picture.info.get("exif", b"")) > _MAX_EXIF:
            raise ValueError(f"it has more than {_MAX_EXIF:,} bytes")
        return ImageOps.exif_transpose(picture)
    except Exception as error:
        logger.warning("%s is shown as it is stored: its EXIF block cannot be read (%s).", name, error)
        return picture.copy()


def _on_white(picture: Image.Image) -> Image.Image:
    clear = picture.info.get("transparency")
    if picture.mode[0] in "IF":
        values = np.asarray(picture)
        picture = Image.fromarray(_in_8_bits(values, picture.mode))
        if isinstance(clear, int):
            picture.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    elif picture.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:
        # Of 16 bits a channel Pillow keeps 8, but all 16 of the color that is transparent.
        picture.info["transparency"] = tuple(value // 256 for value in clear)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _in_8_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """One channel of 16 bits, of 32 bits or of real numbers → uint8.

    16 bits keep their scale. 32 bits and real numbers do not say theirs: it is the smallest of 1 (real numbers alone),
    255 and 65,535 that holds all values; where none does, the values' own range is stretched.
    """
    values = np.nan_to_num(values.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    scales = {"F": (1, 255, 65_535), "I": (255, 65_535)}.get(mode, (65_535,))
    if low >= 0 and high <= scales[-1]:
        low, high = 0, min(scale for scale in scales if high <= scale)
    return np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def _from_array(values: np.ndarray) -> Image.Image:
    """An array as a PIL picture, its values brought to 0 to 255."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,), (4,)):
        asked = "give (height, width), (height, width, 3) or (height, width, 4)"
        raise ImageError(f"An array of shape {values.shape} is no picture; {asked}.")
    if not values.size or values.shape[0] * values.shape[1] > MAX_PIXELS:
        raise ImageError(f"An array of shape {values.shape} has no pixels, or more than {MAX_PIXELS:,}; give another.")
    kind, which = values.dtype.kind, f"of {values.dtype}"
    if kind in "biuf":
        low, high = values.min(), values.max()
        whole, deep = kind in "iu" and high <= 255, kind == "u" and values.itemsize == 2
        if low >= 0 and (whole or deep or high <= 1):
            shades = values.astype(np.float32) * (255 / (255 if whole else 65_535 if deep else 1))
            return Image.fromarray(np.rint(shades).astype(np.uint8))
        which += f" from {low} to {high}"
    raise ImageError(f"An array {which} is no picture; give whole numbers from 0 to 255 or real numbers from 0 to 1.")
