"""What an exported file says about itself: classes, input, versions, training, parameters."""

import json
import math
import re
from importlib.metadata import version
from inspect import isclass, isroutine

import numpy as np
from sklearn.base import BaseEstimator

from mnist_estimator.export._exportable import first_step
from mnist_estimator.preprocessing import PixelScaler

_PACKAGES = ("scikit-learn", "keras", "tensorflow", "tf2onnx", "skl2onnx", "onnx")


def package_version():
    """Return this package's version, also where it runs from its sources.

    Returns
    -------
    version : str
        For example "0.1.0".
    """
    import mnist_estimator

    return mnist_estimator.__version__


def describe_model(estimator, exportable, described, licence):
    """Return the metadata of an exported model.

    Parameters
    ----------
    estimator : BaseEstimator
        The fitted estimator itself.
    exportable : Exportable
        What `as_exportable` found in it.
    described : ModelInput
        What one row of the input is.
    licence : str
        The licence that the file names.

    Returns
    -------
    metadata : dict of str to str
        Every value is JSON. The keys are classes, classes_dtype (of classifiers), input,
        versions, training (where a network was trained), parameters and licence.
    """
    metadata = {}
    if hasattr(estimator, "classes_"):
        classes = np.asarray(estimator.classes_)
        is_text = classes.dtype.kind not in "biuf"
        metadata["classes"] = [str(c) for c in classes] if is_text else classes.tolist()
        metadata["classes_dtype"] = "str" if is_text else classes.dtype.name
    metadata["input"] = _describe_rows(exportable.estimator, described)
    metadata["versions"] = {
        "mnist_estimator": package_version(),
        **{package: version(package) for package in _PACKAGES},
    }
    if exportable.networks:
        metadata["training"] = _describe_training(exportable.networks[0])
    params = estimator.get_params()
    # Where a fit kept its checkpoints says nothing about the model, and may be private.
    metadata["parameters"] = _jsonable(
        {name: params[name] for name in params if not name.endswith("checkpoint")}
    )
    metadata["licence"] = licence
    return {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}


def _describe_rows(estimator, described):
    if described.columns:
        return {
            "columns": [
                {"name": name, "dtype": "str" if dtype.kind == "O" else dtype.name}
                for name, dtype in described.columns
            ]
        }
    first = first_step(estimator)
    is_scaler = isinstance(first, PixelScaler)
    return {
        "dtype": described.dtype.name,
        "shape": list(described.shape),
        "min": 0 if is_scaler else None,
        "max": _number(first.pixel_max_) if is_scaler else None,
    }


def _describe_training(network):
    history = getattr(network, "history_", None) or {}
    training = {
        "rows": getattr(network, "n_samples_fit_", None),
        "epochs": len(history.get("loss", ())) or None,
    }
    for figure in ("loss", "accuracy", "val_loss", "val_accuracy"):
        values = history.get(figure) or [math.nan]
        training[figure] = values[-1] if math.isfinite(values[-1]) else None
    return {key: value for key, value in training.items() if value is not None}


def _number(value):
    return int(value) if float(value).is_integer() else float(value)


def _jsonable(value):
    """Return `value` as JSON can hold it; what it cannot hold, as text without memory addresses."""
    if isinstance(value, np.generic):
        value = value.item()
    is_plain = value is None or isinstance(value, (bool, int, str))
    if is_plain or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, BaseEstimator):
        return type(value).__name__  # its parameters follow under names of their own
    if isclass(value) or isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
