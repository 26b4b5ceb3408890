"""Bad input: one clear error, and the classifier as it was before, never half fitted."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from mnist_estimator import KerasMLPClassifier, _mlp

rng = np.random.default_rng(0)
X = rng.random((40, 5), np.float32)
y = np.arange(40) % 3


@pytest.fixture
def mlp():
    return KerasMLPClassifier((4,), epochs=2, random_state=0)


@pytest.fixture(params=["unfitted", "fitted", "warm start", "partial_fit"])
def before(request, mlp):
    """A classifier and its method that is about to fail."""
    if request.param == "unfitted":
        return mlp, mlp.fit
    mlp.set_params(warm_start=request.param == "warm start").fit(X, y)
    return mlp, mlp.partial_fit if request.param == "partial_fit" else mlp.fit


def state_of(mlp):
    """Return all that a failure could have changed, comparably."""
    attributes = {name: value for name, value in vars(mlp).items() if name.endswith("_")}
    model, drawn = attributes.get("model_"), None
    variables = [] if model is None else [*model.weights, *model.optimizer.variables]
    if model is not None:
        drawn = mlp._rng.bit_generator.state
        assert attributes.pop("classes_") is mlp.classes_
    return attributes, [variable.numpy().tobytes() for variable in variables], drawn


def changed(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


BAD_DATA = {
    "no rows": (X[:0], y[:0], ValueError, "0 sample"),
    "no features": (X[:, :0], y, ValueError, "0 feature"),
    "NaN": (changed(X, np.nan), y, ValueError, "X contains NaN"),
    "infinity": (changed(X, np.inf), y, ValueError, "X contains infinity"),
    "y of another length": (X, y[:39], ValueError, r"inconsistent numbers of samples: \[40, 39\]"),
    "1-D X": (X[0], y[:5], ValueError, "Expected 2D array, got 1D"),
    "images": (X.reshape(40, 5, 1), y, ValueError, "dim 3"),
    "text": (np.full((40, 5), "a"), y, ValueError, "could not convert string to float"),
    "objects": (np.full((40, 5), "a", object), y, ValueError, "could not convert"),
    "dicts": (np.full((40, 5), {}, object), y, TypeError, "float"),
    "complex": (X * 1j, y, ValueError, "Complex data not supported"),
    "sparse X": (sparse.csr_matrix(X), y, TypeError, "Sparse data was passed"),
    "labels of two kinds": (X, ["a", None] * 20, TypeError, r"one kind.*\['NoneType', 'str'\]"),
    "no y": (X, None, ValueError, "y"),
    "NaN in y": (X, np.where(y == 1, np.nan, y), ValueError, "y contains NaN"),
    "continuous y": (X, y + 0.5, ValueError, "Unknown label type: continuous"),
    "one-hot y": (X, np.eye(3)[y], ValueError, "1d array"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(before, case):
    mlp, method = before
    bad_X, bad_y, error, message = BAD_DATA[case]
    state = state_of(mlp)
    with pytest.raises(error, match=message):
        method(bad_X, bad_y)
    assert state_of(mlp) == state


@pytest.mark.parametrize("n", [40, 1], ids="{} rows".format)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_single_class(mlp, fitted, n):
    if fitted:
        mlp.fit(X, y)
    state = state_of(mlp)
    with pytest.raises(ValueError, match=r"at least 2 classes in y. Got one class: \[7\]"):
        mlp.fit(X[:n], np.full(n, 7))
    assert state_of(mlp) == state


@pytest.mark.parametrize("n", [40, 1], ids="{} rows".format)
def test_a_single_class_is_fine_where_the_others_are_known(mlp, n):
    mlp.partial_fit(X[:n], np.full(n, 7), classes=[6, 7])
    mlp.set_params(warm_start=True).fit(X[:n], np.full(n, 7))
    np.testing.assert_array_equal(mlp.classes_, [6, 7])


BAD_PARAMETERS = {
    "dropout": [1, 1.0, -0.1, "a", None],
    "hidden_layer_sizes": [(0,), (8, -1), (8.0,), 8, "ab", None, ("8",), np.array(8), (2**31,)],
    "activation": ["rely", 3, len, np.tanh, lambda: None, lambda x: x[:, 0], lambda x: None],
    "optimizer": ["adamm", 3],
    "learning_rate": [0, -1, "a"],
    "batch_size": [0, 1.5],
    "epochs": [0, 2.5],
    "validation_split": [1, 1.0, -0.1],
    "early_stopping": ["yes"],
    "n_iter_no_change": [0],
    "class_weight": ["balance", 3, *({0: w} for w in (-1, np.nan, np.inf, 1e39, None, "a", [1]))],
    "warm_start": ["yes"],
    "callbacks": ["stop", 3, [3], [keras.callbacks.EarlyStopping]],
    "random_state": ["a", -1],
    "verbose": [-1],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_PARAMETERS.items() for value in values],
)
def test_bad_parameters_are_named(mlp, name, value):
    mlp.set_params(**{name: value})
    message = f"(?s)'{name}' parameter of KerasMLP.* must"
    with pytest.raises((ValueError, TypeError), match=message):
        mlp.fit(X, y)
    assert state_of(mlp) == ({}, [], None)
    with pytest.raises(NotFittedError):
        mlp.predict(X)


def test_training_that_diverges(before):
    mlp, method = before
    if method == mlp.fit:
        mlp.set_params(learning_rate=3e38)
    state = state_of(mlp)
    with pytest.raises(ValueError, match=r"training diverged.* smaller learning_rate, or scale X"):
        method(X if method == mlp.fit else X * 1e38, y)
    assert state_of(mlp) == state


def test_a_network_that_the_memory_does_not_hold(mlp, monkeypatch):
    def build(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(_mlp, "build_mlp", build)
    with pytest.raises(MemoryError, match="choose smaller hidden_layer_sizes or a smaller batch"):
        mlp.fit(X, y)
    assert state_of(mlp) == ({}, [], None)


@pytest.mark.parametrize(
    "classes", [[], [[0, 1, 2]], 3, "abc", [0, None], ["a", 1, ()], [0, [1]], {0, 1}, [b"a"]]
)
def test_classes_that_are_no_list_of_labels(mlp, classes):
    with pytest.raises(ValueError, match="classes must be a list of labels"):
        mlp.partial_fit(X, y, classes=classes)
    assert state_of(mlp) == ({}, [], None)


def test_classes_of_another_kind_than_the_labels(mlp):
    with pytest.raises(ValueError, match=r"labels \[0, 1, 2\], which are not among .*'a', 'b'"):
        mlp.partial_fit(X, y, classes=["a", "b"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"X": [[10**400, 0]] * 40},
        {"X": np.full((40, 2), 1e300)},
        {"sample_weight": [10**400] * 40},
        {"sample_weight": np.full(40, 1e300)},
    ],
)
def test_numbers_beyond_float32(mlp, arguments):
    with pytest.raises(ValueError, match=r"(X|sample_weight) .*(too large|infinity)"):
        mlp.fit(**{"X": X, "y": y, **arguments})


def test_early_stopping_needs_rows_to_watch(mlp):
    with pytest.raises(ValueError, match=r"held-out rows to watch.*set it to 0\.2"):
        mlp.set_params(early_stopping=True).fit(X, y)


def test_another_precision_of_keras_is_refused(mlp):
    keras.config.set_dtype_policy("float64")
    try:
        with pytest.raises(ValueError, match="global dtype policy is 'float64'"):
            mlp.fit(X, y)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_split_that_leaves_no_row_is_refused(mlp):
    mlp.set_params(validation_split=0.2)
    with pytest.raises(ValueError, match=r"leaves 0 rows for validation; give more rows"):
        mlp.fit(X[:2], y[:2])  # two classes with one row each
    assert state_of(mlp) == ({}, [], None)


@pytest.mark.parametrize("params", [{"batch_size": 10**9}, {"batch_size": 1}])
def test_batches_of_any_size(mlp, params):
    assert mlp.set_params(**params).fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("validation_split", [0, 0.5])
def test_few_rows_are_enough(mlp, validation_split):
    mlp.set_params(validation_split=validation_split).fit(X[:4], [0, 1, 0, 1])
    assert set(mlp.predict(X)) <= {0, 1}


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
def test_unfitted(mlp, method):
    arguments = (X, y) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match="This KerasMLPClassifier instance is not fitted yet"):
        getattr(mlp, method)(*arguments)


@pytest.mark.parametrize(
    ("bad_X", "error", "message"),
    [
        (X[:, :4], ValueError, "X has 4 features, but KerasMLPClassifier is expecting 5"),
        (X[:0], ValueError, "0 sample"),
        (X[0], ValueError, "Expected 2D array, got 1D"),
        (changed(X, np.nan), ValueError, "contains NaN"),
        (changed(X, -np.inf), ValueError, "contains infinity"),
        (sparse.csr_matrix(X), TypeError, "Sparse"),
    ],
)
def test_bad_rows_to_predict(mlp, bad_X, error, message):
    mlp.fit(X, y)
    with pytest.raises(error, match=message):
        mlp.predict_proba(bad_X)


# Interrupted in the middle.


class Failing(keras.callbacks.Callback):
    """Raise at the end of the second epoch, or of the first if there is one alone."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.params["epochs"] - 1:
            raise self.error


class FailingAtABatch(Failing):
    def on_train_batch_end(self, batch, logs=None):
        raise self.error


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        (Failing, RuntimeError("no")),
        (Failing, KeyboardInterrupt()),
        (FailingAtABatch, KeyboardInterrupt()),
    ],
    ids=["error", "^C", "^C at a batch"],
)
def test_a_fit_that_breaks_off_leaves_everything_as_it_was(before, callback, error):
    mlp, method = before
    state, expected = state_of(mlp), clone(mlp).fit(X, y)
    mlp.set_params(callbacks=[callback(error)])
    arguments = {} if hasattr(mlp, "model_") or method == mlp.fit else {"classes": range(3)}
    with pytest.raises(type(error)):
        method(X, y, **arguments)
    assert state_of(mlp) == state
    # As if nothing had happened, the next fit gives what it would have given.
    mlp.set_params(callbacks=None)
    if state[2] is None:
        np.testing.assert_array_equal(mlp.fit(X, y).predict_proba(X), expected.predict_proba(X))
    else:
        np.testing.assert_array_equal(mlp.predict_proba(X), expected.predict_proba(X))
        expected.set_params(callbacks=None)
        method(X, y)
        getattr(expected, method.__name__)(X, y)
        np.testing.assert_array_equal(mlp.predict_proba(X), expected.predict_proba(X))


def test_a_first_partial_fit_that_breaks_off_leaves_it_unfitted(mlp):
    mlp.set_params(callbacks=Failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        mlp.partial_fit(X, y, classes=range(3))
    assert state_of(mlp) == ({}, [], None)
    with pytest.raises(NotFittedError):
        mlp.predict(X)
