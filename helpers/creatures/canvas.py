"""Canvas of the pen: colours, strokes, shapes and backdrops, drawn with Pillow at four times the final size.

Coordinates are in units of the final 128 pixels; `Canvas` scales them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

SIZE = 128
SCALE = 4

Color = tuple[int, int, int]
Point = tuple[float, float]

PAINTS: dict[str, Color] = {
    "red": (222, 40, 44),
    "orange": (252, 140, 20),
    "yellow": (250, 216, 40),
    "green": (62, 168, 66),
    "blue": (48, 108, 226),
    "purple": (136, 62, 190),
    "pink": (255, 150, 196),
    "brown": (126, 78, 44),
    "gray": (142, 146, 152),
}
SKIES: list[tuple[Color, Color]] = [
    ((222, 240, 252), (250, 252, 255)),
    ((255, 238, 220), (255, 252, 244)),
    ((228, 246, 228), (250, 255, 250)),
    ((238, 232, 252), (252, 250, 255)),
    ((252, 232, 238), (255, 251, 252)),
    ((224, 246, 246), (250, 255, 255)),
]
GROUNDS: list[Color] = [(206, 226, 190), (232, 216, 190), (206, 216, 230), (222, 208, 224), (224, 224, 210)]
INK: Color = (52, 40, 48)
WHITE: Color = (255, 255, 255)


def mix(color: Color, other: Color, share: float) -> Color:
    """The colour `share` of the way from `color` to `other`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(color, other, strict=True))


class Canvas:
    """A Pillow picture that is drawn on in units of the final size."""

    def __init__(self, image: Image.Image):
        self.image = image
        self.draw = ImageDraw.Draw(image)

    def polygon(self, points: Sequence[Point], fill: Color, outline: Color | None = None, width: float = 1.6) -> None:
        """A filled shape, with a stroke around it where `outline` is given."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.polygon(scaled, fill=fill)
        if outline:
            self.line([*points, points[0], points[1]], outline, width)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Color, outline: Color | None = None, width: float = 1.6
    ) -> None:
        """A filled ellipse; the stroke lies half inside it."""
        if outline:
            grow = width / 2
            self.draw.ellipse(_box(x, y, rx + grow, ry + grow), fill=outline)
            rx, ry = rx - grow, ry - grow
        self.draw.ellipse(_box(x, y, rx, ry), fill=fill)

    def line(self, points: Sequence[Point], fill: Color, width: float) -> None:
        """A stroke with round ends and joints."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(scaled, fill=fill, width=round(width * SCALE), joint="curve")
        r = width * SCALE / 2 - 0.5
        for x, y in (scaled[0], scaled[-1]):
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _box(x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
    return ((x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE)


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, steps: int = 24) -> list[Point]:
    """Points on an ellipse; angles in degrees, clockwise from three o'clock."""
    angles = [math.radians(start + (stop - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def scene(canvas: Canvas, rng: random.Random, floor: float) -> None:
    """A sky, a ground at height `floor`, and clouds, stars, bubbles, a sun, hills or nothing."""
    low, high = rng.choice(SKIES)
    if rng.random() < 0.5:
        low, high = high, low
    for row in range(SIZE):
        canvas.draw.rectangle((0, row * SCALE, SIZE * SCALE, (row + 1) * SCALE), fill=mix(low, high, row / SIZE))
    ground = rng.choice(GROUNDS)
    middle = rng.uniform(20, 108)
    canvas.ellipse(middle, floor + 60, 140, 62, ground)
    deep = mix(ground, INK, 0.10)
    for _ in range(rng.randrange(2, 6)):
        x, y = rng.uniform(4, 124), rng.uniform(floor + 6, 126)
        canvas.ellipse(x, y, rng.uniform(1.5, 4), rng.uniform(0.8, 1.6), deep)
    thing = rng.choice(["clouds", "stars", "bubbles", "sun", "hills", "nothing"])
    pale = mix(SKIES[0][1], WHITE, 0.5)
    if thing == "clouds":
        for _ in range(rng.randrange(1, 4)):
            x, y = rng.uniform(8, 120), rng.uniform(8, 40)
            for dx, r in ((-6, 4), (0, 6), (6, 4.5)):
                canvas.ellipse(x + dx, y, r * 1.3, r, pale)
    elif thing == "stars":
        for _ in range(rng.randrange(4, 10)):
            x, y, r = rng.uniform(4, 124), rng.uniform(4, 60), rng.uniform(1.2, 2.4)
            points = [
                (
                    x + (r if k % 2 == 0 else r * 0.4) * math.sin(k * math.pi / 4),
                    y + (r if k % 2 == 0 else r * 0.4) * math.cos(k * math.pi / 4),
                )
                for k in range(8)
            ]
            canvas.polygon(points, mix(low, (250, 220, 130), 0.55))
    elif thing == "bubbles":
        for _ in range(rng.randrange(3, 8)):
            x, y, r = rng.uniform(4, 124), rng.uniform(4, 90), rng.uniform(1.5, 4)
            canvas.ellipse(x, y, r, r, pale, mix(low, INK, 0.10), 0.6)
    elif thing == "sun":
        x = rng.choice([rng.uniform(8, 22), rng.uniform(106, 120)])
        canvas.ellipse(x, rng.uniform(8, 20), 8, 8, (255, 244, 204))
    elif thing == "hills":
        for x in (rng.uniform(0, 40), rng.uniform(80, 128)):
            canvas.ellipse(x, floor + 12, rng.uniform(24, 40), rng.uniform(20, 34), mix(ground, WHITE, 0.45))
