"""Labels as class indexes, and what a row of each class counts."""

from numbers import Real

import numpy as np
from sklearn.utils import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from mnist_estimator._validation import no_overflow

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def encode_labels(y, classes):
    """Turn labels into class indexes.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Labels.
    classes : ndarray of shape (n_classes,) or None
        The sorted classes; None takes those of `y`.

    Returns
    -------
    codes : ndarray of int32, shape (n_rows,)
        The index of each label among the classes.
    classes : ndarray of shape (n_classes,)
        The sorted classes.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or `y` has a label that is not among them.
    """
    if classes is None:
        classes, codes = np.unique(y, return_inverse=True)
    else:
        try:
            codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
            unknown = np.unique(y[classes[codes] != y])
        except TypeError:  # texts among numbers
            unknown = np.unique(y)
        if len(unknown):
            raise ValueError(
                f"y has the labels {unknown.tolist()}, which are not among the classes of the "
                f"first call, {classes.tolist()}."
            )
    if len(classes) < 2:
        raise ValueError(
            "KerasMLPClassifier needs samples of at least 2 classes in y. Got one class: "
            f"{classes.tolist()}."
        )
    return codes.astype(np.int32), classes


def sorted_classes(classes):
    """Check the classes that a user names in advance.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        What the user gave.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The distinct ones, sorted.

    Raises
    ------
    ValueError
        If they are no list of labels.
    """
    try:
        labels = np.asarray(classes)
        if labels.ndim == 1 and labels.dtype.kind in "biufUO" and len(unique := np.unique(labels)):
            return unique
    except (TypeError, ValueError):  # of different types, or of different lengths
        pass
    raise ValueError(
        f"classes must be a list of labels: integers, strings or booleans. Got {classes!r} instead."
    )


def class_factors(class_weight, classes, codes):
    """Return what a row of each class counts.

    Parameters
    ----------
    class_weight : dict or "balanced"
        The weight of each class (1 where it names none), or each class alike.
    classes : ndarray of shape (n_classes,)
        The classes.
    codes : ndarray of int, shape (n_rows,)
        The class indexes of the training rows.

    Returns
    -------
    factors : ndarray of float32, shape (n_classes,)
        One factor a class.

    Raises
    ------
    ValueError
        If `class_weight` names a class that is none, or a weight is none.
    """
    if class_weight == "balanced":
        present = np.unique(codes)
        factors = np.ones(len(classes), np.float32)
        factors[present] = compute_class_weight("balanced", classes=present, y=codes)
        return factors
    unknown = set(class_weight) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"class_weight names the classes {sorted(unknown, key=str)}, which y does not "
            f"have. Its classes are {classes.tolist()}."
        )
    weights = [class_weight.get(label, 1) for label in classes.tolist()]
    if not all(isinstance(weight, Real) and 0 <= weight <= _FLOAT32_MAX for weight in weights):
        raise ValueError(
            "The weights in the 'class_weight' parameter of KerasMLPClassifier must be finite "
            f"numbers of 0 or more. Got {class_weight!r} instead."
        )
    return np.array(weights, np.float32)


def row_weights(sample_weight, X):
    """Return what each row's loss counts.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,) or None
        What the user gave; None counts each row as 1.
    X : ndarray of shape (n_rows, n_features)
        The rows.

    Returns
    -------
    weight : ndarray of float32, shape (n_rows,)
        A new array.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or none is above 0.
    """
    with no_overflow("sample_weight"):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, copy=True)
    if weight.min() < 0 or not weight.any():
        raise ValueError(
            "sample_weight must be 0 or more, and above 0 for at least one row. Got values "
            f"from {weight.min():g} to {weight.max():g} instead."
        )
    return weight
