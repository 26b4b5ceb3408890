"""Real images of digits: MNIST, and the small scans that ship inside scikit-learn."""

from mnist_estimator.datasets._mnist import fetch_mnist
from mnist_estimator.datasets._sources import load_image_data

__all__ = ["fetch_mnist", "load_image_data"]
