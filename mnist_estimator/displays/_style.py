"""What the displays share: colours, axes, image shapes, and an estimator's answers."""

import math

import numpy as np

# Okabe and Ito's colours, told apart with every kind of colour blindness; each display varies a
# line style, a hatch or a frame with them.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WRONG = "#D55E00"


def axes_or_new(ax, figsize):
    """Return `ax`, or the axes of a new figure of `figsize` inches."""
    if ax is None:
        # matplotlib takes half a second to load: import it when something is drawn.
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def as_images(X, image_shape=None):
    """Return rows of pixels as images.

    Parameters
    ----------
    X : array-like of shape (n_images, n_pixels), (n_images, height, width) or \
            (n_images, height, width, 1)
        Grey levels.
    image_shape : tuple of int (height, width), optional
        The shape of one image, where the rows are flat and the images not square.

    Returns
    -------
    images : ndarray of shape (n_images, height, width)
        The same grey levels.

    Raises
    ------
    ValueError
        If there is no image, or if the rows cannot be images of that shape.
    """
    X = np.asarray(X)
    if X.ndim < 2 or len(X) == 0:
        raise ValueError(
            f"Found an array of shape {X.shape}; expected at least one image: (n_images, n_pixels) "
            "or (n_images, height, width)."
        )
    n_pixels = math.prod(X.shape[1:])
    if image_shape is None:
        side = math.isqrt(n_pixels)
        image_shape = (side, side) if X.ndim == 2 else X.shape[1:3]
    if math.prod(image_shape) != n_pixels:
        raise ValueError(
            f"Rows of {n_pixels} pixels (shape {X.shape}) are not grey images of "
            f"{image_shape[0]}×{image_shape[1]}; give image_shape=(height, width)."
        )
    return X.reshape(len(X), *image_shape)


def read_with_confidence(estimator, X):
    """Return the predicted labels of `X` and the probabilities of all classes, in one pass."""
    probabilities = np.asarray(estimator.predict_proba(X))
    return np.asarray(estimator.classes_)[probabilities.argmax(axis=1)], probabilities


def percent(probability):
    """Return a probability in words, with a decimal near 0 and 1; 100 % only for what is 1."""
    if 0.9995 <= probability < 1:
        return ">99.9%"
    if 0 < probability < 0.0005:
        return "<0.1%"
    return f"{probability:.0%}" if 0.01 <= probability < 0.985 else f"{probability:.1%}"
