"""Dask arrays of rows, a block at a time.

Nothing here imports dask: whoever passes a dask array has imported it.
"""

import math
import sys
from functools import partial

import numpy as np
from sklearn.metrics import accuracy_score

# What a block may take as float32. Larger ones are split, since several are in memory at once.
_MAX_BLOCK_BYTES = 8 * 2**20


def is_dask(X):
    """Tell whether `X` is a collection of dask's.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    is_dask : bool
        Whether its numbers are still to be computed.
    """
    dask = sys.modules.get("dask")
    return dask is not None and dask.is_dask_collection(X)


def row_blocks(X, *, split=False):
    """Return a dask array as blocks of whole rows.

    Parameters
    ----------
    X : dask.array.Array of shape (n_rows, ...)
        The rows, chunked in any way.
    split : bool, default=False
        Whether blocks that would take more than 8 MiB as float32 are split.

    Returns
    -------
    blocks : dask.array.Array of shape (n_rows, ...)
        The same rows, nothing computed; every block holds whole rows, one or more.

    Raises
    ------
    TypeError
        If `X` is another collection than an array.
    ValueError
        If the lengths of its blocks are unknown, or it has less than two dimensions or no rows.
    """
    if not isinstance(getattr(X, "chunks", None), tuple):  # anything is an attribute of a Delayed
        raise TypeError(
            f"Expected a dask array, got {type(X).__module__}.{type(X).__qualname__}. Convert a "
            "dask DataFrame first: X.to_dask_array(lengths=True)."
        )
    if any(math.isnan(length) for length in X.shape):
        raise ValueError(
            f"Found a dask array of unknown shape {X.shape}; expected one that knows its rows. "
            "Call X.compute_chunk_sizes() first, or X.to_dask_array(lengths=True) on a DataFrame."
        )
    if X.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got a dask array of shape {X.shape} instead: rows of features."
        )
    if 0 in X.shape:
        raise ValueError(
            f"Found array with shape {X.shape}, while a minimum of 1 row and 1 feature is required."
        )
    lengths = tuple(length for length in X.chunks[0] if length)  # selections leave empty ones
    if split:
        most = max(1, _MAX_BLOCK_BYTES // (4 * math.prod(X.shape[1:])))
        lengths = tuple(part for length in lengths for part in _even_parts(length, most))
    return X.rechunk((lengths, *((side,) for side in X.shape[1:])))


def computed_blocks(X):
    """Compute one block after another.

    Parameters
    ----------
    X : ndarray or dask array of shape (n_rows, ...)
        The rows. An ndarray is one block.

    Yields
    ------
    block : ndarray of shape (n_block_rows, ...)
        Some of the rows; all blocks together are all of them, in order.
    """
    if not is_dask(X):
        yield X
        return
    blocks = row_blocks(X, split=True).blocks
    for i in range(blocks.shape[0]):
        yield np.asarray(blocks[i].compute())


def map_rows(X, function, dtype, n_columns=None, *, split=False):
    """Apply a function to each block of rows, later.

    Parameters
    ----------
    X : dask.array.Array of shape (n_rows, ...)
        The rows.
    function : callable
        Makes an array of as many rows from the ndarray of a block.
    dtype : dtype
        The dtype of what it makes.
    n_columns : int, default=None
        The columns of what it makes; None where that has one dimension.
    split : bool, default=False
        As in `row_blocks`.

    Returns
    -------
    mapped : dask.array.Array of shape (n_rows, n_columns) or (n_rows,)
        Not computed.
    """
    X = row_blocks(X, split=split)
    columns = () if n_columns is None else ((n_columns,),)
    return X.map_blocks(
        function,
        dtype=dtype,
        chunks=(X.chunks[0], *columns),
        drop_axis=list(range(1 + len(columns), X.ndim)),
        meta=np.empty((0,) * (1 + len(columns)), dtype),
    )


def most_likely(probabilities, classes):
    """Return the class of the largest probability.

    Parameters
    ----------
    probabilities : ndarray or dask array of float32, shape (n_rows, n_classes)
        One column a class.
    classes : ndarray of shape (n_classes,)
        The classes.

    Returns
    -------
    labels : ndarray or dask array of shape (n_rows,)
        In the dtype of `classes`.
    """
    if is_dask(probabilities):
        return map_rows(probabilities, partial(most_likely, classes=classes), classes.dtype)
    return classes[probabilities.argmax(axis=1)]


class BlockwiseScore:
    """A classifier's `score` that goes through a dask array once.

    scikit-learn's would compute the predictions each time that it looks at them.
    """

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of `predict`.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features)
            Rows, as `predict` takes them.
        y : array-like or dask array of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts.

        Returns
        -------
        accuracy : float
            The share of rows whose label `predict` gives.
        """
        if not is_dask(X):
            return super().score(X, y, sample_weight)
        y = y.compute() if is_dask(y) else y
        return accuracy_score(y, self.predict(X).compute(), sample_weight=sample_weight)


def _even_parts(length, most):
    """Split a length into parts of at most `most` that differ by one at the most."""
    n_parts = -(-length // most)
    short, n_longer = divmod(length, n_parts)
    return [short + 1] * n_longer + [short] * (n_parts - n_longer)
