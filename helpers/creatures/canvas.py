"""The canvas of the drawings, and its colours: shapes in units of the final 128 pixels, drawn four times as large."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

SIZE = 128
SCALE = 4
Color = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # middle x, middle y, half width, half height
PAINTS: dict[str, Color] = {
    "red": (222, 40, 44), "orange": (252, 140, 20), "yellow": (250, 216, 40), "green": (62, 168, 66),
    "blue": (48, 108, 226), "purple": (136, 62, 190), "pink": (255, 150, 196), "brown": (126, 78, 44),
    "gray": (142, 146, 152),
}  # fmt: skip
INK: Color = (52, 40, 48)
GOLD: Color = (250, 200, 70)
WHITE: Color = (255, 255, 255)


def mix(color: Color, other: Color, share: float) -> Color:
    """The colour `share` of the way from `color` to `other`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(color, other, strict=True))


class Canvas:
    """A Pillow picture that is drawn on in units of the final size."""

    def __init__(self, image: Image.Image):
        self.image, self.draw = image, ImageDraw.Draw(image)

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
            self.draw.ellipse(_box(x, y, rx + width / 2, ry + width / 2), fill=outline)
            rx, ry = rx - width / 2, ry - width / 2
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
