"""Messes made of clean data: what they change, that they repeat, and a pipeline that takes them."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from mnist_estimator import OnnxClassifier, make_mnist_pipeline, save_onnx
from mnist_estimator.datasets import blend_pairs, hide_pixels, mislabel, thin_out


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(256, size=(200, 8, 8), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(200) % 10


def test_pixels_and_lines_are_missing(images):
    hidden = hide_pixels(images, pixels=0.1, lines=0.2, random_state=0)
    gone = np.isnan(hidden)
    lines = gone.all(axis=2)
    assert lines.mean() == pytest.approx(0.2, abs=0.03)
    assert gone[~lines].mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(hidden[~gone], images[~gone])
    assert hidden.dtype == np.float32
    flat = hide_pixels(images.reshape(200, 64), pixels=0.1, lines=0.2, random_state=0)
    np.testing.assert_array_equal(flat.reshape(hidden.shape), hidden)
    assert not np.isnan(hide_pixels(images, pixels=0, lines=0)).any()


def test_classes_are_thinned_out(labels):
    rows = thin_out(labels, [3, 5], ratio=10, random_state=0)
    assert np.bincount(labels[rows]).tolist() == [20, 20, 20, 2, 20, 2, 20, 20, 20, 20]
    assert (np.diff(rows) > 0).all()


def test_labels_are_wrong(labels):
    given, is_wrong = mislabel(labels, share=0.1, random_state=0)
    assert is_wrong.sum() == 20
    np.testing.assert_array_equal(given != labels, is_wrong)
    assert len(np.unique(given - labels)) > 5  # any other class
    words, is_wrong = mislabel(["a", "b"] * 5, share=1.0)
    assert words.tolist() == ["b", "a"] * 5
    assert is_wrong.all()


def test_blends_lie_between_two_classes(images, labels):
    blends, pairs = blend_pairs(images, labels, 50, random_state=0)
    assert blends.shape == (50, 8, 8)
    assert blends.dtype == np.uint8
    assert (pairs[:, 0] != pairs[:, 1]).all()
    means = {
        ((images[i].astype(float) + images[j]) / 2).astype(np.uint8).tobytes(): {i % 10, j % 10}
        for i in range(200)
        for j in range(i)
    }
    assert all(
        means[blend.tobytes()] == set(pair) for blend, pair in zip(blends, pairs, strict=True)
    )


@pytest.mark.parametrize(
    "mess",
    [
        lambda images, labels, seed: hide_pixels(images, random_state=seed),
        lambda images, labels, seed: thin_out(labels, [1], random_state=seed),
        lambda images, labels, seed: mislabel(labels, random_state=seed)[0],
        lambda images, labels, seed: blend_pairs(images, labels, 9, random_state=seed)[0],
    ],
    ids=["missing", "rare", "wrong", "blends"],
)
def test_the_same_random_state_makes_the_same_mess(mess, images, labels):
    np.testing.assert_array_equal(mess(images, labels, 1), mess(images, labels, 1))
    one, other = mess(images, labels, 1), mess(images, labels, 2)
    assert one.shape != other.shape or not np.array_equal(one, other, equal_nan=one.dtype == "f4")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hide_pixels(np.zeros((2, 63))), "rows of 63 pixels, which are no square"),
        (lambda: hide_pixels(np.zeros((2, 64)), pixels=2), "'pixels' parameter of hide_pixels"),
        (lambda: thin_out([1, 2], [3]), "The class .*3.* to make rare is not among the labels"),
        (lambda: thin_out([1, 2], [1], ratio=0.5), "'ratio' parameter of thin_out must be"),
        (lambda: mislabel([1, 1]), "All labels are .*; there is no wrong one to give"),
        (lambda: blend_pairs(np.zeros((2, 4)), [1, 1], 1), "a blend takes images of two classes"),
        (lambda: blend_pairs(np.zeros((2, 4)), [1], 1), "inconsistent numbers of samples"),
    ],
)
def test_messes_that_cannot_be_made(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_pipeline_for_messy_rows_leaves_as_one_file_that_takes_nan(mnist, tmp_path):
    X, y, X_test, _ = mnist
    X = hide_pixels(X[:2_000], random_state=0)
    y, _ = mislabel(y[:2_000], random_state=0)
    rows = thin_out(y, [7, 8, 9], ratio=20, random_state=0)
    X_test = hide_pixels(X_test[:1_000], random_state=1)
    network = make_mnist_pipeline(epochs=3, class_weight="balanced", random_state=0)
    messy = CalibratedClassifierCV(make_pipeline(SimpleImputer(), network), cv=2, ensemble=False)
    messy.fit(X[rows], y[rows])
    assert np.isnan(X_test).any(axis=1).all()

    save_onnx(messy, tmp_path / "messy.onnx", X_test)
    model = OnnxClassifier(tmp_path / "messy.onnx")
    np.testing.assert_array_equal(model.predict(X_test), messy.predict(X_test))
    expected = messy.predict_proba(X_test)
    np.testing.assert_allclose(model.predict_proba(X_test), expected, atol=1e-5)
    assert (model.predict(X_test) == mnist[3][:1_000]).mean() > 0.5
