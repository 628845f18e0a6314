"""What people give for a picture (rows, tensors, open files), and what files hold in its place (HTML, Git LFS)."""

import os
import re
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from helpers.errors import ImageError, first_line, readable

_CHANNELS = (1, 3, 4)
_PLAIN = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)
LFS = b"version https://git-lfs"  # how a file begins that only points to the real one
# How files begin, in any case of letters: what they are, and what to do.
_SIGNS = {
    LFS: "a Git LFS pointer in place of the picture; run git lfs pull, or download the file",
    rb"\S*/annex/objects/": "a git-annex pointer in place of the picture; run git annex get, or download the file",
    rb"(<\?xml.*?\?>|<!--.*?-->|<!doctype svg.*?>|\s)*+<(\w+:)?svg": "an SVG drawing; save it as PNG",
    rb"(<\?xml.*?\?>|<!--.*?-->|\s)*+<(!doctype html|html|head|body|script)":
        "a web page; take the address of the picture itself",
    rb".*<!doctype plist|bplist|\[(internetshortcut|desktop entry)":
        "a saved link; open it, and save the picture itself",
    rb".*<error|[{[]": "what a server or a program wrote in place of a picture; read it, and download again",
    rb"<\?xml": "an XML text, perhaps a drawing; save it as PNG",
    rb"(https?://\S+|[^\n\0]+\.(png|jpe?g|webp|gif|bmp|tiff?))\s*\Z": "a text that names a picture; give that one",
    rb"ivborw0kgg|/9j/|data:image": "the text (base64) of a picture; decode it, or give data:image/png;base64,…",
    rb"\0*\Z|\0{500}": "nothing but zeros, as a broken download leaves them; download it again",
    rb"\0\x05\x16\x07": "what macOS notes beside a file; take the file whose name has no ._ before it",
    rb"....ftyp(hei|hev|mif1|msf1)": "a HEIC photo; install pillow-heif, copy it again, or save it as JPEG",
    rb"....ftypavi[fs]": "an AVIF picture that is not read; copy it again, or save it as JPEG",
    rb"....ftypcrx|fujifilmccd|iir[os]|iiu\0": "a raw photo; save it as JPEG",
    rb"....(ftyp|moov)|\x1a\x45\xdf\xa3|riff....avi |flv\x01|\0\0\x01[\xba\xb3]": "a video; save a frame of it as PNG",
    rb"pk\x03\x04|\x1f\x8b|bzh|\xfd7zxz|\x28\xb5\x2f\xfd|7z\xbc\xaf|rar!": "an archive or a packed file; unpack it",
    rb"%(pdf|!ps)": "a PDF or PostScript document; save its picture as PNG",
    rb"8bps|gimp xcf": "a Photoshop or GIMP file; save it as PNG",
    rb"\x93numpy|\x80[\x02-\x05]": "numbers or objects that Python saved; load them, and give the array",
    rb"\xef\xbf\xbd(png|\xef\xbf\xbd)": "a picture that was copied as if it were text; copy it again, as bytes",
    rb"\x89png|\xff\xd8\xff|gif8|riff....webp|ii\*|mm\0": "damaged, or of a rare kind; copy it again or save it as PNG",
    rb"[^\0-\x08]+\Z": "a text and no picture; give another file",
}  # fmt: skip


# The same of names that lead to no file.
_NAMES = {
    r"iVBORw0KGgo|/9j/|R0lGOD|UklGR": "the text (base64) of a picture; decode it, or give data:image/png;base64,…",
    r"www\.|//\w": "an address without its beginning; give it with https:// before it",
    r"['\"]": "no file; give the name without the quotation marks in it",
    r".*\\": "no file; give a path of this machine, with slashes in place of backslashes",
}


def kind_of_name(name: str) -> str:
    """What a text is that names no file, and what to do; empty where that is not known."""
    return next((what for sign, what in _NAMES.items() if re.match(sign, name)), "")


def kind_of(content: bytes) -> str:
    """What a file is that is no picture of a kind that is read, and what to do; empty where that is not known."""
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    return next((what for sign, what in _SIGNS.items() if re.match(sign, start, re.DOTALL | re.IGNORECASE)), "")


def one_of(source: Any, max_bytes: int) -> Any:
    """What a row, a list of one, an open file or a tensor holds: a PIL picture, an array, bytes or a path.

    What is none of these stays as it is. ImageError where it holds none, or cannot be read.
    """
    kind = type(source).__name__
    with readable(ImageError, lambda error: f"This {kind} cannot be read ({first_line(error)}); give a path or bytes."):
        for _ in range(4):  # as a slice of rows holds a list of one picture
            if isinstance(source, (*_PLAIN, np.ndarray, np.generic)):
                break
            if hasattr(source, "keys"):
                held = [source[key] for key in ("image", "bytes", "path") if source.get(key) is not None]
                if not held:
                    raise ImageError(f"A {kind} without the column image is no picture; give the picture in it.")
                source = held[0]
            elif hasattr(source, "read"):
                with suppress(AttributeError, OSError):
                    source.seek(0)
                if isinstance(source := source.read(max_bytes + 1), str):
                    raise ImageError("The file is opened as text; open it again, and give it the mode 'rb'.")
            elif hasattr(source, "__array__"):
                source = source.detach().cpu() if hasattr(source, "detach") else source
                source = np.asarray(source.float() if "bfloat16" in str(source.dtype) else source)  # NumPy has none
            elif hasattr(source, "__getitem__") and len(source) == 1:
                source = source[0]
    return source


def in_8_bits(values: np.ndarray, mode: str) -> np.ndarray:
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


def of_array(values: np.ndarray, max_pixels: int) -> Image.Image:
    """An array of one picture, alone in its batch or with its channels first, as a PIL picture of 0 to 255."""
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] not in _CHANNELS and values.shape[0] in _CHANNELS:
        values = np.moveaxis(values, 0, 2)
    values = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,), (4,)):
        asked = "give (height, width), (height, width, 3) or (height, width, 4)"
        raise ImageError(f"An array of shape {values.shape} is no picture; {asked}.")
    if not values.size or values.shape[0] * values.shape[1] > max_pixels:
        raise ImageError(f"An array of shape {values.shape} has no pixels, or more than {max_pixels:,}; give another.")
    kind, which = values.dtype.kind, f"of {values.dtype}"
    advice = "whole numbers from 0 to 255 or real numbers from 0 to 1"
    if kind in "biuf":
        low, high = values.min(), values.max()
        whole, deep = kind in "iu" and high <= 255, kind == "u" and values.itemsize == 2
        if low >= 0 and (whole or deep or high <= 1):
            shades = values.astype(np.float32) * (255 / (255 if whole else 65_535 if deep else 1))
            return Image.fromarray(np.rint(shades).astype(np.uint8))
        which += f" from {low:g} to {high:g}"
        advice += "; denormalize turns a processor's pixel values back" * bool(low < 0)
    raise ImageError(f"An array {which} is no picture; give {advice}.")
