"""Digits drawn into pictures of the kinds that people send, each kind a function of an MNIST digit.

`KINDS` makes pictures of one digit, `NO_DIGIT` pictures that `prepare_digits` is to refuse.
"""

import io

import numpy as np
from PIL import Image
from scipy import ndimage


def thin(strokes):
    """Return the lines, one pixel wide, in the middle of strokes (Zhang and Suen 1984)."""
    ink = np.pad(strokes, 1).astype(np.int8)
    while True:
        n_before = ink.sum()
        for odd in (0, 1):
            # The eight neighbours, clockwise from the one above.
            shifts = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            p = [np.roll(ink, shift, (0, 1)) for shift in shifts]
            n_ink = sum(p)
            n_turns = sum((p[i] == 0) & (p[(i + 1) % 8] == 1) for i in range(8))
            north, east, south, west = p[0], p[2], p[4], p[6]
            off = (
                (north * east * west == 0) & (north * south * west == 0)
                if odd
                else (north * east * south == 0) & (east * south * west == 0)
            )
            ink[(n_ink >= 2) & (n_ink <= 6) & (n_turns == 1) & off] = 0
        if ink.sum() == n_before:
            return ink[1:-1, 1:-1].astype(bool)


def pen(digit, height, width):
    """Return ink (0 to 1) of a digit about `height` pixels high, drawn by a pen of that `width`."""
    box = _boxed(digit)
    scale = height / box.shape[0]
    size = (max(1, round(box.shape[1] * scale)), max(1, round(height)))
    large = Image.fromarray(np.pad(box, 1)).resize(
        (size[0] + round(2 * scale), size[1] + round(2 * scale)), Image.Resampling.BICUBIC
    )
    line = np.pad(thin(np.asarray(large) > 110), int(width) + 1)
    if width <= 1:
        return line.astype(float)
    return np.clip((width + 1) / 2 - ndimage.distance_transform_edt(~line), 0, 1)


def enlarged(digit, height, bolder=0.0):
    """Return ink of MNIST's own strokes, about `height` pixels high, bolder by a share of that."""
    box = np.pad(_boxed(digit), 2)
    scale = height / (box.shape[0] - 4)
    size = tuple(max(1, round(n * scale)) for n in box.shape[::-1])
    ink = np.asarray(Image.fromarray(box).resize(size, Image.Resampling.BICUBIC)) / 255
    if bolder:
        grown = np.pad(ink, int(bolder * height) + 1)
        distance = ndimage.distance_transform_edt(grown < 0.5)
        ink = np.maximum(grown, np.clip(bolder * height + 0.5 - distance, 0, 1))
    return ink


def _boxed(digit):
    return digit[ndimage.find_objects((digit > 60).astype(int))[0]]


def on_page(ink, rng, roomy=(1.3, 2.5)):
    """Put ink anywhere on a page `roomy` times its longer side."""
    height, width = (round(max(ink.shape) * rng.uniform(*roomy)) + 2 for _ in range(2))
    page = np.zeros((max(height, ink.shape[0]), max(width, ink.shape[1])))
    top, left = (rng.integers(n - m + 1) for n, m in zip(page.shape, ink.shape, strict=True))
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return page


def _written(digit, rng, sizes=(60, 250)):
    """A digit by a pen of usual width, on a page."""
    height = rng.uniform(*sizes)
    return on_page(pen(digit, height, max(1.5, height * rng.uniform(0.02, 0.09))), rng)


def _coloured(ink, paper, colour):
    ink = ink[..., np.newaxis]
    return np.asarray(paper, dtype=float) * (1 - ink) + np.asarray(colour, dtype=float) * ink


def _picture(levels, rng, noise=0.0, quality=None):
    levels = np.asarray(levels)
    levels = levels + (rng.normal(0, noise, levels.shape) if noise else 0)
    image = Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    if quality is None:
        return image
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(quality))
    return Image.open(io.BytesIO(stream.getvalue()))


def _light_paper(rng):
    return rng.uniform(200, 250) * rng.uniform(0.9, 1, 3)


def _pen_colour(rng):
    return np.array([(20, 20, 20), (30, 50, 160), (80, 80, 80), (150, 30, 40)])[rng.integers(4)]


def _ruled(shape, rng, squared):
    """How strong the ruling is at every pixel of paper held a little askew."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.deg2rad(rng.uniform(-6, 6))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    gap = max(shape) * (rng.uniform(0.05, 0.14) if squared else rng.uniform(0.1, 0.2))
    thick = max(1.0, max(shape) * rng.uniform(0.002, 0.007))
    lines = np.clip(thick / 2 + 0.5 - np.abs((across + gap) % gap - gap / 2), 0, 1)
    if squared:
        lines = np.maximum(lines, np.clip(thick / 2 + 0.5 - np.abs(along % gap - gap / 2), 0, 1))
    return lines


def _on_lines(ink, rng, squared):
    paper = _light_paper(rng)
    ruling = np.array([(120, 150, 200), (150, 150, 150), (190, 140, 150)])[rng.integers(3)]
    ruling = paper + (ruling - paper) * rng.uniform(0.3, 0.9)
    lines = _ruled(ink.shape, rng, squared)[..., np.newaxis]
    levels = paper * (1 - lines) + ruling * lines
    ink = ink[..., np.newaxis]
    return _picture(
        levels * (1 - ink) + _pen_colour(rng) * ink, rng, rng.uniform(0, 5), rng.integers(60, 96)
    )


def squared_paper(digit, rng):
    return _on_lines(_written(digit, rng), rng, squared=True)


def ruled_paper(digit, rng):
    return _on_lines(_written(digit, rng), rng, squared=False)


def _shade(shape, rng):
    """The light under one to three shadows with borders from sharp to soft, and a slope."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape) - 0.5
    light = np.ones(shape)
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(0, 2 * np.pi)
        edge = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.3, 0.3)
        soft = 10 ** rng.uniform(-2.3, -0.8)
        light *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(np.clip(-edge / soft, -50, 50)))
    return light * (1 + rng.uniform(-0.3, 0.3) * x + rng.uniform(-0.3, 0.3) * y)


def shadows(digit, rng):
    ink = _written(digit, rng)
    levels = _coloured(ink, _light_paper(rng), _pen_colour(rng))
    levels = levels * _shade(ink.shape, rng)[..., np.newaxis]
    return _picture(levels, rng, rng.uniform(0, 5), rng.integers(60, 96))


def faint_pen(digit, rng):
    ink = _written(digit, rng, (80, 300))
    paper = rng.uniform(150, 235)
    return _picture(paper - rng.uniform(12, 30) * ink, rng, rng.uniform(3, 6))


def faint_photo(digit, rng):
    """A faint pencil in colour, under uneven light, compressed."""
    ink = _written(digit, rng, (80, 300))
    paper = _light_paper(rng)
    levels = _coloured(ink, paper, paper - rng.uniform(15, 35) * rng.uniform(0.7, 1, 3))
    levels = levels * (0.5 + 0.5 * _shade(ink.shape, rng)[..., np.newaxis])
    return _picture(levels, rng, rng.uniform(1, 4), rng.integers(75, 96))


def mouse_stroke(digit, rng):
    ink = on_page(pen(digit, rng.uniform(40, 700), 1), rng)
    return _picture(255 * (ink if rng.random() < 0.3 else 1 - ink), rng)


def transparent(digit, rng):
    """Ink in the alpha channel alone, black, white or coloured; sometimes premultiplied."""
    alpha = _written(digit, rng)
    colours = ((0, 0, 0), (255, 255, 255), tuple(rng.integers(0, 256, 3)))
    colour = np.array(colours[rng.integers(3)], dtype=float)
    below = (np.zeros(3), np.full(3, 255.0), colour)[rng.integers(3)]
    levels = np.where(alpha[..., np.newaxis] > 0, colour, below)
    if rng.random() < 0.3:
        levels = levels * alpha[..., np.newaxis]
    image = np.dstack([levels, 255 * alpha]).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image, "RGBA").save(stream, "PNG")
    return Image.open(io.BytesIO(stream.getvalue()))


def at_the_edge(digit, rng):
    """A bold digit that touches one or two edges of the picture."""
    ink = enlarged(digit, rng.uniform(25, 200), rng.uniform(0.01, 0.05))
    rows, columns = ndimage.find_objects((ink > 0.5).astype(int))[0]
    ink = ink[rows, columns]
    room = [[round(n * rng.uniform(0.1, 0.8)) for _ in range(2)] for n in ink.shape]
    for axis in rng.permutation(2)[: rng.integers(1, 3)]:
        room[axis][rng.integers(2)] = 0
    return _picture(255 - rng.uniform(150, 255) * np.pad(ink, room), rng, rng.uniform(0, 3))


def tiny(digit, rng):
    ink = on_page(enlarged(digit, 80), rng, (1.1, 3))
    scale = rng.uniform(8, 16) / 80
    size = [max(4, round(n * scale)) for n in ink.shape[::-1]]
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
    return _picture(255 - rng.uniform(120, 255) * small, rng)


def small_and_bold(digit, rng):
    """Strokes so bold that loops are nearly filled, 15 to 40 pixels high."""
    ink = enlarged(digit, 200, rng.uniform(0.02, 0.06))
    ink = on_page(ink, rng, (1.1, 2))
    size = [round(n * rng.uniform(15, 40) / 200) for n in [max(ink.shape)] * 2]
    size = [max(4, round(n * size[0] / max(ink.shape))) for n in ink.shape[::-1]]
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
    return _picture(255 * (small if rng.random() < 0.5 else 1 - small), rng)


def huge(digit, rng):
    ink = on_page(enlarged(digit, rng.uniform(900, 1400)), rng, (1.0, 1.3))
    return _picture(240 - 200 * ink, rng, 4)


def jpeg_artefacts(digit, rng):
    ink = _written(digit, rng)
    levels = _coloured(ink, _light_paper(rng), _pen_colour(rng))
    return _picture(levels, rng, rng.uniform(0, 4), rng.integers(5, 25))


def coloured_paper(digit, rng):
    while True:
        paper, colour = rng.uniform(0, 255, (2, 3))
        if np.linalg.norm(paper - colour) > 80:
            break
    return _picture(_coloured(_written(digit, rng), paper, colour), rng, 3, rng.integers(70, 96))


def chalk(digit, rng):
    """Rough, light strokes on a smeared board."""
    height = rng.uniform(120, 300)
    ink = on_page(pen(digit, height, height * rng.uniform(0.05, 0.1)), rng)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, ink.shape), 0.8)
    grain = np.clip(0.75 + grain / grain.std() * 0.25, 0, 1)
    smear = ndimage.gaussian_filter(rng.normal(0, 1, ink.shape), (4, 25))
    board = (
        np.array([(35, 70, 50), (40, 40, 45)])[rng.integers(2)]
        + 8 * (smear / smear.std())[..., np.newaxis]
    )
    ink = (ink * grain)[..., np.newaxis]
    return _picture(board * (1 - ink) + 215 * ink, rng, 3, 85)


def blank(_digits, rng):
    shape = rng.integers(100, 640, 2)
    return _picture(np.full(shape, rng.uniform(60, 240)), rng, rng.uniform(0.5, 8))


def blank_photo(_digits, rng):
    shape = rng.integers(100, 640, 2)
    levels = _light_paper(rng) * _shade(shape, rng)[..., np.newaxis]
    return _picture(levels, rng, rng.uniform(0, 6), rng.integers(40, 96))


def blank_lines(_digits, rng):
    shape = rng.integers(150, 640, 2)
    return _on_lines(np.zeros(shape), rng, squared=rng.random() < 0.5)


def texture(_digits, rng):
    """Paper, cloth and wood: filtered noise of any grain."""
    shape = rng.integers(150, 640, 2)
    grain = 10 ** rng.uniform(-0.3, 1.3, 2)
    field = ndimage.gaussian_filter(rng.normal(0, 1, shape), grain)
    return _picture(rng.uniform(100, 200) + rng.uniform(3, 40) * field / field.std(), rng, 1, 90)


def several_digits(digits, rng):
    """Two to four digits in a row."""
    height = rng.uniform(60, 150)
    inks = [pen(digit, height, height * 0.06) for digit in digits[: rng.integers(2, 5)]]
    tall = max(ink.shape[0] for ink in inks)
    gap = round(height * rng.uniform(0.2, 0.5))
    row = np.hstack(
        [np.pad(ink, ((0, tall - ink.shape[0]), (gap // 2, gap - gap // 2))) for ink in inks]
    )
    return _picture(235 - 190 * on_page(row, rng, (1.05, 1.6)), rng, rng.uniform(0, 4), 85)


def letter(digits, rng):
    """A page of writing."""
    lines = []
    for _ in range(rng.integers(8, 20)):
        inks = [pen(digits[i], 20, 1.6) for i in rng.integers(0, len(digits), 24)]
        inks = [np.pad(ink, ((0, 40 - ink.shape[0]), (2, rng.integers(3, 14)))) for ink in inks]
        line = np.hstack(inks)[:, :500]
        lines.append(np.pad(line, ((0, 0), (40, 540 - line.shape[1]))))
    return _picture(235 - 190 * np.pad(np.vstack(lines), 40), rng, 2, 85)


KINDS = {
    f.__name__.replace("_", " "): f
    for f in (
        *(squared_paper, ruled_paper, shadows, faint_pen, faint_photo, mouse_stroke, transparent),
        *(at_the_edge, tiny, small_and_bold, huge, jpeg_artefacts, coloured_paper, chalk),
    )
}
NO_DIGIT = {
    f.__name__.replace("_", " "): f
    for f in (blank, blank_photo, blank_lines, texture, several_digits, letter)
}
