"""Rows as users have them become rows as a model file takes them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class RowReader:
    """Converts what a user gives into the arrays that a session is fed with.

    Parameters
    ----------
    dtypes : dict of str to numpy.dtype
        The inputs of the graph, and their dtypes.
    shape : tuple of int or None
        The shape of one row of the only input; None where every input is a column.
    missing_allowed : bool
        Whether NaN is an answer like any other.
    shorten : callable
        Makes of texts those that the session knows them by.
    """

    def __init__(
        self,
        dtypes: dict[str, np.dtype],
        shape: tuple[int, ...] | None,
        missing_allowed: bool,
        shorten: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._dtypes = dtypes
        self._shape = shape
        self._missing_allowed = missing_allowed
        self._shorten = shorten

    def read(self, X: Any, reader_name: str) -> tuple[dict[str, np.ndarray], int]:
        """Return the arrays to feed a session with, and the number of rows.

        Parameters
        ----------
        X : array-like, DataFrame or dict of columns
            The rows.
        reader_name : str
            The class that the user called, for messages.

        Returns
        -------
        feed : dict of str to ndarray
            One array an input.
        n_rows : int
            The number of rows in each.

        Raises
        ------
        TypeError, ValueError
            If `X` is sparse, has the wrong shape, or values that the model does not take.
        """
        if self._shape is None:
            return self._read_columns(X)
        if hasattr(X, "toarray"):
            raise TypeError(
                "Sparse data was passed, but dense data is required. "
                "Use '.toarray()' to convert to a dense numpy array."
            )
        (name, dtype), *_ = self._dtypes.items()
        rows = self._reshape(np.asarray(X), self._shape, reader_name)
        return {name: self._convert(rows, dtype, "X")}, len(rows)

    def blank(self) -> dict[str, np.ndarray]:
        """Return one row of zeros, or of empty texts."""
        shape = (1,) if self._shape is None else self._shape
        return {name: np.zeros((1, *shape), _numpy(dtype)) for name, dtype in self._dtypes.items()}

    def _read_columns(self, X: Any) -> tuple[dict[str, np.ndarray], int]:
        if not (isinstance(X, Mapping) or hasattr(X, "columns")):
            raise TypeError(
                f"Expected a DataFrame or a dict with the columns {list(self._dtypes)}, got "
                f"{type(X).__name__}."
            )
        missing = [name for name in self._dtypes if name not in X]
        if missing:
            raise ValueError(
                "The feature names should match those that were passed during fit.\n"
                "Feature names seen at fit time, yet now missing:\n"
                + "\n".join(f"- {name}" for name in missing)
            )
        feed = {}
        for name, dtype in self._dtypes.items():
            column = np.asarray(X[name])
            if column.ndim != 1 and column.shape[1:] != (1,):
                raise ValueError(
                    f"Expected one value a row in column {name!r}, got an array of shape "
                    f"{column.shape}."
                )
            feed[name] = self._convert(column.reshape(-1, 1), dtype, f"column {name!r}")
        lengths = {name: len(column) for name, column in feed.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Found columns of different lengths: {lengths}.")
        return feed, len(column)

    def _reshape(self, rows: np.ndarray, shape: tuple[int, ...], reader_name: str) -> np.ndarray:
        """Return flat rows as images or images as flat rows, whichever the model takes."""
        if rows.ndim < 2:
            found = "1D array" if rows.ndim else "scalar array"
            raise ValueError(
                f"Expected 2D array, got {found} instead:\narray={rows}.\n"
                "Reshape your data either using array.reshape(-1, 1) if your data has a single "
                "feature or array.reshape(1, -1) if it contains a single sample."
            )
        if rows.shape[1:] == shape:
            return rows
        n_found, n_expected = math.prod(rows.shape[1:]), math.prod(shape)
        if n_found != n_expected:
            raise ValueError(
                f"X has {n_found} features, but {reader_name} is expecting {n_expected} features "
                "as input."
            )
        if rows.ndim > 2 and len(shape) > 1 and rows.shape[1:3] != shape[:2]:
            raise ValueError(f"X has rows of shape {rows.shape[1:]}, the model takes {shape}.")
        return rows.reshape(len(rows), *shape)

    def _convert(self, values: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
        """Return the values in the model's dtype, provided that this changes none of them."""
        if dtype.kind == "U":
            if not all(isinstance(value, str) for value in values.ravel().tolist()):
                raise ValueError(f"Expected texts in {what}, got values of dtype {values.dtype}.")
            return self._shorten(values.astype(object))
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"Expected numbers that fit {dtype} in {what}, got values of dtype "
                f"{values.dtype}. Convert them first, for example with .astype({str(dtype)!r})."
            )
        if dtype.kind == "f":
            if values.dtype.kind == "f":
                self._check_finite(values, dtype, what)
            return values.astype(dtype, copy=False)
        if values.dtype == dtype:
            return values.astype(dtype, copy=False)
        with np.errstate(invalid="ignore"):  # NaN and infinity are found by the comparison
            converted = values.astype(dtype)
        changed = np.flatnonzero((converted != values).ravel())
        if len(changed):
            if dtype.kind == "b":
                taken = "False and True"
            else:
                limits = np.iinfo(dtype)
                taken = f"whole numbers from {limits.min} to {limits.max}"
            raise ValueError(
                f"Found {values.ravel()[changed[0]]} in {what}, and the model takes {taken} "
                f"({dtype}): give it the values that its estimator was fitted on, not scaled ones."
            )
        return converted

    def _check_finite(self, values: np.ndarray, dtype: np.dtype, what: str) -> None:
        """Raise scikit-learn's error for values that no network takes."""
        largest = np.finfo(dtype).max
        # fmin and fmax pass over NaN; comparing NaN with anything is False.
        low = np.fmin.reduce(values, axis=None, initial=0)
        high = np.fmax.reduce(values, axis=None, initial=0)
        if low < -largest or high > largest:
            raise ValueError(f"Input {what} contains infinity or a value too large for {dtype!r}.")
        if not self._missing_allowed and np.isnan(np.add.reduce(values, axis=None)):
            raise ValueError(f"Input {what} contains NaN.")


def _numpy(dtype: np.dtype) -> np.dtype:
    """Return the dtype in which onnxruntime takes an input; texts are Python objects."""
    return np.dtype(object) if dtype.kind == "U" else dtype
