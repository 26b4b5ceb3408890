"""The compiled epoch against `Model.fit`: every optimizer and option, step by step."""

import numpy as np
import pytest

from mnist_estimator import KerasMLPClassifier
from mnist_estimator._fused_optimizers import _FUSED_KERNELS, apply_gradients
from mnist_estimator._mlp import build_mlp
from mnist_estimator._rows import resident_rows
from mnist_estimator._tensorflow import keras, tf
from mnist_estimator.training import EpochGraph

N_ROWS, BATCH_SIZE, SIZES = 75, 16, (8, 6)
optimizers = keras.optimizers
DECAY = optimizers.schedules.ExponentialDecay(0.01, decay_steps=2, decay_rate=0.5)
FUSED = {
    "Adam": optimizers.Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    "Adam, schedule": optimizers.Adam(DECAY),
    "Adam, weight decay": optimizers.Adam(0.01, weight_decay=0.1),
    "AdamW": optimizers.AdamW(0.01, weight_decay=0.1),
    "SGD": optimizers.SGD(0.1),
    "SGD, momentum": optimizers.SGD(0.1, momentum=0.9),
    "SGD, Nesterov": optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "RMSprop, momentum": optimizers.RMSprop(0.01, momentum=0.5),
}
UNFUSED = {
    "RMSprop": optimizers.RMSprop(0.01),
    "RMSprop, centered": optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adam, clipnorm": optimizers.Adam(0.01, clipnorm=0.1),
    "Adam, AMSGrad": optimizers.Adam(0.01, amsgrad=True),
    "SGD, clipvalue": optimizers.SGD(0.1, clipvalue=0.01),
    "SGD, accumulation": optimizers.SGD(0.1, gradient_accumulation_steps=3),
    "SGD, loss scale": optimizers.SGD(0.1, loss_scale_factor=8.0),
    "SGD, growing loss scale": optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1), dynamic_growth_steps=2
    ),
    "Nadam": optimizers.Nadam(0.01),
}
CASES = FUSED | UNFUSED


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.random((N_ROWS, 20), np.float32)
    y = rng.integers(3, size=N_ROWS, dtype=np.int32)
    return X, y, rng.random(N_ROWS, np.float32) + 0.5


def compiled(optimizer, **options):
    model = build_mlp(20, 3, SIZES, dropout=0, seed=1)
    optimizer = type(optimizer).from_config(optimizer.get_config())
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


@pytest.mark.parametrize("name", CASES)
def test_an_epoch_graph_gives_what_model_fit_gives(name, data):
    # Four full batches; for one optimizer of either kind also a short one of 11 rows.
    n_rows = N_ROWS if name in ("Adam", "Nadam") else 64
    check_against_keras(CASES[name], *(array[:n_rows] for array in data))


def test_steps_whose_gradients_overflow_are_left_out_as_in_keras(data):
    X, y, weight = data
    # The scale is halved until the gradients of such rows are finite.
    scaled = optimizers.LossScaleOptimizer(optimizers.SGD(1e-4), initial_scale=2.0**127)
    trained = check_against_keras(scaled, 100 * X, y, weight)
    assert 0 < trained.inner_optimizer.iterations.numpy() < 10


def check_against_keras(optimizer, X, y, weight):
    """Compare two epochs with Keras'; return the optimizer that trained."""
    ours = compiled(optimizer)
    theirs = compiled(optimizer, run_eagerly=True)  # what is compiled once is not worth it
    graph = EpochGraph(compiled(optimizer), BATCH_SIZE, dropout=False)
    rows, order = resident_rows(X, y, weight), np.arange(len(X), dtype=np.int32)
    figures = [graph.train(ours, rows, order, seed=0, dropout_rate=0.0) for _ in range(2)]
    history = theirs.fit(
        X, y, sample_weight=weight, batch_size=BATCH_SIZE, epochs=2, shuffle=False, verbose=0
    ).history
    expected = list(zip(history["loss"], history["accuracy"], strict=True))
    np.testing.assert_allclose(figures, expected, rtol=1e-5)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)
    # The optimizer's moments and counters too, so that `Model.fit` may go on from there.
    for one, other in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)
    return ours.optimizer


@pytest.mark.parametrize("name", CASES)
def test_the_fused_kernels_serve_what_they_can(name, monkeypatch):
    model = compiled(CASES[name])
    asked_keras = []
    monkeypatch.setattr(model.optimizer, "apply", lambda *_: asked_keras.append(True))
    gradients = [tf.ones_like(variable.value) for variable in model.trainable_variables]
    apply_gradients(model.optimizer, gradients, model.trainable_variables)
    assert bool(asked_keras) == (name in UNFUSED)


def test_a_subclass_of_an_optimizer_takes_its_own_update(monkeypatch):
    class Halting(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            """Change nothing."""

    model = compiled(Halting(0.1))
    before = model.get_weights()
    gradients = [tf.ones_like(variable.value) for variable in model.trainable_variables]
    apply_gradients(model.optimizer, gradients, model.trainable_variables)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Halting not in _FUSED_KERNELS


@pytest.mark.parametrize(
    "optimizer", [optimizers.Nadam(0.01), CASES["SGD, growing loss scale"], "sgd"]
)
def test_nothing_is_left_over_from_the_fit_before(optimizer, data):
    X, y, weight = data
    mlp = KerasMLPClassifier((8,), epochs=2, optimizer=optimizer, random_state=0)
    first, second = (mlp.fit(X, y, weight).model_.get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_averaged_weights_are_the_result_as_in_keras(data):
    X, y, weight = data
    averaging = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    plain = optimizers.SGD(0.1)
    params = {"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0}
    averaged, last = (
        KerasMLPClassifier(**params, optimizer=optimizer).fit(X, y, weight).model_
        for optimizer in (averaging, plain)
    )
    for variable, average, final in zip(
        averaged.trainable_variables,
        averaged.optimizer._model_variables_moving_average,
        last.trainable_variables,
        strict=True,
    ):
        np.testing.assert_array_equal(variable.numpy(), average.numpy())
        assert np.abs(variable.numpy() - final.numpy()).max() > 1e-4
