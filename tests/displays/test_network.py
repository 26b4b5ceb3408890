"""The displays of the network itself: alone, at the end of a pipeline, as an ONNX file."""

import pytest
from sklearn.pipeline import make_pipeline

from mnist_estimator import KerasMLPClassifier, OnnxClassifier, PixelScaler, save_onnx
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


def test_every_display_but_the_history_takes_an_onnx_file(pipeline, held_out, tmp_path):
    X, y = held_out
    save_onnx(pipeline, tmp_path / "digits.onnx", X)
    classifier = OnnxClassifier(tmp_path / "digits.onnx")
    for display in (DigitsDisplay, MisclassifiedDisplay, ClassDistributionDisplay):
        from_file = display.from_estimator(classifier, X, y)
        from_pipeline = display.from_estimator(pipeline, X, y)
        assert from_file.ax_.get_title() == from_pipeline.ax_.get_title()
    with pytest.raises(TypeError, match="OnnxClassifier keeps no training history"):
        TrainingHistoryDisplay.from_estimator(classifier)
