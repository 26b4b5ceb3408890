"""The same graph in as few nodes as possible.

Converters write one node after another without looking around. `simplify` folds constants,
drops nodes that do nothing, and moves a scaling into the weights of the matrix product behind
it.
"""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from mnist_estimator.export._graph import Graph

_WIDE = {TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT, TensorProto.DOUBLE}
# Casting there and on to a third type keeps every value: source → types that hold it exactly.
# (int64 beyond 2⁵³ is rounded once instead of twice.)
_LOSSLESS = {
    TensorProto.BOOL: _WIDE,
    TensorProto.UINT8: _WIDE,
    TensorProto.INT8: _WIDE,
    TensorProto.UINT16: _WIDE,
    TensorProto.INT16: _WIDE,
    TensorProto.FLOAT: {TensorProto.DOUBLE},
    TensorProto.INT32: {TensorProto.INT64, TensorProto.DOUBLE},
    TensorProto.INT64: {TensorProto.DOUBLE},
}
_LARGEST_BYTE = 255
_INTEGERS = {TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64}
# The operand that changes nothing, second of two.
_NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}
# Folding must not blow a small recipe (a tile, a range) up into megabytes.
_MAX_FOLDED_ELEMENTS = 1 << 20


def simplify(model):
    """Return the same model with fewer nodes.

    Constants are folded; Identity, Cast pairs, reshapes to the shape already there, repeated
    nodes and everything no output needs go; a matrix product and the sum behind it become one
    Gemm; a multiplication or division by constants moves into the weights behind it.

    Parameters
    ----------
    model : onnx.ModelProto
        Any valid model. It is left as it is.

    Returns
    -------
    simplified : onnx.ModelProto
        Inputs, outputs and opsets are the same. Results agree to float32 rounding.

    Examples
    --------
    >>> from onnx import parser
    >>> from mnist_estimator.export._simplify import simplify
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
    ... ink (uint8[N, 2] X) => (float[N, 2] Y) {
    ...     A = Cast<to = 11>(X)
    ...     B = Cast<to = 1>(A)
    ...     Y = Identity(B)
    ... }''')
    >>> [node.op_type for node in simplify(model).graph.node]
    ['Cast']
    """
    graph = Graph(model)
    passes = (
        _fold_constants,
        _spell_out_scaler,
        _drop_no_ops,
        _flatten_bytes,
        _merge_casts,
        _merge_repeated,
        _read_label_from_argmax,
        _fuse_gemm,
        _fold_scaling,
    )
    # Each pass may open the way for another. All of them drop nodes, or move one where it stays.
    while sum(step(graph) for step in passes):
        graph.infer_types()
    return graph.to_model()


def _attribute(node, name, default=None):
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def _one_change(step):
    """Make a pass that rewrites node by node; makers and readers are fresh for every change."""

    def run(graph):
        n_changes = 0
        alive = {id(node) for node in graph.nodes}
        for node in list(graph.nodes):
            if id(node) in alive and step(graph, node):
                n_changes += 1
                graph.relink()
                alive = {id(kept) for kept in graph.nodes}
        return n_changes

    return run


@_one_change
def _fold_constants(graph, node):
    """Compute a node of constants now."""
    if node.op_type == "Constant" and _attribute(node, "value") is not None:
        graph.constants[node.output[0]] = numpy_helper.to_array(_attribute(node, "value"))
        graph.remove(node)
        return True
    if any(name not in graph.constants for name in node.input):
        return False
    if any(name in graph.outputs for name in node.output) or node.op_type.startswith("Random"):
        return False
    values = _evaluate(graph, node)
    if values is None or sum(np.size(value) for value in values) > _MAX_FOLDED_ELEMENTS:
        return False
    graph.remove(node)
    graph.constants.update(zip(node.output, values, strict=True))
    return True


def _evaluate(graph, node):
    """Return a constant node's outputs, or None where onnxruntime cannot run it by itself."""
    from onnxruntime import InferenceSession, SessionOptions

    feeds = [numpy_helper.from_array(graph.constants[name], name) for name in set(node.input)]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    alone = onnx.ModelProto()
    alone.CopyFrom(graph.frame)
    alone.graph.CopyFrom(helper.make_graph([node], "constant", [], outputs, feeds))
    alone = shape_inference.infer_shapes(alone)
    options = SessionOptions()
    options.log_severity_level = 4
    try:
        session = InferenceSession(
            alone.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(None, {})
    except Exception:  # whatever onnxruntime raises: an unfolded constant is only one node more
        return None


@_one_change
def _drop_no_ops(graph, node):
    """Drop what gives its input out unchanged."""
    return bool(node.input) and _is_no_op(graph, node) and graph.bypass(node, node.input[0])


def _is_no_op(graph, node):
    """Tell whether a node gives its first input out unchanged."""
    source, *others = node.input
    operand = graph.constants.get(others[0]) if others else None
    if node.op_type in _NEUTRAL:
        is_neutral = operand is not None and np.all(operand == _NEUTRAL[node.op_type])
        is_no_op = is_neutral and _is_at_most_a_row(graph, source, operand)
    elif node.op_type == "Min":
        # What was cast from bytes cannot be above 255.
        from_bytes = _type_before_cast(graph, source) == TensorProto.UINT8
        is_no_op = from_bytes and operand is not None and np.min(operand) >= _LARGEST_BYTE
    elif node.op_type == "Imputer":
        # What was cast from integers holds no NaN.
        is_integer = _type_before_cast(graph, source) in _INTEGERS
        is_no_op = is_integer and math.isnan(_attribute(node, "replaced_value_float", 0.0))
    elif node.op_type == "Cast":
        is_no_op = _attribute(node, "to") == graph.element_type(source)
    elif node.op_type in ("Reshape", "Flatten"):
        is_no_op = _keeps_shape(graph, node)
    elif node.op_type in ("Concat", "Sum"):
        is_no_op = not others
    else:
        is_no_op = node.op_type == "Identity"
    return is_no_op


def _is_at_most_a_row(graph, name, operand):
    """Tell whether an operand is a number, or one for each column: it broadcasts nothing up."""
    shape = graph.shape(name)
    return operand.ndim == 0 or (operand.ndim == 1 and bool(shape) and shape[-1] == operand.size)


def _type_before_cast(graph, name):
    maker = graph.maker.get(name)
    if maker is None or maker.op_type != "Cast":
        return TensorProto.UNDEFINED
    return graph.element_type(maker.input[0])


def _keeps_shape(graph, node):
    shape = graph.shape(node.input[0])
    if shape is None:
        return False
    if node.op_type == "Flatten":
        return len(shape) == 2 and _attribute(node, "axis", 1) in (1, -1)
    target = graph.constants.get(node.input[1])
    if target is None or len(target) != len(shape):
        return False
    unequal = [t for t, s in zip(target.tolist(), shape, strict=True) if t != s]
    # One free dimension is implied by the others; with all others equal it is equal too.
    return unequal in ([], [-1])


@_one_change
def _spell_out_scaler(graph, node):
    """Write a StandardScaler in ONNX's own operators, whose parts can be dropped and moved."""
    if node.op_type != "Scaler" or graph.element_type(node.input[0]) != TensorProto.FLOAT:
        return False
    offset, scale = (
        graph.add_constant(np.array(_attribute(node, part), dtype=np.float32))
        for part in ("offset", "scale")
    )
    centered = graph.new_name()
    product = helper.make_node("Mul", [centered, scale], node.output)
    graph.replace(node, product)
    graph.insert_before(product, helper.make_node("Sub", [node.input[0], offset], [centered]))
    return True


@_one_change
def _flatten_bytes(graph, node):
    """Flatten images before they become floats: it moves a quarter of the memory."""
    maker = graph.maker.get(node.input[0]) if node.op_type == "Flatten" else None
    if maker is None or maker.op_type != "Cast" or graph.sole_reader(node.input[0]) is None:
        return False
    flat = graph.new_name()
    attributes = {"axis": _attribute(node, "axis", 1)}
    graph.insert_before(node, helper.make_node("Flatten", maker.input, [flat], **attributes))
    graph.replace(node, helper.make_node("Cast", [flat], node.output, to=_attribute(maker, "to")))
    return True


@_one_change
def _merge_casts(graph, node):
    """Cast once where the type in between holds every value of the first."""
    maker = graph.maker.get(node.input[0]) if node.op_type == "Cast" else None
    if maker is None or maker.op_type != "Cast":
        return False
    source = maker.input[0]
    if _attribute(maker, "to") not in _LOSSLESS.get(graph.element_type(source), ()):
        return False
    node.input[0] = source
    return True


@_one_change
def _merge_repeated(graph, node):
    """Compute what two nodes compute alike only once."""
    twins = graph.readers[node.input[0]] if node.input else []
    for twin in twins:
        if (
            twin is not node
            and twin.op_type == node.op_type
            and twin.domain == node.domain
            and len(twin.output) == len(node.output) == 1
            and not node.op_type.startswith("Random")
            and _same_inputs(graph, twin, node)
            and sorted(a.SerializeToString() for a in twin.attribute)
            == sorted(a.SerializeToString() for a in node.attribute)
        ):
            places = [id(kept) for kept in graph.nodes]
            first, second = sorted((twin, node), key=lambda kept: places.index(id(kept)))
            return graph.bypass(second, first.output[0])
    return False


def _same_inputs(graph, a, b):
    if len(a.input) != len(b.input):
        return False
    for one, other in zip(a.input, b.input, strict=True):
        if one == other:
            continue
        first, second = graph.constants.get(one), graph.constants.get(other)
        if first is None or second is None or first.dtype != second.dtype:
            return False
        if not np.array_equal(first, second):
            return False
    return True


@_one_change
def _read_label_from_argmax(graph, node):
    """Take the index of the largest score as it is, not through a table of 0, 1, 2."""
    if node.op_type not in ("Cast", "Reshape") or not _is_index_row(graph, node.output[0]):
        return False
    maker = node
    while maker is not None and maker.op_type != "ArgMax":
        if maker.op_type in ("Cast", "Reshape"):
            maker = graph.maker.get(maker.input[0])
        elif maker.op_type == "ArrayFeatureExtractor" and _is_range(graph, maker.input[0]):
            maker = graph.maker.get(maker.input[1])
        else:
            return False
    if maker is None:
        return False
    axis = _attribute(maker, "axis", 0)
    argmax = helper.make_node("ArgMax", maker.input[:1], node.output, axis=axis, keepdims=0)
    graph.replace(node, argmax)
    return True


def _is_index_row(graph, name):
    shape = graph.shape(name)
    return graph.element_type(name) == TensorProto.INT64 and shape is not None and len(shape) == 1


def _is_range(graph, name):
    table = graph.constants.get(name)
    return table is not None and np.array_equal(table.ravel(), np.arange(table.size))


@_one_change
def _fuse_gemm(graph, node):
    """MatMul and Add of a constant row → Gemm."""
    if node.op_type != "MatMul" or node.input[1] not in graph.constants:
        return False
    weights, rows = graph.constants[node.input[1]], graph.shape(node.input[0])
    add = graph.sole_reader(node.output[0])
    if weights.ndim != 2 or rows is None or len(rows) != 2 or add is None or add.op_type != "Add":
        return False
    other = add.input[1] if add.input[0] == node.output[0] else add.input[0]
    bias = graph.constants.get(other)
    if bias is None or bias.size != weights.shape[1] or bias.ndim > 2:
        return False
    row = graph.add_constant(bias.reshape(-1))
    graph.replace(add, helper.make_node("Gemm", [*node.input, row], list(add.output)))
    return True


@_one_change
def _fold_scaling(graph, node):
    """Move a multiplication or division by constants into the weights of the products behind it.

    The products of each row stay what they were up to one rounding; nothing is subtracted, so no
    digits cancel. An offset (the mean of a StandardScaler) is left where it is for that reason.
    """
    if node.op_type not in ("Mul", "Div") or node.output[0] in graph.outputs:
        return False
    source, other = node.input
    if node.op_type == "Mul" and source in graph.constants:
        source, other = other, source
    factor = graph.constants.get(other)
    readers = graph.readers[node.output[0]]
    if factor is None or not readers:
        return False
    for reader in readers:
        weights = graph.constants.get(reader.input[1]) if len(reader.input) > 1 else None
        plain = reader.op_type == "MatMul" or (
            reader.op_type == "Gemm"
            and not _attribute(reader, "transA", 0)
            and not _attribute(reader, "transB", 0)
        )
        if not plain or weights is None or weights.ndim != 2 or reader.input[0] != node.output[0]:
            return False
        if factor.size not in (1, weights.shape[0]) or factor.ndim > 2:
            return False
    column = factor.astype(np.float64).reshape(-1, 1)
    for reader in readers:
        weights = graph.constants[reader.input[1]]
        scaled = weights * column if node.op_type == "Mul" else weights / column
        reader.input[0] = source
        reader.input[1] = graph.add_constant(scaled.astype(weights.dtype))
    return True
