"""How well other people's handwriting is read through `prepare_digits`.

Three sets: MNIST's test digits rendered as photographs of paper (`photograph` below), a folder of
real photographs with a `labels.csv` (columns ``file,label``), and a zip archive of drawn digits
whose file names begin with the digit. Run it with a model file that the package wrote::

    python docs/benchmarks/handwriting.py model.onnx --photos PHOTOS_FOLDER --drawn DRAWN.zip

With ``--kinds 200`` the first 200 test digits as well, drawn into each kind of picture of
`handwriting_sets.py`, and 200 of each kind that holds no single digit and is to be refused.

MNIST is fetched as by `fetch_mnist`.
"""

import argparse
import csv
import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(digit, rng):
    """Return a picture of `digit` (28×28, light on dark) as if photographed on paper.

    Enlarged 3 to 12 times, in a random pair of colours, anywhere on uneven, noisy paper, seen
    at an angle, and compressed as JPEG.
    """
    scale = rng.uniform(3, 12)
    side = round(28 * scale)
    enlarged = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    height, width = (round(side * rng.uniform(1.2, 2.5)) for _ in range(2))
    mask = Image.new("L", (width, height))
    mask.paste(enlarged, (rng.integers(width - side + 1), rng.integers(height - side + 1)))
    ink = np.asarray(_tilt(mask, rng), dtype=float)[..., np.newaxis] / 255
    paper_colour, ink_colour = _colours(rng)
    colours = paper_colour * (1 - ink) + ink_colour * ink
    colours = colours * _uneven_light(height, width, rng)[..., np.newaxis]
    colours = colours + rng.normal(0, rng.uniform(0, 8), colours.shape)
    stream = io.BytesIO()
    Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(
        stream, "JPEG", quality=int(rng.integers(60, 96))
    )
    return Image.open(stream)


def _tilt(mask, rng):
    """Look at the picture at an angle: each corner moves inward by up to 15 % of the side."""
    width, height = mask.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    outward = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    moved = corners + rng.uniform(0, 0.15, (4, 2)) * outward * [width, height]
    # Eight equations for the eight coefficients of the homography from output to input.
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    coefficients = np.linalg.solve(np.array(rows), np.array(values))
    return mask.transform(
        mask.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    )


def _colours(rng):
    """Return a paper and an ink colour whose luminance differs by at least 60 of 255."""
    luminance = np.array([0.299, 0.587, 0.114])
    while True:
        paper, ink = rng.uniform(0, 255, (2, 3))
        if abs((paper - ink) @ luminance) >= 60:
            return paper, ink


def _uneven_light(height, width, rng):
    """A slope and a soft shadow: the light, as a factor a pixel."""
    y, x = np.mgrid[:height, :width]
    y, x = y / height - 0.5, x / width - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.4) * (np.cos(angle) * x + np.sin(angle) * y)
    distance = (y - rng.uniform(-0.5, 0.5)) ** 2 + (x - rng.uniform(-0.5, 0.5)) ** 2
    return 0.9 + slope - rng.uniform(0, 0.3) * np.exp(-distance / rng.uniform(0.05, 0.3))


def read_photographs(folder):
    """Return the paths and the labels of a folder with a `labels.csv`."""
    with (folder / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [folder / row["file"] for row in rows], [int(row["label"]) for row in rows]


def read_drawings(archive):
    """Return the pictures in a zip archive, and their labels, the first letter of their names."""
    with zipfile.ZipFile(archive) as drawings:
        names = [name for name in drawings.namelist() if name.endswith(".png")]
        pictures = [io.BytesIO(drawings.read(name)) for name in names]
    return pictures, [int(Path(name).name[0]) for name in names]


def render_mnist(n_pictures, seed):
    """Return photographs of the first of MNIST's test digits, and their labels."""
    from mnist_estimator import fetch_mnist

    X, y = fetch_mnist(subset="test", return_X_y=True)
    digits = X[:n_pictures].reshape(-1, 28, 28)
    pictures = (
        photograph(digit, np.random.default_rng([seed, i])) for i, digit in enumerate(digits)
    )
    return pictures, y[:n_pictures].tolist()


def render_kinds(n_pictures, seed):
    """Yield the name, the pictures and the labels of each kind; None is that of no digit."""
    from handwriting_sets import KINDS, NO_DIGIT

    from mnist_estimator import fetch_mnist

    X, y = fetch_mnist(subset="test", return_X_y=True)
    digits = X.reshape(-1, 28, 28)
    for name, draw in {**KINDS, **NO_DIGIT}.items():
        rngs = (np.random.default_rng([seed, i]) for i in range(n_pictures))
        if name in KINDS:
            pictures = (draw(digits[i], rng) for i, rng in enumerate(rngs))
            yield name, pictures, y[:n_pictures].tolist()
        else:
            pictures = (draw(digits[rng.permutation(n_pictures)], rng) for rng in rngs)
            yield name, pictures, [None] * n_pictures


def measure(classifier, pictures, labels):
    """Print every picture misread, and return the share that is read rightly.

    A picture in which `prepare_digits` finds no single digit counts as misread, unless its label
    is None.
    """
    from mnist_estimator.exceptions import ImageError
    from mnist_estimator.images import prepare_digits

    n_right = 0
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        try:
            answer = int(classifier.predict(prepare_digits(picture))[0])
        except ImageError as error:
            answer = None if label is None else error
        n_right += answer == label
        if answer != label:
            print(f"  {getattr(picture, 'name', i)}: {label} read as {answer}")
    return n_right / len(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="an .onnx file written by the package")
    parser.add_argument("--photos", type=Path, help="a folder of pictures and a labels.csv")
    parser.add_argument("--drawn", type=Path, help="a zip archive of PNG files named by digit")
    parser.add_argument("--rendered", type=int, default=10_000, help="how many of MNIST's digits")
    parser.add_argument("--kinds", type=int, default=0, help="how many pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    from mnist_estimator import OnnxClassifier

    sets = {}
    if arguments.photos:
        sets["photographs"] = read_photographs(arguments.photos)
    if arguments.drawn:
        sets["drawings"] = read_drawings(arguments.drawn)
    if arguments.rendered:
        sets["rendered MNIST test digits"] = render_mnist(arguments.rendered, arguments.seed)
    classifier = OnnxClassifier(arguments.model)
    kinds = render_kinds(arguments.kinds, arguments.seed) if arguments.kinds else ()
    named = ((name, *pictures_and_labels) for name, pictures_and_labels in sets.items())
    for name, pictures, labels in itertools.chain(named, kinds):
        share = measure(classifier, pictures, labels)
        print(f"{name}: {share:.2%} of {len(labels):,}", flush=True)


if __name__ == "__main__":
    main()
