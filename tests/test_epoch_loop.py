"""Callbacks: epoch by epoch in the compiled loop, by `Model.fit` where they want each batch."""

import keras
import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import KerasMLPClassifier
from mnist_estimator._epoch_loop import cosine_rates, extend_history, needs_keras

# Keras' own arrays do not know NumPy 2's `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Recorder(keras.callbacks.Callback):
    """Note the calls of an epoch-level callback in their order."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append(("train begin", sorted(logs or {})))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append((f"epoch {epoch} begin", sorted(logs or {})))

    def on_test_begin(self, logs=None):
        self.calls.append(("test begin", sorted(logs or {})))

    def on_test_end(self, logs=None):
        self.calls.append(("test end", sorted(logs or {})))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((f"epoch {epoch} end", sorted(logs or {})))

    def on_train_end(self, logs=None):
        self.calls.append(("train end", sorted(logs or {})))


class BatchRecorder(Recorder):
    """Want each batch too, as progress bars do."""

    def on_train_batch_end(self, batch, logs=None):
        self.n_batches = batch + 1


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits
    return (X[:300] / 16).astype(np.float32), y[:300]


@pytest.fixture
def mlp():
    return KerasMLPClassifier((8,), epochs=2, validation_split=0.2, random_state=0)


def fit(mlp, data, *callbacks, **params):
    return clone(mlp).set_params(**params, callbacks=list(callbacks)).fit(*data)


@pytest.fixture
def fits_by_keras(monkeypatch):
    """The list of calls of `Model.fit`, which goes on to work."""
    calls, model_fit = [], keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda *args, **kw: calls.append(kw) or model_fit(*args, **kw)
    )
    return calls


def test_the_compiled_loop_calls_callbacks_as_keras_does(mlp, data, fits_by_keras):
    recorder, keras_recorder = Recorder(), BatchRecorder()
    mlp.set_params(callbacks=[recorder]).fit(*data)
    assert not fits_by_keras
    mlp.set_params(callbacks=keras_recorder).fit(*data)
    assert len(fits_by_keras) == 1
    assert keras_recorder.n_batches == 8  # 240 rows
    assert recorder.calls == keras_recorder.calls
    assert recorder.params["epochs"] == 2
    assert recorder.model is not keras_recorder.model is mlp.model_


def test_both_loops_learn_alike(mlp, data, fits_by_keras):
    mlp.set_params(epochs=6, dropout=0, learning_rate=0.01, batch_size=1000)
    ours, theirs = fit(mlp, data), fit(mlp, data, BatchRecorder())
    assert len(fits_by_keras) == 1
    # One batch an epoch, without dropout: nothing is left to chance.
    assert ours.history_.keys() == theirs.history_.keys()
    for name, values in ours.history_.items():
        np.testing.assert_allclose(values, theirs.history_[name], rtol=1e-4)
    np.testing.assert_allclose(
        ours.predict_proba(data[0]), theirs.predict_proba(data[0]), atol=1e-4
    )


def test_training_by_keras_is_repeatable_and_leaves_other_random_numbers_alone(mlp, data):
    np.random.seed(3)  # noqa: NPY002  (what a user's own program may rely on)
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    one, other = (fit(mlp, data, BatchRecorder()) for _ in range(2))
    assert np.random.random() == expected  # noqa: NPY002
    np.testing.assert_array_equal(one.predict_proba(data[0]), other.predict_proba(data[0]))


callbacks = keras.callbacks


@pytest.mark.parametrize(
    ("callback", "needed"),
    [
        (callbacks.EarlyStopping(), False),
        (callbacks.ReduceLROnPlateau(), False),
        (callbacks.LearningRateScheduler(lambda epoch, rate: rate), False),
        (callbacks.CSVLogger("log.csv"), False),
        (callbacks.ModelCheckpoint("m.keras"), False),
        (callbacks.ModelCheckpoint("m.keras", save_freq=3), True),
        (callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None), False),
        (callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None), True),
        (callbacks.TerminateOnNaN(), True),
        (callbacks.TensorBoard("logs"), True),
    ],
)
def test_which_callbacks_need_keras(callback, needed):
    assert needs_keras([Recorder(), callback]) is needed


def test_early_stopping_of_the_user_stops(mlp, data):
    stopper = callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=2)
    assert fit(mlp, data, stopper, epochs=20).n_iter_ == 3


def test_checkpoints_hold_the_model_of_each_epoch(mlp, data, tmp_path):
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fitted = fit(mlp, data, checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]
    saved = keras.models.load_model(tmp_path / "2.keras")
    for one, other in zip(saved.get_weights(), fitted.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_learning_rate_may_change_between_epochs(mlp, data):
    rates = []
    reduce = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1e9)
    record = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(logs["learning_rate"]))
    )
    fit(mlp, data, reduce, record, epochs=3)
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 5e-4], rtol=1e-6)
    still = callbacks.LearningRateScheduler(lambda epoch, rate: 0.0 if epoch else rate)
    weights = []
    watch = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(still.model.get_weights()[0])
    )
    fit(mlp, data, still, watch, epochs=3)
    np.testing.assert_array_equal(weights[0], weights[2])


def test_a_callback_may_stop_training_and_use_the_model(mlp, data):
    losses = []

    def stop(epoch, logs):
        losses.append(callback.model.evaluate(*data, verbose=0)[0])
        callback.model.stop_training = True

    callback = callbacks.LambdaCallback(on_epoch_end=stop)
    fitted = fit(mlp, data, callback, epochs=5)
    assert fitted.n_iter_ == len(losses) == 1
    assert losses[0] > 0


def test_histories_stay_aligned():
    earlier = {"loss": [3.0, 2.0], "val_loss": [4.0, 3.0]}
    history = extend_history(earlier, {"loss": [1.0]})
    assert history["loss"] == [3, 2, 1]
    np.testing.assert_array_equal(history["val_loss"], [4, 3, np.nan])
    history = extend_history({"loss": [3.0]}, earlier)
    np.testing.assert_array_equal(history["val_loss"], [np.nan, 4, 3])
    assert earlier == {"loss": [3, 2], "val_loss": [4, 3]}


# The schedule "cosine".


def test_cosine_rates():
    rates = cosine_rates(0.1, 4, 50)
    assert rates.shape == (4, 50)
    assert rates.dtype == np.float32
    rates = rates.ravel()
    assert rates.argmax() == 10  # a twentieth of 200
    assert rates.max() == pytest.approx(0.1, rel=1e-3)
    np.testing.assert_allclose(np.diff(rates[:10]), 0.01, rtol=1e-4)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[105] == pytest.approx(0.05, rel=0.01)
    assert 0 < rates[-1] < 1e-4


class RateNoter(keras.callbacks.Callback):
    """Note the learning rate at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


class BatchRateNoter(RateNoter):
    """The same, by Keras' own loop."""

    def on_train_batch_end(self, batch, logs=None):
        self.n_batches = batch + 1


@pytest.mark.parametrize("noter", [RateNoter, BatchRateNoter])
def test_each_batch_has_the_rate_of_the_schedule(noter, data):
    X, y = data
    mlp = KerasMLPClassifier((4,), learning_rate=0.01, schedule="cosine", random_state=0)
    mlp.set_params(epochs=3, batch_size=32, callbacks=noter()).fit(X, y)
    expected = cosine_rates(0.01, 3, -(-len(X) // 32))[:, -1]
    np.testing.assert_allclose(mlp.callbacks.rates, expected, rtol=1e-5)
    assert float(mlp.model_.optimizer.learning_rate) == pytest.approx(0.01)


def test_the_schedule_trains_as_keras_does(data):
    """The graph's updates are those of Keras' optimizer under the same rates."""
    X, y = data
    params = {"dropout": 0.0, "epochs": 3, "batch_size": len(X), "random_state": 0}
    mlp = KerasMLPClassifier((4,), learning_rate=0.01, schedule="cosine", **params).fit(X, y)
    model = keras.models.clone_model(mlp.model_)
    start = KerasMLPClassifier((4,), learning_rate=1e-30, **{**params, "epochs": 1}).fit(X, y)
    model.set_weights(start.model_.get_weights())
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    for rate in cosine_rates(0.01, 3, 1).ravel():
        model.optimizer.learning_rate = rate
        model.train_on_batch(X, np.searchsorted(mlp.classes_, y))
    for ours, theirs in zip(mlp.model_.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_going_on_after_a_schedule(data):
    X, y = data
    mlp = KerasMLPClassifier((4,), schedule="cosine", warm_start=True, epochs=2, random_state=0)
    mlp.fit(X, y)
    before = mlp.model_.get_weights()[0]
    mlp.partial_fit(X, y)  # at the constant rate, which is not 0
    assert np.abs(mlp.model_.get_weights()[0] - before).max() > 1e-4
    assert len(mlp.fit(X, y).history_["loss"]) == 5


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": keras.optimizers.SGD(0.1)},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10)},
    ],
    ids=["optimizer", "schedule"],
)
def test_a_schedule_needs_a_rate_to_change(params, data):
    mlp = KerasMLPClassifier((4,), schedule="cosine", **params)
    with pytest.raises(ValueError, match="schedule='cosine' changes the learning rate of an opt"):
        mlp.fit(*data)
