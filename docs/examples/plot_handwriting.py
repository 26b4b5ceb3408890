"""
Your own handwriting
====================

A network with 98 % on MNIST is shown a photograph of a seven, and reads a two. It is not the
network: it was never shown anything that looks like a photograph. Here is what has to happen in
between.
"""

# %%
# Pictures of digits
# ------------------
#
# In place of your notepad, the program writes ten digits itself: strokes of a pen, leaning a
# little, on ruled paper in uneven light, with specks, and not where one would have put them.

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline

# The points that the pen passes, x to the right and y down; a digit may have several strokes.
STROKES = {
    0: ["50,5 15,30 15,70 48,97 82,68 82,28 46,4"],
    1: ["30,25 45,15 56,3 55,50 54,98"],
    2: ["18,25 35,5 65,6 75,28 55,58 15,95 45,93 88,94"],
    3: ["18,12 50,3 72,18 62,40 38,47 70,55 78,78 52,97 15,88"],
    4: ["40,5 28,35 15,65 50,64 88,60", "68,30 65,65 62,98"],
    5: ["24,8 20,28 20,45 50,38 76,58 70,86 42,98 14,88", "24,8 50,7 80,5"],
    6: ["68,6 40,28 20,62 30,92 60,95 74,74 58,56 34,62 22,76"],
    7: ["12,12 45,10 84,8 64,40 46,72 38,98"],
    8: ["62,26 58,6 30,10 30,34 62,58 68,88 40,98 20,80 36,56 64,34 66,16"],
    9: ["74,22 50,6 24,20 28,46 56,48 74,24 72,60 62,98"],
}


def write(digit, rng):
    """Return a picture of a digit, 480 pixels wide and 640 high, as a camera might see it."""
    size = rng.uniform(220, 330)
    corner = rng.uniform(20, (480 - size * 0.8, 640 - size - 60), 2)
    lean = rng.uniform(-0.05, 0.2)

    light = np.add.outer(np.linspace(235, 175, 640), np.linspace(0, -25, 480))
    paper = Image.fromarray(light.astype(np.uint8))
    pen = ImageDraw.Draw(paper)
    for y in range(70, 640, 70):
        pen.line([(0, y), (480, y + 6)], fill=150, width=2)
    for x, y in rng.uniform(0, (480, 640), (12, 2)):
        pen.ellipse([x, y, x + 3, y + 3], fill=90)
    for stroke in STROKES[digit]:
        points = np.array([point.split(",") for point in stroke.split()], dtype=float) / 100
        points += rng.normal(0, 0.012, points.shape)
        times = np.linspace(0, 1, len(points))
        line = make_interp_spline(times, points, k=2)(np.linspace(0, 1, 120))
        line[:, 0] += lean * (0.5 - line[:, 1])
        for x, y in line * size * (0.8, 1) + corner:
            pen.ellipse([x - 7, y - 7, x + 7, y + 7], fill=50)
    noise = rng.normal(0, 6, (640, 480))
    return Image.fromarray(np.clip(np.asarray(paper) + noise, 0, 255).astype(np.uint8))


rng = np.random.default_rng(0)
digits = np.arange(10)
pictures = [write(digit, rng) for digit in digits]

import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 5, figsize=(8, 4.6), layout="constrained")
for ax, picture in zip(axes.flat, pictures, strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()
fig.suptitle("Photographs, more or less")

# %%
# What most people do
# -------------------
#
# Shrink the picture to 28 × 28, turn dark into light, and ask.

from mnist_estimator import DigitsDisplay, fetch_mnist, make_mnist_pipeline

X, y = fetch_mnist(return_X_y=True)
pipe = make_mnist_pipeline(random_state=0).fit(X, y)

shrunk = np.array([255 - np.asarray(picture.resize((28, 28))) for picture in pictures])
print(f"{pipe.score(shrunk, digits):.0%} read rightly")
DigitsDisplay.from_estimator(pipe, shrunk, digits, n_cols=5)

# %%
# What MNIST's makers did
# -----------------------
#
# They cut the digit out, scaled it into a box of 20 × 20 pixels, and put its centre of mass at
# the centre of 28 × 28. :func:`~mnist_estimator.prepare_digits` does that, and before it tells
# ink from paper, rules, specks and shadow.

from mnist_estimator import prepare_digits

prepared = prepare_digits(pictures)
print(f"{pipe.score(prepared, digits):.0%} read rightly")
DigitsDisplay.from_estimator(pipe, prepared, digits, n_cols=5)

# %%
# A hundred more
# --------------
#
# Not by luck:

more = [write(digit, rng) for digit in np.repeat(digits, 10)]
labels = np.repeat(digits, 10)
shrunk = np.array([255 - np.asarray(picture.resize((28, 28))) for picture in more])
print(f"shrunk:   {pipe.score(shrunk, labels):.0%}")
print(f"prepared: {pipe.score(prepare_digits(more), labels):.0%}")

# %%
# With your own
# -------------
#
# ``prepare_digits`` takes files too: photographs, scans or drawings of one digit each, of any
# size, dark on light or light on dark. ``prepare_digits(["seven.jpg"])`` in Python; from the
# shell, with a model file that ``mnist-estimator train`` wrote:
#
# .. code-block:: console
#
#    $ mnist-estimator predict digits.onnx seven.jpg
#
# What it cannot know: whether your 1 has a flag that an American 1 has not, or your 7 a bar that
# few of MNIST's have. A network that is to read such digits has to learn from such digits.
