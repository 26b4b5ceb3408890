"""Does an exported model agree with its estimator? Rows go through both."""

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from onnx import helper

# The largest difference between two probabilities that counts as the same, and the smallest
# difference of the top two from which on the label has to be the same.
TOLERANCE = 1e-5
_MAX_ROWS = 10_000
_N_SYNTHETIC_ROWS = 64


@dataclass(frozen=True)
class Agreement:
    """How an exported model compares with its estimator.

    Attributes
    ----------
    n_rows : int
        Rows compared.
    max_difference : float
        The largest difference between two probabilities, or predictions.
    agreement : float
        Share of the rows with the same label.
    n_wrong_labels : int
        Rows whose labels differ though the top two probabilities are further apart than the
        tolerance.
    """

    n_rows: int
    max_difference: float
    agreement: float
    n_wrong_labels: int


def compare_with_estimator(estimator, model, X=None, tolerance=TOLERANCE):
    """Run rows through an exported model and its estimator.

    Parameters
    ----------
    estimator : BaseEstimator
        The fitted estimator.
    model : onnx.ModelProto
        What `to_onnx` made of it.
    X : array-like or DataFrame, default=None
        Rows, of which at most 10,000 are taken, evenly spread. None draws random pixels.
    tolerance : float, default=1e-5
        The difference of the top two probabilities from which on a label counts.

    Returns
    -------
    agreement : Agreement
        The figures.
    """
    rows = _synthetic_rows(model) if X is None else spread(X, _MAX_ROWS)
    with _all_bits():
        return _compare(estimator, rows, run_model(model, rows), tolerance)


@contextmanager
def _all_bits():
    """Let Keras models, if any were made, predict in full precision."""
    if "keras" not in sys.modules:
        yield
        return
    from mnist_estimator._tensorflow import full_precision  # which takes seconds to load

    with full_precision():
        yield


def _compare(estimator, rows, outputs, tolerance):
    """Hold what an estimator says of some rows against the outputs of its exported model."""
    n_rows = len(rows)
    if len(outputs) == 1:
        method = estimator.predict if hasattr(estimator, "predict") else estimator.transform
        expected = np.asarray(method(rows), dtype=np.float64).reshape(n_rows, -1)
        scale = np.maximum(1, np.abs(expected))
        difference = np.abs(outputs[0].reshape(n_rows, -1) - expected) / scale
        return Agreement(n_rows, float(np.max(difference, initial=0)), 1.0, 0)
    label, probabilities = outputs
    expected_label = np.asarray(estimator.predict(rows)).reshape(-1)
    difference = 0.0
    if hasattr(estimator, "predict_proba"):
        # SciKeras squeezes a single row.
        expected = np.asarray(estimator.predict_proba(rows)).reshape(n_rows, -1)
        difference = float(np.max(np.abs(probabilities - expected), initial=0))
    top_two = np.sort(probabilities, axis=1)[:, -2:]
    is_clear = top_two[:, 1] - top_two[:, 0] > tolerance
    if expected_label.dtype.kind in "biuf":
        is_same = label == expected_label.astype(np.int64)
    else:
        is_same = label.astype(str) == expected_label.astype(str)
    return Agreement(
        n_rows=n_rows,
        max_difference=difference,
        agreement=float(np.mean(is_same)) if n_rows else 1.0,
        n_wrong_labels=int(np.sum(~is_same & is_clear)),
    )


def run_model(model, rows):
    """Run an ONNX model on rows in onnxruntime.

    Parameters
    ----------
    model : onnx.ModelProto
        What `to_onnx` made.
    rows : array-like or DataFrame
        Rows, in any dtype that the inputs' dtype can hold.

    Returns
    -------
    outputs : list of ndarray
        Label and probabilities, or a regressor's one output.
    """
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds_of(model, rows))


def feeds_of(model, rows):
    """Return rows as the inputs of a model.

    Parameters
    ----------
    model : onnx.ModelProto
        What `to_onnx` made.
    rows : array-like or DataFrame
        Rows, in any dtype that the inputs' dtype can hold.

    Returns
    -------
    feeds : dict of str to ndarray
        An array an input, in the input's dtype.
    """
    dtypes = {
        value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in model.graph.input
    }
    if list(dtypes) == ["X"] and not hasattr(rows, "columns"):
        return {"X": np.asarray(rows).astype(dtypes["X"], copy=False)}
    if list(dtypes) == ["X"]:
        return {"X": rows.to_numpy().astype(dtypes["X"])}
    return {
        name: rows[name].to_numpy().astype(dtype).reshape(-1, 1) for name, dtype in dtypes.items()
    }


def spread(X, n_rows):
    """Return at most `n_rows` rows, evenly spread over `X`.

    Parameters
    ----------
    X : array-like or DataFrame
        Rows.
    n_rows : int
        How many to take.

    Returns
    -------
    rows : ndarray or DataFrame
        All of them where there are no more.

    Examples
    --------
    >>> from mnist_estimator.export._agreement import spread
    >>> spread([[0], [1], [2], [3], [4]], 3).ravel()
    array([0, 2, 4])
    """
    X = X if hasattr(X, "iloc") else np.asarray(X)
    if len(X) <= n_rows:
        return X
    places = np.linspace(0, len(X) - 1, n_rows).astype(int)
    return X.iloc[places] if hasattr(X, "iloc") else X[places]


def _synthetic_rows(model):
    """Return random pixels over the input's whole range, and one empty image."""
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    described = json.loads(metadata["input"])
    largest = min(described["max"] or 255, 255)
    generator = np.random.default_rng(0)
    shape = (_N_SYNTHETIC_ROWS, *described["shape"])
    rows = generator.integers(0, int(largest), size=shape, endpoint=True, dtype=np.uint8)
    rows[0] = 0
    return rows
