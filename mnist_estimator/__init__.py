"""A scikit-learn classifier for MNIST that exports to ONNX.

The names below are imported on first use, so that a process that only predicts from an
``.onnx`` file never pays for TensorFlow, and one that only trains never pays for matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_estimator.datasets import fetch_mnist as fetch_mnist
    from mnist_estimator.displays import ClassDistributionDisplay as ClassDistributionDisplay
    from mnist_estimator.displays import DigitsDisplay as DigitsDisplay
    from mnist_estimator.displays import MisclassifiedDisplay as MisclassifiedDisplay
    from mnist_estimator.displays import TrainingHistoryDisplay as TrainingHistoryDisplay
    from mnist_estimator.export import save_onnx as save_onnx
    from mnist_estimator.export import to_onnx as to_onnx
    from mnist_estimator.images import prepare_digits as prepare_digits
    from mnist_estimator.inference import OnnxClassifier as OnnxClassifier
    from mnist_estimator.neural_network import KerasMLPClassifier as KerasMLPClassifier
    from mnist_estimator.pipeline import make_mnist_pipeline as make_mnist_pipeline
    from mnist_estimator.preprocessing import PixelScaler as PixelScaler

__version__ = "0.1.0"

# Public name → the module that defines it, in reading order: the order in which data flows.
_HOME = {
    "fetch_mnist": "datasets",
    "prepare_digits": "images",
    "PixelScaler": "preprocessing",
    "KerasMLPClassifier": "neural_network",
    "make_mnist_pipeline": "pipeline",
    "DigitsDisplay": "displays",
    "ClassDistributionDisplay": "displays",
    "TrainingHistoryDisplay": "displays",
    "MisclassifiedDisplay": "displays",
    "to_onnx": "export",
    "save_onnx": "export",
    "OnnxClassifier": "inference",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # so that the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
