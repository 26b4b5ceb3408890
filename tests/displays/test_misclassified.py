"""MisclassifiedDisplay: the right images in the right order, with both probabilities."""

import numpy as np
import pytest

from mnist_estimator.displays import MisclassifiedDisplay
from mnist_estimator.evaluation import rank_misread


def test_most_confident_mistake_comes_first(fitted, held_out):
    X, y = held_out
    display = MisclassifiedDisplay.from_estimator(fitted, X, y, n_images=8)

    probabilities = fitted.predict_proba(X)
    predicted = fitted.predict(X)
    rows = rank_misread(y, predicted, probabilities, classes=fitted.classes_)
    np.testing.assert_array_equal(display.images, X[rows[:8]].reshape(8, 8, 8))
    np.testing.assert_array_equal(display.y_true, y[rows[:8]])
    assert (np.diff(display.p_pred) <= 0).all()
    np.testing.assert_allclose(display.p_true, probabilities[rows[:8], y[rows[:8]]])
    assert display.ax_.get_title() == f"{len(rows)} of {len(y)} misread: the 8 most confident"
    caption = display.ax_.texts[0].get_text().splitlines()
    assert caption[0].startswith(f"is {y[rows[0]]}: ")
    assert caption[1] == f"read {predicted[rows[0]]}: {display.p_pred[0]:.0%}"


def test_labels_may_be_text():
    display = MisclassifiedDisplay.from_predictions(
        np.arange(8).reshape(2, 4),
        np.array(["nine", "four"]),
        ["four", "four"],
        [[0.75, 0.25], [0.9, 0.1]],
        classes=["four", "nine"],
    )
    assert [text.get_text() for text in display.ax_.texts] == ["is nine: 25%\nread four: 75%"]
    assert display.ax_.get_title() == "1 of 2 misread, most confident first"


def test_nothing_misread_is_said():
    display = MisclassifiedDisplay.from_predictions(
        np.zeros((2, 4)), [0, 1], [0, 1], np.eye(2), classes=[0, 1]
    )
    assert display.ax_.get_title() == "0 of 2 misread"
    assert not display.ax_.images


def test_label_the_estimator_does_not_know(fitted, held_out):
    with pytest.raises(ValueError, match=r"y_true contains labels .* \[11\]"):
        MisclassifiedDisplay.from_estimator(fitted, held_out[0][:2], [3, 11])
