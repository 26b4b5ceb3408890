"""Networks trained once for all tests of the export, small and on few rows."""

import numpy as np
import pytest
from onnxruntime import InferenceSession

from mnist_estimator import make_mnist_pipeline


@pytest.fixture(scope="session")
def run():
    """Run an ONNX model (or its bytes) as a user would: `run(model, X)` or `run(model, feeds)`."""

    def run_model(model, X):
        content = model if isinstance(model, bytes) else model.SerializeToString()
        session = InferenceSession(content, providers=["CPUExecutionProvider"])
        return session.run(None, X if isinstance(X, dict) else {"X": X})

    return run_model


@pytest.fixture(scope="session")
def four_digits(digits):
    """300 scans of the digits 0 to 3, `(X, y)`: training takes no time."""
    X, y = digits
    keep = np.flatnonzero(y < 4)[:300]
    return X[keep], y[keep]


@pytest.fixture(scope="session")
def small_pipeline():
    """Make an unfitted pipeline of a small network."""

    def make(**params):
        small = {"hidden_layer_sizes": (12,), "epochs": 4, "random_state": 0, "batch_size": 16}
        pipeline = make_mnist_pipeline(**{**small, "validation_split": 0.0, **params})
        return pipeline.set_params(scale__pixel_max=16)

    return make


@pytest.fixture(scope="session")
def pipeline(digits):
    """Fit a pipeline of two hidden layers on the 1,797 scans of ten digits."""
    pipeline = make_mnist_pipeline(hidden_layer_sizes=(24, 16), epochs=6, random_state=0)
    return pipeline.set_params(scale__pixel_max=16).fit(*digits)


@pytest.fixture(scope="session")
def image_pipeline(digits, small_pipeline):
    """Fit a pipeline on images of shape (8, 8) instead of rows."""
    X, y = digits
    return small_pipeline().fit(X.reshape(-1, 8, 8), y)


@pytest.fixture(scope="session")
def mnist_pipeline(mnist):
    """Fit the reference network on real MNIST, for a few epochs."""
    X, y, _, _ = mnist
    return make_mnist_pipeline(epochs=3, batch_size=64, random_state=0).fit(X, y)
