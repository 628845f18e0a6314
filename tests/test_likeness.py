"""What pictures look like without learning, and the two rules that name by it."""

import numpy as np
from PIL import Image, ImageDraw

from helpers.experiments.looks import ANGLES, WEIGHTS, likeness, looks, nearest_names, outlines, trimmed, voted_names


def drawing(shape, color, box=(20, 30, 60, 70), size=(96, 96)):
    picture = Image.new("RGB", size, "white")
    getattr(ImageDraw.Draw(picture), shape)(box, fill=color)
    return picture


def test_what_is_drawn_fills_a_square_wherever_it_was():
    one, other = trimmed(drawing("rectangle", "red")), trimmed(drawing("rectangle", "red", (50, 4, 90, 44)))
    assert one.size == (64, 64)
    assert np.array_equal(one, other)
    assert np.asarray(one).reshape(-1, 3).mean(axis=0).tolist() == [255, 0, 0]
    wide = np.asarray(trimmed(drawing("rectangle", "red", (10, 40, 89, 59))))  # four times as wide as high
    assert (wide[:20] == 255).all()
    assert (wide[-20:] == 255).all()
    assert (wide[30, :, 1] == 0).all()
    assert (np.asarray(trimmed(Image.new("RGB", (9, 9), "white"))) == 255).all()


def test_an_outline_counts_in_its_own_direction_and_place():
    gray = np.zeros((64, 64))
    gray[:, 12:] = 200.0  # one vertical edge: the brightness grows to the right, at 0 degrees
    found = outlines(gray).reshape(7, 7, 4, ANGLES)
    assert (found[..., 0] > 0).any()
    assert not found[..., 1:].any()
    assert not found[:, 2:].any()  # blocks right of the edge's cells
    assert np.allclose(np.linalg.norm(found.reshape(7, 7, -1)[:, 0], axis=1), 1)
    assert np.allclose(outlines(gray * 0.5), outlines(gray))  # fainter, but of the same shape


def test_a_picture_is_most_like_itself_then_like_its_shape():
    known = [
        drawing("ellipse", "red"),
        drawing("rectangle", "blue"),
        drawing("polygon", "green", (10, 80, 50, 10, 90, 80)),
    ]
    asked = [drawing("ellipse", "orange", (5, 5, 80, 80)), drawing("rectangle", "blue")]
    alike = likeness(looks(asked), looks(known))
    assert nearest_names(alike, ["ball", "box", "hat"]) == ["ball", "box"]
    assert np.isclose(alike[1, 1], sum(weight**2 for weight in WEIGHTS.values()))


def test_votes_put_together_what_no_picture_shows():
    parts = [("c", "red", "heart"), ("c", "red", "book"), ("c", "blue", "heart"), ("m", "new", "moon")]
    names = {("c", a, b): f"{a} {b}" for a in ("red", "blue") for b in ("heart", "book")} | {parts[3]: "new moon"}
    blue_book = np.array([[0.1, 0.8, 0.9, 0.0]])  # like a blue heart and a red book, whose parts have two votes each
    assert voted_names(blue_book, [*parts[1:3], ("c", "blue", "book"), parts[3]], names) == ["blue book"]
    assert voted_names(np.array([[0.0, 0.0, 0.0, 1.0]]), parts, names) == ["new moon"]
