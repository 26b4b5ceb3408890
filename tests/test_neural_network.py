"""KerasMLPClassifier: what it builds, how it trains, and that chance is in its hands."""

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from mnist_estimator import KerasMLPClassifier, _mlp, neural_network
from mnist_estimator._mlp import build_mlp


@pytest.fixture(scope="module")
def data(digits):
    """Rows in [0, 1] and their labels: 500 to train on and 300 to test on."""
    X, y = digits
    X = (X / 16).astype(np.float32)
    return train_test_split(X, y, train_size=500, test_size=300, stratify=y, random_state=0)


@pytest.fixture
def mlp():
    return KerasMLPClassifier((16,), epochs=2, random_state=0)


@pytest.fixture(scope="module")
def fitted(data):
    """Read-only: a classifier that has learnt the digits."""
    X, _, y, _ = data
    mlp = KerasMLPClassifier(
        (16,), epochs=15, learning_rate=0.01, validation_split=0.2, random_state=0
    )
    return mlp.fit(X, y)


def weights_of(mlp):
    return np.concatenate([weight.ravel() for weight in mlp.model_.get_weights()])


# What it builds.


def test_the_reference_network():
    model = build_mlp(784, 10)
    assert model.count_params() == 109_386
    kinds = [(type(layer).__name__, getattr(layer, "units", None)) for layer in model.layers]
    dense = [("Dense", 128), ("Dropout", None), ("Dense", 64), ("Dropout", None), ("Dense", 10)]
    assert kinds == [("InputLayer", None), *dense]
    activations = [layer.activation.__name__ for layer in model.layers[1::2]]
    assert activations == ["relu", "relu", "softmax"]
    assert [layer.rate for layer in model.layers[2::2]] == [0.2, 0.2]


def test_the_reference_training():
    mlp = KerasMLPClassifier()
    assert (mlp.optimizer, mlp.learning_rate, mlp.batch_size, mlp.epochs) == ("adam", 1e-3, 32, 10)


@pytest.mark.skipif(
    not keras.random.SeedGenerator(0, name="mine").state.path.startswith("mine"),
    reason="this Keras numbers the seeds whatever their names",
)
def test_variables_have_the_same_names_in_every_network():
    # TensorFlow keeps something for each name, forever.
    first, second = (build_mlp(8, 2, (4, 3), seed=0) for _ in range(2))
    assert [v.path for v in first.variables] == [v.path for v in second.variables]
    copied = keras.Model.from_config(first.get_config())
    copied.set_weights(first.get_weights())
    X = np.ones((5, 8), np.float32)
    dropped = [model(X, training=True).numpy() for model in (first, second, copied)]
    np.testing.assert_array_equal(dropped[1], dropped[0])
    np.testing.assert_array_equal(dropped[2], dropped[0])
    assert not np.array_equal(dropped[0], first(X).numpy())


def test_start_weights_are_drawn_as_glorot_and_bengio_do():
    model = build_mlp(300, 10, (200,), seed=0)
    kernel, bias, *_ = model.get_weights()
    limit = (6 / 500) ** 0.5
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / 3**0.5, rel=0.02)
    assert not bias.any()
    assert not np.array_equal(kernel, build_mlp(300, 10, (200,), seed=1).get_weights()[0])


def test_no_hidden_layer_is_a_linear_model(data, mlp):
    X, X_test, y, y_test = data
    linear = mlp.set_params(hidden_layer_sizes=(), epochs=10, learning_rate=0.01).fit(X, y)
    assert [weight.shape for weight in linear.model_.get_weights()] == [(64, 10), (10,)]
    assert linear.score(X_test, y_test) > 0.85
    kernel, bias = linear.model_.get_weights()
    logits = np.log(linear.predict_proba(X_test))
    expected = X_test @ kernel + bias
    np.testing.assert_allclose(
        logits - logits[:, :1], expected - expected[:, :1], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("sizes", [[16], np.array([16]), (np.int64(16),)])
def test_layer_sizes_of_any_sequence(data, mlp, sizes):
    X, _, y, _ = data
    assert mlp.set_params(hidden_layer_sizes=sizes).fit(X, y).model_.layers[1].units == 16


@pytest.mark.parametrize("activation", ["tanh", "silu", keras.activations.elu])
def test_activations(data, mlp, activation):
    X, X_test, y, _ = data
    mlp.set_params(activation=activation, epochs=1).fit(X, y)
    assert mlp.model_.layers[1].activation is keras.activations.get(activation)
    # Prediction, which calls the layers itself, uses it too.
    np.testing.assert_allclose(
        mlp.predict_proba(X_test), mlp.model_(X_test).numpy(), rtol=1e-5, atol=1e-6
    )


def test_the_step_size_of_an_optimizer_object_is_its_own(data, mlp):
    X, _, y, _ = data
    optimizer = keras.optimizers.SGD(0.25)
    mlp.set_params(optimizer=optimizer, learning_rate=0.1).fit(X, y)
    assert float(mlp.model_.optimizer.learning_rate.numpy()) == 0.25
    assert mlp.model_.optimizer is not optimizer
    mlp.set_params(optimizer="sgd").fit(X, y)
    assert isinstance(mlp.model_.optimizer, keras.optimizers.SGD)
    assert float(mlp.model_.optimizer.learning_rate.numpy()) == np.float32(0.1)


def test_momentum_is_nesterovs_and_of_sgd_alone(data, mlp):
    X, _, y, _ = data
    mlp.set_params(optimizer="sgd", learning_rate=0.1, momentum=0.5)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.5, nesterov=True)
    of_object = clone(mlp).set_params(optimizer=optimizer).fit(X, y)
    np.testing.assert_array_equal(weights_of(mlp.fit(X, y)), weights_of(of_object))
    mlp.set_params(warm_start=True, momentum=0.6)
    with pytest.raises(ValueError, match=r"momentum changed since: from \[0\.5\] to \[0\.6\]"):
        mlp.fit(X, y)
    mlp.set_params(optimizer="adam", warm_start=False).fit(X, y)
    assert isinstance(mlp.model_.optimizer, keras.optimizers.Adam)


# What it learns.


def test_it_learns_the_digits(fitted, data):
    _, X_test, _, y_test = data
    assert fitted.score(X_test, y_test) > 0.9
    assert fitted.score(X_test, y_test) == accuracy_score(y_test, fitted.predict(X_test))


def test_probabilities(fitted, data):
    _, X_test, _, _ = data
    probabilities = fitted.predict_proba(X_test)
    assert (probabilities.shape, probabilities.dtype) == ((300, 10), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(
        fitted.predict(X_test), fitted.classes_[probabilities.argmax(axis=1)]
    )
    np.testing.assert_allclose(
        probabilities, fitted.model_.predict(X_test, verbose=0), rtol=1e-4, atol=1e-6
    )


def test_predictions_do_not_go_through_keras_pipeline(fitted, data, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("Model.predict was called")

    for name in ("predict", "predict_on_batch", "__call__"):
        monkeypatch.setattr(keras.Model, name, fail)
    assert len(fitted.predict(data[1])) == 300


def test_many_rows_are_predicted_in_parts_that_agree(fitted, data, monkeypatch):
    _, X_test, _, _ = data
    whole = fitted.predict_proba(X_test)
    monkeypatch.setattr(_mlp, "_PREDICTION_ROWS", 64)
    np.testing.assert_allclose(fitted.predict_proba(X_test), whole, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(fitted.predict_proba(X_test[:1]), whole[:1], rtol=1e-4, atol=1e-7)


def test_history_holds_a_figure_an_epoch(fitted):
    assert list(fitted.history_) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert fitted.n_iter_ == 15
    for values in fitted.history_.values():
        assert len(values) == 15
        assert all(type(value) is float for value in values)
    assert fitted.history_["val_loss"][-1] < fitted.history_["val_loss"][0]


def test_the_last_validation_figures_are_those_of_the_model(fitted, data):
    X, _, y, _ = data
    rng = np.random.default_rng(fitted._split_seed)
    train, validation = neural_network.stratified_holdout(y, 0.2, rng)
    assert fitted.n_samples_fit_ == len(train)
    figures = [fitted.history_[name][-1] for name in ("val_loss", "val_accuracy")]
    evaluated = fitted.model_.evaluate(X[validation], y[validation], verbose=0)
    np.testing.assert_allclose(figures, evaluated, rtol=1e-4)


def test_validation_rows_are_stratified_on_sorted_data(data, mlp, monkeypatch):
    X, _, y, _ = data
    order = np.argsort(y)
    seen = {}

    def watch(codes, fraction, rng):
        train, validation = stratified_holdout(codes, fraction, rng)
        seen.update(train=codes[train], validation=codes[validation])
        return train, validation

    stratified_holdout = neural_network.stratified_holdout
    monkeypatch.setattr(neural_network, "stratified_holdout", watch)
    mlp.set_params(validation_split=0.2, epochs=1).fit(X[order], y[order])
    np.testing.assert_allclose(np.bincount(seen["validation"]), np.bincount(y) * 0.2, atol=1)
    assert len(seen["validation"]) == 100
    assert mlp.n_samples_fit_ == len(seen["train"]) == 400


def test_rows_held_out_are_never_trained_on(mlp):
    # Held-out rows that alone have the last feature leave its weights as they started.
    X, y = make_classification(60, random_state=0)
    split_seed = clone(mlp).fit(X, y)._split_seed
    _, validation = neural_network.stratified_holdout(y, 0.5, np.random.default_rng(split_seed))
    X = np.c_[X, np.zeros(60)]
    X[validation, -1] = 1
    mlp.set_params(validation_split=0.5, dropout=0).fit(X, y)
    start = clone(mlp).set_params(epochs=1, learning_rate=1e-30).fit(X, y)
    trained, started = (one.model_.get_weights()[0] for one in (mlp, start))
    np.testing.assert_array_equal(trained[-1], started[-1])
    assert not np.array_equal(trained[0], started[0])


# Early stopping.


def test_early_stopping_restores_the_best_weights(data):
    X, _, y, _ = data
    snapshots = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: snapshots.append(watch.model.get_weights())
    )
    noisy = np.random.default_rng(0).permutation(y)  # nothing to learn: it soon gets worse
    mlp = KerasMLPClassifier(
        (16,),
        epochs=60,
        learning_rate=0.03,
        validation_split=0.3,
        early_stopping=True,
        n_iter_no_change=3,
        callbacks=[watch],
        random_state=0,
    ).fit(X, noisy)
    best = int(np.argmin(mlp.history_["val_loss"]))
    assert mlp.n_iter_ == len(snapshots) == best + 1 + 3 < 60
    for restored, snapshot in zip(mlp.model_.get_weights(), snapshots[best], strict=True):
        np.testing.assert_array_equal(restored, snapshot)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_early_stopping_restores_the_best_weights_also_when_the_epochs_run_out(data):
    X, _, y, _ = data
    snapshots = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: snapshots.append(watch.model.get_weights())
    )
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 3 else 5.0)
    mlp = KerasMLPClassifier((16,), epochs=5, validation_split=0.3, random_state=0)
    mlp.set_params(early_stopping=True, n_iter_no_change=9, callbacks=[rates, watch]).fit(X, y)
    assert np.argmin(mlp.history_["val_loss"]) == 2
    np.testing.assert_array_equal(mlp.model_.get_weights()[0], snapshots[2][0])


# Chance.


def test_the_same_random_state_gives_the_same_weights_to_the_bit(data, mlp):
    X, _, y, _ = data
    mlp.set_params(validation_split=0.2)
    one, other = clone(mlp).fit(X, y), clone(mlp).fit(X, y)
    np.testing.assert_array_equal(weights_of(one), weights_of(other))
    assert one.history_ == other.history_
    again = one.fit(X, y)
    np.testing.assert_array_equal(weights_of(again), weights_of(other))


def test_other_random_states_give_other_weights(data, mlp):
    X, _, y, _ = data
    fits = [clone(mlp).set_params(random_state=seed).fit(X, y) for seed in (0, 1, None, None)]
    assert len({weights_of(one).tobytes() for one in fits}) == 4


def test_a_generator_as_random_state_goes_on(data, mlp):
    X, _, y, _ = data
    mlp.set_params(random_state=np.random.RandomState(0))
    first, second = weights_of(mlp.fit(X, y)), weights_of(mlp.fit(X, y))
    assert not np.array_equal(first, second)
    mlp.set_params(random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(weights_of(mlp.fit(X, y)), first)


def test_fitting_leaves_the_random_numbers_of_the_process_alone(data, mlp):
    X, _, y, _ = data
    np.random.seed(3)  # noqa: NPY002  (what a user's own program may rely on)
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    mlp.fit(X, y)
    assert np.random.random() == expected  # noqa: NPY002


# Going on.


def test_warm_start_goes_on_where_the_last_fit_ended(data, mlp):
    X, _, y, _ = data
    mlp.set_params(validation_split=0.2)
    once = clone(mlp).set_params(epochs=4).fit(X, y)
    twice = mlp.set_params(warm_start=True).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(weights_of(once), weights_of(twice))
    assert twice.history_ == once.history_
    assert (twice.n_iter_, len(twice.history_["loss"])) == (2, 4)
    cold = mlp.set_params(warm_start=False).fit(X, y)
    assert len(cold.history_["loss"]) == 2


def test_warm_start_takes_a_new_step_size(data, mlp):
    X, _, y, _ = data
    mlp.set_params(warm_start=True).fit(X, y)
    before = weights_of(mlp)
    mlp.set_params(learning_rate=1e-30).fit(X, y)
    np.testing.assert_array_equal(weights_of(mlp), before)
    mlp.set_params(learning_rate=0.01).fit(X, y)
    assert float(mlp.model_.optimizer.learning_rate.numpy()) == np.float32(0.01)
    assert not np.array_equal(weights_of(mlp), before)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (17,)},
        {"hidden_layer_sizes": (16, 16)},
        {"activation": "tanh"},
        {"optimizer": "sgd"},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10)},
    ],
)
def test_warm_start_refuses_another_network(data, mlp, params):
    X, X_test, y, _ = data
    mlp.set_params(warm_start=True).fit(X, y)
    before = mlp.predict_proba(X_test)
    mlp.set_params(**params)
    (name,) = params
    with pytest.raises(ValueError, match=f"but {name} changed since.*warm_start=False"):
        mlp.fit(X, y)
    np.testing.assert_array_equal(mlp.predict_proba(X_test), before)
    assert mlp.set_params(warm_start=False).fit(X, y).n_iter_ == 2


def test_warm_start_refuses_other_classes_and_features(data, mlp):
    X, _, y, _ = data
    mlp.set_params(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[11\], which are not among the classes"):
        mlp.fit(X, np.where(y == 3, 11, y))
    with pytest.raises(ValueError, match="X has 63 features, but KerasMLPClassifier is expecting"):
        mlp.fit(X[:, 1:], y)
    mlp.fit(X[y > 4], y[y > 4])  # fewer of them are fine
    assert len(mlp.classes_) == 10


def test_partial_fit_trains_an_epoch_on_each_part(data, mlp):
    X, X_test, y, y_test = data
    mlp.set_params(learning_rate=0.01, validation_split=0.2)
    for epoch in range(6):
        for part in np.array_split(np.arange(500), 2):
            mlp.partial_fit(X[part], y[part], classes=np.arange(10) if epoch == 0 else None)
    assert mlp.score(X_test, y_test) > 0.8
    assert len(mlp.history_["loss"]) == 12
    assert list(mlp.history_) == ["loss", "accuracy"]
    assert (mlp.n_iter_, mlp.n_samples_fit_) == (1, 250)


@pytest.mark.parametrize("augmentation", [None, "affine"])
def test_partial_fit_over_a_file_trains_as_over_the_whole(data, tmp_path, augmentation):
    X, _, y, _ = data
    rows = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(480, 64))
    rows[:] = X[:480]
    params = {"batch_size": 16, "dropout": 0.3, "augmentation": augmentation, "random_state": 0}
    parts, whole = (KerasMLPClassifier((24,), **params) for _ in range(2))
    for _ in range(2):
        whole.partial_fit(X[:480], y[:480], classes=range(10))
        for first in range(0, 480, 48):
            part = slice(first, first + 48)
            parts.partial_fit(rows[part], y[part], classes=range(10))
    np.testing.assert_array_equal(weights_of(parts), weights_of(whole))
    other = clone(whole).partial_fit(X[:480][::-1], y[:480][::-1], classes=range(10))
    other.partial_fit(X[:480], y[:480])
    assert not np.array_equal(weights_of(other), weights_of(whole))


def test_partial_fit_knows_classes_that_come_later(data, mlp):
    X, X_test, y, _ = data
    mlp.partial_fit(X[y < 5], y[y < 5], classes=range(10))
    assert mlp.predict_proba(X_test).shape == (300, 10)
    mlp.partial_fit(X[y >= 5], y[y >= 5], classes=range(10))
    np.testing.assert_array_equal(mlp.classes_, np.arange(10))


def test_partial_fit_goes_on_after_fit_and_keeps_its_figures(data, mlp):
    X, _, y, _ = data
    mlp.set_params(validation_split=0.2).fit(X, y)
    steps = int(mlp.model_.optimizer.iterations.numpy())
    mlp.partial_fit(X, y)
    assert int(mlp.model_.optimizer.iterations.numpy()) == steps + 16
    assert len(mlp.history_["loss"]) == 3
    np.testing.assert_array_equal(np.isnan(mlp.history_["val_loss"]), [False, False, True])


def test_partial_fit_needs_the_classes_once(data, mlp):
    X, _, y, _ = data
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        mlp.partial_fit(X, y)
    assert not hasattr(mlp, "classes_")
    mlp.partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match="is not the same as on the last call"):
        mlp.partial_fit(X, y, classes=range(11))
    with pytest.raises(ValueError, match=r"labels \[12\], which are not among the classes"):
        mlp.partial_fit(X, y + 3 * (y == 9))
