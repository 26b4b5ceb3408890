"""Train for some epochs, calling Keras callbacks: by the compiled graph or by `Model.fit`."""

import time

import numpy as np

from mnist_estimator._tensorflow import keras, tensorflow_random_state

_BATCH_HOOKS = [
    f"on_{phase}batch_{moment}"
    for phase in ("", "train_", "test_", "predict_")
    for moment in ("begin", "end")
]


class EpochPrinter(keras.callbacks.Callback):
    """Print a plain line an epoch: its figures, its rate and the time left."""

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        epochs, done = self.params["epochs"], epoch + 1
        seconds = time.perf_counter() - self._start
        figures = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        left = seconds / done * (epochs - done)
        print(f"epoch {done}/{epochs}: {figures} ({seconds / done:.2f} s/epoch, {left:.0f} s left)")


def has_batch_hooks(callback):
    """Tell whether a callback wants to be called at batches, which only Keras' own loop does.

    Parameters
    ----------
    callback : keras.callbacks.Callback
        Any callback.

    Returns
    -------
    wanted : bool
        Whether it overrides a batch method, in its class or on itself (`LambdaCallback`).
    """
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return callback.save_freq != "epoch"
    return any(
        name in vars(callback)
        or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
        for name in _BATCH_HOOKS
    )


def train_by_graph(graph, model, rows, train, validation, *, epochs, dropout, rng, callbacks):
    """Train by the compiled graph.

    Parameters
    ----------
    graph : EpochGraph
        The graph of `model`'s architecture.
    model : keras.Model
        Trained in place.
    rows : Rows
        All rows.
    train, validation : ndarray of int32
        Which of them to train on, and to evaluate on after each epoch (possibly none).
    epochs : int
        How often to go through the rows.
    dropout : float
        The probability that a hidden unit is dropped.
    rng : numpy.random.Generator
        What shuffles the rows and seeds the dropout.
    callbacks : list of keras.callbacks.Callback
        Called at the beginning and end of training and of each epoch.

    Returns
    -------
    history : dict of str to list of float
        One figure an epoch.
    """
    model.stop_training = False
    hooks = keras.callbacks.CallbackList(
        callbacks, model=model, add_history=False, epochs=epochs, verbose=0
    )
    history = {}
    hooks.on_train_begin()
    for epoch in range(epochs):
        hooks.on_epoch_begin(epoch)
        order, seed = rng.permutation(train), rng.integers(2**31)
        loss, accuracy = graph.train(model, rows, order, seed, dropout)
        logs = {"loss": loss, "accuracy": accuracy}
        if len(validation):
            logs["val_loss"], logs["val_accuracy"] = graph.evaluate(model, rows, validation)
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    hooks.on_train_end(logs)
    return history


def train_by_keras(model, X, y, weight, train, validation, *, epochs, batch_size, rng, callbacks):
    """Train by `Model.fit`, which calls callbacks at batches too.

    Parameters
    ----------
    model : keras.Model
        Trained in place.
    X : ndarray of float32, shape (n_rows, n_features)
        All rows.
    y : ndarray of int32, shape (n_rows,)
        The index of each row's class.
    weight : ndarray of float32, shape (n_rows,)
        What each row's loss counts.
    train, validation : ndarray of int32
        Which rows to train on, and to evaluate on after each epoch (possibly none).
    epochs, batch_size : int
        As in Keras.
    rng : numpy.random.Generator
        What seeds the order of the rows.
    callbacks : list of keras.callbacks.Callback
        Called as Keras calls them.

    Returns
    -------
    history : dict of str to list of float
        One figure an epoch.
    """
    held_out = (X[validation], y[validation], weight[validation]) if len(validation) else None
    with tensorflow_random_state(int(rng.integers(2**31))):
        fitted = model.fit(
            X[train],
            y[train],
            sample_weight=weight[train],
            validation_data=held_out,
            epochs=epochs,
            batch_size=min(batch_size, len(train)),
            callbacks=callbacks,
            verbose=0,
        )
    return {name: [float(np.asarray(v)) for v in values] for name, values in fitted.history.items()}
