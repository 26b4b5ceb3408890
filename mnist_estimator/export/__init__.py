"""A fitted scikit-learn model as one ``.onnx`` file."""

from mnist_estimator.export._save_onnx import ExportReport, save_onnx
from mnist_estimator.export._to_onnx import newest_opset, to_onnx

__all__ = ["ExportReport", "newest_opset", "save_onnx", "to_onnx"]
