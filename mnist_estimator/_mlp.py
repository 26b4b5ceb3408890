"""The network: Dense and Dropout layers of Keras."""

from numbers import Integral

import numpy as np

from mnist_estimator._rows import as_tensor
from mnist_estimator._tensorflow import check_not_forked, keras, start_devices, tf

LARGEST_SEED = 2**31 - 1
_MOST_UNITS = 2**31 - 1
# Rows that one prediction takes at once: the activations stay in the processor's cache.
_PREDICTION_ROWS = 4096


def layer_sizes(hidden_layer_sizes):
    """Return the parameter `hidden_layer_sizes` as a tuple of int.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int
        What the user gave.

    Returns
    -------
    sizes : tuple of int
        Units of each hidden layer.

    Raises
    ------
    ValueError
        If a size is no integer, less than 1, or more than TensorFlow counts.
    """
    is_list = getattr(hidden_layer_sizes, "ndim", 1) == 1
    sizes = tuple(hidden_layer_sizes) if is_list else (None,)
    if not all(isinstance(size, Integral) and 0 < size <= _MOST_UNITS for size in sizes):
        raise ValueError(
            "The 'hidden_layer_sizes' parameter of KerasMLPClassifier must be a tuple of ints from "
            f"1 to {_MOST_UNITS:,}, () for a linear model. Got {hidden_layer_sizes!r} instead."
        )
    return tuple(int(size) for size in sizes)


def check_known(name, value, registry):
    """Check that Keras knows a name.

    Parameters
    ----------
    name : str
        The parameter: "activation" or "optimizer".
    value : str or object
        What the user gave; objects pass.
    registry : module
        `keras.activations` or `keras.optimizers`.

    Raises
    ------
    ValueError
        If Keras does not.
    """
    if not isinstance(value, str):
        return
    try:
        registry.get(value)
    except ValueError:
        raise ValueError(
            f"The {name!r} parameter of KerasMLPClassifier must be a name that Keras knows. "
            f"Got {value!r} instead; see keras.io/api/{name}s."
        ) from None


def check_activation(activation):
    """Check that a function can be the activation of hidden units.

    Parameters
    ----------
    activation : str or callable
        What the user gave; names pass.

    Raises
    ------
    ValueError
        If it does not make of a tensor of floats another one of the same shape.
    """
    if isinstance(activation, str):
        return
    taken = tf.TensorSpec((None, 3), tf.float32)
    try:
        graph = tf.function(activation, autograph=False).get_concrete_function(taken)
        given = graph.structured_outputs
        found = f"it makes {given} of {taken}"
        is_right = given.dtype == taken.dtype and given.shape.is_compatible_with(taken.shape)
    except Exception as error:  # whatever somebody's function raises
        found, is_right = f"{type(error).__name__}: {error}", False
    if not is_right:
        raise ValueError(
            "The 'activation' parameter of KerasMLPClassifier must be a name that Keras knows, or "
            "a function of a tensor that gives one of the same shape and dtype. Got "
            f"{activation!r} instead ({found})."
        )


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


def check_float32():
    """Check that Keras computes in float32, as the compiled epoch does.

    Raises
    ------
    ValueError
        If its global dtype policy is another.
    """
    policy = keras.config.dtype_policy().name
    if policy != "float32":
        raise ValueError(
            f"KerasMLPClassifier computes in float32. Keras' global dtype policy is {policy!r}; "
            "call keras.config.set_dtype_policy('float32') first."
        )


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
            h = keras.layers.Dropout(dropout, seed=draw_seed(), name=f"dropout_{i}")(h)
    start = keras.initializers.GlorotUniform(seed=draw_seed())
    outputs = keras.layers.Dense(
        n_classes, "softmax", kernel_initializer=start, name="probabilities"
    )(h)
    return keras.Model(inputs, outputs, name="mlp")


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
    check_not_forked()
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    # Operations called one by one: no tracing, and none of the tens of milliseconds that
    # `Model.predict` takes to set up. Raw operations halve the time of one row.
    rows, chunks = as_tensor(X), []
    for first in range(0, len(X), _PREDICTION_ROWS):
        h = rows if len(X) <= _PREDICTION_ROWS else rows[first : first + _PREDICTION_ROWS]
        for layer in layers:
            products = tf.raw_ops.MatMul(a=h, b=layer.kernel.value)
            h = layer.activation(tf.raw_ops.BiasAdd(value=products, bias=layer.bias.value))
        chunks.append(h.numpy())
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
