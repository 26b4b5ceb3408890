"""The displays look as they did when somebody looked at them: `baseline/` holds those pictures.

The pictures are compared without their words, which `test_<display>.py` checks, because fonts
differ between releases of matplotlib. Where a picture is meant to change, look at the new one
(the failure names it) and put it into `baseline/`.
"""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

from mnist_estimator.displays import (
    ClassDistributionDisplay,
    DigitsDisplay,
    MisclassifiedDisplay,
    TrainingHistoryDisplay,
)

BASELINE = Path(__file__).parent / "baseline"


@pytest.fixture
def looks_as_before(tmp_path):
    """Return a function that compares a display's picture with its baseline."""

    def compare(display, name):
        figure = display.figure_
        figure.set_layout_engine("none")
        for artist in figure.findobj(lambda each: isinstance(each, Text | Legend)):
            artist.set_visible(False)
        drawn = tmp_path / f"{name}.png"
        figure.savefig(drawn, dpi=50, metadata={"Software": None})
        difference = compare_images(BASELINE / f"{name}.png", drawn, tol=3)
        assert difference is None, difference

    return compare


def test_digits(ramps, looks_as_before):
    labels = np.arange(12)
    read = np.where(labels % 5 == 3, 0, labels)
    display = DigitsDisplay.from_predictions(ramps, labels, read, confidences=labels / 12)
    looks_as_before(display, "digits")


def test_misclassified(ramps, looks_as_before):
    labels = np.arange(12) % 3
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], size=12)
    display = MisclassifiedDisplay.from_predictions(
        ramps, labels, probabilities.argmax(axis=1), probabilities, classes=[0, 1, 2]
    )
    looks_as_before(display, "misclassified")


def test_class_distribution(looks_as_before):
    y = np.repeat(np.arange(10), [9, 11, 10, 10, 9, 8, 9, 10, 9, 10])
    display = ClassDistributionDisplay.from_predictions(y, np.roll(y, 30) // 2 * 2)
    looks_as_before(display, "class_distribution")


def test_training_history(history, looks_as_before):
    worse = {name: [1.1 * value for value in values] for name, values in history.items()}
    looks_as_before(TrainingHistoryDisplay({"a": history, "b": worse}).plot(), "training_history")
