"""The errors that a user of this package can catch.

Bad parameters and bad arrays raise what scikit-learn raises for them (`ValueError`,
`TypeError`, `NotFittedError`); the classes here are for what scikit-learn has no name for.
"""


class MnistEstimatorError(Exception):
    """Base class of the errors that this package defines.

    Examples
    --------
    >>> from mnist_estimator import OnnxClassifier
    >>> from mnist_estimator.exceptions import MnistEstimatorError
    >>> try:
    ...     OnnxClassifier("nowhere.onnx").fit()
    ... except MnistEstimatorError as error:
    ...     print(type(error).__name__)
    ModelFileError
    """


class DatasetError(MnistEstimatorError, OSError):
    """Images or labels could not be found, fetched or trusted.

    Examples
    --------
    >>> from mnist_estimator.datasets import load_image_data
    >>> load_image_data("no-such-folder")
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.DatasetError: No data at 'no-such-folder': expected ...
    """


class ImageError(MnistEstimatorError, ValueError):
    """A picture cannot be read as one digit.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator import prepare_digits
    >>> prepare_digits(np.zeros((40, 30)))
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.ImageError: picture 0: no digit in it: all its 30 × 40 pixels ...
    """


class CheckpointError(MnistEstimatorError, ValueError):
    """A checkpoint of a fit is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from mnist_estimator import KerasMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     mlp = KerasMLPClassifier((8,), epochs=1, random_state=0, checkpoint=folder)
    ...     for checkpoint in Path(mlp.fit(X, y).checkpoint).iterdir():
    ...         size = checkpoint.write_bytes(b"damaged")
    ...     mlp.fit(X, y)
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.CheckpointError: The checkpoint '...' cannot be read, ...
    """


class ModelFileError(MnistEstimatorError, ValueError):
    """A model file is not one that this package wrote, or is damaged.

    Examples
    --------
    >>> from mnist_estimator.runtime import OnnxModel
    >>> OnnxModel(b"GIF89a")
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.ModelFileError: Cannot use the given bytes as a model: ...
    """


class ExportError(MnistEstimatorError, RuntimeError):
    """An estimator cannot be written as ONNX, or the file would not agree with it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from mnist_estimator import PixelScaler, to_onnx
    >>> pipe = make_pipeline(PixelScaler(), FunctionTransformer(np.sqrt))
    >>> to_onnx(pipe.fit(np.ones((3, 4))))
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.ExportError: The step 'functiontransformer' (FunctionTransformer)
    cannot be converted to ONNX: ...
    """
