"""The pen: draws one small creature from its attributes and a random generator.

Everything is drawn with Pillow at four times the final size and then reduced, which gives smooth edges.
"""

import math
import random
from collections.abc import Mapping

from PIL import Image

from helpers.creatures.canvas import INK, PAINTS, SCALE, SIZE, WHITE, Canvas, Color, mix
from helpers.creatures.parts import body_outline, coat_mask, draw_ear, draw_face, draw_horn, draw_tail, draw_wing

SKIES: list[tuple[Color, Color]] = [
    ((222, 240, 252), (250, 252, 255)), ((255, 238, 220), (255, 252, 244)), ((228, 246, 228), (250, 255, 250)),
    ((238, 232, 252), (252, 250, 255)), ((252, 232, 238), (255, 251, 252)), ((224, 246, 246), (250, 255, 255)),
]  # fmt: skip
GROUNDS: list[Color] = [(206, 226, 190), (232, 216, 190), (206, 216, 230), (222, 208, 224), (224, 224, 210)]
# Half width and half height; how far out (a share of the half width) and how far down the ears stand; how far below
# the middle (a share of the half height) the face is, and half its width.
BODIES = {
    "round": (30.0, 29.0, 0.58, 6.5, 0.02, 18.0),
    "tall": (23.5, 36.0, 0.56, 7.5, -0.32, 16.5),
    "square": (28.0, 27.0, 0.68, 3.0, -0.02, 17.5),
}


def _scene(canvas: Canvas, rng: random.Random, floor: float) -> None:
    low, high = rng.choice(SKIES)
    if rng.random() < 0.5:
        low, high = high, low
    for row in range(SIZE):
        canvas.draw.rectangle((0, row * SCALE, SIZE * SCALE, (row + 1) * SCALE), fill=mix(low, high, row / SIZE))
    ground = rng.choice(GROUNDS)
    canvas.ellipse(rng.uniform(20, 108), floor + 60, 140, 62, ground)
    for _ in range(rng.randrange(2, 6)):
        x, y = rng.uniform(4, 124), rng.uniform(floor + 6, 126)
        canvas.ellipse(x, y, rng.uniform(1.5, 4), rng.uniform(0.8, 1.6), mix(ground, INK, 0.10))
    thing, pale = rng.choice(["clouds", "stars", "bubbles", "sun", "hills", "nothing"]), mix(SKIES[0][1], WHITE, 0.5)
    if thing == "clouds":
        for _ in range(rng.randrange(1, 4)):
            x, y = rng.uniform(8, 120), rng.uniform(8, 40)
            for dx, r in ((-6, 4), (0, 6), (6, 4.5)):
                canvas.ellipse(x + dx, y, r * 1.3, r, pale)
    elif thing == "stars":
        for _ in range(rng.randrange(4, 10)):
            x, y, r = rng.uniform(4, 124), rng.uniform(4, 60), rng.uniform(1.2, 2.4)
            rays = [(k * math.pi / 4, r if k % 2 == 0 else r * 0.4) for k in range(8)]
            points = [(x + reach * math.sin(angle), y + reach * math.cos(angle)) for angle, reach in rays]
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


def draw_creature(
    attributes: Mapping[str, str], rng: random.Random, drawn: dict[str, tuple] | None = None
) -> Image.Image:
    """Draws one creature.

    Args:
        attributes: a value for each name in `ATTRIBUTES`.
        rng: decides what no caption names: size, place, scene, which side the tail is on, small details.
        drawn: the generator's state before each part that draws from it, by name: filled by the first drawing, and
            used by every later one, so that what an edited part draws moves nothing else. `rng` is then seeded alike.

    Returns:
        An RGB picture of 128 x 128 pixels.
    """
    states = {} if drawn is None else drawn

    def begin(part: str) -> None:
        rng.setstate(states.setdefault(part, rng.getstate()))

    image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE))
    canvas, size = Canvas(image), rng.uniform(0.88, 1.08)
    half_width, half_height, spread, drop, look, wide = BODIES[attributes["body"]]
    rx, ry, wide = half_width * size, half_height * size, wide * size
    x, floor = 64 + rng.uniform(-6, 6), 116 + rng.uniform(-4, 2)
    y, head = floor - ry - 1.5, floor - ry - 1.5 - ry
    _scene(canvas, rng, floor - 12)
    below = image.getpixel((round(x * SCALE), round((floor + 2.5) * SCALE)))
    canvas.ellipse(x, floor + 2.5, rx * 1.05, 4.6, mix(below, INK, 0.22))

    def paint(name: str) -> Color:
        shade = rng.uniform(-0.07, 0.07)
        return mix(PAINTS[name], WHITE if shade > 0 else (0, 0, 0), abs(shade))

    skin, side = paint(attributes["color"]), rng.choice([-1, 1])
    edge = mix(skin, INK, 0.62)
    begin("wings")
    if attributes["wings"] == "wings":
        tint = rng.choice([(164, 206, 250), (255, 208, 140), (204, 178, 246)])
        for way in (-1, 1):
            draw_wing(canvas, way, x + way * rx * 0.84, y - ry * 0.14, size, tint)
    draw_tail(canvas, attributes["tail"], side, x + side * rx * 0.86, y + ry * 0.66, skin, edge, size)
    for way in (-1, 1):
        place = x + way * (rx * spread), head + drop * size
        draw_ear(canvas, attributes["ears"], way, *place, size, skin, edge)
    for way in (-1, 1):
        canvas.ellipse(x + way * rx * 0.46, floor - 1.5, 7 * size, 4.4 * size, skin, edge, 1.6)

    shape = body_outline(attributes["body"], x, y, rx, ry)
    canvas.polygon(shape, skin)
    face = (x, y + ry * look, wide, wide * 0.94)
    begin("coat")
    if coat := coat_mask(attributes, rng, (x, y, rx, ry), face):
        inside = Image.new("L", image.size, 0)
        Canvas(inside).polygon(shape, 255)
        both = Image.composite(coat, Image.new("L", image.size, 0), inside)
        image.paste(paint(attributes["second_color"]), (0, 0, *image.size), both)
    canvas.line([*shape, shape[0], shape[1]], edge, 1.9)
    begin("horns")
    if attributes["horns"] == "one":
        draw_horn(canvas, x, head + 2 * size, size, rng.uniform(-1.5, 1.5))
    elif attributes["horns"] == "two":
        for way in (-1, 1):
            draw_horn(canvas, x + way * rx * 0.24, head + 2.4 * size, size * 0.86, way * 3.5)
    begin("face")
    draw_face(canvas, attributes["mouth"], rng, face, skin)
    return image.reduce(SCALE)
