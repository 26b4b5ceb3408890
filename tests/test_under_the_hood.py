"""The network in NumPy of the documentation computes what Keras and TensorFlow compute."""

import doctest
import importlib
import re
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

FOLDER = Path(__file__).parent.parent / "docs" / "under_the_hood"
ACTIVATIONS = ["relu", "softplus", "leaky_relu"]


@pytest.fixture(autouse=True)
def from_its_folder(monkeypatch):
    """The page's reader stands in its folder."""
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def net():
    return importlib.import_module("numpy_mlp")


@pytest.fixture
def compare():
    return importlib.import_module("compare")


@pytest.fixture
def rows():
    """40 images of 784 pixels, many of them 0 everywhere as MNIST's borders are, and digits."""
    rng = np.random.default_rng(3)
    X = rng.random((40, 784)) * (rng.random(784) < 0.7)
    return X, rng.integers(10, size=40)


def activation_of(net, name):
    leaky = net.Activation(lambda z: np.where(z > 0, z, z / 4), lambda z: np.where(z > 0, 1, 0.25))
    return {"relu": net.RELU, "softplus": net.SOFTPLUS, "leaky_relu": leaky}[name]


def keras_s_own(name):
    """The same in Keras; its own slope of the leaky one is rounded to float32."""
    import keras

    if name == "leaky_relu":
        return lambda z: keras.activations.leaky_relu(z, negative_slope=0.25)
    return name


def test_examples_in_the_module(net):
    results = doctest.testmod(net)
    assert results.failed == 0 < results.attempted


def test_examples_on_the_page():
    page = FOLDER / "index.md"
    code = "\n".join(re.findall(r"^```pycon\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
    example = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), 0)
    assert len(example.examples) > 10
    doctest.DebugRunner().run(example)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_gradients_are_tensorflow_s(net, compare, rows, name, dropout):
    from mnist_estimator.neural_network import build_mlp

    X, y = rows
    with compare.double_precision():
        model = build_mlp(784, 10, activation=keras_s_own(name), dropout=dropout, seed=1)
        errors = compare.gradient_errors(model, X, y, activation_of(net, name))
    assert len(errors) == 6
    assert max(errors) < 1e-5


def test_a_wrong_gradient_is_noticed(net, compare, rows):
    from mnist_estimator.neural_network import build_mlp

    with compare.double_precision():
        model = build_mlp(784, 10, activation="softplus", seed=1)
        errors = compare.gradient_errors(model, *rows, net.RELU)
    assert min(errors) > 1e-3


def test_masks_are_those_that_keras_drew(compare, rows):
    from mnist_estimator.neural_network import build_mlp

    X, y = rows
    _, D = compare.tensorflow_gradients(build_mlp(784, 10, activation="softplus", seed=1), X, y)
    assert [mask.shape for mask in D] == [(40, 128), (40, 64)]
    assert set(np.unique(D[0])) == {0, 1.25}
    assert abs(np.mean(D[0] == 0) - 0.2) < 0.03


def test_double_precision_ends(compare):
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy().name
    with pytest.raises(KeyError), compare.double_precision():
        raise KeyError
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before


def test_relative_errors(compare):
    errors = compare.relative_errors(np.array([0, 1.1, -3, 1]), np.array([0, 1, -4, 0]))
    np.testing.assert_allclose(errors, [0, 0.1, 0.25, np.inf])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_are_finite_differences(net, compare, name):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 6)), np.array([0, 1, 2, 0, 1, 2, 2])
    theta = net.start_weights((6, 5, 4, 3), rng)
    before = [weights.copy() for weights in theta]
    D, activation = net.draw_masks(theta, 7, 0.3, rng), activation_of(net, name)
    h, z = net.forward(theta, X, D, activation)
    derived = net.backward(theta, h, z, y, D, activation)
    measured = compare.numerical_gradients(theta, X, y, D, activation)
    for ours, theirs, weights in zip(derived, measured, theta, strict=True):
        assert ours.shape == weights.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)
    for weights, as_before in zip(theta, before, strict=True):
        np.testing.assert_array_equal(weights, as_before)


def test_steps_are_keras_s(compare, rows):
    from mnist_estimator.neural_network import build_mlp

    X, y = rows
    with compare.double_precision():
        model = build_mlp(784, 10, dropout=0.0, seed=1)
        start = model.get_weights()
        assert compare.steps_apart(model, [(X, y)] * 20) < 1e-12
    assert np.abs(model.get_weights()[0] - start[0]).max() > 1e-3


def test_adam_s_first_step_is_alpha(net):
    theta = [np.array([5.0, 5.0, 5.0])]
    net.Adam(theta, alpha=0.1).step(theta, [np.array([1e-3, -1e3, 0.0])])
    np.testing.assert_allclose(theta[0], [4.9, 5.1, 5.0], rtol=1e-5)


def test_softmax_and_cross_entropy_do_not_overflow(net):
    z, y = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]), np.array([1, 2])
    np.testing.assert_allclose(net.softmax(z), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert net.cross_entropy(z, y) == pytest.approx((2e4 + np.log(3)) / 2)


@pytest.mark.parametrize("name", ["relu", "softplus"])
def test_activations_do_not_overflow(net, name):
    z, activation = np.array([-1e4, 1e4]), activation_of(net, name)
    np.testing.assert_allclose(activation.phi(z), [0, 1e4])
    np.testing.assert_allclose(activation.derivative(z), [0, 1])


def test_cross_entropy_is_keras_s(net):
    import keras

    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 10)), rng.integers(10, size=20)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, z)
    assert net.cross_entropy(z, y) == pytest.approx(float(theirs), rel=1e-6)


def test_masks_keep_the_mean(net):
    theta = net.start_weights((4, 200, 100, 3), np.random.default_rng(0))
    masks = net.draw_masks(theta, 500, 0.2, np.random.default_rng(0))
    assert [mask.shape for mask in masks] == [(500, 200), (500, 100)]
    for mask in masks:
        assert set(np.unique(mask)) == {0, 1.25}
        assert mask.mean() == pytest.approx(1, abs=0.01)
    assert all((mask == 1).all() for mask in net.draw_masks(theta, 5, 0.0, np.random.default_rng()))


def test_weights_start_as_glorot_s(net):
    sizes = (784, 128, 64, 10)
    theta = net.start_weights(sizes, np.random.default_rng(0))
    assert [weights.shape for weights in theta[::2]] == list(pairwise(sizes))
    assert not any(bias.any() for bias in theta[1::2])
    limit = np.sqrt(6 / 912)
    assert limit * 0.999 < np.abs(theta[0]).max() <= limit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_on_small_digits(net, digits, dtype):
    X, y = (digits[0] / 16).astype(dtype), digits[1]
    start = [w.astype(dtype) for w in net.start_weights((64, 32, 10), np.random.default_rng(0))]
    before = [weights.copy() for weights in start]
    theta, losses = net.train(start, X[:1500], y[:1500], np.random.default_rng(1), epochs=20)
    again, _ = net.train(start, X[:1500], y[:1500], np.random.default_rng(1), epochs=20)

    assert {weights.dtype for weights in theta} == {np.dtype(dtype)}
    for weights, same, unchanged, first in zip(theta, again, start, before, strict=True):
        np.testing.assert_array_equal(weights, same)
        np.testing.assert_array_equal(unchanged, first)
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 5
    _, z = net.forward(theta, X[1500:])
    assert np.mean(z[-1].argmax(axis=1) == y[1500:]) > 0.88


def test_mnist_is_learnt_as_by_keras(net, compare, mnist):
    X, y, X_test, y_test = mnist
    X, X_test = X / np.float32(255), X_test / np.float32(255)
    mlp, start = compare.fit_keras(X, y, epochs=2)
    with threadpool_limits(1):  # products of 32 rows are no work for two
        theta, losses = net.train(start, X, y, np.random.default_rng(0), epochs=2)
    np.testing.assert_allclose(losses, mlp.history_["loss"], rtol=0.1)
    _, z = net.forward(theta, X_test)
    assert np.mean(z[-1].argmax(axis=1) == y_test) >= 0.96


def test_losses_are_drawn_over_each_other(compare):
    axes = compare.draw_losses([0.3, 0.2], [0.31, 0.19]).axes[0]
    curves = {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}
    assert curves == {"KerasMLPClassifier": [0.3, 0.2], "NumPy": [0.31, 0.19]}
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    plt.close("all")


def test_what_the_page_shows_keeps_its_promise():
    text = (FOLDER / "comparison.txt").read_text("utf-8")
    errors = [float(number) for number in re.findall(r"\de-\d\d\b", text)]
    assert len(errors) == 4 * 6 + 1
    assert max(errors) < 1e-5
    accuracies = [float(number) for number in re.findall(r"([\d.]+)%", text)]
    assert len(accuracies) == 2
    assert min(accuracies) >= 97
    assert (FOLDER / "losses.svg").stat().st_size < 60_000
