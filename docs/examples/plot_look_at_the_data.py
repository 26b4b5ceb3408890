"""
Look at the data
================

Before any network: what is in the images, how many there are of each digit, and how different two
handwritten sevens can be.
"""

# %%
# 70,000 rows of 784 bytes
# ------------------------
#
# :func:`~mnist_estimator.fetch_mnist` gives the images as flat rows, ready for any scikit-learn
# classifier, and the digit that each of them shows.

from mnist_estimator import fetch_mnist

X_train, y_train = fetch_mnist(return_X_y=True)
X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
print(f"to learn from:   {X_train.shape} {X_train.dtype}, labels {y_train.shape}")
print(f"to be judged on: {X_test.shape} {X_test.dtype}, labels {y_test.shape}")

# %%
# A row is 28 rows of 28 grey levels, one after the other: 0 is paper, 255 is ink. Those of the
# first image, four columns cut off at each side:

for row in X_train[0].reshape(28, 28)[4:25, 4:24]:
    print("".join(f"{level:4d}" for level in row))

# %%
# The first images
# ----------------
#
# :class:`~mnist_estimator.DigitsDisplay` draws rows of pixels as what they are.

from mnist_estimator import DigitsDisplay

DigitsDisplay.from_predictions(X_train, y_train, n_images=40, n_cols=10)

# %%
# One digit, forty hands
# ----------------------
#
# A network has to give all of these the same answer: with and without a bar, upright and leaning,
# thin and bold.

DigitsDisplay.from_predictions(X_train[y_train == 7], n_images=40, n_cols=10)

# %%
# As many of each?
# ----------------
#
# Nearly. Where one class is rare, a classifier that never names it has a high accuracy all the
# same; here none is, and accuracy is a fair measure.

import numpy as np

from mnist_estimator import ClassDistributionDisplay

counts = {"training": np.bincount(y_train), "test": np.bincount(y_test)}
ClassDistributionDisplay(np.arange(10), counts).plot()

# %%
# The mean of each digit
# ----------------------
#
# Sharp where all writers agree (the 0, the lower end of the 7), blurred where they do not (the 4,
# the 5). Naming the nearest of these ten means is a classifier already, and a baseline to beat:
# see :func:`~mnist_estimator.evaluation.baseline_accuracies`.

means = np.array([X_train[y_train == digit].mean(axis=0) for digit in range(10)])
DigitsDisplay.from_predictions(means, range(10), n_cols=5)

# %%
# Pixels that say nothing
# -----------------------
#
# MNIST's makers scaled each digit into a box of 20 × 20 and put its centre of mass at the centre
# of 28 × 28. So the border is paper in almost every image, and those pixels tell nothing. It also
# means that a digit which is *not* centred looks like nothing that the network has seen: the
# reason for :func:`~mnist_estimator.prepare_digits`.

import matplotlib.pyplot as plt

share = (X_train > 0).mean(axis=0).reshape(28, 28)
print(f"{(share == 0).sum()} of 784 pixels are paper in all {len(X_train):,} images")
fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
image = ax.imshow(share, cmap="cividis", vmin=0)
ax.add_patch(plt.Rectangle((3.5, 3.5), 20, 20, fill=False, color="white", linestyle="--"))
ax.set(title="How often a pixel has ink", xlabel="Column", ylabel="Row")
fig.colorbar(image, label="Share of the images", format="{x:.0%}")
