"""How each of this package's steps becomes ONNX nodes.

skl2onnx walks the scikit-learn model and asks a converter for the nodes of every step; the
converters here teach it `PixelScaler` and every SciKeras network. A network's nodes come from
tf2onnx. `register_converters` is the one call that makes them known: importing this module
changes nothing.
"""

from functools import cache

from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from mnist_estimator.onnx_converters._calibration import convert_calibrated
from mnist_estimator.onnx_converters._keras import network_to_onnx, quiet_conversion
from mnist_estimator.onnx_converters._network import (
    classifier_shapes,
    convert_classifier,
    convert_regressor,
    regressor_shapes,
)
from mnist_estimator.onnx_converters._scaler import convert_scaler, scaler_shapes
from mnist_estimator.preprocessing import PixelScaler

__all__ = ["network_to_onnx", "quiet_conversion", "register_converters", "register_subclass"]

_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


@cache
def register_converters():
    """Teach skl2onnx the steps of this package.

    After this call ``skl2onnx.to_onnx(model, X)`` converts any model that holds `PixelScaler`,
    `KerasMLPClassifier`, or a plain SciKeras ``KerasClassifier`` or ``KerasRegressor`` with one
    input and one output. The classifiers take skl2onnx's options ``zipmap``, ``nocl``,
    ``raw_scores`` (the scores before the softmax) and ``output_class_labels``.
    `mnist_estimator.to_onnx` makes the call itself. Calling again changes nothing.

    skl2onnx's converter of ``CalibratedClassifierCV`` is replaced: it takes the nearest threshold
    where scikit-learn's isotonic calibration interpolates, and raw scores where scikit-learn takes
    probabilities.

    See Also
    --------
    mnist_estimator.to_onnx : Converts, cleans the graph and describes the model in the file.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from mnist_estimator import PixelScaler
    >>> from mnist_estimator.onnx_converters import register_converters
    >>> register_converters()
    >>> pixels = np.zeros((1, 4), dtype=np.uint8)
    >>> [node.op_type for node in skl2onnx.to_onnx(PixelScaler().fit(pixels), pixels).graph.node]
    ['Cast', 'Div']
    """
    from scikeras.wrappers import KerasRegressor

    from mnist_estimator._tensorflow import KerasClassifier
    from mnist_estimator.neural_network import KerasMLPClassifier
    from mnist_estimator.pipeline import PixelPipeline

    for step in (PixelScaler, KerasClassifier, KerasMLPClassifier, KerasRegressor, PixelPipeline):
        register_subclass(step)
    update_registered_converter(
        CalibratedClassifierCV,
        "SklearnCalibratedClassifierCV",
        classifier_shapes,
        convert_calibrated,
        options={
            name: values for name, values in _CLASSIFIER_OPTIONS.items() if name != "raw_scores"
        },
    )


def register_subclass(step):
    """Teach skl2onnx one class that converts as its parent does.

    Parameters
    ----------
    step : type
        A subclass of `PixelScaler`, of SciKeras' ``KerasClassifier`` or ``KerasRegressor``, or of
        scikit-learn's ``Pipeline``. skl2onnx looks classes up by themselves, not by their parents.

    Raises
    ------
    TypeError
        If `step` is none of these.

    Examples
    --------
    >>> from mnist_estimator import PixelScaler
    >>> from mnist_estimator.onnx_converters import register_subclass
    >>> class InkScaler(PixelScaler):
    ...     '''Scale scans of ink drawings.'''
    >>> register_subclass(InkScaler)
    """
    from scikeras.wrappers import KerasRegressor

    from mnist_estimator._tensorflow import KerasClassifier  # first: it keeps TensorFlow quiet

    if issubclass(step, PixelScaler):
        update_registered_converter(
            step, "MnistEstimatorPixelScaler", scaler_shapes, convert_scaler
        )
    elif issubclass(step, KerasClassifier):
        update_registered_converter(
            step,
            "MnistEstimatorKerasClassifier",
            classifier_shapes,
            convert_classifier,
            options=_CLASSIFIER_OPTIONS,
        )
    elif issubclass(step, KerasRegressor):
        update_registered_converter(
            step, "MnistEstimatorKerasRegressor", regressor_shapes, convert_regressor
        )
    elif issubclass(step, Pipeline):
        sklearn_operator_name_map[step] = sklearn_operator_name_map[Pipeline]
    else:
        raise TypeError(
            f"Expected a subclass of PixelScaler, KerasClassifier, KerasRegressor or Pipeline. Got "
            f"{step.__name__} instead: register it with skl2onnx.update_registered_converter."
        )
