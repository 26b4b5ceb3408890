"""Run an exported model with onnxruntime alone: neither scikit-learn nor TensorFlow is imported."""

from mnist_estimator.runtime._model import OnnxModel

__all__ = ["OnnxModel"]
