"""A real folder of captioned pictures: Debian's stamps for Tux Paint (GPL-2+), of which nothing is kept here."""

import shutil
import subprocess

import pytest

from helpers.data import data_report, load_captions

PACKAGE = "tuxpaint-stamps-default"


@pytest.fixture(scope="module")
def stamps(tmp_path_factory):
    """The package's pictures, nested as they are, each with the first line of its text, which is English, beside it."""
    folder = tmp_path_factory.mktemp("stamps")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        pytest.skip("apt-get and dpkg-deb are missing, which fetch and unpack the package")
    fetched = subprocess.run(
        ["timeout", "300", "apt-get", "download", PACKAGE], cwd=folder, capture_output=True, text=True
    )
    if fetched.returncode:
        pytest.skip(f"{PACKAGE} cannot be fetched: {[*fetched.stderr.strip().splitlines(), 'time'][0]}")
    [package] = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    source, captioned = folder / "unpacked/usr/share/tuxpaint/stamps", folder / "captioned"
    for picture in source.rglob("*.png"):
        copy = captioned / picture.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        picture.rename(copy)
        if (text := picture.with_suffix(".txt")).is_file():
            first, *_ = text.read_text(encoding="utf-8").splitlines()
            copy.with_suffix(".txt").write_text(first, encoding="utf-8")
    shutil.rmtree(folder / "unpacked")
    package.unlink()
    return captioned


@pytest.mark.slow
def test_every_picture_that_has_a_caption_arrives(stamps):
    pictures = list(stamps.rglob("*.png"))
    said = [text.read_text(encoding="utf-8") for text in stamps.rglob("*.txt")]
    assert len(pictures) > len(said) > 700  # mirrored variants have no text of their own
    loaded = load_captions(str(stamps))
    found = [captions for split in loaded.values() for captions in split["captions"]]
    assert sorted(found) == sorted([caption.strip()] for caption in said)
    left_out = [row for row in data_report(loaded) if row["row"] != "all"]
    assert len(left_out) == len(pictures) - len(said)
    assert all(row["reason"] for row in left_out)
