"""save_onnx: one ``.onnx`` file that was seen to agree with its estimator."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx
from sklearn.utils.validation import check_is_fitted

from mnist_estimator._files import whole_file
from mnist_estimator.exceptions import ExportError
from mnist_estimator.export._agreement import TOLERANCE, compare_with_estimator
from mnist_estimator.export._exportable import as_exportable
from mnist_estimator.export._to_onnx import to_onnx

# An INT8 file must give the float model's label on this share of the rows.
MIN_INT8_AGREEMENT = 0.98
# Two libraries round a network's probabilities this differently; isotonic calibration multiplies
# the difference by the slope of its steps.
ROUNDING = 2e-7


@dataclass(frozen=True)
class ExportReport:
    """What `save_onnx` wrote, and how it compares with the estimator.

    Attributes
    ----------
    path : Path
        The file.
    n_bytes : int
        Its size.
    n_nodes : int
        The nodes of its graph.
    n_rows : int
        Rows that were compared.
    max_difference : float
        The largest difference between a probability (or prediction) of the file and of the
        estimator.
    agreement : float
        Share of the rows on which the labels are the same.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnist_estimator import PixelScaler, save_onnx
    >>> pixels = np.arange(8, dtype=np.uint8).reshape(2, 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = save_onnx(PixelScaler().fit(pixels), f"{folder}/scaler.onnx", pixels)
    >>> report.path.name, report.n_rows, report.agreement
    ('scaler.onnx', 2, 1.0)
    """

    path: Path
    n_bytes: int
    n_nodes: int
    n_rows: int
    max_difference: float
    agreement: float


def save_onnx(estimator, path, X=None, **to_onnx_params):
    """Write a fitted estimator as one ``.onnx`` file that was seen to agree with it.

    The file appears under its name only after `onnx.checker` has passed it and onnxruntime has
    given the estimator's own labels and probabilities with it.

    Parameters
    ----------
    estimator : BaseEstimator
        As in `to_onnx`.
    path : str or path-like
        The file to write; an older one is replaced.
    X : array-like or DataFrame, default=None
        As in `to_onnx`; its rows, at most 10,000 of them, are those compared. None compares
        random pixels: give real rows wherever there are some.
    **to_onnx_params
        `quantize`, `calibration_data`, `target_opset` and the other keywords of `to_onnx`.

    Returns
    -------
    report : ExportReport
        The size of the file and how well it agrees.

    Raises
    ------
    ExportError
        If the file disagrees: a probability differs by more than 1e-5, or a label where the top
        two probabilities differ by more than that. (Isotonic calibration makes steps out of
        the networks' rounding; there 2e-7 times the slope of the steepest is added.) With
        ``quantize="int8"``: if fewer than 98 % of the labels are the float model's.
    OSError
        If `path` cannot be written. Nothing has been computed then.
    NotFittedError
        If `estimator` is not fitted.

    See Also
    --------
    to_onnx : The model as an object; its parameters.
    mnist_estimator.OnnxClassifier : Reads the file.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mnist_estimator import PixelScaler, save_onnx
    >>> scaler = PixelScaler().fit(np.zeros((1, 4), dtype=np.uint8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = save_onnx(scaler, f"{folder}/scaler.onnx")
    >>> report.n_nodes, report.max_difference
    (2, 0.0)
    """
    path = Path(path)
    check_is_fitted(estimator)
    _check_writable(path)
    model = to_onnx(estimator, X, **{**to_onnx_params, "quantize": None})
    rows = X if X is not None else to_onnx_params.get("calibration_data")
    tolerance = TOLERANCE + ROUNDING * as_exportable(estimator).steepest
    compared = compare_with_estimator(estimator, model, rows, tolerance)
    if compared.n_wrong_labels or not compared.max_difference <= tolerance:
        raise ExportError(
            f"{str(path)!r} was not written: the exported model does not agree with the estimator. "
            f"Of {compared.n_rows} rows {compared.n_wrong_labels} got another label, and the "
            f"largest difference is {compared.max_difference:.2g} (allowed: {tolerance:.2g}). Rows "
            "of another dtype than in fit can cause this: pass rows of the training data as X."
        )
    if to_onnx_params.get("quantize") is not None:
        model = to_onnx(estimator, X, **to_onnx_params)
        compared = compare_with_estimator(estimator, model, rows)
        if compared.agreement < MIN_INT8_AGREEMENT:
            raise ExportError(
                f"{str(path)!r} was not written: the INT8 model gives the float model's label on "
                f"{compared.agreement:.2%} of {compared.n_rows} rows (at least "
                f"{MIN_INT8_AGREEMENT:.0%} wanted). Pass more rows of the training data as "
                "calibration_data, or export without quantize."
            )
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)
    return ExportReport(
        path=path,
        n_bytes=len(content),
        n_nodes=len(model.graph.node),
        n_rows=compared.n_rows,
        max_difference=compared.max_difference,
        agreement=compared.agreement,
    )


def _check_writable(path):
    """Raise before the long work what writing would raise after it."""
    if path.is_dir():
        raise IsADirectoryError(
            f"Cannot write the model to {str(path)!r}: it is a folder. Name a file, such as "
            f"{str(path / 'model.onnx')!r}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write the model to {str(path)!r}: there is no folder {str(path.parent)!r}. "
            "Make it first."
        )
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise type(error)(
            f"Cannot write the model to {str(path)!r}: {error.strerror}. Choose another folder."
        ) from error
