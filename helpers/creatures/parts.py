"""The parts of a drawn creature: body, tail, wings, ears, horns, coat and face."""

import math
import random

from PIL import Image

from helpers.creatures.canvas import GOLD, INK, SCALE, SIZE, WHITE, Box, Canvas, Color, Point, arc, mix

MOUTH: Color = (140, 24, 44)
TONGUE: Color = (246, 128, 136)


def body_outline(body: str, x: float, y: float, rx: float, ry: float) -> list[Point]:
    """The body's edge: a superellipse, close to a rectangle for a square body."""
    power = 0.36 if body == "square" else 1.0
    circle = [(math.cos(2 * math.pi * i / 96), math.sin(2 * math.pi * i / 96)) for i in range(96)]
    bulge = [[math.copysign(abs(part) ** power, part) for part in point] for point in circle]
    return [(x + rx * across, y + ry * down) for across, down in bulge]


def draw_tail(canvas: Canvas, kind: str, side: int, x: float, y: float, skin: Color, edge: Color, size: float) -> None:
    """A tail that leaves the body at (x, y) towards `side` (-1 left, 1 right)."""
    if kind == "curly":
        turns = [(x - side * 6 * size, y + 2 * size)]
        for t in (i / 59 for i in range(60)):
            angle, radius = math.radians(110 - 560 * t), 11 * (1 - 0.76 * t) * size
            turns.append((x + side * (13 * size + radius * math.cos(angle)), y - 9 * size + radius * math.sin(angle)))
        canvas.line(turns, edge, 6.2 * size)
        canvas.line(turns, skin, 3.4 * size)
    elif kind == "spiky":
        spine = [(x + side * 27 * size * t, y - 11 * size * t * t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
        for (ax, ay), (bx, by), r in zip(spine, spine[1:], (14, 13.5, 13, 12), strict=False):
            thorn = ((ax + bx) / 2 + side * 2 * size, (ay + by) / 2 - r * size)
            canvas.polygon([(ax, ay), thorn, (bx, by)], GOLD, edge, 1.5)
        top, bottom = ([(px, py + way * (5.4 - k) * size) for k, (px, py) in enumerate(spine)] for way in (-1, 1))
        tip = (spine[-1][0] + side * 5 * size, spine[-1][1] - 4 * size)
        canvas.polygon([*top, tip, *reversed(bottom)], skin, edge, 1.6)


def draw_wing(canvas: Canvas, side: int, x: float, y: float, size: float, tint: Color) -> None:
    """A scalloped wing whose root is at (x, y)."""
    shape = [(0, 4), (6, -13), (15, -22), (25, -24), (23, -15), (25, -8), (20, -4), (19, 4), (13, 4), (9, 10), (0, 9)]
    points, edge = [(x + side * dx * size, y + dy * size) for dx, dy in shape], (78, 84, 124)
    canvas.polygon(points, tint, edge, 1.8)
    for tip in (4, 6, 8):
        canvas.line([points[0], points[tip]], edge, 0.9)


def draw_ear(canvas: Canvas, kind: str, side: int, x: float, y: float, size: float, skin: Color, edge: Color) -> None:
    """An ear whose foot is at (x, y)."""
    inner = mix(skin, (255, 222, 214), 0.72)
    if kind == "pointy":
        foot, tip = 8.5 * size, (x + side * 7 * size, y - 19 * size)
        canvas.polygon([(x - foot, y + 3), (x + foot, y + 3), tip], skin, edge, 1.8)
        canvas.polygon([(x - foot * 0.42, y), (x + foot * 0.5, y), (tip[0] - side * 1.2, tip[1] + 6 * size)], inner)
    elif kind == "round":
        x, y = x + side * 2.5 * size, y - 4.5 * size
        canvas.ellipse(x, y, 9.2 * size, 9.2 * size, skin, edge, 1.8)
        canvas.ellipse(x, y, 5 * size, 5 * size, inner)
    elif kind == "long":
        lean = side * 5 * size
        for width, height, paint in ((6.4, 17.5, edge), (5.1, 16.2, skin), (2.5, 12, inner)):
            canvas.line([(x, y + 1), (x + lean, y - (2 * height - width) * size)], paint, width * 2 * size)


def draw_horn(canvas: Canvas, x: float, y: float, size: float, lean: float) -> None:
    """A golden cone with two rings whose foot is at (x, y)."""
    edge, w, h = (110, 74, 20), 5.2 * size, 21 * size
    canvas.polygon([(x - w, y + 4), (x + lean * size, y - h), (x + w, y + 4)], GOLD, edge, 1.6)
    for t in (0.28, 0.56):
        cx, cy, half = x + lean * size * t, y - h * t, w * (1 - t) * 0.85
        canvas.line([(cx - half, cy + 0.8), (cx + half, cy - 0.8)], edge, 0.9)


def coat_mask(attributes: dict[str, str], rng: random.Random, box: Box, face: Box) -> Image.Image | None:
    """The mask of a pattern over the whole picture, or None for a plain coat."""
    if attributes["pattern"] == "plain":
        return None
    canvas = Canvas(Image.new("L", (SIZE * SCALE, SIZE * SCALE), 0))
    x, y, rx, ry = box
    if attributes["pattern"] == "striped":
        lean, step, start = rng.uniform(-5, 5), rng.uniform(11.5, 13.5), y - ry + rng.uniform(3, 7)
        while start < y + ry + 8:
            left, bend, right = (x - rx - 4, start - lean), (x, start + 3), (x + rx + 4, start + lean)
            canvas.line([left, bend, right], 255, step * 0.46)
            start += step
    else:
        spots: list[tuple[float, float, float]] = []
        fx, fy, frx, fry = face
        for _ in range(500):
            r = rng.uniform(4.4, 5.8)
            sx, sy = rng.uniform(x - rx, x + rx), rng.uniform(y - ry, y + ry)
            hidden = math.hypot((sx - fx) / (frx + 3.2), (sy - fy) / (fry + 3.2)) < 1
            if not hidden and all(math.hypot(sx - ox, sy - oy) > r + other + 2.2 for ox, oy, other in spots):
                spots.append((sx, sy, r))
        for sx, sy, r in spots:
            canvas.ellipse(sx, sy, r, r, 255)
    return canvas.image


def draw_face(canvas: Canvas, mouth: str, rng: random.Random, box: Box, skin: Color) -> None:
    """A pale face with eyes, cheeks and a mouth."""
    x, y, rx, ry = box
    size, pale = rx / 18, mix(skin, (255, 250, 240), 0.80)
    canvas.ellipse(x, y, rx, ry, pale)
    y, my = y - size, y - size + 7.5 * size
    look_x, look_y = rng.uniform(-1.3, 1.3), rng.uniform(-0.9, 0.9)
    gap, eye = rng.uniform(7.4, 8.6) * size, rng.uniform(4.3, 5.2) * size
    for side in (-1, 1):
        ex, ey = x + side * gap, y - 5.5 * size
        canvas.ellipse(ex, ey, eye, eye * 1.12, WHITE, INK, 1.0)
        canvas.ellipse(ex + look_x * size, ey + look_y * size, eye * 0.56, eye * 0.62, INK)
        canvas.ellipse(ex + look_x * size - 0.9, ey + look_y * size - 1.1, 0.9 * size, 0.9 * size, WHITE)
        canvas.ellipse(x + side * 13.2 * size, y + 4 * size, 2.7 * size, 1.9 * size, mix(pale, (255, 120, 120), 0.42))
    if mouth == "open":
        canvas.ellipse(x, my + 0.8 * size, 5.8 * size, 6.4 * size, MOUTH, INK, 1.4)
        canvas.ellipse(x, my + 3.8 * size, 3.2 * size, 2.4 * size, TONGUE)
    elif mouth == "smile":
        canvas.line(arc(x, my - 3.4 * size, 8.6 * size, 7.6 * size, 14, 166), INK, 2.8 * size)
    else:
        canvas.line(arc(x, my + 5.8 * size, 8.6 * size, 7.6 * size, 194, 346), INK, 2.8 * size)
