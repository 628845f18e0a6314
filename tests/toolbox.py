"""What several test files make and ask: pictures, their files, and the sentence of a refusal."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.errors import ImageError
from helpers.reading.pictures import load_image

# What a sentence may ask for; a refusal without any of these leaves a learner where they were.
ASKS = ("give ", "save ", "Make ", "make ", "check ", "copy ", "take ", "are read", "try ", "say ")


def refusal(source, *named, load=load_image):
    """The sentence with which a source is refused: one line that names the thing and says what to do."""
    with pytest.raises(ImageError) as caught:
        load(source)
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    assert sentence.endswith(".")
    assert len(sentence) < 400
    assert any(word in sentence for word in ASKS), sentence
    assert all(str(name) in sentence for name in named), sentence
    return sentence


def noise(seed, size=(24, 20)):
    """A picture that is like no other, of width and height."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def encoded(picture, kind="PNG", **options):
    """The bytes of a picture's file."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def chunk(kind, data=b""):
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rle_bmp(size=16, rows=16):
    """A BMP of runs: Pillow reads them and writes none."""
    palette = b"".join(bytes((i, 255 - i, i // 2, 0)) for i in range(256))
    data = (
        b"".join(bytes((size // 2, row % 256, size - size // 2, 255 - row % 256, 0, 0)) for row in range(rows))
        + b"\0\1"
    )
    header = struct.pack("<IiiHHIIiiII", 40, size, rows, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(data), 0, 0, 54 + 1024) + header + palette + data
