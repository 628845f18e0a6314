"""Looks at pictures: each is read and decoded once, on all cores, for its faults, digest and perceptual hash; kept."""

import hashlib
import os
import sqlite3
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import PIL.Image
from datasets import config
from tqdm.auto import tqdm

from helpers.errors import ImageError
from helpers.reading.pictures import content_of, load_small

VERSION = 1  # raise it when other pictures are read, or a hash is computed differently, so that no stored one is used
BYTES = 32  # of one hash
_IN_FLIGHT = 32  # pictures, as some have many megabytes
_TOGETHER = 1024  # hashes are written, as writing waits for the disk


class Look(NamedTuple):
    """What is known of a picture without its pixels."""

    digest: bytes  # 16 bytes of the SHA-256 of its file; empty where that cannot be read
    hash: bytes  # its packed perceptual hash; empty where it is no picture that can be used
    why: str  # the sentence that says why it cannot be used, or empty


def perceptual_hash(picture: PIL.Image.Image) -> imagehash.ImageHash:
    """256 bits that say how a picture looks; `a - b` counts the bits in which two pictures differ."""
    return imagehash.phash(picture, hash_size=16)


def looks(sources: Iterable[Path | bytes], count: int, label: str) -> Iterator[Look]:
    """Looks at pictures in their order, a few dozen at a time, on all cores.

    What was found good is known by its digest in the cache of the datasets library, and is not decoded again.

    Args:
        sources: paths of files, or what they hold.
        count: how many they are, for the progress bar, and its label.
        label: of the bar.
    """
    sources, fresh, lock = iter(sources), {}, threading.Lock()

    def look(source: Path | bytes) -> Look:
        digest, stored = b"", None
        try:
            content, name = content_of(source)
            digest = hashlib.sha256(content).digest()[:16]
            with lock, suppress(sqlite3.Error):
                stored = table.execute("SELECT hash FROM looks WHERE digest = ?", (digest,)).fetchone()
            if not stored:
                fresh[digest] = np.packbits(perceptual_hash(load_small(content, name)).hash).tobytes()
            return Look(digest, stored[0] if stored else fresh[digest], "")
        except ImageError as error:  # it is not kept: more memory or another version of a library may mend it
            return Look(digest, b"", str(error))

    def write() -> None:
        with suppress(sqlite3.Error), table:
            table.executemany("INSERT OR IGNORE INTO looks VALUES (?, ?)", fresh.items())
        fresh.clear()

    with closing(_table()) as table, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        bar = tqdm(desc=label, total=count, delay=3, leave=False)
        try:
            while some := list(islice(sources, _IN_FLIGHT)):
                # Threads that each put the filters of warnings back may leave those of another; this comes last.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    seen = list(pool.map(look, some))
                if len(fresh) >= _TOGETHER:
                    write()
                bar.update(len(seen))
                yield from seen
        finally:
            bar.close()
            write()


def _table() -> sqlite3.Connection:
    """The hashes that are known, by digest: on disk, or in memory where that cannot be."""
    file = Path(config.HF_DATASETS_CACHE) / f"looks-{VERSION}.sqlite"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    for place in (file, ":memory:"):
        with suppress(sqlite3.Error):
            table = sqlite3.connect(place, timeout=0.5, check_same_thread=False)
            table.execute(f"""CREATE TABLE IF NOT EXISTS looks (
                digest BLOB PRIMARY KEY, hash BLOB CHECK (length(hash) = {BYTES})) WITHOUT ROWID""")
            return table
    raise AssertionError("SQLite has no memory")
