"""What one row of an exported model's input is: dtype and shape, or named columns."""

from dataclasses import dataclass

import numpy as np

from mnist_estimator.export._exportable import first_step

# skl2onnx computes in float32 or float64; float32 holds every value of these.
_FLOAT32_HOLDS = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")
_NUMBERS = "biuf"


@dataclass(frozen=True)
class ModelInput:
    """One row of the input.

    Attributes
    ----------
    dtype : np.dtype
        The numbers' dtype; of several columns the one that holds them all.
    shape : tuple of int
        The shape without the number of rows.
    columns : tuple of (str, np.dtype)
        Name and dtype of each input, where every column is one; object dtype for text.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    columns: tuple[tuple[str, np.dtype], ...] = ()

    @property
    def has_text(self):
        """Whether a column holds text."""
        return any(dtype.kind not in _NUMBERS for _, dtype in self.columns)

    def skl2onnx_types(self):
        """Return skl2onnx's initial types: float32, or float64 where float32 would round.

        Returns
        -------
        initial_types : list of (str, skl2onnx type)
            One matrix "X", or one input a column where some columns hold text.
        """
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

        is_exact = self.dtype.name in _FLOAT32_HOLDS
        number = FloatTensorType if is_exact else DoubleTensorType
        if not self.has_text:
            return [("X", number([None, *self.shape]))]
        return [
            (name, (number if dtype.kind in _NUMBERS else StringTensorType)([None, 1]))
            for name, dtype in self.columns
        ]


def describe_input(estimator, X, columns_as):
    """Work out what one row of the input is.

    Parameters
    ----------
    estimator : BaseEstimator
        The fitted estimator, as `as_exportable` returns it.
    X : array-like, DataFrame or None
        A sample; None means uint8 pixels in the shape of `fit`.
    columns_as : {"inputs", "matrix"}
        Whether each column of a DataFrame is an input.

    Returns
    -------
    described : ModelInput
        Dtype and shape, or columns.

    Raises
    ------
    TypeError
        If `X` is sparse.
    ValueError
        If `X` holds no numbers, has another number of features than in `fit`, or a column whose
        name cannot be an input's.
    """
    first = first_step(estimator)
    shape = getattr(first, "input_shape_", ())
    if hasattr(first, "model_"):
        shape = first.model_.input_shape[1:]
    if len(shape) < 2 and int(np.prod(shape)) != estimator.n_features_in_:
        # The first step sees a part of the features only, or does not look at their shape.
        shape = (estimator.n_features_in_,)
    if X is None:
        return ModelInput(np.dtype(np.uint8), tuple(shape))
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return _describe_frame(X, columns_as)
    if hasattr(X, "toarray"):
        raise TypeError(
            "to_onnx got a sparse matrix, and an ONNX file takes dense rows only. Pass a few rows "
            "as X.toarray()."
        )
    X = np.asarray(X)
    if X.dtype.kind not in "biuf":
        raise ValueError(
            f"to_onnx got X of dtype {X.dtype}; expected numbers (uint8, float32, float64 …), or a "
            "DataFrame with named columns."
        )
    n_features = int(np.prod(X.shape[1:]))
    if X.ndim < 2 or n_features != int(np.prod(shape)):
        raise ValueError(
            f"to_onnx got X of shape {X.shape}, but {type(estimator).__name__} was fitted on rows "
            f"of shape {tuple(shape)}."
        )
    return ModelInput(X.dtype, X.shape[1:])


def _describe_frame(X, columns_as):
    columns = []
    for name, dtype in zip(X.columns, X.dtypes, strict=True):
        if not isinstance(name, str) or name in ("label", "probabilities"):
            raise ValueError(
                f"to_onnx got a DataFrame with a column named {name!r}; an input's name must be "
                "text, and 'label' and 'probabilities' are the names of the outputs. Rename it."
            )
        is_number = isinstance(dtype, np.dtype) and dtype.kind in "biuf"
        columns.append((name, dtype if is_number else np.dtype(object)))
    numbers = [dtype for _, dtype in columns if dtype.kind in "biuf"]
    common = np.result_type(*numbers) if numbers else np.dtype(object)
    if columns_as == "inputs":
        return ModelInput(common, (len(columns),), tuple(columns))
    if len(numbers) < len(columns):
        raise ValueError(
            "columns_as='matrix' wants a DataFrame of numbers, but some columns hold text. Leave "
            "it at columns_as='inputs'."
        )
    return ModelInput(common, (len(columns),))
