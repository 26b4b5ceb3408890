"""Distortions while training: what they do to images, that they repeat, and what they refuse."""

import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from mnist_estimator import KerasMLPClassifier, _distorted_rows, training
from mnist_estimator._tensorflow import keras, tf
from mnist_estimator.augmentation import Warp, make_distortion

KINDS = ["affine", "elastic", ("affine", "elastic")]
SEED = tf.constant([5, 0])


@pytest.fixture(scope="module")
def scans():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def disc(n_images=64, side=28, radius=6):
    """Return rows of images of a disc in the middle, soft at its rim."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    image = np.clip(radius - np.hypot(y, x), 0, 1).astype(np.float32)
    return np.tile(image.ravel(), (n_images, 1))


def centres(rows, side=28):
    """Return the centre of mass of each image, in pixels from the middle."""
    images = np.asarray(rows).reshape(-1, side, side)
    axis = np.arange(side) - (side - 1) / 2
    mass = images.sum(axis=(1, 2))
    return np.stack(
        [(images.sum(axis=2) @ axis) / mass, (images.sum(axis=1) @ axis) / mass], axis=1
    )


# What they do.


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_images_stay_images(kind):
    rows = disc(50)
    made = make_distortion(kind, 784)(rows, SEED).numpy()
    assert made.shape == rows.shape
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
    assert np.abs(made - rows).mean() > 0.005
    # Area and place stay about what they were.
    np.testing.assert_allclose(made.sum(axis=1), rows.sum(axis=1), rtol=0.5)
    assert np.abs(centres(made)).max() < 4


@pytest.mark.parametrize(("batch_size", "group"), [(1, 16), (127, 16), (128, 32)])
def test_images_that_share_a_distortion(batch_size, group):
    rows = disc(2 * group + 8)
    made = make_distortion("affine", 784, batch_size=batch_size)(rows, SEED).numpy()
    np.testing.assert_array_equal(made[:group], np.tile(made[0], (group, 1)))
    assert np.abs(made[group - 1] - made[group]).max() > 0.1
    short = made[2 * group :]
    np.testing.assert_array_equal(short, np.tile(short[0], (8, 1)))


def test_no_batch_is_distorted_like_another():
    distort = make_distortion(("affine", "elastic"), 784)
    rows = disc(16)
    first, again, next_batch, next_epoch = (
        distort(rows, tf.constant(seed)).numpy() for seed in ([5, 0], [5, 0], [5, 1], [6, 0])
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - next_batch).max() > 0.1
    assert np.abs(first - next_epoch).max() > 0.1


def test_affine_distortions_move_both_ways_and_keep_straight_lines_straight():
    rows = disc(1600)
    moved = centres(make_distortion("affine", 784)(rows, SEED))
    assert (moved.min(axis=0) < -0.5).all()
    assert (moved.max(axis=0) > 0.5).all()
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.3)

    ramp = np.tile(np.linspace(0, 1, 28, dtype=np.float32), (28, 1)).reshape(1, -1)
    inner = make_distortion("affine", 784)(ramp, SEED).numpy().reshape(28, 28)[8:20, 8:20]
    for axis in (0, 1):  # a plane: no second differences
        np.testing.assert_allclose(np.diff(inner, 2, axis=axis), 0, atol=1e-4)


def test_elastic_distortions_bend_lines_smoothly():
    ramp = np.tile(np.linspace(0, 27, 28, dtype=np.float32), (28, 1)).reshape(1, -1)
    made = make_distortion("elastic", 784)(ramp, SEED).numpy().reshape(28, 28)
    shift = made - np.arange(28, dtype=np.float32)  # the displacement itself
    assert 0.3 < np.std(shift[4:-4, 4:-4]) < 3
    assert np.abs(np.diff(shift[4:-4, 4:-4], axis=0)).max() < 1
    assert np.abs(np.diff(shift[4:-4, 4:-4], 2, axis=0)).max() > 1e-3


@pytest.mark.parametrize(
    ("down", "right", "expected"),
    [
        (0.0, 0.0, 1.0),
        (0.0, 0.25, 0.75 * 1 + 0.25 * 10),
        (0.25, 0.0, 0.75 * 1 + 0.25 * 100),
        (0.25, 0.75, 0.25 * 1 + 0.5 * 10 + 0.25 * 1000),  # the triangle with the pixel beside
        (0.75, 0.25, 0.25 * 1 + 0.5 * 100 + 0.25 * 1000),  # the one with the pixel below
        (0.5, 0.5, 0.5 * 1 + 0.5 * 1000),
    ],
)
def test_between_pixels_three_are_weighted(down, right, expected):
    warp = Warp((3, 3), affine=True, elastic=False, group=2)
    image = np.array([[0, 0, 0], [0, 1, 10], [0, 100, 1000]], np.float32)
    images = np.stack([image.ravel(), -image.ravel()], axis=1)[np.newaxis]
    y, x = np.indices((3, 3), np.float32)[:, np.newaxis]
    sampled = warp._sample(images, y + down, x + right).numpy()[0, 4]
    np.testing.assert_allclose(sampled, [expected, -expected], rtol=1e-4)


def test_images_need_not_be_square():
    rows = np.random.default_rng(0).random((20, 6 * 10), np.float32)
    made = make_distortion(("affine", "elastic"), 60, (6, 10))(rows, SEED)
    assert made.shape == rows.shape


def test_layers_and_functions_get_images(scans):
    seen = []

    def function(images):
        seen.append((images.shape.as_list()[1:], images.dtype))
        return images[:, ::-1]

    rows = scans[0][:5]
    made = make_distortion(function, 64)(rows, SEED).numpy()
    np.testing.assert_array_equal(made, rows.reshape(5, 8, 8)[:, ::-1].reshape(5, 64))
    assert set(map(str, seen)) == {str(([8, 8, 1], tf.float32))}
    flipped = make_distortion(keras.layers.RandomFlip("horizontal", seed=0), 64)(rows, SEED)
    turned = rows.reshape(5, 8, 8)[..., ::-1].reshape(5, 64)
    for row, kept, other in zip(flipped.numpy(), rows, turned, strict=True):
        assert np.array_equal(row, kept) or np.array_equal(row, other)


# In the estimator.


def mlp(**params):
    return KerasMLPClassifier((16,), **{"epochs": 3, "random_state": 0, **params})


def weights_of(estimator):
    return np.concatenate([weight.ravel() for weight in estimator.model_.get_weights()])


def random_shift(images, seed):
    return images + tf.random.stateless_uniform((), seed)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda kind=kind: kind for kind in KINDS),
        lambda: random_shift,
        lambda: keras.layers.RandomRotation(0.1, fill_mode="constant"),
        lambda: keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomZoom(0.1)]),
    ],
    ids=[*map(str, KINDS), "function", "layer", "layers"],
)
def test_the_same_random_state_distorts_alike(make, scans):
    X, y = scans[0][:300], scans[1][:300]
    first, again = (mlp(augmentation=make()).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    assert not np.array_equal(weights_of(first), weights_of(mlp().fit(X, y)))
    other = mlp(augmentation=make(), random_state=1).fit(X, y)
    assert not np.array_equal(weights_of(first), weights_of(other))
    np.testing.assert_array_equal(weights_of(clone(first).fit(X, y)), weights_of(first))


def test_every_epoch_distorts_anew(scans):
    factors = []

    def record(images, seed):
        factor = tf.random.stateless_uniform((), seed)
        tf.py_function(lambda f: factors.append(float(f)), [factor], [])
        return images

    mlp(augmentation=record, batch_size=100).fit(scans[0][:250], scans[1][:250])
    used = factors[1:]  # the first is the trial before training
    assert len(used) == 9  # three batches, three epochs
    assert len(set(used)) == 9


def test_held_out_rows_and_predictions_are_never_distorted(scans):
    X, y = scans

    def blacken(images):
        return images * 0

    fitted = mlp(augmentation=blacken, validation_split=0.5, epochs=1, dropout=0.0).fit(X, y)
    codes = fitted.predict(X)
    assert len(set(codes)) > 1  # black images would all be read alike
    assert fitted.history_["val_accuracy"][0] != fitted.history_["accuracy"][0]
    assert [layer.name for layer in fitted.model_.layers] == ["pixels", "hidden_1", "probabilities"]


def test_kept_graphs_serve_distorted_fits_too(scans, monkeypatch):
    monkeypatch.setattr(training, "_graphs", type(training._graphs)())
    for kind in ("affine", ("affine",), ["affine"]):
        mlp(augmentation=kind).fit(*scans)
    (graph,) = training._graphs.values()
    assert graph.n_traces == 1
    assert graph._graph.n_traces == 1


def test_beside_the_training_or_in_turns_is_the_same(scans, monkeypatch):
    monkeypatch.setattr(_distorted_rows, "_CHUNK_BYTES", 100 * 64 * 4)  # many chunks an epoch
    threads = []
    trace = Warp.__call__

    def note(*args):
        threads.append(threading.current_thread().name)
        return trace(*args)

    monkeypatch.setattr(Warp, "__call__", note)
    weights = []

    def fit():
        monkeypatch.setattr(training, "_graphs", type(training._graphs)())
        weights.append(weights_of(mlp(augmentation="affine", schedule="cosine").fit(*scans)))

    fit()
    assert all(name.startswith("distort") for name in threads)
    threads.clear()
    alone = threading.Thread(target=fit, name="one of a search's")
    alone.start()
    alone.join()
    assert set(threads) == {"one of a search's"}
    np.testing.assert_array_equal(*weights)


def test_chunks_do_not_show(scans, monkeypatch):
    whole = mlp(augmentation="affine", schedule="cosine", dropout=0.3).fit(*scans)
    monkeypatch.setattr(_distorted_rows, "_CHUNK_BYTES", 70 * 64 * 4)
    parts = mlp(augmentation="affine", schedule="cosine", dropout=0.3).fit(*scans)
    np.testing.assert_array_equal(weights_of(whole), weights_of(parts))
    np.testing.assert_allclose(whole.history_["loss"], parts.history_["loss"], rtol=1e-5)


def test_an_error_in_the_other_thread_is_an_error_here(scans):
    def fail_later(images):
        tf.debugging.assert_greater(tf.reduce_sum(images), -1.0)  # true
        if not tf.executing_eagerly():
            raise RuntimeError("no such kernel")
        return images

    classifier = mlp(augmentation=fail_later)
    with pytest.raises(RuntimeError, match="no such kernel"):
        classifier.fit(*scans)
    assert not hasattr(classifier, "model_")


def test_distortions_teach_what_the_rows_do_not_show(mnist):
    X, y, X_test, y_test = (array[:3000] for array in mnist)
    X, X_test = X / np.float32(255), X_test / np.float32(255)
    shifted = np.roll(X_test.reshape(-1, 28, 28), 2, axis=2).reshape(-1, 784)
    plain, distorted = (
        KerasMLPClassifier(epochs=8, random_state=0, augmentation=kind).fit(X, y)
        for kind in (None, "affine")
    )
    assert distorted.score(shifted, y_test) > plain.score(shifted, y_test) + 0.02


class BatchCounter(keras.callbacks.Callback):
    """Make `fit` take Keras' own loop."""

    n_batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.n_batches += 1


def test_keras_own_loop_distorts_too(scans):
    X, y = scans[0][:300], scans[1][:300]
    first, again, plain = (
        mlp(augmentation=kind, callbacks=BatchCounter()).fit(X, y)
        for kind in ("affine", "affine", None)
    )
    assert first.callbacks.n_batches == 3 * 10
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    assert not np.array_equal(weights_of(first), weights_of(plain))


# What it refuses.


@pytest.mark.parametrize("augmentation", ["afine", (), ("affine", "blur"), 3, True], ids=str)
def test_unknown_distortions(augmentation, scans):
    with pytest.raises(ValueError, match=r"must be None, 'affine', .*Got .* instead"):
        mlp(augmentation=augmentation).fit(*scans)


@pytest.mark.parametrize(
    ("n_features", "image_shape", "message"),
    [
        (63, None, "rows of 63 features are no square images. Give image_shape"),
        (1, None, "rows of 1 features are no square"),
        (64, (8, 9), r"image_shape=\(8, 9\) must be the height and width.* of 64 pixels"),
        (64, (64, 1), "2 or more"),
        (64, (8, 8, 1), "must be the height and width"),
    ],
)
def test_rows_that_are_no_images(n_features, image_shape, message, scans):
    X, y = scans
    classifier = mlp(augmentation="affine", image_shape=image_shape)
    with pytest.raises(ValueError, match=message):
        classifier.fit(X[:, :n_features], y)
    assert not hasattr(classifier, "model_")


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        (lambda images: images[:, :4], r"float32 of shape \(2, 4, 8, 1\)"),
        (lambda images: tf.cast(images, tf.float64), r"float64 of shape \(2, 8, 8, 1\)"),
        (keras.layers.Rescaling, None),
        (keras.layers.Resizing(4, 4), r"float32 of shape \(2, 4, 4, 1\)"),
    ],
    ids=["shape", "type", "class", "layer"],
)
def test_what_returns_no_such_images(function, returned, scans):
    if returned is None:
        with pytest.raises((TypeError, ValueError)):
            mlp(augmentation=function).fit(*scans)
        return
    with pytest.raises(
        ValueError, match=f"must return images as it gets them.*returned {returned}"
    ):
        mlp(augmentation=function).fit(*scans)


def test_equal_distortions_are_equal():
    assert make_distortion("affine", 64) == Warp((8, 8), affine=True, elastic=False, group=16)
    assert make_distortion(random_shift, 64) == make_distortion(random_shift, 64)
    assert make_distortion(None, 63) is None


# Without it a fit of distorted images waited forever where TensorFlow has one thread for graphs:
# on a machine, or in a container, of one processor.
ON_ONE_THREAD = """
import numpy as np, keras
from mnist_estimator import KerasMLPClassifier
X, y = np.random.default_rng(0).random((40, 64)), np.arange(40) % 2
for kind in ("affine", ("affine", "elastic"), keras.layers.RandomRotation(0.1), lambda x: 1 - x):
    KerasMLPClassifier((4,), epochs=1, augmentation=kind).fit(X, y)
    print("fitted")
"""


def test_one_thread_for_graphs_is_enough(printed_on_one_thread):
    assert printed_on_one_thread(ON_ONE_THREAD).split() == ["fitted"] * 4
