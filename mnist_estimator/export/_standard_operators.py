"""What skl2onnx writes with operators for machine learning, in ONNX's own.

OpenVINO and other runtimes have no, or only a few, operators of the domain ``ai.onnx.ml``, though
the common ones are a matrix product or a choice in other words.
"""

import math

import numpy as np
from onnx import TensorProto, helper

from mnist_estimator.export._graph import Graph

_POST_TRANSFORMS = {b"NONE": None, b"LOGISTIC": "Sigmoid", b"SOFTMAX": "Softmax"}
_NORMS = {b"L1": 1, b"L2": 2}


def in_standard_operators(model):
    """Return the same model with linear classifiers, imputers and the like spelled out.

    Parameters
    ----------
    model : onnx.ModelProto
        Any valid model. It is left as it is.

    Returns
    -------
    spelled_out : onnx.ModelProto
        Inputs and outputs are the same, results agree to float32 rounding. Operators that have no
        short counterpart (trees, support vectors) are still there.

    Examples
    --------
    >>> from onnx import parser
    >>> from mnist_estimator.export._standard_operators import in_standard_operators
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3]>
    ... rows (float[N, 2] X) => (float[N, 2] Y) {
    ...     Y = ai.onnx.ml.Normalizer <norm = "L2"> (X)
    ... }''')
    >>> [node.op_type for node in in_standard_operators(model).graph.node]
    ['LpNormalization']
    """
    graph = Graph(model)
    for node in list(graph.nodes):
        spell = _SPELLING.get(node.op_type) if node.domain == "ai.onnx.ml" else None
        if spell is None:
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        replacement = spell(graph, node, attributes)
        if replacement is None:
            continue
        for added in replacement:
            graph.insert_before(node, added)
        graph.remove(node)
        graph.relink()
    return graph.to_model()


def _array_feature_extractor(graph, node, attributes):
    """Gather takes columns by their number, too."""
    source, wanted = node.input
    shape, columns = graph.shape(source), graph.constants.get(wanted)
    if shape is None or len(shape) < 2 or columns is None:
        return None
    place = graph.add_constant(columns.ravel())
    return [helper.make_node("Gather", [source, place], node.output, axis=-1)]


def _imputer(graph, node, attributes):
    """Choose, by Where, between a value and what stands in for a missing one."""
    (source,) = node.input
    if graph.element_type(source) != TensorProto.FLOAT:
        return None
    missing = np.float32(attributes.get("replaced_value_float", 0))
    fill = graph.add_constant(np.array(attributes["imputed_value_floats"], dtype=np.float32))
    is_missing = graph.new_name()
    if math.isnan(missing):
        test = helper.make_node("IsNaN", [source], [is_missing])
    else:
        test = helper.make_node("Equal", [source, graph.add_constant(missing)], [is_missing])
    return [test, helper.make_node("Where", [is_missing, fill, source], node.output)]


def _linear_classifier(graph, node, attributes):
    """Multiply, and take the class of the largest product."""
    classes, intercepts = attributes.get("classlabels_ints"), attributes.get("intercepts")
    post_transform = attributes.get("post_transform", b"NONE")
    if (
        graph.element_type(node.input[0]) != TensorProto.FLOAT
        or classes is None
        or intercepts is None
        or len(intercepts) != len(classes)
        or post_transform not in _POST_TRANSFORMS
    ):
        return None
    label, scores = node.output
    weights = np.array(attributes["coefficients"], dtype=np.float32).reshape(len(classes), -1)
    operands = [weights.T, np.array(intercepts, dtype=np.float32)]
    operands = [graph.add_constant(operand) for operand in operands]
    nonlinearity, best = _POST_TRANSFORMS[post_transform], graph.new_name()
    sums = graph.new_name() if nonlinearity else scores
    table = graph.add_constant(np.array(classes, dtype=np.int64))
    return [
        helper.make_node("Gemm", [*node.input, *operands], [sums]),
        *([helper.make_node(nonlinearity, [sums], [scores])] if nonlinearity else []),
        helper.make_node("ArgMax", [sums], [best], axis=1, keepdims=0),
        helper.make_node("Gather", [table, best], [label]),
    ]


def _normalizer(graph, node, attributes):
    """Divide by the norm, unless a Softmax has made the rows sum to 1."""
    (source,) = node.input
    norm = attributes.get("norm", b"MAX")
    if graph.element_type(source) != TensorProto.FLOAT or norm not in _NORMS:
        return None
    maker = graph.maker.get(source)
    is_done = norm == b"L1" and maker is not None and maker.op_type == "Softmax"
    if is_done and graph.bypass(node, source):
        return []
    return [helper.make_node("LpNormalization", [source], node.output, axis=-1, p=_NORMS[norm])]


_SPELLING = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "Imputer": _imputer,
    "LinearClassifier": _linear_classifier,
    "Normalizer": _normalizer,
}
