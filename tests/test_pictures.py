import io
import os
import struct
import sys
import warnings
import zlib
from array import array
from base64 import b64encode
from pathlib import Path
from runpy import run_path
from types import ModuleType

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageColumn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, features

from helpers.errors import ImageError
from helpers.reading import pictures
from helpers.reading.pictures import content_of, load_image, load_small
from tests.toolbox import chunk, encoded, noise, refusal, rle_bmp

RED, BLUE, WHITE = (200, 30, 40), (30, 40, 200), (255, 255, 255)
FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]


def corners(picture):
    return picture.getpixel((0, 0)), picture.getpixel((picture.width - 1, picture.height - 1))


def load_fast(source):
    return load_small(*content_of(source))


def near(color, other, most=12):
    return np.abs(np.subtract(color, other)).max() <= most


@pytest.fixture
def two_colors():
    """48 x 32 pixels: red on the left, blue on the right."""
    picture = Image.new("RGB", (48, 32), RED)
    picture.paste(BLUE, (24, 0, 48, 32))
    return picture


# Sources


def test_a_picture_is_read_from_wherever_it_is(tmp_path, two_colors, monkeypatch):
    content = encoded(two_colors)
    (tmp_path / "two.png").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    [entry] = os.scandir(tmp_path)
    for source in (
        tmp_path / "two.png", str(tmp_path / "two.png"), Path("two.png"), entry,
        content, bytearray(content), memoryview(content), np.asarray(two_colors), two_colors,
    ):  # fmt: skip
        picture = load_image(source)
        assert (picture.mode, picture.size) == ("RGB", (48, 32))
        assert corners(picture) == (RED, BLUE)


def test_what_holds_one_picture_is_read(tmp_path, two_colors):
    content, values = encoded(two_colors), np.array(two_colors)
    (tmp_path / "a b.png").write_bytes(content)
    path, first = str(tmp_path / "a b.png"), np.moveaxis(values, 2, 0)
    rows = Dataset.from_list([{"image": {"bytes": content, "path": None}, "captions": ["two"]}] * 2)
    decoded, wide = rows.cast_column("image", ImageColumn()), torch.tensor(values)
    written = io.BytesIO()
    two_colors.save(written, "PNG")  # its end is where it would be read from
    ones = [
        rows[0], decoded[0], {"image": None, "path": path}, rows[0]["image"], written, np.str_(path),
        array("B", content), np.frombuffer(content, np.uint8), Path(path).as_uri(), f"FILE:{path}",
        "data:image/png;base64," + b64encode(content).decode(), first, values[None], first / 255, wide,
        torch.tensor(first) / 255, (wide / 255).bfloat16(), (wide[None] / 255).requires_grad_(),
    ]  # fmt: skip
    several = [[two_colors], (path,), decoded[:1], decoded.select([0]), decoded[:1]["image"], [rows[0]]]
    for source in ones + several:
        assert all(map(near, corners(load_image(source)), (RED, BLUE))), source
    with Path(path).open("rb") as file:
        assert all(map(near, corners(load_image(file)), (RED, BLUE)))


def test_what_holds_no_picture_or_several_is_refused(tmp_path, two_colors):
    (tmp_path / "two.png").write_bytes(encoded(two_colors))
    with (tmp_path / "two.png").open("rb") as closed, (tmp_path / "two.png").open(errors="replace") as text:
        refusal(text, "'rb'")
    refusal(closed, "BufferedReader", "closed")
    refusal({"pixel_values": two_colors}, "image")
    refusal([two_colors, two_colors], "no picture")
    refusal(torch.zeros(2, 3, 4, 4), "(2, 3, 4, 4)")
    refusal("data:image/png", "data:image/png;base64")
    refusal("file:///no/such.png", "/no/such.png")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_is_known_by_its_content(tmp_path, two_colors, kind):
    for suffix in (".txt", ".jpg", ""):
        (tmp_path / f"two{suffix}").write_bytes(encoded(two_colors, kind))
        assert all(map(near, corners(load_image(tmp_path / f"two{suffix}")), (RED, BLUE)))


def test_the_callers_picture_stays_as_it_is(two_colors):
    for mode in ("RGB", "RGBA", "L", "P"):
        given = two_colors.convert(mode)
        given.info["note"] = "mine"
        before = given.tobytes(), given.mode, dict(given.info)
        made = load_image(given)
        made.paste((1, 2, 3), (0, 0, 48, 32))
        assert (given.tobytes(), given.mode, given.info) == before


@pytest.mark.parametrize("source", [None, 3, "", [1, 2], np.int64(3), list(range(1_000_000))])
def test_what_can_be_no_picture_is_named(source):
    refusal(source, "no picture", repr(source)[:4])


@pytest.mark.parametrize(
    ("name", "named"),
    [("absent.png", "absent.png"), (".", "folder"), ("a\0b.png", "b.png"), ("no/such/a.png", "no folder"),
     ("~nobody_of_that_name/a.png", "~nobody")],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_named(name, named):
    refusal(name, named)
    refusal(name, named, load=load_fast)


@pytest.mark.parametrize("asked", ["café 1.png\n", " Cafe\u0301 1.PNG", "caf\u200bé 1.png"])
def test_a_name_that_looks_the_same_as_one_file_means_it(tmp_path, two_colors, asked):
    two_colors.save(tmp_path / "café 1.png")
    start = " " * asked.startswith(" ")
    assert load_image(f"{start}{tmp_path}/{asked.strip(' ')}").size == two_colors.size
    two_colors.save(tmp_path / "CAFÉ 1.png")
    (tmp_path / "café 1.png").rename(tmp_path / "Café 1.png")
    refusal(f"{tmp_path}/cafe\u0301 1.png", "no file")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("C:\\Users\\me\\cat.jpg", "slashes"),
        ("images\\cat.png", "slashes"),
        ('"images/cat.png"', "quotation marks"),
        ("www.example.org/cat.jpg", "https://"),
        ("//example.org/cat.jpg", "https://"),
        (b64encode(encoded(noise(0))).decode(), "base64"),
        (b64encode(encoded(noise(0), "JPEG", quality=5)).decode(), "base64"),
    ],
)
def test_a_text_that_names_no_file_is_called_what_it_is(name, named):
    refusal(name, named)


def test_a_picture_that_is_closed_is_called_so(tmp_path, two_colors):
    two_colors.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as unread:
        pass
    read = Image.open(tmp_path / "a.png")
    read.load()
    read.close()
    for closed in (unread, read):
        assert "copy it again" not in refusal(closed, "closed")


def test_premultiplied_transparency_is_shown_on_white():
    for mode, stored in (("LA", "La"), ("RGBA", "RGBa")):
        picture = Image.new(mode, (4, 4), (100, 128) if mode == "LA" else (200, 100, 0, 128))
        assert near(load_image(picture.convert(stored)).getpixel((0, 0)), load_image(picture).getpixel((0, 0)))


@pytest.mark.parametrize(("gamma", "shown"), [(1.0, 128), (0.45455, 55), (0.5, 65)])
def test_a_gamma_of_a_png_is_followed(gamma, shown):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", round(100_000 * gamma)))
    for mode, color in (("RGB", (55, 0, 255)), ("RGBA", (55, 0, 255, 255))):
        made = load_image(encoded(Image.new(mode, (4, 4), color), pnginfo=info)).getpixel((0, 0))
        assert near(made, (shown, 0, 255))


def test_a_long_text_in_a_png_is_no_matter(two_colors):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2_000_000, zip=True)
    assert load_image(encoded(two_colors, pnginfo=info)).size == two_colors.size


def test_colors_in_lab_are_shown_without_a_word(log):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.applyTransform(
        Image.new("RGB", (4, 4), (200, 30, 40)), ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    )
    content = encoded(picture, "TIFF", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    assert near(load_image(content).getpixel((0, 0)), (200, 30, 40))
    assert not log.messages


def test_a_path_too_long_is_named_in_part():
    assert len(refusal("x" * 5000, "xxx")) < 200


def test_the_nearest_name_is_suggested(tmp_path):
    (tmp_path / "creature.png").write_bytes(b"")
    refusal(tmp_path / "craeture.png", "craeture.png", "has creature.png")
    refusal(tmp_path / "zzz", "nothing like it")


def test_a_link_that_leads_nowhere_is_called_one(tmp_path):
    (tmp_path / "gone.png").symlink_to("elsewhere.png")
    refusal(tmp_path / "gone.png", "a link to elsewhere.png")
    (tmp_path / "round.png").symlink_to("round.png")
    refusal(tmp_path / "round.png", "links")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refusal(tmp_path / "pipe.png", "pipe.png is a device or a pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"")
    (tmp_path / "mine.png").chmod(0)
    refusal(tmp_path / "mine.png", "mine.png", "ermission", "give yourself the right")


INSTEAD = {
    "no bytes at all": [b""],
    "nothing but zeros": [bytes(40), bytes(70_000)],
    "text and no picture": [b"Once upon a time", "\ufeffEs war einmal".encode()],
    "damaged": [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x10\0\0\0WEBP", b"II*\0\x08\0\0\0"],
    "no picture, or a damaged one": [b"\x01\x02\x03 of no kind"],
    "copied as if it were text": ["\ufffdPNG\r\n".encode(), "\ufffd\ufffd\ufffd\ufffdJFIF".encode()],
    "web page": [b"\xef\xbb\xbf\n <!DOCTYPE HTML><title>x</title>", b"<html>", b"<!-- x --><HTML>", b"<?xml?><html>"],
    "SVG": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?>\n<!-- by x -->\n<svg:svg/>",
        b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'><svg/>",
    ],
    "server": [
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b'{"error": "not found"}',
        b'[{"detail": 1}]',
    ],
    "drawing": [b"<?xml version='1.0'?><x/>"],
    "saved link": [b"[InternetShortcut]\r\nURL=https://x.org", b"<?xml?><!DOCTYPE plist><plist/>", b"bplist00"],
    "names a picture": [b"../photos/a b.JPG\n", b"https://x.org/a?b=c\n"],
    "base64": [b"iVBORw0KGgoAAAANSUhEUgAA", b"/9j/4AAQSkZJRgABAQ", b"data:image/png;base64,iVBO"],
    "git lfs pull": [b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n"],
    "git annex get": [b"/annex/objects/MD5-s1--a", b"../.git/annex/objects/a/b/c.jpg"],
    "._": [b"\0\x05\x16\x07\0\x02\0\0Mac OS X"],
    "raw photo": [b"\0\0\0\x18ftypcrx \0\0\0\1", b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0"],
    "video": [b"\0\0\0\x20ftypisom\0\0\2\0", b"\0\0\0\x14ftypqt  ", b"\x1a\x45\xdf\xa3\x9f", b"RIFF\0\0\0\0AVI LIST"],
    "unpack": [b"PK\x03\x04\x14\0", b"\x1f\x8b\x08\0", b"BZh91AY", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c"],
    "PDF": [b"%PDF-1.7", b"%!PS-Adobe"],
    "Photoshop": [b"8BPS\0\1", b"gimp xcf v011"],
    "array": [b"\x93NUMPY\1\0", b"\x80\x04\x95"],
}


@pytest.mark.parametrize(("what", "content"), [(what, c) for what, contents in INSTEAD.items() for c in contents])
def test_what_is_no_picture_is_called_what_it_is(tmp_path, what, content):
    (tmp_path / "thing.png").write_bytes(content)
    refusal(tmp_path / "thing.png", "thing.png", what)
    refusal(content, what, load=load_fast)


def test_photos_of_phones_are_read_where_the_library_for_them_is(monkeypatch, two_colors):
    """The library is no requirement: a stand-in registers a format that is PNG, with an end of its own."""
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    refusal(content, "HEIC", "pillow-heif")
    library = ModuleType("pillow_heif")
    library.register_heif_opener = lambda: Image.register_open(
        "HEIF",
        lambda file, name: PngImagePlugin.PngImageFile(io.BytesIO(file.read()[24:])),
        lambda head: b"ftyp" in head,
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", library)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    with_it = run_path(pictures.__file__)
    assert with_it["load_image"](content + encoded(two_colors)).size == (48, 32)
    assert {".heic", ".heif"} <= set(with_it["SUFFIXES"])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_within_the_limits(two_colors, monkeypatch):
    content = encoded(two_colors, "AVIF", quality=95)
    assert all(map(near, corners(load_image(content)), (RED, BLUE)))
    assert ".avif" in pictures.SUFFIXES
    monkeypatch.setattr(pictures, "MAX_PIXELS", 48 * 32 - 1)
    refusal(content, "48 x 32")


def test_what_begins_like_a_drawing_takes_no_time():
    """Comments may be joined in so many ways that trying all of them would take years."""
    refusal(b"<!---->" * 130 + b"\0", "no picture")


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path, two_colors, monkeypatch):
    (tmp_path / "two.bmp").write_bytes(encoded(two_colors, "BMP"))
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    refusal(tmp_path / "two.bmp", "two.bmp", "4,662", "50")
    refusal(bytes(51), "51", "50")
    refusal(memoryview(np.zeros(13, np.float32)), "52")


def test_what_has_too_many_pixels_is_refused(two_colors, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 48 * 32 - 1)
    for kind in FORMATS:
        refusal(encoded(two_colors, kind), "48 x 32")
    refusal(two_colors, "48 x 32")
    refusal(np.asarray(two_colors), "1,535")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 48 * 32)
    assert load_image(two_colors).size == (48, 32)


# Kinds of pictures


@pytest.mark.parametrize(
    "mode", ["L", "1", "P", "LA", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"]
)
def test_every_kind_of_picture_becomes_rgb(mode):
    gray = Image.linear_gradient("L").resize((16, 16))
    if mode == "I;16":
        source = Image.fromarray(np.asarray(gray).astype(np.uint16) * 256)
    elif mode in ("LA", "1", "I", "F"):
        source = gray.convert(mode)
    elif mode in ("PA", "RGBa"):
        source = gray.convert("RGBA").convert(mode)
    else:
        source = gray.convert("RGB").convert(mode)
    picture = load_image(source)
    assert (picture.mode, picture.size) == ("RGB", (16, 16))
    values = np.asarray(picture, dtype=int)
    assert values[0].max() < 40
    assert values[-1].min() > 215


def deep_tiff(values, order):
    """A 16-bit grey TIFF, by hand: Pillow writes one byte order alone."""
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height),
            (279, values.nbytes)]  # fmt: skip
    content = values.astype(order + "u2").tobytes()
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(content))
    return start + content + struct.pack(order + "H", len(tags)) + directory + bytes(4)


def test_16_bits_keep_their_shades():
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for half in (values, values // 2, values // 300):  # a dark picture stays dark
        sources = [encoded(Image.fromarray(half)), deep_tiff(half, "<"), deep_tiff(half, ">")]
        if half.max() > 255:
            sources += [half, half.astype(">u2")]
        for source in sources:
            read = np.asarray(load_image(source))[:, :, 0]
            assert np.abs(read.astype(float) - half / 257).max() <= 1


@pytest.mark.parametrize("scale", [1, 255, 65535, 1_000_000])
def test_32_bits_and_real_numbers_find_their_scale(scale):
    values = np.linspace(0, scale, 64).reshape(8, 8)
    for kind in (np.float32, np.int32) if scale > 1 else (np.float32,):
        read = np.asarray(load_image(encoded(Image.fromarray(values.astype(kind)), "TIFF")))[:, :, 0]
        assert np.abs(read - values * 255 / scale).max() <= 1


def test_real_numbers_that_are_none_are_black():
    values = np.array([[np.nan, 0, 1], [0.5, 1, 1]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(Image.fromarray(values)).getpixel((0, 0)) == (0, 0, 0)
        load_image(Image.fromarray(np.array([[np.inf, -np.inf]], np.float32)))


def test_transparent_parts_become_white():
    picture = Image.new("RGBA", (8, 8), (*RED, 255))
    picture.paste((0, 0, 0, 0), (4, 0, 8, 8))
    opaque = Image.new("RGB", (8, 8), RED)
    opaque.paste((1, 2, 3), (4, 0, 8, 8))
    sources = [
        *(encoded(picture, kind) for kind in ("PNG", "GIF", "TIFF")),
        encoded(picture, "WEBP", lossless=True),
        encoded(picture.convert("LA")),
        encoded(picture.quantize()),
        encoded(opaque, transparency=(1, 2, 3)),
        encoded(opaque.convert("L"), transparency=opaque.convert("L").getpixel((7, 7))),
        picture,
    ]
    for number, source in enumerate(sources):
        read = load_image(source)
        assert read.getpixel((7, 7)) == WHITE, number
        assert read.getpixel((0, 0)) != WHITE, number


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3)])
def test_a_transparent_color_of_16_bits_becomes_white(color, channels):
    """By hand: Pillow writes no such files."""
    values = np.full((4, 4, channels), 30_000, ">u2")
    values[0, 0] = 500
    header = struct.pack(">IIBBBBB", 4, 4, 16, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))
    clear = chunk(b"tRNS", values[0, 0].tobytes())
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + clear + chunk(b"IDAT", data) + chunk(b"IEND")
    read = load_image(content)
    assert corners(read)[0] == WHITE
    assert near(corners(read)[1], (117, 117, 117), 1)


def test_half_transparent_parts_are_mixed_with_white():
    assert load_image(Image.new("RGBA", (2, 2), (0, 0, 0, 128))).getpixel((0, 0)) == (127, 127, 127)


def test_a_jpeg_of_four_inks_is_read(two_colors):
    read = load_image(encoded(two_colors.convert("CMYK"), "JPEG", quality=95))
    assert all(near(found, color, 30) for found, color in zip(corners(read), (RED, BLUE), strict=True))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(two_colors, kind):
    later = [ImageOps.mirror(two_colors), Image.new("RGB", (48, 32), "green")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(two_colors, kind, save_all=True, append_images=later, **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert all(map(near, corners(load_image(content)), (RED, BLUE)))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (30_000, 1), (1, 30_000)])
def test_tiny_and_very_long_pictures_are_read(size):
    for kind in FORMATS:
        most = 16_383 if kind == "WEBP" else 30_000  # WEBP has no more a side
        shown = tuple(min(side, most) for side in size)
        content = encoded(Image.new("RGB", shown, RED), kind)
        assert load_image(content).size == shown, kind
        load_fast(content)
    assert load_image(np.zeros((size[1], size[0]), np.uint8)).size == size


# Colors


def profile(space=b"RGB ", gamma=1.8):
    """An ICC profile by hand: ProPhoto's primaries (XYZ, under D50), or none for gray, and one exponent."""

    def xyz(*values):
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"w" + bytes(79), b"wtpt": xyz(0.9642, 1, 0.8249)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {b"rXYZ": xyz(0.7977, 0.288, 0), b"gXYZ": xyz(0.1352, 0.7119, 0), b"bXYZ": xyz(0.0313, 0, 0.8249)}
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(">I4sI", start + len(body), b"lcms", 0x02100000) + b"mntr" + space + b"XYZ "
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def in_profile(picture, content):
    """The same picture with the numbers that a profile gives its colors."""
    wide, srgb = ImageCms.ImageCmsProfile(io.BytesIO(content)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, srgb, wide)


@pytest.mark.parametrize("kind", FORMATS[:2] + FORMATS[2:3] + FORMATS[5:])
def test_colors_follow_their_profile(two_colors, kind):
    wide = profile()
    stored = in_profile(two_colors, wide)
    assert not all(map(near, corners(stored), (RED, BLUE)))
    options = {"icc_profile": wide, "quality": 100}
    content = encoded(stored, kind, **options)
    datasets_own = Dataset.from_list([{"image": {"bytes": content, "path": None}}]).cast_column("image", ImageColumn())
    for source in (content, datasets_own[0]["image"], load_image(content)):
        assert all(map(near, corners(load_image(source)), (RED, BLUE)))
    assert all(map(near, corners(load_fast(content)), (RED, BLUE)))


def test_colors_of_a_palette_of_transparent_and_of_gray_pictures_follow_their_profile(two_colors):
    wide = profile()
    stored = in_profile(two_colors, wide)
    clear = stored.convert("RGBA")
    clear.putpixel((47, 31), (0, 0, 0, 0))
    assert near(corners(load_image(encoded(stored.quantize(4), icc_profile=wide)))[0], RED, 20)
    assert all(map(near, corners(load_image(encoded(clear, icc_profile=wide))), (RED, WHITE)))
    grays = profile(b"GRAY", 1.0)  # half of the light is a shade of 188
    deep = Image.fromarray(np.full((2, 2), 32768, np.uint16))
    for gray in (Image.new("L", (2, 2), 128), Image.new("LA", (2, 2), (128, 255)), deep):
        assert near(load_image(encoded(gray, icc_profile=grays)).getpixel((0, 0)), (188, 188, 188), 1)


def test_a_profile_that_cannot_be_used_is_said_once_and_that_of_srgb_changes_nothing(two_colors, log, monkeypatch):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    changed, apply = [], ImageCms.ImageCmsTransform.apply
    monkeypatch.setattr(ImageCms.ImageCmsTransform, "apply", lambda *given: changed.append(1) or apply(*given))
    for _ in range(3):
        assert load_image(encoded(two_colors, icc_profile=srgb)).tobytes() == two_colors.tobytes()
    assert len(changed) <= 1  # which was to see what it does
    assert not log.text
    for content in (b"no profile at all", profile(b"GRAY", 1.1), b"\0" * 200):
        log.clear()
        for _ in range(3):
            read = load_image(encoded(two_colors, icc_profile=content))
            assert corners(read) == (RED, BLUE)
            assert "icc_profile" not in read.info
        assert log.text.count("color profile") == 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("order", "<>")
def test_where_zero_is_white_a_tiff_is_no_negative(bits, order):
    """By hand: Pillow writes no such files. One row of 16 pixels, dark on the left where zero is black; 32 are real."""
    half = bits if bits < 16 else bits // 8 * 8
    row = bytes(half) + b"\xff" * half
    if bits == 32:
        row = np.repeat([0, 1], 8).astype(order + "f4").tobytes()
    for white in (True, False):
        tags = [(256, 16), (257, 1), (258, bits), (259, 1), (262, int(not white)), (273, 8), (277, 1), (278, 1),
                (279, len(row))] + [(339, 3)] * (bits == 32)  # fmt: skip
        directory = b"".join(
            struct.pack(order + "HHI", tag, 4, 1) + struct.pack(order + "I", value) for tag, value in tags
        )
        start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(row))
        content = start + row + struct.pack(order + "H", len(tags)) + directory + bytes(4)
        if (bits, order, white) == (16, ">", True):
            refusal(content, "rare kind")  # Pillow does not know it
            continue
        assert corners(load_image(content)) == ((WHITE, (0, 0, 0)) if white else ((0, 0, 0), WHITE))
        assert corners(load_image(Image.open(io.BytesIO(content)))) == corners(load_image(content))


# EXIF

TURNS = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # orientation → what undoes it, of Image.Transpose


@pytest.mark.parametrize(
    ("kind", "orientation"), [*(("JPEG", turn) for turn in range(1, 9)), ("PNG", 6), ("WEBP", 6), ("TIFF", 6)]
)
def test_a_picture_is_turned_upright(kind, orientation):
    picture = Image.new("RGB", (48, 32), "white")
    picture.paste(RED, (0, 0, 16, 16))
    picture.paste(BLUE, (32, 16, 48, 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    right = picture if TURNS[orientation] is None else picture.transpose(TURNS[orientation])
    read = load_image(encoded(picture, kind, exif=exif, quality=95))
    assert read.size == right.size
    assert near(np.asarray(read, int)[4::8, 4::8], np.asarray(right, int)[4::8, 4::8], 30)


BROKEN = [
    b"Exif\0\0",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0nonsense",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(90),
]


@pytest.mark.parametrize("exif", BROKEN)
def test_a_picture_with_broken_exif_is_shown_as_it_is_stored(two_colors, exif):
    for kind in ("JPEG", "PNG", "WEBP"):
        read = load_image(encoded(two_colors, kind, exif=exif))
        assert all(map(near, corners(read), (RED, BLUE))), kind


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_oversized_exif_is_left_out_and_said(two_colors, kind, log):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 100_000
    read = load_image(encoded(two_colors, kind, exif=exif))
    assert read.size == (48, 32)
    assert "shown as it is stored" in log.text
    assert "65,536" in log.text


def test_exif_in_a_png_text_that_is_broken_is_said(two_colors, log):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n 4\nnothex\n")
    assert corners(load_image(encoded(two_colors, pnginfo=info))) == (RED, BLUE)
    assert "shown as it is stored" in log.text


# Arrays


DTYPES = [np.uint8, bool, np.uint16, np.int64, np.float16, np.float32, np.float64, ">i4"]


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [*((dtype, (4, 6, 3)) for dtype in DTYPES), *((np.uint8, shape) for shape in [(4, 6), (4, 6, 1), (4, 6, 4)])],
)
def test_arrays_are_read(dtype, shape):
    highest = 1 if np.dtype(dtype).kind in "bf" else 255
    values = np.zeros(shape, dtype)
    values[:, 3:] = highest
    values[..., 3:] = highest  # what is there of transparency is opaque
    read = load_image(values)
    assert read.size == (6, 4)
    assert corners(read) == ((0, 0, 0), WHITE)


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((2, 4, 6), np.uint8), "(2, 4, 6)"),
        (np.zeros((4, 6, 3, 1), np.uint8), "(4, 6, 3, 1)"),
        (np.zeros((5, 6, 2), np.uint8), "(5, 6, 2)"),
        (np.zeros(6, np.uint16), "(6,)"),
        (np.array(6), "()"),
        (np.zeros((0, 6, 3), np.uint8), "(0, 6, 3)"),
        (np.zeros((4, 0), np.uint8), "(4, 0)"),
        (np.broadcast_to(np.uint8(1), (100_000, 100_000)), "36,000,000"),
        (np.full((4, 6), 255.0), "from 255 to 255"),
        (np.full((4, 6), np.nan), "nan"),
        (np.full((4, 6), np.inf), "inf"),
        (np.full((4, 6), -1), "-1"),
        (np.full((4, 6), 256), "256"),
        (np.zeros((4, 6), object), "object"),
        (np.zeros((4, 6), complex), "complex128"),
        (np.zeros((4, 6), "U3"), "U3"),
        (np.zeros((4, 6), "datetime64[s]"), "datetime64"),
        (np.zeros((4, 6), [("r", "u1")]), "'r'"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(array, named):
    refusal(array, named)


# PIL pictures


def test_a_pil_picture_that_cannot_be_read_is_refused(tmp_path, two_colors):
    cut = Image.open(io.BytesIO(encoded(Image.effect_noise((64, 64), 90))[:1000]))
    refusal(cut, "The picture")
    refusal(Image.new("RGB", (0, 5)), "no pixels")
    two_colors.save(tmp_path / "two.gif")
    closed = Image.open(tmp_path / "two.gif")
    closed.close()
    refusal(closed, "The picture")


# Damage


def files():
    """One file of each kind, 40 x 30 pixels with something in every part of them."""
    values = np.array(noise(0, (40, 30)))
    values[10:20] //= 8
    picture, mirrored = Image.fromarray(values), ImageOps.mirror(Image.fromarray(values))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    return {
        "png": encoded(picture, exif=exif),
        "png palette": encoded(picture.quantize(64), transparency=3),
        "png 16": encoded(Image.fromarray(values[:, :, 0].astype(np.uint16) * 200)),
        "apng": encoded(picture, save_all=True, append_images=[mirrored]),
        "jpeg": encoded(picture, "JPEG", exif=exif),
        "jpeg progressive": encoded(picture, "JPEG", progressive=True),
        "jpeg cmyk": encoded(picture.convert("CMYK"), "JPEG"),
        "webp": encoded(picture, "WEBP", exif=exif),
        "webp lossless": encoded(picture.convert("RGBA"), "WEBP", lossless=True),
        "webp animated": encoded(picture, "WEBP", save_all=True, append_images=[mirrored]),
        "gif": encoded(picture, "GIF"),
        "gif animated": encoded(picture, "GIF", save_all=True, append_images=[mirrored]),
        "bmp": encoded(picture, "BMP"),
        "bmp palette": encoded(picture.quantize(64), "BMP"),
        "bmp runs": rle_bmp(),
        "tiff": encoded(picture, "TIFF", exif=exif),
        "tiff lzw": encoded(picture, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(picture, "TIFF", compression="tiff_adobe_deflate"),
        "tiff packbits": encoded(picture, "TIFF", compression="packbits"),
    }


FILES = files()


def outcome(content, load=load_image):
    """What a reader makes of a file: the pixels, True, or None where it refuses it; nothing else may happen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            picture = load(content)
        except ImageError as error:
            sentence = str(error)
            assert len(sentence.splitlines()) == 1
            return None
    if load is load_fast:
        return True
    assert picture.mode == "RGB"
    return picture.size, picture.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_gives_its_whole_picture_or_none(name):
    content = FILES[name]
    whole = outcome(content)
    assert whole
    ends = [len(content) * tenth // 10 for tenth in range(10)] + [len(content) - back for back in range(1, 13)]
    for end in ends:
        cut = outcome(content[:end])
        assert cut in (None, whole), end
        assert (cut is None) == (outcome(content[:end], load_fast) is None), end
    assert outcome(content[: len(content) // 2]) is None or "animated" in name or name == "apng"


@st.composite
def damaged(draw):
    """A file with bytes changed, taken out, put in, doubled or cut off, or with another's end."""
    content = bytearray(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, 4))):
        # Headers are short and decide most, so half of the places lie in them.
        place = draw(st.one_of(st.integers(0, 99), st.integers(0, len(content)))) % (len(content) + 1)
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(["flip", "set", "delete", "insert", "double", "cut", "splice"])):
            case "flip" if place < len(content):
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "set":
                content[place : place + 4] = draw(
                    st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff", b"\1"])
                )
            case "delete":
                del content[place : place + length]
            case "insert":
                content[place:place] = draw(st.binary(max_size=20))
            case "double":
                content[place:place] = content[place : place + length]
            case "cut":
                del content[max(place, len(content) // 3) :]
            case "splice":
                other = FILES[draw(st.sampled_from(sorted(FILES)))]
                content[place:] = other[draw(st.integers(0, len(other))) :]
    return bytes(content)


@settings(max_examples=300, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_a_damaged_file_is_a_picture_or_refused_in_one_line(content):
    assert (outcome(content) is None) == (outcome(content, load_fast) is None)
