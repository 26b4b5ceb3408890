"""Train for some epochs, calling Keras callbacks: by the compiled graph or by `Model.fit`."""

import math

import numpy as np

from mnist_estimator._blocks import is_dask
from mnist_estimator._rows import as_tensor, take_rows
from mnist_estimator._tensorflow import keras, tensorflow_random_state, tf

# The share of the steps over which the schedule "cosine" rises.
_RISE = 0.05

_BATCH_HOOKS = [
    f"on_{phase}batch_{moment}"
    for phase in ("", "train_", "test_", "predict_")
    for moment in ("begin", "end")
]


def as_callbacks(callbacks):
    """Return the parameter `callbacks` as a list.

    Parameters
    ----------
    callbacks : keras.callbacks.Callback, list of them, or None
        What the user gave.

    Returns
    -------
    callbacks : list of keras.callbacks.Callback
        A new list.

    Raises
    ------
    TypeError
        If one of them is no callback.
    """
    if callbacks is None:
        return []
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                "The 'callbacks' parameter of KerasMLPClassifier must hold instances of "
                f"keras.callbacks.Callback. Got {callback!r} instead."
            )
    return callbacks


def extend_history(earlier, new):
    """Append the figures of further epochs.

    Parameters
    ----------
    earlier, new : dict of str to list of float
        One figure an epoch.

    Returns
    -------
    history : dict of str to list of float
        All lists as long as there are epochs: NaN where an epoch has no such figure, because no
        rows were held out.
    """
    lengths = [max(map(len, part.values())) for part in (earlier, new)]
    missing = [[math.nan] * length for length in lengths]
    return {
        name: earlier.get(name, missing[0]) + new.get(name, missing[1])
        for name in {**earlier, **new}
    }


def needs_keras(callbacks):
    """Tell whether training takes Keras' own loop.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
        The callbacks to call.

    Returns
    -------
    needed : bool
        Whether a callback wants to be called at batches.
    """
    return any(map(_has_batch_hooks, callbacks))


def _has_batch_hooks(callback):
    """Tell whether a callback overrides a batch method, in its class or on itself."""
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return callback.save_freq != "epoch"
    return any(
        name in vars(callback)
        or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
        for name in _BATCH_HOOKS
    )


def cosine_rates(rate, epochs, n_batches):
    """Return the learning rates of the schedule "cosine".

    Parameters
    ----------
    rate : float
        The highest learning rate.
    epochs : int
        Epochs of the fit.
    n_batches : int
        Batches of an epoch.

    Returns
    -------
    rates : ndarray of float32, shape (epochs, n_batches)
        They rise linearly over the first twentieth, and then fall to 0 along half a cosine.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    eq. 5, for the fall; P. Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2, for
    the rise.
    """
    progress = (np.arange(epochs * n_batches) + 0.5) / (epochs * n_batches)
    rise = progress / _RISE
    fall = (1 + np.cos(np.pi * (progress - _RISE) / (1 - _RISE))) / 2
    rates = rate * np.where(progress < _RISE, rise, fall)
    return rates.astype(np.float32).reshape(epochs, n_batches)


def train_by_graph(
    graph,
    model,
    rows,
    train,
    validation,
    *,
    epochs,
    dropout,
    peak_rate,
    rng,
    callbacks,
    history,
    in_order=None,
):
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
    peak_rate : float or None
        The highest learning rate of the schedule "cosine"; None for a constant rate.
    rng : numpy.random.Generator
        What shuffles the rows and seeds the dropout.
    callbacks : list of keras.callbacks.Callback
        Called at the beginning and end of training and of each epoch.
    history : dict of str to list of float
        One figure for each epoch that is done already; those of further epochs are appended.
    in_order : int or None, default=None
        A seed for a training that is one of many on consecutive rows: it takes them in their
        order, and draws at random what one training on all of them would. None shuffles.

    Returns
    -------
    history : dict of str to list of float
        The same.
    """
    model.stop_training = False
    done = len(history.get("loss", ()))
    hooks = keras.callbacks.CallbackList(
        callbacks, model=model, add_history=False, epochs=epochs, initial_epoch=done, verbose=0
    )
    logs = {name: values[-1] for name, values in history.items()}
    rates = [()] * epochs
    if peak_rate is not None:
        rates = cosine_rates(peak_rate, epochs, graph.count_batches(len(train)))
    hooks.on_train_begin()
    for epoch in range(done, epochs):
        hooks.on_epoch_begin(epoch)
        if in_order is None:
            order, seed, first_batch = rng.permutation(train), rng.integers(2**31), 0
        else:
            # An optimizer around another one counts no steps of its own in Keras 3.6.
            counts = getattr(model.optimizer, "inner_optimizer", model.optimizer)
            order, seed, first_batch = train, in_order, int(counts.iterations.numpy())
        loss, accuracy = graph.train(model, rows, order, seed, dropout, rates[epoch], first_batch)
        logs = {"loss": loss, "accuracy": accuracy}
        if len(validation):
            hooks.on_test_begin()
            loss, accuracy = graph.evaluate(model, rows, validation)
            hooks.on_test_end({"loss": loss, "accuracy": accuracy})
            logs |= {"val_loss": loss, "val_accuracy": accuracy}
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    if peak_rate is not None:
        model.optimizer.learning_rate = peak_rate  # for whoever goes on
    # Where the optimizer keeps averages of the weights (`use_ema`), these are the result.
    model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(logs)
    return history


class CosineSchedule(keras.callbacks.Callback):
    """Give every batch of `Model.fit` its learning rate."""

    def __init__(self, peak_rate):
        super().__init__()
        self._peak_rate = peak_rate

    def on_train_begin(self, logs=None):
        """Work out the rates."""
        rates = cosine_rates(self._peak_rate, self.params["epochs"], self.params["steps"])
        self._rates = iter(rates.ravel())

    def on_train_batch_begin(self, batch, logs=None):
        """Set the rate of this batch."""
        self.model.optimizer.learning_rate = next(self._rates)

    def on_train_end(self, logs=None):
        """Leave a rate for whoever goes on."""
        self.model.optimizer.learning_rate = self._peak_rate


def train_by_keras(
    model, X, y, weight, train, validation, *, epochs, batch_size, distort, rng, callbacks
):
    """Train by `Model.fit`, which calls callbacks at batches too.

    Parameters
    ----------
    model : keras.Model
        Trained in place.
    X : ndarray of float32 or uint8, shape (n_rows, n_features)
        All rows; those of uint8 are grey levels, still to be scaled.
    y : ndarray of int32, shape (n_rows,)
        The index of each row's class.
    weight : ndarray of float32, shape (n_rows,)
        What each row's loss counts.
    train, validation : ndarray of int32
        Which rows to train on, and to evaluate on after each epoch (possibly none).
    epochs, batch_size : int
        As in Keras.
    distort : Warp, CustomDistortion or None
        What distorts the rows of each batch.
    rng : numpy.random.Generator
        What seeds the order of the rows.
    callbacks : list of keras.callbacks.Callback
        Called as Keras calls them.

    Returns
    -------
    history : dict of str to list of float
        One figure an epoch.
    """
    if is_dask(X):
        raise ValueError(
            "A dask array is streamed by the compiled epoch only: callbacks that are called at "
            "batches need rows in memory. Leave them out, or pass X.compute()."
        )
    X = as_tensor(X)  # as an array it would be copied into the graph of `batch`
    held_out = None
    if len(validation):
        held_out = (take_rows(X, validation), y[validation], weight[validation])
    seed = int(rng.integers(2**31))

    def batch(rows, seed):
        x = take_rows(X, rows)
        x = x if distort is None else distort(x, tf.cast(seed % 2**31, tf.int32))
        return x, tf.gather(y, rows), tf.gather(weight, rows)

    order = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train), seed)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    batches = tf.data.Dataset.zip(order.batch(min(batch_size, len(train))), seeds).map(batch)
    with tensorflow_random_state(seed):
        fitted = model.fit(
            batches,
            validation_data=held_out,
            epochs=epochs,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )
    return {name: [float(np.asarray(v)) for v in values] for name, values in fitted.history.items()}
