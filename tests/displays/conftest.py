"""Figures are drawn without a screen and closed after each test."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler


@pytest.fixture(autouse=True)
def closed_figures():
    """Draw with matplotlib's own style on the Agg backend, and leave no figure open."""
    mpl.use("Agg")
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
    plt.close("all")


@pytest.fixture(scope="session")
def fitted(digits):
    """A pipeline fitted on the first 1,000 digits, quick and a little wrong."""
    X, y = digits
    return make_pipeline(MaxAbsScaler(), LogisticRegression(tol=1e-3)).fit(X[:1000], y[:1000])


@pytest.fixture(scope="session")
def held_out(digits):
    """The digits that `fitted` has not seen."""
    X, y = digits
    return X[1000:], y[1000:]


@pytest.fixture
def history():
    """Six epochs that overfit from the fourth on."""
    return {
        "loss": [0.8, 0.5, 0.3, 0.2, 0.15, 0.1],
        "accuracy": [0.7, 0.8, 0.9, 0.93, 0.96, 0.98],
        "val_loss": [0.7, 0.5, 0.35, 0.3, 0.32, 0.4],
        "val_accuracy": [0.75, 0.82, 0.88, 0.9, 0.91, 0.905],
    }


@pytest.fixture
def ramps():
    """Twelve 6×8 images: ramps of ink, each a little fainter than the one before."""
    ramp = np.linspace(0, 1, 48).reshape(6, 8)
    return np.array([ramp * (255 - 15 * k) for k in range(12)]).round().astype(np.uint8)
