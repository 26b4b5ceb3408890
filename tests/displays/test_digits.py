"""DigitsDisplay: captions, marks, shapes of images, and its place on given axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from mnist_estimator.displays import DigitsDisplay


def captions(display):
    return [text.get_text() for text in display.ax_.texts]


def test_from_estimator_reads_the_first_images(fitted, held_out):
    X, y = held_out
    display = DigitsDisplay.from_estimator(fitted, X, y, n_images=12)

    assert len(display.ax_.images) == 12
    np.testing.assert_array_equal(display.ax_.images[3].get_array(), X[3].reshape(8, 8))
    np.testing.assert_array_equal(display.predictions, fitted.predict(X[:12]))
    np.testing.assert_allclose(display.confidences, fitted.predict_proba(X[:12]).max(axis=1))
    n_wrong = (fitted.predict(X[:12]) != y[:12]).sum()
    assert display.ax_.get_title() == f"12 digits: {12 - n_wrong} read rightly, {n_wrong} misread"
    assert display.figure_ is display.ax_.figure


def test_misread_images_are_framed_and_told():
    X = np.eye(4, dtype=np.uint8).reshape(4, 2, 2)
    display = DigitsDisplay.from_predictions(
        X, [4, 9, 1, 7], [4, 4, 1, 7], confidences=[0.87, 0.6, 0.9999, 0.992]
    )
    assert captions(display) == ["4\n87% sure", "9 read as 4\n60% sure", "1\n>99.9% sure",
                                 "7\n99.2% sure"]  # fmt: skip
    frames = [frame.get_linewidth() for frame in display.ax_.patches]
    assert frames[1] > max(frames[0], frames[2], frames[3])
    assert display.ax_.texts[1].get_fontweight() == "bold"
    assert display.ax_.get_title() == "4 digits: 3 read rightly, 1 misread"


def test_whichever_labels_are_known_are_told():
    X = np.zeros((2, 9))
    assert captions(DigitsDisplay.from_predictions(X, [1, 2], [1, 3])) == ["1", "2 read as 3"]
    assert captions(DigitsDisplay.from_predictions(X, ["b", "a"])) == ["b", "a"]
    unlabelled = DigitsDisplay.from_predictions(X, y_pred=[3, 5], confidences=[0.0001, 0.5])
    assert captions(unlabelled) == ["read as 3\n<0.1% sure", "read as 5\n50% sure"]
    bare = DigitsDisplay.from_predictions(X[:1])
    assert captions(bare) == [""]
    assert bare.ax_.get_title() == "1 digit"


def test_images_of_every_shape(ramps):
    flat = ramps.reshape(12, 48)
    for X, image_shape in ((ramps, None), (ramps[..., None], None), (flat, (6, 8)),
                           (pd.DataFrame(flat), (6, 8)), (flat.tolist(), (6, 8))):  # fmt: skip
        display = DigitsDisplay.from_predictions(X, n_images=3, image_shape=image_shape)
        np.testing.assert_array_equal(display.images, ramps[:3])
        left, right, bottom, top = display.ax_.images[0].get_extent()
        assert (bottom - top) / (right - left) == pytest.approx(6 / 8)


def test_missing_pixels_have_a_colour_of_their_own(ramps):
    X = ramps.astype(float)
    X[0, 2, 3] = np.nan
    display = DigitsDisplay.from_predictions(X)
    red, green, blue, _ = display.ax_.images[0].cmap.get_bad()
    assert red > blue + 0.3
    assert green > blue + 0.3
    assert display.ax_.images[0].get_clim() == (0, 255)


def test_an_all_missing_set_is_drawn():
    display = DigitsDisplay.from_predictions(np.full((2, 4), np.nan))
    display.figure_.canvas.draw()
    assert display.ax_.images[0].get_clim() == (0, 1)


def test_given_axes_get_tiles_that_fill_them(ramps):
    figure, (wide, narrow) = plt.subplots(1, 2, width_ratios=[6, 1], figsize=(10, 3))
    DigitsDisplay.from_predictions(ramps, np.arange(12), ax=wide)
    display = DigitsDisplay.from_predictions(ramps, np.arange(12), ax=narrow)
    assert display.figure_ is figure
    assert display.ax_ is narrow
    assert wide.get_xlim()[1] > narrow.get_xlim()[1]
    assert len(plt.get_fignums()) == 1


def test_captions_fit_their_tiles(ramps):
    labels = ["four", "a hundred and twenty-three"] * 6
    display = DigitsDisplay.from_predictions(ramps, labels)
    display.figure_.canvas.draw()
    tile_width = display.ax_.transData.transform([(0, 0), (1, 0)]).T[0]
    for text in display.ax_.texts:
        assert text.get_window_extent().width <= np.diff(tile_width)


def test_columns_and_colours_may_be_chosen(ramps):
    display = DigitsDisplay(ramps).plot(n_cols=4, cmap=plt.get_cmap("viridis"))
    assert display.ax_.get_xlim() == (0, 4)
    assert display.ax_.images[0].cmap.name == "viridis"


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"Rows of 7 pixels .* not grey images of 2×2; give"):
        DigitsDisplay.from_predictions(np.zeros((3, 7)))
    with pytest.raises(ValueError, match=r"not grey images of 5×5"):
        DigitsDisplay.from_predictions(np.zeros((3, 5, 5, 3)))
    with pytest.raises(ValueError, match=r"shape \(0, 4\); expected at least one image"):
        DigitsDisplay.from_predictions(np.zeros((0, 4)))
