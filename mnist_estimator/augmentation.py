"""Random distortions of the training images, as compiled graphs.

TensorFlow's image kernels and Keras' preprocessing layers distort one image after the other and
take several times as long as the training step itself. Here 16 images of a batch share one
distortion, in large batches 32. They lie side by side in memory, so that a pixel of all of them is
fetched at once. Which images share a distortion changes with every epoch.
"""

import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_estimator._tensorflow import keras, tf

NAMES = ("affine", "elastic")

# Images that share one distortion: 16 floats are one line of the processor's cache.
_GROUP = 16
# From this batch size on it is twice as many.
_LARGE_BATCH = 128

# Chosen on validation rows of MNIST (docs/benchmarks/recipes.md).
_ROTATION = math.radians(13)
_SCALE = 0.15
_SHEAR = 0.15
_SHIFT = 2 / 28  # of a side
_ELASTIC_SIGMA = 4 / 28  # of a side
_ELASTIC_SHIFT = 1.0 / 28  # of a side, root mean square


def check_augmentation(augmentation):
    """Check the parameter `augmentation`.

    Parameters
    ----------
    augmentation : None, str, list or tuple of str, keras.layers.Layer or callable
        What the user gave.

    Raises
    ------
    ValueError
        If it is none of these, or names an unknown distortion.
    """
    if augmentation is None or callable(augmentation):
        return
    names = [augmentation] if isinstance(augmentation, str) else augmentation
    if isinstance(names, list | tuple) and names and all(name in NAMES for name in names):
        return
    raise ValueError(
        "The 'augmentation' parameter of KerasMLPClassifier must be None, 'affine', 'elastic', a "
        "tuple of both, a Keras preprocessing layer, or a function of a batch of images. "
        f"Got {augmentation!r} instead."
    )


def make_distortion(augmentation, n_features, image_shape=None, batch_size=1):
    """Return what distorts the rows of a batch.

    Parameters
    ----------
    augmentation : None, str, list or tuple of str, keras.layers.Layer or callable
        As `check_augmentation` lets it through.
    n_features : int
        Pixels of a row.
    image_shape : tuple of int, default=None
        Height and width of the images; None takes them for squares.
    batch_size : int, default=1
        Rows of a whole batch.

    Returns
    -------
    distort : Warp, CustomDistortion or None
        ``distort(rows, seed)`` takes rows (float32, (n, n_features)) and the seed of a batch
        (int32, (2,)), and returns distorted rows. Two that do the same are equal.

    Raises
    ------
    ValueError
        If the rows are no images of that shape, or a layer or a function returns images of another
        shape or type than it was given.
    """
    if augmentation is None:
        return None
    shape = _find_image_shape(n_features, image_shape)
    if callable(augmentation):
        distort = CustomDistortion(augmentation, shape)
        distort.check()
        return distort
    names = {augmentation} if isinstance(augmentation, str) else set(augmentation)
    group = _GROUP if batch_size < _LARGE_BATCH else 2 * _GROUP
    return Warp(shape, "affine" in names, "elastic" in names, group)


@dataclass(frozen=True)
class CustomDistortion:
    """A Keras layer or a user's function, on rows of pixels.

    Attributes
    ----------
    function : keras.layers.Layer or callable
        Takes a batch of images (float32, (n, height, width, 1)) and returns one. A function with
        a parameter `seed` is given the seed of the batch (int32, (2,)), for TensorFlow's
        stateless random operations.
    shape : tuple of int
        Height and width of the images.
    """

    function: Any
    shape: tuple[int, int]

    def __call__(self, rows, seed):
        """Distort a batch of rows."""
        images = self._distorted(tf.reshape(rows, (-1, *self.shape, 1)), seed)
        return tf.reshape(images, (-1, rows.shape[1]))

    def reseed(self, seed):
        """Make a layer draw the numbers that belong to a seed."""
        if isinstance(self.function, keras.layers.Layer):
            for layer in self.function._flatten_layers():
                for generator in getattr(layer, "_seed_generators", ()):
                    generator.state.assign([seed, 0])

    def check(self):
        """Raise ValueError if images of another shape or type come back."""
        blank = tf.zeros((2, *self.shape, 1))
        made = tf.convert_to_tensor(self._distorted(blank, tf.zeros(2, tf.int32)))
        if made.shape != blank.shape or made.dtype != blank.dtype:
            raise ValueError(
                f"augmentation={self.function!r} must return images as it gets them. Given "
                f"{blank.dtype.name} of shape {tuple(blank.shape)}, it returned "
                f"{made.dtype.name} of shape {tuple(made.shape)}."
            )

    def _distorted(self, images, seed):
        if isinstance(self.function, keras.layers.Layer):
            return self.function(images, training=True)
        if "seed" in inspect.signature(self.function).parameters:
            return self.function(images, seed=seed)
        return self.function(images)


@dataclass(frozen=True)
class Warp:
    """Affine and elastic distortions of rows of pixels.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the images.
    affine, elastic : bool
        Which of the two.
    group : int
        How many rows, one after the other, share one distortion.
    """

    shape: tuple[int, int]
    affine: bool
    elastic: bool
    group: int

    def __call__(self, rows, seed):
        """Distort a batch of rows; `seed` is of shape (2,)."""
        n_rows, n_pixels = rows.shape
        if n_rows is None or n_rows % self.group:
            n_given = tf.shape(rows)[0]
            n_more = -n_given % self.group
            return self._distort(tf.pad(rows, [[0, n_more], [0, 0]]), n_pixels, seed)[:n_given]
        return self._distort(rows, n_pixels, seed)

    def _distort(self, rows, n_pixels, seed):
        """Distort a whole number of groups of rows."""
        # (group, pixel, image): what one distortion moves together lies together.
        images = tf.transpose(tf.reshape(rows, (-1, self.group, n_pixels)), (0, 2, 1))
        warped = self._sample(images, *self._sources(tf.shape(images)[0], seed))
        return tf.reshape(tf.transpose(warped, (0, 2, 1)), (-1, n_pixels))

    def _sources(self, n_groups, seed):
        """Draw where each pixel is fetched from: y and x, each of shape (groups, height, width)."""
        height, width = self.shape
        y, x = np.indices((height, width), np.float32)[:, np.newaxis]
        if self.affine:
            draws = tf.random.stateless_uniform((6, n_groups, 1, 1), seed, -1.0, 1.0)
            angle, scale_y, scale_x, shear, shift_y, shift_x = tf.unstack(draws)
            angle *= _ROTATION
            from_y, from_x = y - (height - 1) / 2, x - (width - 1) / 2
            from_x = (from_x + _SHEAR * shear * from_y) * (1 + _SCALE * scale_x)
            from_y = from_y * (1 + _SCALE * scale_y)
            y = tf.cos(angle) * from_y - tf.sin(angle) * from_x
            x = tf.sin(angle) * from_y + tf.cos(angle) * from_x
            y += (height - 1) / 2 + _SHIFT * height * shift_y
            x += (width - 1) / 2 + _SHIFT * width * shift_x
        if self.elastic:
            field = self._smooth_noise(2 * n_groups, -seed)
            y += _ELASTIC_SHIFT * height * field[:n_groups]
            x += _ELASTIC_SHIFT * width * field[n_groups:]
        return y, x

    def _smooth_noise(self, n_fields, seed):
        """Draw smooth random fields of variance 1, of shape (fields, height, width)."""
        height, width = self.shape
        limit = math.sqrt(3)  # uniform noise of variance 1
        noise = tf.random.stateless_uniform((n_fields * width, height), seed, -limit, limit)
        # Two plain products: TensorFlow 2.21's batched one crashes on some batches of one matrix.
        columns = tf.reshape(noise @ _smoothing(height), (n_fields, width, height))
        rows = tf.reshape(tf.transpose(columns, (0, 2, 1)), (-1, width))
        return tf.reshape(rows @ _smoothing(width), (n_fields, height, width))

    def _sample(self, images, y, x):
        """Fetch pixels at places between pixels, by linear interpolation.

        The four pixels around a place are halved into two triangles, and the three of its own
        triangle are weighted: a pixel fewer to fetch than for bilinear interpolation, and the
        same on straight slopes.
        """
        height, width = self.shape
        flat = (-1, height * width)
        y = tf.reshape(tf.clip_by_value(y, 0.0, height - 1.001), flat)
        x = tf.reshape(tf.clip_by_value(x, 0.0, width - 1.001), flat)
        upper, left = tf.floor(y), tf.floor(x)
        down, right = y - upper, x - left
        most, least = tf.maximum(down, right), tf.minimum(down, right)
        first = tf.range(tf.shape(y)[0])[:, tf.newaxis] * (height * width)
        corner = tf.cast(upper * width + left, tf.int32) + first
        beside = corner + tf.where(down > right, width, 1)
        pixels = tf.reshape(images, (-1, self.group))

        def fetch(places, weights):
            fetched = tf.gather(pixels, tf.reshape(places, (-1,)))
            return fetched * tf.reshape(weights, (-1, 1))

        opposite = fetch(corner + width + 1, least)
        sampled = tf.add_n([fetch(corner, 1 - most), fetch(beside, most - least), opposite])
        return tf.reshape(sampled, tf.shape(images))


def _smoothing(n_pixels):
    """Return the matrix that smooths noise of variance 1 along an axis, and keeps its variance."""
    steps = np.arange(n_pixels)
    sigma = _ELASTIC_SIGMA * n_pixels
    weights = np.exp(-(((steps - steps[:, np.newaxis]) / sigma) ** 2) / 2)
    return (weights / np.sqrt((weights**2).sum(axis=0))).astype(np.float32)


def _find_image_shape(n_features, image_shape):
    """Return the height and width of images that lie in rows."""
    if image_shape is None:
        side = math.isqrt(n_features)
        if side * side != n_features or side < 2:
            raise ValueError(
                f"augmentation distorts images, and rows of {n_features} features are no square "
                "images. Give image_shape=(height, width), or augmentation=None."
            )
        return side, side
    shape = tuple(image_shape)
    if len(shape) != 2 or math.prod(shape) != n_features or min(shape) < 2:
        raise ValueError(
            f"image_shape={image_shape!r} must be the height and width, 2 or more, of images of "
            f"{n_features} pixels, which X has."
        )
    return shape
