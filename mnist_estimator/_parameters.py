"""What parameters a classifier takes, beyond what their declared constraints can say."""

from numbers import Integral, Real

from mnist_estimator._tensorflow import keras, known_type, tf
from mnist_estimator.augmentation import check_augmentation

_MOST_UNITS = 2**31 - 1


def check_parameters(mlp):
    """Check the parameters of a classifier.

    Parameters
    ----------
    mlp : KerasMLPClassifier
        The classifier. Its declared constraints hold.

    Returns
    -------
    sizes : tuple of int
        Units of each hidden layer.

    Raises
    ------
    ValueError
        If a parameter is not what it must be, or Keras computes in another type than float32, as
        the compiled epoch does.
    """
    _check_float32()
    _check_known("activation", mlp.activation, keras.activations)
    _check_activation(mlp.activation)
    _check_known("optimizer", mlp.optimizer, keras.optimizers)
    check_augmentation(mlp.augmentation)
    has_own_rate = not isinstance(mlp.optimizer, str) or not isinstance(mlp.learning_rate, Real)
    if mlp.schedule == "cosine" and has_own_rate:
        raise ValueError(
            "schedule='cosine' changes the learning rate of an optimizer given by its name. "
            f"Got optimizer={mlp.optimizer!r}, learning_rate={mlp.learning_rate!r}; give "
            "schedule='constant' with these."
        )
    if mlp.early_stopping and not mlp.validation_split:
        raise ValueError(
            "early_stopping=True needs held-out rows to watch. Got validation_split=0; set it "
            "to 0.2, for example."
        )
    return _layer_sizes(mlp.hidden_layer_sizes)


def _layer_sizes(hidden_layer_sizes):
    """Return the parameter `hidden_layer_sizes` as a tuple of int."""
    is_list = getattr(hidden_layer_sizes, "ndim", 1) == 1
    sizes = tuple(hidden_layer_sizes) if is_list else (None,)
    if not all(isinstance(size, Integral) and 0 < size <= _MOST_UNITS for size in sizes):
        raise ValueError(
            "The 'hidden_layer_sizes' parameter of KerasMLPClassifier must be a tuple of ints from "
            f"1 to {_MOST_UNITS:,}, () for a linear model. Got {hidden_layer_sizes!r} instead."
        )
    return tuple(int(size) for size in sizes)


def _check_known(name, value, registry):
    """Check that Keras knows a name."""
    if not isinstance(value, str):
        return
    try:
        known_type(registry, value)
    except ValueError:
        raise ValueError(
            f"The {name!r} parameter of KerasMLPClassifier must be a name that Keras knows. "
            f"Got {value!r} instead; see keras.io/api/{name}s."
        ) from None


def _check_activation(activation):
    """Check that a function can be the activation of hidden units."""
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


def _check_float32():
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
