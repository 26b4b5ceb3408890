"""A fitted estimator in the form that skl2onnx's converters can take.

skl2onnx stumbles over things that change nothing about the predictions: the dtype of the
classes, subclasses of known classes, a search around the best estimator, column names.
`as_exportable` copies a fitted estimator without them, sharing every fitted array.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from mnist_estimator.exceptions import ExportError
from mnist_estimator.onnx_converters import register_subclass
from mnist_estimator.preprocessing import PixelScaler


@dataclass
class Exportable:
    """What `as_exportable` returns.

    Attributes
    ----------
    estimator : BaseEstimator
        The copy: every classifier in it has the classes 0 … n_classes - 1 (int64).
    names : dict of int to str
        ``id`` of a part of the copy → its name in the original, ``"voting__estimators_[0]"``.
    scalers : list of PixelScaler
        The scalers found, in the order of the walk.
    networks : list of BaseEstimator
        The SciKeras estimators found.
    steepest : float
        The largest slope of an isotonic calibrator, 0 without one.
    """

    estimator: Any = None
    names: dict[int, str] = field(default_factory=dict)
    scalers: list = field(default_factory=list)
    networks: list = field(default_factory=list)
    steepest: float = 0.0


def as_exportable(estimator):
    """Copy a fitted estimator so that skl2onnx can convert it.

    Parameters
    ----------
    estimator : BaseEstimator
        Any fitted estimator. It is left as it is.

    Returns
    -------
    exportable : Exportable
        The copy and what was found in it.

    Raises
    ------
    ExportError
        If a part can not be exported faithfully; the message names it.
    """
    exportable = Exportable()
    exportable.estimator = _copy(estimator, "", exportable, {})
    return exportable


def first_step(estimator):
    """Return the estimator that sees the input first, through pipelines and ensembles.

    Parameters
    ----------
    estimator : BaseEstimator
        A fitted estimator as `as_exportable` returns it.

    Returns
    -------
    step : BaseEstimator
        The first step of its first pipeline, or the estimator itself.
    """
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[0][1]
        elif getattr(estimator, "estimators_", None) is not None and len(estimator.estimators_):
            estimator = np.ravel(np.asarray(estimator.estimators_, dtype=object))[0]
        elif getattr(estimator, "calibrated_classifiers_", None):
            estimator = estimator.calibrated_classifiers_[0].estimator
        else:
            return estimator


def _copy(value, name, found, memo):
    """Copy estimators, and lists, tuples and dicts that may hold some; share everything else."""
    if isinstance(value, (BaseEstimator, _CalibratedClassifier)):
        if id(value) not in memo:
            # The original stays in the memo with its copy: a freed id could be given out again.
            memo[id(value)] = (_copy_estimator(value, name, found, memo), value)
            found.names.setdefault(id(memo[id(value)][0]), name)
        return memo[id(value)][0]
    if isinstance(value, dict):
        inner = {key: _copy(item, _join(name, key), found, memo) for key, item in value.items()}
        return type(value)(**inner) if hasattr(value, "__getattr__") else inner
    if type(value) in (list, tuple):
        return type(value)(_copy_item(value, i, name, found, memo) for i in range(len(value)))
    return value


def _copy_item(sequence, i, name, found, memo):
    """Copy an item of a list, or the estimator of a named step `(name, estimator, ...)`."""
    item = sequence[i]
    if isinstance(item, tuple) and len(item) in (2, 3) and isinstance(item[0], str):
        step = _copy(item[1], _join(name.rpartition(".")[0], item[0]), found, memo)
        return (item[0], step, *item[2:])
    return _copy(item, f"{name}[{i}]", found, memo)


def _join(parent, child):
    return f"{parent}__{child}" if parent else str(child)


def _copy_estimator(estimator, name, found, memo):
    from scikeras.wrappers import KerasClassifier, KerasRegressor

    if isinstance(estimator, BaseSearchCV):
        if not hasattr(estimator, "best_estimator_"):
            raise ExportError(
                f"{_called(estimator, name)} has no best estimator: it was fitted with "
                "refit=False. Fit it with refit=True, or export an estimator of your own choice."
            )
        return _copy(estimator.best_estimator_, name, found, memo)
    if isinstance(estimator, FrozenEstimator):
        return _copy(estimator.estimator, name, found, memo)
    if isinstance(estimator, (KerasClassifier, KerasRegressor, PixelScaler)):
        register_subclass(type(estimator))
        copied = _shallow(estimator, type(estimator))
        (found.scalers if isinstance(estimator, PixelScaler) else found.networks).append(copied)
        _number_classes(copied)
        return copied
    if isinstance(estimator, IsotonicRegression):
        slopes = np.diff(estimator.y_thresholds_) / np.diff(estimator.X_thresholds_)
        found.steepest = max(found.steepest, float(np.max(np.abs(slopes), initial=0)))
    _check_classes(estimator, name)
    copied = _shallow(estimator, Pipeline if isinstance(estimator, Pipeline) else type(estimator))
    if isinstance(estimator, Pipeline):
        copied.steps = [step for step in estimator.steps if step[1] not in (None, "passthrough")]
    for attribute, value in list(vars(copied).items()):
        vars(copied)[attribute] = _copy(value, f"{name}.{attribute}".lstrip("."), found, memo)
    if isinstance(estimator, VotingClassifier):
        # Neither changes what is predicted; skl2onnx knows one value and one type of them.
        copied.flatten_transform = False
        if estimator.weights is not None:
            copied.weights = np.asarray(estimator._weights_not_none)
    elif isinstance(estimator, ColumnTransformer):
        copied.transformers_ = [
            (key, step, [int(i) for i in estimator._transformer_to_input_indices[key]])
            for key, step, _ in copied.transformers_
        ]
    _number_classes(copied)
    return copied


def _shallow(estimator, cls):
    copied = cls.__new__(cls)
    vars(copied).update(vars(estimator))
    return copied


def _number_classes(copied):
    """Make the classes 0 … n - 1: converters read classes of many dtypes wrongly, or not at all."""
    for attribute in ("classes_", "classes"):
        classes = vars(copied).get(attribute)
        if isinstance(classes, np.ndarray) and classes.ndim == 1:
            vars(copied)[attribute] = np.arange(len(classes))


def _check_classes(estimator, name):
    """Refuse ensembles whose members know fewer classes: their converters mix up the columns."""
    if isinstance(estimator, BaggingClassifier):
        members, n_classes = estimator.estimators_, len(estimator.classes_)
    elif isinstance(estimator, _CalibratedClassifier):
        members, n_classes = [estimator.estimator], len(estimator.classes)
    else:
        return
    for member in members:
        if len(member.classes_) != n_classes:
            raise ExportError(
                f"{_called(estimator, name)} holds a member that was fitted on "
                f"{len(member.classes_)} of {n_classes} classes, because its share of the rows "
                "lacked the others. Fit with more rows, or on shares with every class."
            )


def _called(estimator, name):
    return f"The step {name!r} ({type(estimator).__name__})" if name else type(estimator).__name__
