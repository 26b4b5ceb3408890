"""Rows and labels from outside, checked as scikit-learn checks them, by one clear error each."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data


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
    X : array-like of shape (n_rows, n_features)
        The rows.
    reset : bool
        Whether the features are noted, or compared with those noted before.

    Returns
    -------
    X : ndarray of float32, shape (n_rows, n_features)
        Finite numbers.

    Raises
    ------
    ValueError, TypeError
        If they are anything else.
    """
    with no_overflow("X"):
        return validate_data(estimator, X, reset=reset, dtype=np.float32)


def check_labelled_rows(estimator, X, y, *, reset):
    """Check rows of features and their labels.

    Parameters
    ----------
    estimator : estimator
        Whose rows they are; it notes or compares the features.
    X : array-like of shape (n_rows, n_features)
        The rows.
    y : array-like of shape (n_rows,)
        The labels.
    reset : bool
        Whether the features are noted, or compared with those noted before.

    Returns
    -------
    X : ndarray of float32, shape (n_rows, n_features)
        Finite numbers.
    y : ndarray of shape (n_rows,)
        Labels that can be sorted.

    Raises
    ------
    ValueError, TypeError
        If they are anything else.
    """
    with no_overflow("X or y"):
        X, y = validate_data(estimator, X, y, dtype=np.float32, reset=reset)
        try:
            check_classification_targets(y)
        except TypeError as error:
            kinds = sorted({type(label).__name__ for label in y.tolist()})
            raise TypeError(
                f"y must hold labels of one kind: integers, strings or booleans. Got {kinds} "
                f"({error})."
            ) from error
    return X, y
