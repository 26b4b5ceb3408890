"""A Keras model as ONNX nodes, by tf2onnx."""

import logging
import warnings
from contextlib import contextmanager

from onnx import defs, version_converter

from mnist_estimator.exceptions import ExportError

# The newest opset that tf2onnx writes; newer ones are reached with ONNX's version converter.
_TF2ONNX_MAX_OPSET = 18


def network_to_onnx(model, target_opset):
    """Convert a Keras model with tf2onnx.

    Parameters
    ----------
    model : keras.Model
        A built model of one input and one output.
    target_opset : int
        The ONNX operator set of the nodes, 15 or newer.

    Returns
    -------
    network : onnx.ModelProto
        Input and output are the graph's only ones; the first dimension is free.

    Raises
    ------
    ExportError
        If the model has several inputs or outputs, or a layer that tf2onnx cannot convert.
    """
    import tensorflow as tf
    import tf2onnx

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            f"The Keras model {model.name!r} has {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs; only a model of one input and one output fits a "
            "scikit-learn estimator's file. Export it with tf2onnx directly."
        )
    (keras_input,) = model.inputs
    signature = [tf.TensorSpec(keras_input.shape, keras_input.dtype)]
    inference = tf.function(lambda X: model(X, training=False), autograph=False)
    with quiet_conversion():
        network, _ = tf2onnx.convert.from_function(
            inference, input_signature=signature, opset=min(target_opset, _TF2ONNX_MAX_OPSET)
        )
    for node in network.graph.node:
        if not defs.has(node.op_type, _TF2ONNX_MAX_OPSET, node.domain):
            raise ExportError(
                f"The Keras model {model.name!r} uses TensorFlow's operation {node.op_type!r} (in "
                f"{node.name!r}), which tf2onnx cannot convert to ONNX. Replace that layer by one "
                "made of standard operations."
            )
    if target_opset > _TF2ONNX_MAX_OPSET:
        network = version_converter.convert_version(network, target_opset)
    return network


@contextmanager
def quiet_conversion():
    """Keep the converters' logging and their own deprecation warnings from the user."""
    logger = logging.getLogger("tf2onnx")
    disabled, logger.disabled = logger.disabled, True
    children = [
        child
        for name, child in logging.root.manager.loggerDict.items()
        if name.startswith("tf2onnx.") and isinstance(child, logging.Logger) and not child.disabled
    ]
    for child in children:
        child.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.disabled = disabled
        for child in children:
            child.disabled = False
