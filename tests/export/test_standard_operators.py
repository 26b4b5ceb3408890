"""Operators for machine learning, spelled out in ONNX's own, compute the same."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnist_estimator.export._standard_operators import in_standard_operators

ROWS = np.array([[1, -2, 0], [0, 0, 0], [3, 0.5, -1], [np.nan, 2, 1]], dtype=np.float32)
COMPLETE = ROWS[:3]
WEIGHTS = [1.0, -0.5, 2.0, 0.25, 1.5, -1.0]


def one_node(op_type, outputs, columns=None, dtype=np.float32, shape=("N", 3), **attributes):
    """Build a model of one operator for machine learning."""
    inputs = ["X"] if columns is None else ["X", "columns"]
    node = helper.make_node(op_type, inputs, list(outputs), domain="ai.onnx.ml", **attributes)
    info, element_type = helper.make_tensor_value_info, helper.np_dtype_to_tensor_dtype
    results = {"label": (TensorProto.INT64, ["N"]), "Y": (TensorProto.FLOAT, ["N", "M"])}
    graph = helper.make_graph(
        [node],
        "one",
        [info("X", element_type(np.dtype(dtype)), shape)],
        [info(name, *results[name]) for name in outputs],
        [] if columns is None else [numpy_helper.from_array(np.array(columns), "columns")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets)


def linear(**attributes):
    attributes = {"intercepts": [0.5, -0.5], "classlabels_ints": [3, 7], **attributes}
    return one_node("LinearClassifier", ["label", "Y"], coefficients=WEIGHTS, **attributes)


@pytest.mark.parametrize(
    ("model", "X", "expected"),
    [
        (one_node("ArrayFeatureExtractor", "Y", columns=[2, 0]), ROWS, ["Gather"]),
        (one_node("ArrayFeatureExtractor", "Y", columns=[[1]]), ROWS, ["Gather"]),
        (
            one_node("Imputer", "Y", imputed_value_floats=[7.0, 8, 9], replaced_value_float=np.nan),
            ROWS,
            ["IsNaN", "Where"],
        ),
        (one_node("Imputer", "Y", imputed_value_floats=[7.0]), COMPLETE, ["Equal", "Where"]),
        (linear(), COMPLETE, ["Gemm", "ArgMax", "Gather"]),
        (linear(post_transform="LOGISTIC"), COMPLETE, ["Gemm", "Sigmoid", "ArgMax", "Gather"]),
        (linear(post_transform="SOFTMAX"), COMPLETE, ["Gemm", "Softmax", "ArgMax", "Gather"]),
        (one_node("Normalizer", "Y", norm="L1"), COMPLETE, ["LpNormalization"]),
        (one_node("Normalizer", "Y", norm="L2"), COMPLETE, ["LpNormalization"]),
    ],
)
def test_spelled_out(run, model, X, expected):
    spelled = in_standard_operators(model)
    onnx.checker.check_model(spelled, full_check=True)
    assert [node.op_type for node in spelled.graph.node] == expected
    for before, after in zip(run(model, X), run(spelled, X), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)
        assert after.dtype == before.dtype


@pytest.mark.parametrize(
    "model",
    [
        one_node("ArrayFeatureExtractor", "Y", columns=[2, 0], shape=["N"]),
        one_node("Imputer", "Y", imputed_value_int64s=[7], dtype=np.int64),
        one_node("Normalizer", "Y", norm="MAX"),
        one_node("Normalizer", "Y", norm="L1", dtype=np.int64),
        linear(post_transform="PROBIT"),
        one_node("LinearClassifier", ["label", "Y"], coefficients=WEIGHTS, classlabels_ints=[3, 7]),
        linear(intercepts=[0.5]),
        one_node("Binarizer", "Y", threshold=0.5),
    ],
)
def test_what_has_no_counterpart_stays(model):
    assert in_standard_operators(model).graph.node == model.graph.node


def test_a_softmax_needs_no_norm(run):
    model = one_node("Normalizer", "Y", norm="L1")
    model.graph.node.insert(0, helper.make_node("Softmax", ["X"], ["P"], axis=1))
    model.graph.node[1].input[0] = "P"
    spelled = in_standard_operators(model)
    assert [node.op_type for node in spelled.graph.node] == ["Softmax"]
    np.testing.assert_allclose(run(spelled, COMPLETE)[0], run(model, COMPLETE)[0], atol=1e-6)
