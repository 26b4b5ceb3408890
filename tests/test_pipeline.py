"""The reference pipeline: its configuration, its input, and what it reaches on real MNIST."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline, preprocessing
from mnist_estimator._tensorflow import keras


@pytest.fixture
def pipe():
    return make_mnist_pipeline(hidden_layer_sizes=(16,), epochs=2, random_state=0)


@pytest.fixture(scope="module")
def data(digits):
    return digits[0][:200], digits[1][:200]


def test_the_reference_configuration():
    pipe = make_mnist_pipeline()
    assert isinstance(pipe, Pipeline)
    assert [name for name, _ in pipe.steps] == ["scale", "mlp"]
    assert pipe["scale"].get_params() == PixelScaler().get_params()
    reference = KerasMLPClassifier(validation_split=0.2).get_params()
    assert pipe["mlp"].get_params() == reference


@pytest.mark.parametrize("recipe", ["accurate", "fast"])
def test_recipes(recipe):
    mlp = make_mnist_pipeline(recipe=recipe, epochs=1, random_state=3)["mlp"]
    assert mlp.schedule == "cosine"
    assert mlp.hidden_layer_sizes == (128, 64)
    assert (mlp.epochs, mlp.random_state) == (1, 3)
    assert (mlp.augmentation is None) == (recipe == "fast")


def test_there_are_three_recipes():
    with pytest.raises(ValueError, match=r"'reference', 'accurate', 'fast'\. Got recipe='slow'"):
        make_mnist_pipeline(recipe="slow")


def test_the_recipe_fast_reaches_the_reference(mnist):
    X, y, X_test, y_test = mnist
    pipe = make_mnist_pipeline(recipe="fast", random_state=0).fit(X, y)
    assert pipe.score(X_test, y_test) > 0.97


def test_parameters_go_to_the_classifier():
    pipe = make_mnist_pipeline(epochs=3, validation_split=0.0)
    assert (pipe["mlp"].epochs, pipe["mlp"].validation_split) == (3, 0.0)
    with pytest.raises(TypeError, match="epoch"):
        make_mnist_pipeline(epoch=3)


def test_the_network_for_mnist_has_109_386_parameters():
    X = np.random.default_rng(0).integers(256, size=(40, 28, 28), dtype=np.uint8)
    pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X, np.arange(40) % 10)
    assert pipe["mlp"].model_.count_params() == 109_386
    assert pipe["mlp"].n_features_in_ == 784
    with pytest.raises(ValueError, match="X has 783 features, but PixelScaler is expecting 784"):
        pipe.predict(X.reshape(40, 784)[:, 1:])


def test_images_and_rows_are_the_same_to_it(pipe, data):
    X, y = data
    by_rows = clone(pipe).fit(X, y)
    for shape in ((-1, 8, 8), (-1, 8, 8, 1)):
        by_images = clone(pipe).fit(X.reshape(shape), y)
        np.testing.assert_array_equal(
            by_images.predict_proba(X.reshape(shape)), by_rows.predict_proba(X)
        )


class WatchedBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        """Ask for Keras' own loop by being here."""


@pytest.mark.parametrize(
    "params",
    [
        {"validation_split": 0.2},
        {"validation_split": 0.2, "callbacks": WatchedBatches()},
        {"validation_split": 0.2, "early_stopping": True, "class_weight": "balanced"},
        {"augmentation": "affine", "batch_size": 64},
        {"augmentation": ("affine", "elastic"), "batch_size": 128},
        {"optimizer": "nadam", "batch_size": 1000},
    ],
)
def test_uint8_images_are_scaled_by_the_batch_to_the_same_numbers(pipe, data, monkeypatch, params):
    X, y = data[0] * np.uint8(15), data[1]
    pipe["mlp"].set_params(**params)
    expected = Pipeline(clone(pipe).steps).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(preprocessing, "aligned_empty", None)  # what all scaled images lie in
        pipe.fit(X, y)
    assert pipe["mlp"].history_ == expected["mlp"].history_
    np.testing.assert_array_equal(pipe.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(pipe["scale"].transform(X), X / np.float32(255))


@pytest.mark.parametrize(
    "change",
    {
        "other grey levels": lambda pipe: pipe.set_params(scale__pixel_max=16),
        "clipped": lambda pipe: pipe.set_params(scale__clip=True),
        "frames": lambda pipe: pipe.set_output(transform="pandas"),
        "no scaling": lambda pipe: pipe.set_params(scale="passthrough"),
        "another step": lambda pipe: pipe.steps.insert(1, ("again", PixelScaler(pixel_max=1))),
    }.items(),
    ids=lambda change: change[0],
)
def test_whatever_the_steps_the_numbers_are_those_of_a_usual_pipeline(pipe, data, change):
    X, y = data
    change[1](pipe)
    expected = Pipeline(clone(pipe).steps).fit(X, y)
    np.testing.assert_array_equal(pipe.fit(X, y).predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("kind", [np.asfortranarray, np.float32, pd.DataFrame, np.ndarray.tolist])
def test_whatever_holds_the_images_the_numbers_are_the_same(pipe, data, kind):
    X, y = data
    pipe.set_params(scale__pixel_max=255)
    expected = clone(pipe).fit(X, y).predict_proba(X)
    pipe.fit(kind(X), y)
    np.testing.assert_array_equal(pipe.predict_proba(kind(X)), expected)
    assert hasattr(pipe["mlp"], "feature_names_in_") is False


def test_scaled_images_in_frames_and_in_a_cache(pipe, data, tmp_path):
    X, y = data
    expected = clone(pipe).fit(X, y).predict_proba(X)
    cached = clone(pipe).set_params(memory=str(tmp_path))
    for _ in range(2):
        np.testing.assert_array_equal(clone(cached).fit(X, y).predict_proba(X), expected)
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(pipe.fit(X, y).predict_proba(X), expected)


def test_images_of_a_memory_map(pipe, data, tmp_path):
    np.save(tmp_path / "X.npy", data[0])
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = clone(pipe).fit(*data).predict_proba(data[0])
    np.testing.assert_array_equal(pipe.fit(mapped, data[1]).predict_proba(mapped), expected)


def test_a_search_and_a_checkpoint_take_images_of_uint8(pipe, data, tmp_path):
    X, y = data
    search = GridSearchCV(
        pipe.set_params(mlp__checkpoint=tmp_path), {"mlp__dropout": [0.0, 0.2]}, cv=2
    )
    scores = [clone(search).fit(X, y).cv_results_["mean_test_score"] for _ in range(2)]
    np.testing.assert_array_equal(*scores)
    assert len(list(tmp_path.glob("*.npz"))) == 5  # four fits and the last one


def test_what_it_says_of_itself(pipe):
    tags = get_tags(pipe)
    assert is_classifier(pipe)
    assert tags.input_tags.positive_only
    assert tags.classifier_tags.multi_class


def test_fitting_goes_on_the_users_images_and_leaves_them_alone(pipe, data):
    X, y = data[0].copy(), data[1].copy()
    for array in (X, y):
        array.setflags(write=False)
    pipe.fit(X, y).predict(X)
    np.testing.assert_array_equal(X, data[0])
    floats = X.astype(np.float32)
    KerasMLPClassifier((16,), epochs=1).fit(floats, y).predict(floats)
    np.testing.assert_array_equal(floats, X)


def bad_images():
    X = np.arange(320.0).reshape(5, 64)
    return {
        "negative": (-X, ValueError, "Negative values"),
        "missing": (np.where(X == 3, np.nan, X), ValueError, "KerasMLPClassifier does not accept"),
        "infinite": (np.where(X == 3, np.inf, X), ValueError, "infinity"),
        "empty": (X[:0], ValueError, "0 sample"),
        "one image": (X[0], ValueError, "Expected 2D array"),
        "sparse": (sparse.csr_matrix(X), TypeError, "[Ss]parse"),
        "objects": (np.full((5, 64), "a", object), ValueError, "could not convert"),
    }


@pytest.mark.parametrize("case", bad_images())
def test_bad_images(pipe, data, case):
    X, error, message = bad_images()[case]
    with pytest.raises(error, match=message):
        clone(pipe).fit(X, [0, 1, 0, 1, 0][: len(X)])
    fitted = pipe.fit(*data)
    before = fitted.predict_proba(data[0])
    with pytest.raises(error, match=message):
        fitted.predict(X)
    np.testing.assert_array_equal(fitted.predict_proba(data[0]), before)


def test_the_reference_on_real_mnist(mnist):
    X_train, y_train, X_test, y_test = mnist
    pipe = make_mnist_pipeline(random_state=0).fit(X_train, y_train)
    history = pipe["mlp"].history_
    assert pipe["mlp"].n_iter_ == 10
    assert pipe["mlp"].n_samples_fit_ == 48_000
    assert pipe.score(X_test, y_test) >= 0.970
    assert abs(history["accuracy"][-1] - history["val_accuracy"][-1]) < 0.02
