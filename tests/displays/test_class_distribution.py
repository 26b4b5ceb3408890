"""ClassDistributionDisplay: the counts, their bars and their names."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from mnist_estimator.displays import ClassDistributionDisplay


def heights(bars):
    return [bar.get_height() for bar in bars]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([7, 3, 3, 9, 3], ["3", "7", "9"]),
        (["b", "a", "a", "c", "a"], ["a", "b", "c"]),
        (np.array([7, 3, 3, 250, 3], dtype=np.uint8), ["3", "7", "250"]),
    ],
)
def test_labels_of_any_kind_are_counted(y, classes):
    display = ClassDistributionDisplay.from_predictions(y)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == classes
    assert heights(display.bars_[0]) == [3, 1, 1]
    assert display.ax_.get_title() == "5 images by class"
    assert display.ax_.get_xlabel() == "Class"
    assert display.ax_.get_ylabel() == "Number of images"
    assert [text.get_text() for text in display.ax_.texts] == ["3", "1", "1"]


def test_two_booleans():
    display = ClassDistributionDisplay.from_predictions([True, False, True])
    assert display.counts["true"].tolist() == [1, 2]


def test_from_estimator_compares_truth_and_predictions(fitted, held_out):
    X, y = held_out
    display = ClassDistributionDisplay.from_estimator(fitted, X, y)
    assert heights(display.bars_[0]) == np.bincount(y).tolist()
    assert heights(display.bars_[1]) == np.bincount(fitted.predict(X)).tolist()
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["mean", "true (797)", "predicted (797)"]
    assert display.ax_.lines[0].get_ydata()[0] == pytest.approx(79.7)
    first, second = display.bars_[0][0], display.bars_[1][0]
    assert first.get_hatch() != second.get_hatch()
    assert first.get_x() + first.get_width() == pytest.approx(second.get_x())


def test_sets_of_different_sizes_have_no_common_mean():
    _, ax = plt.subplots()
    counts = {"training": np.array([5923, 6742]), "test": np.array([980, 1135])}
    display = ClassDistributionDisplay([0, 1], counts).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert not ax.lines
    assert ax.get_title() == "Images by class"
    assert "5,923" in [text.get_text() for text in ax.texts]


def test_long_names_are_turned():
    names = [f"a class with a long name {number}" for number in range(4)]
    display = ClassDistributionDisplay.from_predictions(names)
    assert {label.get_rotation() for label in display.ax_.get_xticklabels()} == {45}
