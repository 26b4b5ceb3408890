"""Inputs and outputs under this package's names and in the user's own types."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mnist_estimator.export._graph import rename_tensor


def is_classifier(estimator):
    """Tell whether an estimator has classes.

    Parameters
    ----------
    estimator : BaseEstimator
        A fitted estimator. SciKeras' own do not say that they are classifiers.

    Returns
    -------
    has_classes : bool
        Whether its file has a label and probabilities.
    """
    return hasattr(estimator, "classes_")


def name_outputs(model, classes):
    """Give out the classes themselves as "label", and float32 "probabilities"; in place.

    Parameters
    ----------
    model : onnx.ModelProto
        A classifier whose two outputs are the index of the class and the probabilities.
    classes : ndarray of shape (n_classes,)
        The classes, of any dtype.
    """
    graph = model.graph
    inner = []
    for value in graph.output:
        inner.append(f"skl2onnx.{value.name}")
        rename_tensor(graph.node, value.name, inner[-1])
    index, scores = inner
    is_text = classes.dtype.kind not in "biuf"
    if is_text or not np.array_equal(classes.astype(np.int64), np.arange(len(classes))):
        table = classes.astype(object if is_text else np.int64)
        graph.initializer.append(numpy_helper.from_array(table, "skl2onnx.classes"))
        graph.node.append(helper.make_node("Gather", ["skl2onnx.classes", index], ["label"]))
    else:
        graph.node.append(helper.make_node("Identity", [index], ["label"]))
    graph.node.append(helper.make_node("Cast", [scores], ["probabilities"], to=TensorProto.FLOAT))
    del graph.output[:]
    label_type = TensorProto.STRING if is_text else TensorProto.INT64
    graph.output.extend(
        [
            helper.make_tensor_value_info("label", label_type, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)]),
        ]
    )


def name_inputs(model, described):
    """Take the input in the user's own dtypes, a DataFrame as one input a column; in place.

    Parameters
    ----------
    model : onnx.ModelProto
        A model that takes what `ModelInput.skl2onnx_types` says.
    described : ModelInput
        What a row of the input is.
    """
    graph = model.graph
    targets = [(value.name, value.type.tensor_type.elem_type) for value in graph.input]
    inner = [f"skl2onnx.input_{i}" for i in range(len(targets))]
    for (old, _), new in zip(targets, inner, strict=True):
        rename_tensor(graph.node, old, new)
    if not described.columns:
        inputs = [_value_info("X", described.dtype, described.shape)]
    else:
        inputs = [_value_info(name, dtype, (1,)) for name, dtype in described.columns]
    names, head = [value.name for value in inputs], []
    if len(names) > len(targets):
        names, head = _concatenated(names, described, targets[0][1])
    for name, new, (_, element_type) in zip(names, inner, targets, strict=True):
        if element_type == TensorProto.STRING:
            head.append(helper.make_node("Identity", [name], [new]))
        else:
            head.append(helper.make_node("Cast", [name], [new], to=element_type))
    nodes = [*head, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)


def _concatenated(names, described, element_type):
    """Return the name of one matrix of all columns, in a list, and the nodes that make it."""
    nodes = []
    if len({dtype for _, dtype in described.columns}) > 1:
        casted = [f"skl2onnx.column_{i}" for i in range(len(names))]
        nodes += [
            helper.make_node("Cast", [name], [cast], to=element_type)
            for name, cast in zip(names, casted, strict=True)
        ]
        names = casted
    nodes.append(helper.make_node("Concat", names, ["skl2onnx.matrix"], axis=1))
    return ["skl2onnx.matrix"], nodes


def _value_info(name, dtype, shape):
    element_type = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, element_type, ["N", *shape])
