"""Copies and files: pickle, joblib, deepcopy, clone, and Keras' own format."""

import copy
import io
import pickle

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import KerasMLPClassifier, make_mnist_pipeline

# Keras' own arrays do not know NumPy 2's `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def by_joblib(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = [by_pickle, by_joblib, copy.deepcopy]


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits
    return X[:200], np.array([f"digit {label}" for label in y[:200]])


@pytest.fixture
def pipe():
    params = {"hidden_layer_sizes": (8,), "epochs": 2, "random_state": 0}
    return make_mnist_pipeline(**params, class_weight="balanced", warm_start=True)


def variables_of(mlp):
    model = mlp.model_
    return [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]


@pytest.mark.parametrize("duplicate", COPIES)
def test_before_fit(duplicate, pipe, data):
    other = duplicate(pipe)
    assert other["mlp"].get_params() == pipe["mlp"].get_params()
    np.testing.assert_array_equal(
        other.fit(*data).predict_proba(data[0]), pipe.fit(*data).predict_proba(data[0])
    )


@pytest.mark.parametrize("duplicate", COPIES)
def test_after_fit(duplicate, pipe, data):
    X, y = data
    other = duplicate(pipe.fit(X, y))
    np.testing.assert_array_equal(other.predict_proba(X), pipe.predict_proba(X))
    np.testing.assert_array_equal(other.predict(X), pipe.predict(X))
    assert other["mlp"].history_ == pipe["mlp"].history_
    for one, two in zip(variables_of(other["mlp"]), variables_of(pipe["mlp"]), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("duplicate", COPIES)
def test_training_goes_on_in_a_copy_as_in_the_original(duplicate, pipe, data):
    X, y = data
    other = duplicate(pipe.fit(X, y))
    before = other.predict_proba(X)
    np.testing.assert_array_equal(pipe.fit(X, y).predict_proba(X), other.fit(X, y).predict_proba(X))
    assert not np.array_equal(other.predict_proba(X), before)


def test_a_copy_is_independent(pipe, data):
    X, y = data
    other = copy.deepcopy(pipe.fit(X, y))
    before = other.predict_proba(X)
    pipe.fit(X, y)
    np.testing.assert_array_equal(other.predict_proba(X), before)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9)},
        {"optimizer": "sgd"},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.01, 100)},
        {"activation": keras.activations.gelu},
        {"callbacks": [keras.callbacks.EarlyStopping("loss")]},
        {"random_state": np.random.RandomState(0)},
    ],
)
def test_parameters_that_are_objects_are_copied_too(params, data):
    X, y = data
    mlp = KerasMLPClassifier((8,), epochs=1, warm_start=True, **params)
    for estimator in (mlp, clone(mlp), mlp.fit(X / 16, y)):
        other = by_pickle(estimator)
        assert other.fit(X / 16, y).n_iter_ == 1
    clone(mlp).fit(X / 16, y)


@keras.saving.register_keras_serializable("mnist_estimator_tests")
def squared(x):
    return x * x


def test_functions_as_activations_pickle_once_they_are_registered(data):
    X, y = data
    mlp = KerasMLPClassifier((8,), epochs=1, activation=squared).fit(X / 16, y)
    np.testing.assert_array_equal(
        copy.deepcopy(mlp).predict_proba(X / 16), mlp.predict_proba(X / 16)
    )


def test_clone_forgets_the_fit(pipe, data):
    fitted = pipe.fit(*data)
    other = clone(fitted)
    assert not [name for name in vars(other["mlp"]) if name.endswith("_")]
    assert other["mlp"].get_params() == fitted["mlp"].get_params()


# The Keras model.


def test_the_model_saves_loads_and_goes_on_under_keras(pipe, data, tmp_path):
    X, y = data
    pipe.fit(X, y)
    mlp, rows = pipe["mlp"], pipe["scale"].transform(X)
    mlp.model_.save(tmp_path / "network.keras")
    model = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(
        model.predict(rows, verbose=0), pipe.predict_proba(X), rtol=1e-4, atol=1e-6
    )
    for one, two in zip(model.optimizer.variables, mlp.model_.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    steps = model.optimizer.iterations.numpy()
    assert steps == 2 * 5  # 160 rows, 2 epochs
    codes = np.searchsorted(mlp.classes_, y)
    np.testing.assert_allclose(
        model.evaluate(rows, codes, verbose=0)[1], pipe.score(X, y), atol=1e-6
    )
    history = model.fit(rows, codes, epochs=5, verbose=0).history
    assert model.optimizer.iterations.numpy() == steps + 5 * 7
    assert history["loss"][-1] < mlp.history_["loss"][-1]


def test_the_fitted_model_itself_goes_on_under_keras(pipe, data):
    X, y = data
    mlp, rows = pipe.fit(X, y)["mlp"], pipe["scale"].transform(X)
    before = pipe.predict_proba(X)
    mlp.model_.fit(rows, np.searchsorted(mlp.classes_, y), epochs=1, verbose=0)
    assert not np.array_equal(pipe.predict_proba(X), before)
    # And our own loop goes on from there.
    assert len(pipe.fit(X, y)["mlp"].history_["loss"]) == 4
