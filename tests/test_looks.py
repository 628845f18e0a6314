"""Pictures are looked at once: read, decoded and hashed on all cores, and known by their content from then on."""

import sqlite3
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from helpers.data import data_report, load_captions
from helpers.errors import ImageError
from helpers.reading import looks as looking
from helpers.reading.copies import seen
from helpers.reading.looks import BYTES, VERSION, looks, perceptual_hash
from helpers.reading.pictures import load_image, load_small
from helpers.transforms import prepare_pictures
from tests.toolbox import encoded, noise


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, which nothing has been looked at before."""
    monkeypatch.setattr(looking.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """How many pictures were opened to be decoded: a list, one entry for each."""
    opened, plain = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **options: opened.append(1) or plain(*args, **options))
    return opened


def all_looks(sources):
    return list(looks(iter(sources), len(sources), "Looking"))


def test_pictures_are_looked_at_in_their_order_and_their_faults_stay_with_them(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise(100)))
    sources = [encoded(noise(i), "PNG") for i in range(80)] + [tmp_path / "a.png", tmp_path / "none.png", b"text", b""]
    sources[40] = encoded(noise(40, (200, 100)), "JPEG")[:4000]
    seen = all_looks(sources)
    faulty = [i for i, look in enumerate(seen) if look.why]
    assert faulty == [40, 81, 82, 83]
    assert all(len(look.hash) == BYTES * (not look.why) for look in seen)
    assert "none.png" in seen[81].why
    assert "The picture" in seen[40].why
    assert len({look.digest for look in seen if look.digest}) == 83
    for i in (0, 79, 80):
        with Image.open(sources[i]) if i == 80 else noise(i) as picture:
            assert seen[i].hash == np.packbits(perceptual_hash(load_image(picture)).hash).tobytes()


def test_what_was_looked_at_is_not_decoded_again(decoded):
    sources = [encoded(noise(i)) for i in range(40)]
    first = all_looks(sources)
    assert len(decoded) == 40
    assert all_looks([*sources, encoded(noise(99))])[:40] == first
    assert len(decoded) == 41


def test_what_was_looked_at_is_written_when_a_caller_stops_early(decoded):
    sources = [encoded(noise(i)) for i in range(40)]
    some = looks(sources, 40, "Looking")
    next(some)
    some.close()
    seen = len(decoded)
    all_looks(sources[:8])
    assert seen == len(decoded) < 40


def test_pictures_are_decoded_once_for_the_set_and_the_report_and_once_for_training(tmp_path, processor, decoded):
    for i in range(20):
        (tmp_path / f"{i}.jpg").write_bytes(encoded(noise(i), "JPEG"))
    (tmp_path / "metadata.csv").write_text("file_name,text\n" + "".join(f"{i}.jpg,a dot\n" for i in range(20)))
    dataset = load_captions(str(tmp_path))
    data_report(dataset)
    data_report(str(tmp_path))
    load_captions(str(tmp_path))
    assert len(decoded) == 20
    prepare_pictures(dataset["train"], processor)
    prepare_pictures(load_captions(str(tmp_path))["train"], processor)
    assert len(decoded) == 20 + len(dataset["train"])


@pytest.mark.parametrize("harm", ["damaged", "a folder", "another table", "cut", "locked"])
def test_without_its_cache_all_goes_on(cache, harm):
    sources = [encoded(noise(i)) for i in range(3)]
    file, first = cache / f"looks-{VERSION}.sqlite", all_looks(sources)
    if harm == "damaged":
        file.write_bytes(b"nonsense " * 1000)
    elif harm == "a folder":
        file.unlink()
        file.mkdir()
    elif harm == "another table":
        file.unlink()
        sqlite3.connect(file).execute("CREATE TABLE looks (other)")
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        other = sqlite3.connect(file)
        other.execute("BEGIN EXCLUSIVE")
    assert all_looks(sources) == first


def test_several_may_look_at_the_same_time():
    sources, seen = [encoded(noise(i)) for i in range(50)], {}
    threads = [threading.Thread(target=lambda i=i: seen.update({i: all_looks(sources)})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len(seen[0]) == 50


def test_the_filters_of_warnings_stay_as_they_are():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        all_looks([encoded(noise(i), "JPEG") for i in range(200)])
        assert warnings.filters == before


def test_hashes_of_what_cannot_be_read_are_refused(creatures):
    dataset = creatures["test"].select(range(1)).map(lambda row: {"image": {"bytes": b"text", "path": None}})
    with pytest.raises(ImageError, match="no picture"):
        seen(dataset, "test")


def test_a_large_photo_is_read_at_a_fraction_of_its_size_and_stays_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (1600, 1200), "red"), "JPEG", exif=exif)
    assert load_small(content).size == (150, 200)
    assert load_small(encoded(Image.new("RGB", (40, 30)), "JPEG")).size == (40, 30)
