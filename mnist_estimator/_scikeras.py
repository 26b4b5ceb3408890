"""What SciKeras' classifier lacks to be one of scikit-learn's."""

from contextlib import contextmanager

from sklearn.base import BaseEstimator, ClassifierMixin

from mnist_estimator._tensorflow import (
    BaseWrapper,
    is_forked_at_work,
    start_devices,
    tf,
    turns,
)


class MethodOrder(type):
    """Give a subclass of SciKeras' classifier the method order that scikit-learn asks for.

    SciKeras (0.13, no longer maintained) lists `ClassifierMixin` behind `BaseEstimator`, so that
    scikit-learn 1.6 and newer takes its classifiers for no classifiers, and cross-validation
    silently stops to stratify. And its `BaseWrapper` takes an estimator's parameters from its
    instance dictionary and describes it by `_more_tags`, which scikit-learn no longer accepts.
    """

    def mro(cls):
        order = [c for c in super().mro() if c not in (ClassifierMixin, BaseWrapper)]
        order.insert(order.index(BaseEstimator), ClassifierMixin)
        return order


def reduced(estimator):
    """Return how an estimator is pickled and copied.

    Parameters
    ----------
    estimator : KerasMLPClassifier
        Fitted or not.

    Returns
    -------
    reduced : tuple
        What `__reduce__` is to return.
    """
    state = dict(estimator.__getstate__())
    if "model_" in state:
        with turns():
            state["model_"] = state["model_"].__reduce__()
    return _new_quietly, (type(estimator),), state


def _new_quietly(cls):
    """Return an estimator without attributes, once TensorFlow's devices are set up quietly."""
    if not is_forked_at_work():
        start_devices()
    return cls.__new__(cls)


def restored(state):
    """Return the attributes of an estimator that is unpickled.

    Parameters
    ----------
    state : dict
        What `reduced` had made of them.

    Returns
    -------
    attributes : dict
        The model is left as it is where TensorFlow cannot work: `multiprocessing.Pool` waits for
        ever for a task that fails before it begins, so the error has to wait for the first use.
    """
    if "model_" not in state or is_forked_at_work():
        return state
    rebuild, arguments = state["model_"]
    with turns():
        return {**state, "model_": rebuild(*arguments)}


@contextmanager
def unchanged_on_failure(estimator):
    """Leave an estimator as it was if the block fails, on Ctrl-C too.

    Parameters
    ----------
    estimator : KerasMLPClassifier
        Its attributes are put back, and what training changes in place: the weights and the
        optimizer of its model, and its random number generator.

    Raises
    ------
    MemoryError
        If TensorFlow says that memory does not suffice.
    """
    before = vars(estimator).copy()
    model, rng = before.get("model_"), before.get("_rng")
    state = [] if model is None else [*model.weights, *model.optimizer.variables]
    values = [variable.numpy() for variable in state]
    drawn = None if rng is None else rng.bit_generator.state
    try:
        yield
    except BaseException as error:
        vars(estimator).clear()
        vars(estimator).update(before)
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        if rng is not None:
            rng.bit_generator.state = drawn
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise MemoryError(  # noqa: TRY004
                "The memory does not suffice for the network and its batches: choose smaller "
                "hidden_layer_sizes or a smaller batch_size."
            ) from error
        raise
