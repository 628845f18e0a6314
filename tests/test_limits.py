"""What refusing costs, and that small files cannot ask for much: each group of files in a process of its own."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.errors import ImageError
from helpers.reading.limits import MAX_JPEG_EXIF
from helpers.reading.pictures import MAX_BYTES, load_image
from tests.toolbox import chunk, encoded, noise, refusal, rle_bmp

SECONDS, MEGABYTES = 2, 512
SIDE = 5990  # squared, little less than MAX_PIXELS
# Prints what reading each file cost: seconds of the processor, and megabytes above what the process had. Linux says
# the peak since the file before; getrusage's is that of the whole process, and there also of the one that started it.
MEASURE = """
import resource, sys, time
import numpy as np
from helpers.reading.pictures import ImageError, load_image

def megabytes(line):
    try:
        with open("/proc/self/status") as status:
            return int(status.read().split(line)[1].split()[0]) / 2**10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

def forget_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass

load_image(np.zeros((4, 4, 3), "uint8"))
for path in sys.argv[1:]:
    forget_peak()
    before, start, said = megabytes("VmRSS:"), time.process_time(), "accepted"
    try:
        load_image(path)
    except ImageError as error:
        said = str(error)
    took = time.process_time() - start  # of this process, whatever else the machine does
    print(f"{took:.3f} {megabytes('VmHWM:') - before:.0f} {said}", flush=True)
"""


def costs(folder, files):
    """Each file's name → seconds, megabytes, what was said."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    paths = [str(folder / name) for name in files]
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    ran = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, env=env, check=True)
    lines = [line.split(" ", 2) for line in ran.stdout.splitlines()]
    return {name: (float(line[0]), int(line[1]), line[2]) for name, line in zip(files, lines, strict=True)}


def check_costs(folder, files, accepted=()):
    for name, (seconds, megabytes, said) in costs(folder, files).items():
        assert (said == "accepted") == (name in accepted), (name, said)
        assert seconds < SECONDS, (name, seconds, said)
        assert megabytes < MEGABYTES, (name, megabytes, said)
        assert said == "accepted" or name in said


def changed(content, place, new):
    return content[:place] + new + content[place + len(new) :]


def small(kind, **options):
    return encoded(Image.new("RGB", (20, 20), "red"), kind, **options)


# PNG


def png(width, height, extra=b"", data=None, depth=8, color=2, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(bytes(1000))) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND")


def text_bomb():
    """Texts that take a byte a letter when packed, and four as Python's text: one letter of them is an emoji."""
    packed = zlib.compress("\N{GRINNING FACE}".encode() + b"a" * 1_000_000, 9)
    return b"".join(chunk(b"iTXt", b"k%d\0\1\0\0\0" % number + packed) for number in range(70))


def test_png(tmp_path):
    zeros = zlib.compress(bytes(100_000_000), 9)
    rows = zlib.compressobj(9)
    start = rows.compress(bytes(30_001 * 100)) + rows.flush(zlib.Z_FULL_FLUSH)
    again = rows.compress(bytes(30_001 * 100)) + rows.flush(zlib.Z_FULL_FLUSH)  # which can be said any number of times
    deep = start + again * 299
    check_costs(tmp_path, {
        "claim.png": png(2**31 - 1, 2**31 - 1),
        "large.png": png(6000, 6000),
        "interlaced.png": png(6000, 6000, depth=16, color=6, interlaced=1),
        "wide.png": png(36_000_001, 1),
        "square.png": png(30_000, 30_000, color=0, data=chunk(b"IDAT", deep)),
        "text.png": png(10, 10, b"".join(chunk(b"zTXt", b"a\0\0" + zeros) for _ in range(3))),
        "texts.png": png(10, 10, text_bomb()),
        "profile.png": png(10, 10, chunk(b"iCCP", b"a\0\0" + zeros)),
        "chunks.png": png(10, 10, chunk(b"prVt") * 2_000_000),
        "chunks_after.png": small("PNG")[:-12] + chunk(b"prVt") * 2_000_000,
        "data_in_pieces.png": png(5000, 5000, data=chunk(b"IDAT", b"\0") * 1_900_000),
        "many_bytes.png": small("PNG") + bytes(MAX_BYTES),
        "frame.png": png(6000, 6000, chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(
            b"fcTL", struct.pack(">IIIIIHHBB", 0, 6000, 6000, 0, 0, 1, 1, 0, 0))),
    })  # fmt: skip


# JPEG


def exif_of(size):
    """An EXIF block whose entries are as large as may be, and one of them a list of a great many numbers."""
    count = (size - 60) // 8
    entries = [(282, 5, count, 50), *((300 + number, 7, size - 200, 50) for number in range(2))]
    block = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + block + bytes(4) + b"\1\0\0\0" * (2 * count)


def segments(mark, content, start=b""):
    parts = (start + content[at : at + 65_000] for at in range(0, len(content), 65_000))
    return b"".join(b"\xff" + mark + struct.pack(">H", 2 + len(part)) + part for part in parts)


def scans_of(content, number):
    """A progressive JPEG that goes over its pixels again and again, and breaks off."""
    first, *others = content.split(b"\xff\xda")
    return b"\xff\xda".join([first, *others[:-1], *[others[-1][:-2]] * number])


def test_jpeg(tmp_path):
    content = small("JPEG")
    flat = Image.new("L", (SIDE, SIDE), 9)
    progressive = encoded(flat, "JPEG", quality=50, progressive=True)
    check_costs(tmp_path, {
        "scans_011.jpg": scans_of(progressive, 11 - progressive.count(b"\xff\xda") + 1),
        "scans_500.jpg": scans_of(progressive, 500),
        "junk.jpg": content[:2] + b"\xff\xe0\0\2" + bytes(24_000_000) + content[2:],
        "segments.jpg": content[:2] + b"\xff\xfe\0\2" * 6_000_000 + content[2:],
        "segments_after.jpg": content[:-2] + b"\xff\xc4\0\2" * 6_000_000 + content[-2:],
        "stuffing.jpg": content[:-2] + b"\xff\0" * 12_000_000,
        "exif.jpg": content[:2] + segments(b"\xe1", exif_of(20_000_000), b"Exif\0\0") + content[2:],
    }, accepted=["stuffing.jpg"])  # fmt: skip


def test_a_jpeg_with_a_film_behind_it_is_read():
    """As telephones make them: the film's bytes hold what looks like scans, and a small picture lies in the EXIF."""
    film = np.random.default_rng(0).integers(0, 256, 2_000_000, dtype=np.uint8).tobytes() + b"\xff\xda" * 400
    content = encoded(Image.new("L", (3000, 2000)), "JPEG")
    inner = segments(b"\xe2", b"\xff\xd8" + b"\xff\xda" * 400 + b"\xff\xd9")
    assert load_image(content[:2] + inner + content[2:] + film).size == (3000, 2000)


def test_a_jpeg_whose_exif_comes_in_parts_is_read():
    content = small("JPEG")
    assert load_image(content[:2] + segments(b"\xe1", bytes(200_000), b"Exif\0\0") + content[2:]).size == (20, 20)
    with pytest.raises(ImageError, match="EXIF"):
        load_image(content[:2] + segments(b"\xe1", bytes(MAX_JPEG_EXIF), b"Exif\0\0") + content[2:])


# TIFF


def tiff(tags, data=b"", big=False):
    """A TIFF of tags (number, type, count, value), where a value in brackets is a place in the data."""
    entry, head = ("<HHQQ", b"II+\0\x08\0\0\0" + struct.pack("<Q", 16)) if big else ("<HHII", b"II*\0\x08\0\0\0")
    count = struct.pack("<Q" if big else "<H", len(tags))
    base = len(head) + len(count) + struct.calcsize(entry) * len(tags) + (8 if big else 4)
    packed = (struct.pack(entry, *tag, value[0] + base if isinstance(value, list) else value)
              for *tag, value in sorted(tags, key=lambda tag: tag[0]))  # fmt: skip
    return head + count + b"".join(packed) + bytes(8 if big else 4) + data


def gray(compression, size, more, side=(64, 64), samples=1, bits=8):
    """The tags of a picture whose pixels lie at the start of the data; `more` replaces or adds some."""
    tags = {256: (4, 1, side[0]), 257: (4, 1, side[1]), 258: (3, 1, bits), 259: (3, 1, compression), 262: (3, 1, 1),
            277: (3, 1, samples), 273: (4, 1, [0]), 279: (4, 1, size)} | more  # fmt: skip
    return [(tag, *rest) for tag, rest in tags.items() if rest]


def test_a_tiff_of_the_large_kind_is_read():
    content = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(content, "TIFF", big_tiff=True)
    assert load_image(content.getvalue()).size == (8, 6)


def test_tiff(tmp_path):
    raw, packed, many = bytes(4096), zlib.compress(bytes(4096)), b"\1\7\0\0" * 5_900_000
    tile = zlib.compress(bytes(35_000_000), 9)
    tiles = struct.pack("<I", 8 + 2 + 12 * 10 + 4) * 1875 + struct.pack("<I", len(tile)) * 1875
    directory = struct.pack("<HHHIII", 1, 37510, 5, 2_900_000, 8, 0)
    no_strips = {273: (), 279: ()}
    strips = struct.pack("<I", 0) * 190_000
    check_costs(tmp_path, {
        "tags.tif": tiff([(300 + number, 7, 19_000_000, [0]) for number in range(2000)], bytes(20_000_000)),
        "rationals.tif": tiff(gray(1, 4096, {282: (5, 2_900_000, [4096])}), (raw + many)[:-9]),
        "shorts.tif": tiff(gray(1, 4096, {273: (3, 11_700_000, [4096])}), raw + many),
        "inner.tif": tiff(gray(8, len(packed) - 3, {34665: (4, 1, [len(packed)])}), packed + directory + many),
        "big_inner.tif": tiff(
            gray(8, len(packed) - 3, {34665: (16, 1, [len(packed)])}),
            packed + struct.pack("<QHHQQQ", 1, 37510, 5, 2_900_000, 8, 0) + many, big=True),
        "itself.tif": tiff(gray(8, len(packed) - 3, {34665: (4, 1, 8), 34853: (4, 1, 8)}), packed),
        "entries.tif": tiff(gray(1, 4096, {}) + [(0, 3, 1, 1)] * 1_200_000, raw, big=True),
        "tile.tif": tiff(gray(8, 0, {322: (4, 1, 20_000), 323: (4, 1, 15_000), 324: (4, 1, [0]),
                                     325: (4, 1, len(tile)), **no_strips}), tile),
        "tiles.tif": tiff(gray(8, 0, {322: (4, 1, 16), 323: (4, 1, 2_240_000), 324: (4, 1875, [len(tile)]),
                                      325: (4, 1875, [len(tile) + 7500]), **no_strips}, (30_000, 1)), tile + tiles),
        "turned_tiles.tif": tiff(gray(8, 0, {274: (3, 1, 6), 322: (4, 1, 16), 323: (4, 1, 2_240_000),
                                             324: (4, 1875, [len(tile)]), 325: (4, 1875, [len(tile) + 7500]),
                                             **no_strips}, (30_000, 1)), tile + tiles),
        "tile_of_bytes.tif": tiff(gray(1, 4096, {322: (7, 4, 0x41414141), 323: (4, 1, 2**31 - 1)}), raw),
        "tile_of_text.tif": tiff(gray(1, 4096, {322: (2, 4, 0x41414141), 323: (4, 1, 2)}), raw),
        "tile_of_nothing.tif": tiff(gray(1, 4096, {322: (4, 1, 0), 323: (4, 1, 0)}), raw),
        "strips.tif": tiff(gray(1, 4096, {278: (4, 1, 32), 273: (4, 190_000, [4096])}), raw + strips),
        "jpeg.tif": encoded(Image.new("RGB", (64, 64)), "TIFF", compression="jpeg"),
        "fax.tif": encoded(Image.new("1", (64, 64)), "TIFF", compression="group4"),
    }, accepted=["itself.tif"])  # fmt: skip


# GIF, BMP, WebP


def test_a_raw_photo_is_not_taken_for_the_small_copy_that_it_begins_with():
    for tags in ({254: 1}, {50706: b"\1\4\0\0"}):
        refusal(encoded(noise(0), "TIFF", tiffinfo=tags), "raw photo", "JPEG")
    assert load_image(encoded(noise(0), "TIFF", tiffinfo={254: 2})).size == noise(0).size


def test_gif(tmp_path):
    content = small("GIF")
    frame = content.index(b",")
    control = b"!\xf9\4\x08\0\0\0\0"
    check_costs(tmp_path, {
        "claim.gif": changed(content, 6, b"\xff" * 4),
        "frame.gif": content[:frame] + control + changed(content[frame:], 5, struct.pack("<HH", 13_300, 13_300)),
        "offset.gif": changed(content, frame + 1, b"\xff\xff\xff\xff"),
        "large.gif": changed(content, 6, struct.pack("<HH", SIDE, SIDE))[: frame + 30],
        "comments.gif": content[:frame] + b"!\xfe" + b"\1a" * 12_000_000,
    })  # fmt: skip


def test_bmp(tmp_path):
    content = small("BMP")
    header = changed(rle_bmp()[: 54 + 1024], 18, struct.pack("<ii", 1000, 1000))
    check_costs(tmp_path, {
        "claim.bmp": changed(content, 18, struct.pack("<ii", 2**30, 2**30)),
        "large.bmp": changed(content, 18, struct.pack("<ii", SIDE, SIDE)),
        "header.bmp": changed(content, 14, b"\xff\xff\xff\x7f"),
        "offset.bmp": changed(content, 10, b"\xff\xff\xff\x7f"),
        "runs.bmp": changed(header, 18, struct.pack("<ii", SIDE, SIDE)) + b"\1\7\0\0" * 5900,
        "line_ends.bmp": header + b"\1\7\0\0" * 990,
        "short_runs.bmp": header + b"\0\0" * 12_000_000,
        "half_bytes.bmp": changed(header, 28, b"\4\0\2") + (b"\xff\x12" * 8) * 1000,
    })  # fmt: skip


def test_webp(tmp_path):
    lossy, lossless = small("WEBP"), small("WEBP", lossless=True)
    extended = small("WEBP", exif=b"Exif\0\0II*\0")
    check_costs(tmp_path, {
        "claim.webp": changed(lossy, 26, struct.pack("<HH", 16_383, 16_383)),
        "claim_lossless.webp": changed(lossless, 21, struct.pack("<I", 0x0FFF_FFFF)),
        "claim_extended.webp": changed(extended, 24, (13_000).to_bytes(3, "little") * 2),
    })  # fmt: skip


def test_large_exif_is_cheap(tmp_path):
    exif = b"Exif\0\0" + exif_of(10_000_000)
    files = {f"exif.{kind}": small(kind, exif=exif) for kind in ("PNG", "WEBP")}
    check_costs(tmp_path, files, accepted=files)


def blocks(size, side, bands=3):
    """A picture of colored blocks: it packs well, and no part of it is empty."""
    colors = np.random.default_rng(0).integers(0, 256, (side // size, side // size, bands), dtype=np.uint8)
    return Image.fromarray(colors).resize((side, side), Image.Resampling.NEAREST)


@pytest.mark.slow
def test_pictures_of_nearly_too_many_pixels_that_break_off(tmp_path):
    lossless = encoded(blocks(5, SIDE, 4), "WEBP", lossless=True, method=0, quality=20)
    lossy = encoded(blocks(8, SIDE), "WEBP", method=0, quality=20)
    deep = zlib.compress(bytes(SIDE * SIDE * 8), 1)[:-5000]
    inks = blocks(30, 4700).convert("CMYK")
    check_costs(tmp_path, {
        "cut.png": encoded(blocks(5, SIDE, 4), compress_level=1)[:-2000],
        "cut.jpg": encoded(blocks(30, SIDE), "JPEG")[:-1000],
        "progressive.jpg": encoded(blocks(30, SIDE), "JPEG", progressive=True, subsampling=0)[:-1000],
        "inks.jpg": encoded(inks, "JPEG", quality=70, progressive=True)[:-1000],
        "damaged.webp": changed(lossless, len(lossless) - 3000, bytes(range(250)) * 12),
        "cut.webp": lossless[:-2000],
        "lossy.webp": changed(lossy, len(lossy) - 5000, bytes(range(250)) * 12),
        "cut.gif": encoded(blocks(8, SIDE).convert("L"), "GIF")[:-2000],
        "deep.tif": tiff(gray(8, len(deep), {258: (3, 4, [len(deep)]), 262: (3, 1, 2), 338: (3, 1, 2)},
                              (SIDE, SIDE), 4), deep + struct.pack("<4H", 16, 16, 16, 16)),
    })  # fmt: skip
