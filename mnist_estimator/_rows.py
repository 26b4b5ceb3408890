"""Labelled rows as tensors, where they lie."""

from dataclasses import dataclass
from typing import Any

from mnist_estimator._aligned import ALIGNMENT, aligned_empty
from mnist_estimator._grey_levels import UINT8_MAX
from mnist_estimator._tensorflow import tf


@dataclass(frozen=True)
class Rows:
    """Labelled rows, resident as tensors.

    Attributes
    ----------
    X : tf.Tensor of float32 or uint8, shape (n_rows, n_features)
        The features; those of uint8 are grey levels, which `take_rows` scales.
    y : tf.Tensor of int32, shape (n_rows,)
        The index of each row's class.
    weight : tf.Tensor of float32, shape (n_rows,)
        What each row's loss counts in training.
    """

    X: Any
    y: Any
    weight: Any


def resident_rows(X, codes, weight):
    """Return labelled rows as tensors, without a copy of `X` where its memory allows it.

    Parameters
    ----------
    X : ndarray of float32 or uint8, shape (n_rows, n_features)
        The features, or grey levels. They must not change while the rows are in use.
    codes : ndarray of int32, shape (n_rows,)
        The index of each row's class.
    weight : ndarray of float32, shape (n_rows,)
        What each row's loss counts.

    Returns
    -------
    rows : Rows
        The rows.
    """
    X = as_tensor(X)
    if X.dtype == tf.uint8 and "GPU" in tf.zeros(()).device:
        X = _scaled(X)  # at once: TensorFlow has no kernel that takes rows of bytes on a GPU
    return Rows(X, tf.constant(codes), tf.constant(weight))


def as_tensor(X):
    """Return an array as a tensor, without a copy where its memory allows it.

    Parameters
    ----------
    X : ndarray
        The array. It must not change while the tensor is in use.

    Returns
    -------
    tensor : tf.Tensor
        The same numbers, of the same dtype.
    """
    if X.ctypes.data % ALIGNMENT or not X.flags.writeable or not X.flags.c_contiguous:
        aligned = aligned_empty(X.shape, X.dtype)
        aligned[:] = X
        X = aligned
    return tf.experimental.dlpack.from_dlpack(X.__dlpack__())


def take_rows(X, chosen):
    """Take some rows, grey levels scaled as `PixelScaler` scales them.

    Parameters
    ----------
    X : tf.Tensor of float32 or uint8, shape (n_rows, n_features)
        All rows.
    chosen : tf.Tensor or ndarray of int32, shape (n,)
        Which to take.

    Returns
    -------
    rows : tf.Tensor of float32, shape (n, n_features)
        These rows.
    """
    rows = tf.gather(X, chosen)
    return _scaled(rows) if rows.dtype == tf.uint8 else rows


def _scaled(levels):
    """Return grey levels as numbers between 0 and 1."""
    return tf.cast(levels, tf.float32) / UINT8_MAX
