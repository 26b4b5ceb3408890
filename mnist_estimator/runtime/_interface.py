"""The inputs and outputs that a graph must have, checked before its first run."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LABELS, PROBABILITIES = "label", "probabilities"

MAX_ROW_VALUES = 2**24

_INPUT_DTYPES: dict[str, np.dtype] = {
    "tensor(float)": np.dtype("float32"),
    "tensor(double)": np.dtype("float64"),
    "tensor(bool)": np.dtype("bool"),
    "tensor(string)": np.dtype("str"),
    **{
        f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


def check_outputs(outputs: Sequence[Any], classes: np.ndarray) -> None:
    """Check that the graph gives what this package's models give.

    Parameters
    ----------
    outputs : sequence of onnxruntime.NodeArg
        The session's outputs.
    classes : ndarray of shape (n_classes,)
        The classes that the metadata names.

    Raises
    ------
    ValueError
        If they are other outputs, or of other types or dimensions.
    """
    found = {output.name: output for output in outputs}
    if set(found) != {LABELS, PROBABILITIES}:
        raise ValueError(
            f"its outputs are {sorted(found)}, where a model of this package has "
            f"{[LABELS, PROBABILITIES]}"
        )
    label, probabilities = found[LABELS], found[PROBABILITIES]
    label_type = "tensor(string)" if classes.dtype.kind == "U" else "tensor(int64)"
    if label.type != label_type or len(label.shape) != 1:
        raise ValueError(
            f"its output {LABELS!r} is {label.type} of shape {label.shape}; expected {label_type} "
            f"of one dimension, for classes of dtype {classes.dtype}"
        )
    shape = probabilities.shape
    is_wide = len(shape) == 2 and (shape[1] == len(classes) or not isinstance(shape[1], int))
    if probabilities.type != "tensor(float)" or not is_wide:
        raise ValueError(
            f"its output {PROBABILITIES!r} is {probabilities.type} of shape {shape}; expected "
            f"tensor(float) with a column for each of {len(classes)} classes"
        )


def check_inputs(inputs: Sequence[Any], described: dict[str, Any]) -> dict[str, np.dtype]:
    """Check that the graph takes what its metadata describes.

    Parameters
    ----------
    inputs : sequence of onnxruntime.NodeArg
        The session's inputs.
    described : dict
        The metadata's entry "input".

    Returns
    -------
    dtypes : dict of str to numpy.dtype
        The dtype of each input, by its name.

    Raises
    ------
    ValueError
        If the inputs are none of ours, or not as described.
    """
    names = [taken.name for taken in inputs]
    dtypes = {}
    for taken in inputs:
        row = taken.shape[1:]
        is_row = 1 <= len(row) <= 3 and all(isinstance(side, int) and side > 0 for side in row)
        is_batch = taken.shape and not isinstance(taken.shape[0], int)
        if taken.type not in _INPUT_DTYPES or not is_row or not is_batch:
            raise ValueError(
                f"its input {taken.name!r} is {taken.type} of shape {taken.shape}; expected "
                "numbers or texts of shape (N, n_features) or (N, height, width)"
            )
        if math.prod(row) > MAX_ROW_VALUES:
            raise ValueError(f"a row of its input {taken.name!r} has {math.prod(row):,} values")
        dtypes[taken.name] = _INPUT_DTYPES[taken.type]
    if "columns" not in described:
        if names != ["X"] or dtypes["X"].kind == "U":
            raise ValueError(
                f"its inputs are {names}, and its metadata describes numbers in one input 'X'"
            )
        return dtypes
    columns = described["columns"] if isinstance(described["columns"], list) else []
    expected = [column.get("name") for column in columns if isinstance(column, dict)]
    if not names or expected != names or any(taken.shape[1:] != [1] for taken in inputs):
        raise ValueError(
            f"its inputs are {names}, and its metadata describes the columns {expected}"
        )
    return dtypes
