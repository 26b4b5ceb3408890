"""A Keras model as ONNX nodes, by tf2onnx."""

import logging
import warnings
from contextlib import contextmanager

import numpy as np
from onnx import TensorProto, defs, helper, numpy_helper, version_converter

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
    import tf2onnx

    from mnist_estimator._tensorflow import stderr_held_back, tf

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            f"The Keras model {model.name!r} has {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs; only a model of one input and one output fits a "
            "scikit-learn estimator's file. Export it with tf2onnx directly."
        )
    (keras_input,) = model.inputs
    signature = [tf.TensorSpec(keras_input.shape, keras_input.dtype)]
    inference = tf.function(lambda X: model(X, training=False), autograph=False)
    # TensorFlow 2.18 tells of its sessions on the standard error, past every logging level.
    with quiet_conversion(), stderr_held_back():
        network, _ = tf2onnx.convert.from_function(
            inference,
            input_signature=signature,
            opset=min(target_opset, _TF2ONNX_MAX_OPSET),
            custom_op_handlers={"Erfc": (_convert_erfc, []), "Expm1": (_convert_expm1, [])},
        )
    for node in network.graph.node:
        if not defs.has(node.op_type, _TF2ONNX_MAX_OPSET, node.domain):
            raise ExportError(
                f"The Keras model {model.name!r} uses TensorFlow's operation {node.op_type!r} (in "
                f"{node.name!r}), which tf2onnx cannot convert to ONNX. Replace that layer by one "
                "made of standard operations."
            )
    _spell_out_omitted_inputs(network.graph)
    if target_opset > _TF2ONNX_MAX_OPSET:
        network = version_converter.convert_version(network, target_opset)
    return network


def _convert_erfc(context, node, name, arguments):
    """erfc(x) = 1 - erf(x), in Keras' gelu; tf2onnx does not know it."""
    _replace_by_difference(context, node, name, "Erf", one_first=True)


def _convert_expm1(context, node, name, arguments):
    """expm1(x) = exp(x) - 1, in Keras' celu; tf2onnx does not know it."""
    _replace_by_difference(context, node, name, "Exp", one_first=False)


def _replace_by_difference(context, node, name, function, *, one_first):
    (given,), outputs = node.input, node.output[:]
    described = {"shapes": [context.get_shape(given)], "dtypes": [context.get_dtype(given)]}
    context.remove_node(node.name)
    value = context.make_node(function, [given], **described).output[0]
    one = context.make_const(f"{name}_one", np.array(1, dtype=np.float32)).output[0]
    operands = [one, value] if one_first else [value, one]
    context.make_node("Sub", operands, name=name, outputs=outputs, **described)


def _spell_out_omitted_inputs(graph):
    """Write the inputs that nodes leave out, and name their unused outputs.

    An omitted input has an empty name, over which skl2onnx falls when it orders the nodes.
    """
    ordered = []
    for i, node in enumerate(graph.node):
        node.output[:] = [name or f"unused_{i}_{j}" for j, name in enumerate(node.output)]
        while node.input and not node.input[-1]:
            del node.input[-1]
        if "" in node.input:
            ordered += _omitted_inputs(node, f"omitted_{i}")
        ordered.append(node)
    del graph.node[:]
    graph.node.extend(ordered)


def _omitted_inputs(node, name):
    """Return the nodes that make what a node leaves out, and let it read that."""
    places = [i for i, given in enumerate(node.input) if not given]
    if node.op_type in ("LSTM", "GRU", "RNN") and places == [4]:
        # Sequence lengths, of shape (batch,): every sequence is as long as the input (T, batch, n).
        steps, batch, length = f"{name}_steps", f"{name}_batch", f"{name}_length"
        made = [
            helper.make_node("Shape", node.input[:1], [steps], start=0, end=1),
            helper.make_node("Cast", [steps], [length], to=TensorProto.INT32),
            helper.make_node("Shape", node.input[:1], [batch], start=1, end=2),
            helper.make_node("Expand", [length, batch], [name]),
        ]
    elif node.op_type == "Resize" and places == [1]:
        empty = numpy_helper.from_array(np.zeros(0, dtype=np.float32))
        made = [helper.make_node("Constant", [], [name], value=empty)]
    else:
        raise ExportError(
            f"tf2onnx leaves out the inputs {places} of {node.op_type!r} ({node.name}), which "
            "skl2onnx cannot read. Replace that layer."
        )
    node.input[places[0]] = name
    return made


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
