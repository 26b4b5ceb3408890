"""The errors that a user of this package can catch.

Bad parameters and bad arrays raise what scikit-learn raises for them (`ValueError`,
`TypeError`, `NotFittedError`); the classes here are for what scikit-learn has no name for.
"""


class MnistEstimatorError(Exception):
    """Base class of the errors that this package defines."""


class DatasetError(MnistEstimatorError, OSError):
    """Images or labels could not be found, fetched or trusted."""


class ImageError(MnistEstimatorError, ValueError):
    """A picture cannot be read as one digit."""


class CheckpointError(MnistEstimatorError, ValueError):
    """A checkpoint of a fit is damaged."""


class ModelFileError(MnistEstimatorError, ValueError):
    """A model file is not one that this package wrote, or is damaged."""


class ExportError(MnistEstimatorError, RuntimeError):
    """An estimator cannot be written as ONNX, or the file would not agree with it."""
