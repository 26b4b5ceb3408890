"""The network: Dense and Dropout layers of Keras."""

import gc

import numpy as np

from mnist_estimator._rows import as_tensor
from mnist_estimator._tensorflow import keras, known_type, start_devices, tf, turns

LARGEST_SEED = 2**31 - 1
# Rows that one prediction takes at once: the activations stay in the processor's cache.
_PREDICTION_ROWS = 4096
# Networks so large together may wait for Python's garbage collector, which takes 0.2 seconds.
_FORGOTTEN_BYTES = 64 * 2**20

_built_since_collection = {"bytes": 0, "collections": 0}


def build_mlp(
    n_features,
    n_classes,
    hidden_layer_sizes=(128, 64),
    *,
    activation="relu",
    dropout=0.2,
    seed=None,
):
    """Build the network: Dense and Dropout layers, then softmax.

    Parameters
    ----------
    n_features : int
        Inputs of the network.
    n_classes : int
        Outputs of the network.
    hidden_layer_sizes : tuple of int, default=(128, 64)
        Units of each hidden layer; empty for a linear model.
    activation : str or callable, default="relu"
        The hidden units' activation, as `keras.activations.get` takes it.
    dropout : float, default=0.2
        The probability that a hidden unit is dropped while training, in [0, 1).
    seed : int, default=None
        Seed of the start weights and of the Dropout layers; None draws one.

    Returns
    -------
    model : keras.Model
        The network, not compiled. Weights start as Glorot and Bengio (2010) draw them, uniformly,
        biases at 0.

    Examples
    --------
    >>> from mnist_estimator.neural_network import build_mlp
    >>> build_mlp(784, 10).count_params()
    109386
    """
    start_devices()
    rng = np.random.default_rng(seed)

    def draw_seed():
        return int(rng.integers(LARGEST_SEED))

    h = inputs = keras.Input((n_features,), name="pixels")
    for i, size in enumerate(hidden_layer_sizes, start=1):
        start = keras.initializers.GlorotUniform(seed=draw_seed())
        h = keras.layers.Dense(size, activation, kernel_initializer=start, name=f"hidden_{i}")(h)
        if dropout:
            h = _dropout(dropout, draw_seed(), f"dropout_{i}")(h)
    start = keras.initializers.GlorotUniform(seed=draw_seed())
    outputs = keras.layers.Dense(
        n_classes, "softmax", kernel_initializer=start, name="probabilities"
    )(h)
    return keras.Model(inputs, outputs, name="mlp")


def _dropout(rate, seed, name):
    """Return a Dropout layer whose variable has the same name in every network.

    Keras would number its seed's variable, and TensorFlow keeps what it prepares for each name: a
    millisecond and 50 kB a layer, forever.
    """
    layer = keras.layers.Dropout(0, name=name)  # which has no seed
    layer.rate, layer.seed = rate, seed
    layer._tracker.unlock()  # a layer that is built takes no more variables
    layer.seed_generator = keras.random.SeedGenerator(seed, name=f"{name}_seed")
    layer._tracker.lock()
    return layer


def forward(model, X):
    """Compute what a network says of some rows.

    Parameters
    ----------
    model : keras.Model
        A network of `build_mlp`.
    X : ndarray of float32, shape (n_rows, n_features)
        The rows.

    Returns
    -------
    probabilities : ndarray of float32, shape (n_rows, n_classes)
        Its output, without dropout.
    """
    # Operations called one by one: no tracing, and none of the tens of milliseconds that
    # `Model.predict` takes to set up. Raw operations halve the time of one row.
    with turns():
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        rows, chunks = as_tensor(X), []
        for first in range(0, len(X), _PREDICTION_ROWS):
            h = rows if len(X) <= _PREDICTION_ROWS else rows[first : first + _PREDICTION_ROWS]
            for layer in layers:
                products = tf.raw_ops.MatMul(a=h, b=layer.kernel.value)
                h = layer.activation(tf.raw_ops.BiasAdd(value=products, bias=layer.bias.value))
            chunks.append(h.numpy())
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def compiled_mlp(mlp, architecture, rng, optimizer=None):
    """Build the network of a classifier, compiled with its optimizer.

    Parameters
    ----------
    mlp : KerasMLPClassifier
        Its parameters are taken.
    architecture : tuple
        Features, classes and units of each hidden layer.
    rng : numpy.random.Generator
        What draws the start weights.
    optimizer : keras.optimizers.Optimizer, default=None
        Of which a copy is made; None takes the classifier's.

    Returns
    -------
    model : keras.Model
        The network.
    """
    _collect_forgotten_networks()
    params = {"activation": mlp.activation, "dropout": mlp.dropout}
    model = build_mlp(*architecture, seed=rng.integers(LARGEST_SEED), **params)
    optimizer = mlp.optimizer if optimizer is None else optimizer
    if isinstance(optimizer, str):
        kind = known_type(keras.optimizers, optimizer)
        momentum = {}
        if kind is keras.optimizers.SGD and mlp.momentum:
            momentum = {"momentum": mlp.momentum, "nesterov": True}
        optimizer = kind(mlp.learning_rate, name=kind.__name__.lower(), **momentum)
    else:
        optimizer = type(optimizer).from_config(optimizer.get_config())
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    variables = (*model.variables, *optimizer.variables)
    _built_since_collection["bytes"] += sum(4 * int(np.prod(v.shape)) for v in variables)
    return model


def _collect_forgotten_networks():
    """Free networks that nobody uses any more, once they may take much memory.

    A Keras model refers to itself, so only Python's collector frees it. That counts objects, of
    which a network has few, and not the megabytes of weights behind them: it would wait for
    hundreds of fits.
    """
    built, n_collections = _built_since_collection, gc.get_stats()[-1]["collections"]
    if n_collections == built["collections"] and built["bytes"] > _FORGOTTEN_BYTES:
        gc.collect()
    if (n_collections := gc.get_stats()[-1]["collections"]) != built["collections"]:
        built.update(bytes=0, collections=n_collections)


def check_finite(model):
    """Check that training came to numbers.

    Parameters
    ----------
    model : keras.Model
        The trained network.

    Raises
    ------
    ValueError
        If a weight is NaN or infinite: the training diverged.
    """
    if not all(np.isfinite(weight.numpy()).all() for weight in model.trainable_variables):
        raise ValueError(
            "The training diverged: the network's weights are no finite numbers any more. Choose a "
            "smaller learning_rate, or scale X (and its weights) to values around 1."
        )
