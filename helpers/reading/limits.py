"""Limits on picture files before they are decoded (JPEG scans, TIFF directories, BMP): small files can ask for much."""

import io
import re
import struct
from typing import Any

from PIL import Image

# Pillow takes some microseconds for each piece that it reads, however small; whole pictures have a few thousand.
MAX_READS = 40_000
# A number in a TIFF's directory takes 4 bytes there, and some hundred as a Python object.
MAX_NUMBERS = 200_000
MAX_ENTRIES = 10_000  # of one directory
MAX_SEGMENTS = 50_000  # of a JPEG
# An EXIF block in parts is put together, and read, as soon as a JPEG is opened; one part holds 65,536 bytes.
MAX_JPEG_EXIF = 1_000_000
# Pixels times the passes over them that a JPEG asks for: cameras make 1, the web 10 to 17, an attacker 500.
MAX_SCANNED = 400_000_000
# Pillow unpacks these BMPs in Python, pixel by pixel.
MAX_RLE_PIXELS = 1_000_000
# The others let a strip be decoded a hundred times, or at a crawl, or print a line for each damaged row.
TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate")

# A JPEG's markers but for those without a length, which begin and restart, and FF00, which is a pixel's byte.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")
_WIDTHS = {3: 2, 4: 4, 9: 4, 13: 4, 16: 8}  # bytes of the TIFF types that can say where another directory lies
_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability: Pillow reads them with the picture
_TEXTS = (1, 2, 7)  # the types that stay bytes


class Claims(ValueError):
    """Why a file is not read: the rest of a sentence that begins with its name."""


class Once(io.BytesIO):
    """A file that gives little more than its own length, in not too many pieces.

    A TIFF's directory or its strips may name the same megabytes a thousand times; a PNG may have a million chunks.
    """

    def __init__(self, content: bytes):
        super().__init__(content)
        self.left, self.reads = 4 * len(content) + 1_000_000, MAX_READS

    def read(self, size: int | None = -1) -> bytes:
        """What BytesIO gives, or Claims."""
        content = super().read(size)
        self.left -= len(content)
        self.reads -= 1
        if self.left < 0 or self.reads < 0:
            raise Claims("names the same bytes again and again, or is in too many pieces; save it anew as PNG")
        return content


def opened(content: bytes, formats: tuple[str, ...], max_pixels: int) -> Image.Image:
    """Opens a picture of one of the formats, without decoding it.

    Raises:
        Claims: opening or decoding it would take too much; where it is damaged, Pillow raises nearly anything.
    """
    scans = _scans(content) if content[:3] == b"\xff\xd8\xff" else 1  # passes over its pixels
    if content[:4] in (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+"):
        _check_directories(content)
    picture = Image.open(Once(content), formats=formats)
    check_size(picture, max_pixels)
    pixels, compression = picture.width * picture.height, picture.info.get("compression")
    if scans * pixels > MAX_SCANNED:
        raise Claims(f"goes over its pixels {scans} times; save it anew as PNG")
    if picture.format == "BMP" and compression in (1, 2) and pixels > MAX_RLE_PIXELS:
        raise Claims(f"is a compressed BMP of more than {MAX_RLE_PIXELS:,} pixels; save it anew as PNG")
    if picture.format == "TIFF":
        _check_tiles(picture, compression, max_pixels)
    return picture


def check_size(picture: Image.Image, max_pixels: int) -> None:
    """Raises Claims where a picture has no pixels, or more than that."""
    width, height = picture.size
    if not width * height:
        raise Claims("has no pixels; give another")
    if width * height > max_pixels:
        raise Claims(f"has {width} x {height} pixels; the limit is {max_pixels:,}. Make it smaller")


def _check_tiles(picture: Any, compression: str, max_pixels: int) -> None:
    """A TIFF's tiles may be larger than the picture, which their last row and column overlap; each is decoded whole."""
    if compression not in TIFF_COMPRESSIONS:
        raise Claims(f"is a TIFF compressed as {compression}, which is not read; save it anew as PNG")
    if picture.tag_v2.get(254) == 1 or 50706 in picture.tag_v2:  # a reduced copy comes first, as in NEF and DNG
        raise Claims("is a raw photo, or begins with a small copy of a picture; save it as JPEG")
    tile = picture.tag_v2.get(322, 1), picture.tag_v2.get(323, 1)
    if not all(isinstance(side, int) and side > 0 for side in tile):
        raise Claims("has tiles without a size; save it anew as PNG")
    across, down = (-(-picture.tag_v2[tag] // part) * part for tag, part in zip((256, 257), tile, strict=True))
    if across * down > max_pixels:
        raise Claims(f"has tiles of more than {max_pixels:,} pixels together; save it anew as PNG")


def _scans(content: bytes) -> int:
    """How often a JPEG goes over its pixels, counted as a decoder meets its markers.

    Those of a small picture inside it, or of a film behind it, do not count.
    """
    place, scans, exif = 2, 0, 0
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(content, place)
        if not marker or marker[1] == b"\xd9":
            return scans
        length = int.from_bytes(content[marker.end() : marker.end() + 2])
        place = marker.end() + length
        scans += marker[1] == b"\xda"
        if marker[1] == b"\xe1" and content.startswith(b"Exif", marker.end() + 2):
            exif += length
        if exif > MAX_JPEG_EXIF:
            raise Claims(f"has more than {MAX_JPEG_EXIF:,} bytes of EXIF; save it anew as PNG")
    raise Claims("is in too many pieces; save it anew as PNG")


def _check_directories(content: bytes) -> None:
    """Adds up the numbers in the directories of a TIFF that Pillow makes Python objects of."""
    order, endian = ("<", "little") if content[:1] == b"I" else (">", "big")
    big = content[2] == 43
    count, entry = struct.Struct(order + ("Q" if big else "H")), struct.Struct(order + ("HHQ8s" if big else "HHL4s"))
    waiting, numbers = [int.from_bytes(content[8:16] if big else content[4:8], endian)], 0
    for start in waiting:  # it grows on the way; a directory may name itself
        if start + count.size > len(content) or len(waiting) > 20:
            continue
        entries = count.unpack_from(content, start)[0]
        if entries > MAX_ENTRIES:
            raise Claims(f"has a directory of {entries:,} entries; save it anew as PNG")
        end = min(start + count.size + entries * entry.size, len(content) - entry.size + 1)
        for place in range(start + count.size, end, entry.size):
            tag, kind, amount, value = entry.unpack_from(content, place)
            numbers += amount if kind not in _TEXTS else 0
            if tag in _DIRECTORIES and kind in _WIDTHS:
                waiting.append(int.from_bytes(value[: _WIDTHS[kind]], endian))
    if numbers > MAX_NUMBERS:
        raise Claims(f"has {numbers:,} numbers in its directory; save it anew as PNG")
