"""Rows and labels from outside, checked as scikit-learn checks them, by one clear error each."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

from mnist_estimator._blocks import is_dask, row_blocks
from mnist_estimator._grey_levels import GreyLevels


@contextmanager
def no_overflow(what: str) -> Iterator[None]:
    """Make numbers beyond all dtypes a ValueError, and those beyond float32 infinity, silently.

    scikit-learn's own checks then find the infinity; without this NumPy warns or raises before.

    Parameters
    ----------
    what : str
        The array that is converted in the block, for the message.

    Raises
    ------
    ValueError
        If a number is too large for any dtype.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            yield
        except OverflowError as error:
            raise ValueError(f"{what} holds a number that is too large: {error}.") from error


def check_rows(estimator, X, *, reset):
    """Check rows of features.

    Parameters
    ----------
    estimator : estimator
        Whose rows they are; it notes or compares the features.
    X : array-like or dask array of shape (n_rows, n_features)
        The rows.
    reset : bool
        Whether the features are noted, or compared with those noted before.

    Returns
    -------
    X : ndarray of float32 or dask array, shape (n_rows, n_features)
        Finite numbers; or blocks of whole rows of numbers, which are still to be checked.

    Raises
    ------
    ValueError, TypeError
        If they are anything else.
    """
    if is_dask(X):
        X = row_blocks(X)
        if X.ndim != 2:
            raise ValueError(
                f"Found array with dim {X.ndim}, while dim 2 is required: a dask array of shape "
                f"{X.shape}. A PixelScaler makes flat rows of images."
            )
        if X.dtype.kind not in "buif":
            raise ValueError(f"Expected a dask array of numbers, got one of dtype {X.dtype}.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return X
    with no_overflow("X"):
        return validate_data(estimator, X, reset=reset, dtype=np.float32)


def check_labelled_rows(estimator, X, y, *, reset):
    """Check rows of features and their labels.

    Parameters
    ----------
    estimator : estimator
        Whose rows they are; it notes or compares the features.
    X : array-like, GreyLevels or dask array of shape (n_rows, n_features)
        The rows.
    y : array-like or dask array of shape (n_rows,)
        The labels.
    reset : bool
        Whether the features are noted, or compared with those noted before.

    Returns
    -------
    X : ndarray of float32 or uint8, or dask array, shape (n_rows, n_features)
        Finite numbers; or grey levels, which are still to be scaled; or blocks of whole rows of
        numbers, which are still to be checked.
    y : ndarray of shape (n_rows,)
        Labels that can be sorted.

    Raises
    ------
    ValueError, TypeError
        If they are anything else.
    """
    with no_overflow("X or y"):
        if is_dask(X):
            X = check_rows(estimator, X, reset=reset)
            y = y.compute() if is_dask(y) else y
            y = validate_data(estimator, X="no_validation", y=y)
            check_consistent_length(X, y)
        else:
            dtype = np.uint8 if isinstance(X, GreyLevels) else np.float32
            X, y = validate_data(estimator, X, y, dtype=dtype, reset=reset)
        try:
            check_classification_targets(y)
        except TypeError as error:
            kinds = sorted({type(label).__name__ for label in y.tolist()})
            raise TypeError(
                f"y must hold labels of one kind: integers, strings or booleans. Got {kinds} "
                f"({error})."
            ) from error
    return X, y
