"""Fixtures that every test may use."""

import os

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def mnist():
    """Real MNIST, `(X_train, y_train, X_test, y_test)`, read-only; skips where it is absent."""
    if "MNIST_ESTIMATOR_DATA" not in os.environ:
        pytest.skip("needs the full MNIST: set MNIST_ESTIMATOR_DATA to a folder of its IDX files")
    from mnist_estimator import fetch_mnist

    arrays = (*fetch_mnist(return_X_y=True), *fetch_mnist(subset="test", return_X_y=True))
    for array in arrays:
        array.setflags(write=False)
    return arrays


@pytest.fixture(scope="session")
def digits():
    """The 1,797 real 8×8 scans inside scikit-learn, `(X, y)`: uint8 rows 0–16 and int64 labels."""
    X, y = load_digits(return_X_y=True)
    X, y = X.astype(np.uint8), y.astype(np.int64)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y
