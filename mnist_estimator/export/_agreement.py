"""Does an exported model agree with its estimator? Rows go through both."""

from dataclasses import dataclass

import numpy as np

from mnist_estimator.exceptions import ExportError

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
        Rows whose labels differ though the top two probabilities are further apart than 1e-5.
    """

    n_rows: int
    max_difference: float
    agreement: float
    n_wrong_labels: int

    def check(self, path):
        """Raise where the model is not the estimator.

        Parameters
        ----------
        path : path-like
            The file not written, for the message.

        Raises
        ------
        ExportError
            If a label is wrong or a probability differs by more than 1e-5.
        """
        if self.n_wrong_labels or not self.max_difference <= TOLERANCE:
            raise ExportError(
                f"{str(path)!r} was not written: the exported model does not agree with the "
                f"estimator. Of {self.n_rows} rows compared {self.n_wrong_labels} got another "
                f"label, and the largest difference is {self.max_difference:.2g} (allowed: "
                f"{TOLERANCE:g}). Rows of another dtype or range than in fit can cause this: pass "
                "rows of the training data as X, as float64 if they are not uint8."
            )


def compare_with_estimator(estimator, model, X=None):
    """Run rows through an exported model and its estimator.

    Parameters
    ----------
    estimator : BaseEstimator
        The fitted estimator.
    model : onnx.ModelProto
        What `to_onnx` made of it.
    X : array-like or DataFrame, default=None
        Rows, of which at most 10,000 are taken, evenly spread. None draws random pixels.

    Returns
    -------
    agreement : Agreement
        The figures.
    """
    rows = _synthetic_rows(model) if X is None else _spread(X)
    outputs = run_model(model, rows)
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
    is_clear = top_two[:, 1] - top_two[:, 0] > TOLERANCE
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
    from onnx import helper
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    dtypes = {
        value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in model.graph.input
    }
    if list(dtypes) == ["X"]:
        feeds = {"X": np.asarray(rows).astype(dtypes["X"])}
    else:
        feeds = {
            name: rows[name].to_numpy().astype(dtype).reshape(-1, 1)
            for name, dtype in dtypes.items()
        }
    return session.run(None, feeds)


def _spread(X):
    """Return at most 10,000 rows, evenly spread over `X`."""
    X = X if hasattr(X, "iloc") else np.asarray(X)
    if len(X) <= _MAX_ROWS:
        return X
    places = np.linspace(0, len(X) - 1, _MAX_ROWS).astype(int)
    return X.iloc[places] if hasattr(X, "iloc") else X[places]


def _synthetic_rows(model):
    """Return random pixels over the input's whole range, and one empty image."""
    import json

    metadata = {prop.key: prop.value for prop in model.metadata_props}
    described = json.loads(metadata["input"])
    largest = min(described["max"] or 255, 255)
    generator = np.random.default_rng(0)
    shape = (_N_SYNTHETIC_ROWS, *described["shape"])
    rows = generator.integers(0, int(largest), size=shape, endpoint=True, dtype=np.uint8)
    rows[0] = 0
    return rows
