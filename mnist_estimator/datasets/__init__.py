"""Real images of digits: MNIST, and scikit-learn's small scans; and how to make a mess of them."""

from mnist_estimator.datasets._messes import blend_pairs, hide_pixels, mislabel, thin_out
from mnist_estimator.datasets._mnist import fetch_mnist
from mnist_estimator.datasets._sources import load_image_data

__all__ = [
    "blend_pairs",
    "fetch_mnist",
    "hide_pixels",
    "load_image_data",
    "mislabel",
    "thin_out",
]
