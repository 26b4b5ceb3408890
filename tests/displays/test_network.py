"""The displays of the network itself, alone and at the end of a pipeline."""

import pytest
from sklearn.pipeline import make_pipeline

from mnist_estimator import KerasMLPClassifier, PixelScaler
from mnist_estimator.displays import (
    ClassDistributionDisplay,
    DigitsDisplay,
    MisclassifiedDisplay,
    TrainingHistoryDisplay,
)


@pytest.fixture(scope="module")
def pipeline(digits):
    X, y = digits
    network = KerasMLPClassifier((16,), epochs=3, validation_split=0.2, random_state=0)
    return make_pipeline(PixelScaler(), network).fit(X[:1000], y[:1000])


@pytest.mark.parametrize("take", ["pipeline", "network"])
def test_every_display_takes_the_network(pipeline, held_out, take):
    X, y = held_out
    if take == "network":
        X, pipeline = pipeline[:-1].transform(X), pipeline[-1]
    n_wrong = (pipeline.predict(X) != y).sum()

    history = TrainingHistoryDisplay.from_estimator(pipeline)
    assert (
        history.histories["network"]["val_loss"] == history.axes_[0].lines[-1].get_ydata().tolist()
    )
    assert MisclassifiedDisplay.from_estimator(pipeline, X, y).n_misread == n_wrong
    read = DigitsDisplay.from_estimator(pipeline, X, y, n_images=len(y))
    assert (read.labels != read.predictions).sum() == n_wrong
    counts = ClassDistributionDisplay.from_estimator(pipeline, X, y).counts
    assert {name: count.sum() for name, count in counts.items()} == {"true": 797, "predicted": 797}
