"""One picture, read safely from a path, an address, bytes, an array or a PIL picture: RGB, upright, within limits."""

import io
import logging
import os
import reprlib
import warnings
from array import array
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import DataHandler, Request, url2pathname

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError, features

from helpers.errors import ImageError, SettingsError, readable
from helpers.paths import resolve
from helpers.reading.addresses import fetch, shown
from helpers.reading.kinds import in_8_bits, kind_of, kind_of_name, of_array, one_of
from helpers.reading.limits import Claims, check_size, opened
from helpers.text import alike

logger = logging.getLogger(__name__)

MAX_BYTES = 25_000_000  # of a file or an answer, before it is read
MAX_PIXELS = 36_000_000  # before they are decoded; a telephone takes 12 or 24 million
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")  # of their files
if features.check("avif"):
    FORMATS, SUFFIXES = (*FORMATS, "AVIF"), (*SUFFIXES, ".avif")
with suppress(ImportError):
    import pillow_heif  # it reads what phones make, and is no requirement

    pillow_heif.register_heif_opener()
    FORMATS, SUFFIXES = (*FORMATS, "HEIF"), (*SUFFIXES, ".heic", ".heif")
TIMEOUT = 10  # seconds, for everything that an address takes
PngImagePlugin.MAX_TEXT_CHUNK = MAX_BYTES  # some programs write megabytes of how they made a picture
# Pillow makes a list of all entries of an EXIF block, each as long as it says; one JPEG segment holds this much.
_MAX_EXIF = 65_536
_GAMMA = 0.45455  # of a PNG whose numbers are taken as they are


def load_image(source: Any, *, allow_local: bool = False) -> Image.Image:
    """Reads a picture from wherever it is.

    Args:
        source: a path, an address (http, https, file, data), bytes, an open file, a PIL picture, an array or a tensor
            (height, width), (height, width, channels) or (channels, height, width) of whole numbers from 0 to 255 or
            real numbers from 0 to 1; or what holds one of them: a row with the column image, a list or a batch of one.
        allow_local: whether an address may lie on this machine or in a private network.

    Returns:
        An RGB picture, upright (EXIF), fully loaded, and no one else's; transparent parts are white, and of an
        animation it is the first frame.

    Raises:
        ImageError: there is no picture, it is damaged, or it is larger than MAX_BYTES or MAX_PIXELS.
    """
    source = one_of(source, MAX_BYTES)
    if isinstance(source, Image.Image):
        return _rgb(source, "The picture")
    if isinstance(source, np.ndarray) and not (source.ndim == 1 and source.dtype == np.uint8):  # which is a file's
        return _rgb(of_array(source, MAX_PIXELS), "The array")
    return _rgb(*_opened(*content_of(source, allow_local)))


def load_small(content: bytes, name: str = "The picture", side: int = 64) -> Image.Image:
    """What `load_image` gives, of a file's content; a large JPEG at a fraction of its size, no side below `side`."""
    picture, name = _opened(content, name)
    # What is cut or damaged fails at a fraction, too.
    picture.draft(picture.mode, (side, side))
    return _rgb(picture, name)


def _opened(content: bytes, name: str) -> tuple[Image.Image, str]:
    """The picture, not yet decoded, within the limits; and what to call it in a sentence."""
    if not content:
        raise ImageError(f"{name} has no bytes at all; copy or download it again.")
    return _carefully(lambda: opened(content, FORMATS, MAX_PIXELS), name, content), name


def content_of(source: Any, allow_local: bool = False) -> tuple[bytes, str]:
    """The bytes of a picture, from a path, an address or bytes; and what to call it in a sentence."""
    if isinstance(source, (bytes, bytearray, memoryview, array, np.ndarray)):
        if (size := memoryview(source).nbytes) > MAX_BYTES:
            raise ImageError(f"The picture has {size:,} bytes; the limit is {MAX_BYTES:,}. Make it smaller.")
        return bytes(source), "The picture"
    if not isinstance(source, (str, os.PathLike)) or not (name := os.fsdecode(source)):
        shortened = reprlib.repr(source)  # which is quick for a list of a million, too
        what = shortened if len(shortened) <= 60 else f"This {type(source).__name__}"
        raise ImageError(f"{what} is no picture; give a path, an address, bytes, an array or a PIL picture.")
    name = name.strip()
    scheme = name.partition(":")[0].lower()
    if scheme == "data":
        with readable(ImageError, lambda error: f"{name[:40]} holds no bytes ({error}); give data:image/png;base64,…."):
            return content_of(DataHandler().data_open(Request(name)).read())
    if scheme == "file":
        name = url2pathname(urlsplit(name).path)
    elif "://" in name[:12]:
        return fetch(name, max_bytes=MAX_BYTES, timeout=TIMEOUT, allow_local=allow_local), shown(name)
    return _file(name), name


def _file(name: str) -> bytes:
    start = name if len(name) < 200 else f"{name[:40]}…"
    try:
        path = _same(resolve(name))
        if not path.is_file():
            raise ImageError(f"{start} is {kind_of_name(name) or _instead(path)}.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except SettingsError as error:
        raise ImageError(f"{start} is {what}." if (what := kind_of_name(name)) else str(error)) from None
    except OSError as error:
        mine = "give yourself the right to read it" if isinstance(error, PermissionError) else "try again"
        raise ImageError(f"{name[:80]} cannot be opened: {error.strerror}; {mine}, or copy it elsewhere.") from None
    if len(content) > MAX_BYTES:
        raise ImageError(f"{name} has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}. Make it smaller.")
    return content


def _same(path: Path) -> Path:
    """The path, or the only one in its folder that looks the same: capitals, accents, spaces, signs unseen."""
    if path.exists() or not path.parent.is_dir():
        return path
    files = list(path.parent.iterdir())
    wanted, *names = (alike(file.name).strip() for file in (path, *files))
    return files[names.index(wanted)] if names.count(wanted) == 1 else path


def _instead(path: Path) -> str:
    """What a path is that is no file, and what to do about it."""
    if path.is_symlink() and not path.exists():
        return f"a link to {os.readlink(path)}, which leads nowhere; give the file itself"
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
    # A copy that is turned forgets what it was read from.
    negative = picture.format in ("TIFF", None) and picture.getexif().get(262) == 0
    return _carefully(lambda: _on_white(_upright(picture, name), negative), name)


def _carefully(step: Callable[[], Any], name: str, content: bytes = b"") -> Any:
    """Runs a step of Pillow's, whose decoders raise nearly every kind of exception on damaged files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return step()
    except Exception as error:
        why = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        unknown = f"no picture, or a damaged one; {', '.join(FORMATS)} are read"
        sentences = {
            Claims: str(error),
            AssertionError: "is closed, or damaged; open it again, and give it inside the with block",
            MemoryError: "needs more memory than there is; make it smaller",
            Image.DecompressionBombError: f"has more than {MAX_PIXELS:,} pixels, the limit. Make it smaller",
            UnidentifiedImageError: f"is {kind_of(content) or unknown}",
            Exception: f"is damaged or of a rare kind ({why}); copy it again or save it as PNG",
        }
        closed = "closed image" in why or why.endswith("no attribute 'seek'")  # as Pillow 11 says it
        error = AssertionError() if closed else error
        what = next(sentence for kind, sentence in sentences.items() if isinstance(error, kind))
        raise ImageError(f"{name} {what}.") from None


def _upright(picture: Image.Image, name: str) -> Image.Image:
    try:
        if len(picture.info.get("exif", b"")) > _MAX_EXIF:
            raise ValueError(f"it has more than {_MAX_EXIF:,} bytes")
        return ImageOps.exif_transpose(picture)
    except Exception as error:
        logger.warning("%s is shown as it is stored: its EXIF block cannot be read (%s).", name, error)
        return picture.copy()


def _on_white(picture: Image.Image, negative: bool) -> Image.Image:
    """RGB, of the colors of sRGB; `negative` says whether zero is white where Pillow leaves that to us."""
    clear, profile = picture.info.get("transparency"), picture.info.pop("icc_profile", None)
    gamma = picture.info.get("gamma") or _GAMMA
    if picture.mode[0] in "IF":
        values = np.asarray(picture)
        shades = in_8_bits(values, picture.mode)
        picture = Image.fromarray(255 - shades if negative else shades)
        if isinstance(clear, int):
            picture.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    elif picture.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:
        # Of 16 bits a channel Pillow keeps 8, but all 16 of the color that is transparent.
        picture.info["transparency"] = tuple(value // 256 for value in clear)
    space = {"1": "GRAY", "L": "GRAY", "LA": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    profile = None if picture.mode == "LAB" else profile  # which Pillow turns into sRGB by itself
    if picture.has_transparency_data:
        picture = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
    if change := profile and _to_srgb(bytes(profile), space):
        changed = change.apply(picture.convert(change.input_mode))
        if picture.mode == "RGBA":
            changed.putalpha(picture.getchannel("A"))
        picture = changed
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    tone = [round(255 * (i / 255) ** (_GAMMA / gamma)) for i in range(256)] * 3
    return picture.convert("RGB") if profile or abs(gamma - _GAMMA) < 0.05 else picture.convert("RGB").point(tone)


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, space: str) -> ImageCms.ImageCmsTransform | None:
    """What turns colors of an ICC profile into sRGB; None where they are that, or it cannot, which is logged once."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        of = source.profile.xcolor_space.strip()
        if of not in (space, "RGB" if space == "GRAY" else space):
            raise ValueError(f"it is for {of} and the picture is {space}")
        mode = {"GRAY": "L"}.get(of, of)
        change = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        ramp = Image.linear_gradient("L")
        some = Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180))).convert(mode)
        same = mode != "CMYK" and np.abs(np.subtract(change.apply(some), some.convert("RGB"), dtype=int)).max() < 3
        return None if same else change
    except Exception as error:  # Pillow raises several kinds
        logger.warning("Colors are shown without their color profile, which cannot be used (%s); save as sRGB.", error)
        return None
