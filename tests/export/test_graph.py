"""A simplified graph computes the same in fewer nodes; a canonical one has one spelling."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from mnist_estimator.export._canonical import canonicalize
from mnist_estimator.export._simplify import simplify

RNG = np.random.default_rng(0)


def build(text, **constants):
    """Parse a graph; its constants come as arrays."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3]> {text}')
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def check(run, model, X, expected, atol=0):
    """The simplified model has the expected operators and computes the same."""
    simple = simplify(model)
    onnx.checker.check_model(simple, full_check=True)
    assert [node.op_type for node in simple.graph.node] == expected
    for before, after in zip(run(model, X), run(simple, X), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=atol)
        assert after.dtype == before.dtype
    return simple


ROWS = RNG.random((5, 3), dtype=np.float32)
BYTES = RNG.integers(0, 256, (5, 3), dtype=np.uint8)
WEIGHTS = RNG.normal(size=(3, 2)).astype(np.float32)


def test_constants_are_folded(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y) {
            a = Constant <value = float[3] {1, 2, 3}> ()
            b = Constant <value_float = 2.0> ()
            c = Mul(a, b)
            Y = Add(X, c)
        }"""
    )
    simple = check(run, model, ROWS, ["Add"])
    assert len(simple.graph.initializer) == 1


def test_what_must_not_be_folded_stays(run):
    """Outputs, random numbers and tensors that would blow the file up."""
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y, float[3] c) {
            a = Constant <value = float[3] {1, 2, 3}> ()
            c = Neg(a)
            noise = RandomNormalLike <scale = 0.0> (a)
            plus = Add(X, noise)
            big = Expand(a, shape)
            total = ReduceSum <keepdims = 0> (big)
            Y = Mul(plus, total)
        }""",
        shape=np.array([500_000, 3]),
    )
    kinds = [node.op_type for node in simplify(model).graph.node]
    assert sorted(kinds) == ["Add", "Expand", "Mul", "Neg", "RandomNormalLike", "ReduceSum"]


def test_what_onnxruntime_cannot_compute_stays():
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 18, "elsewhere" : 1]>
        g (float[N, 3] X) => (float[N, 3] Y) {
            one = Constant <value = float[1] {1}> ()
            secret = elsewhere.Secret(one)
            back = Reshape(secret, one)
            sum = Add(X, back)
            Y = Reshape(sum, back)
        }"""
    )
    kinds = [node.op_type for node in simplify(model).graph.node]
    assert kinds == ["Secret", "Reshape", "Add", "Reshape"]


def test_no_ops_are_dropped(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y) {
            a = Identity(X)
            b = Cast <to = 1> (a)
            c = Reshape(b, shape)
            d = Flatten(c)
            e = Sum(d)
            f = Concat <axis = 1> (e)
            h = Add(f, zero)
            i = Sub(h, zeros)
            j = Mul(i, one)
            k = Div(j, one)
            l = Relu(k)
            Y = Identity(l)
        }""",
        shape=np.array([-1, 3]),
        zero=np.float32(0),
        zeros=np.zeros(3, dtype=np.float32),
        one=np.float32(1),
    )
    check(run, model, ROWS, ["Relu"])


def test_what_only_looks_like_a_no_op_stays(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y) {
            a = Reshape(X, swapped)
            b = Add(a, almost)
            c = Reshape(b, swapped)
            d = Reshape(c, back)
            Y = Min(d, bound)
        }""",
        swapped=np.array([3, -1]),
        back=np.array([-1, 3]),
        almost=np.float32(1e-6),
        bound=np.float32(0.5),
    )
    check(run, model, ROWS, ["Reshape", "Add", "Reshape", "Min"])


def test_a_neutral_operand_that_broadcasts_stays(run):
    model = build(
        """g (float[N, 1] X) => (float[N, 3] Y) {
            A = Add(X, zeros)
            Y = Relu(A)
        }""",
        zeros=np.zeros(3, dtype=np.float32),
    )
    check(run, model, ROWS[:, :1], ["Add", "Relu"])


def test_an_input_that_is_an_output_needs_its_identity(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y, float[N, 3] Z) {
            Y = Identity(X)
            Z = Identity(Y)
        }"""
    )
    check(run, model, ROWS, ["Identity", "Identity"])


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(11, 1, [1]), (11, 7, [7]), (1, 2, []), (6, 1, [1]), (9, 1, [9, 1])],
)
def test_casts_merge_where_nothing_is_lost(run, first, second, kept):
    result = {1: "float", 2: "uint8", 7: "int64"}[second]
    model = build(
        f"""g (uint8[N, 3] X) => ({result}[N, 6] Y) {{
            A = Cast <to = {first}> (X)
            B = Cast <to = {second}> (A)
            Y = Concat <axis = 1> (B, B)
        }}"""
    )
    simple = check(run, model, BYTES, ["Cast"] * len(kept) + ["Concat"])
    casts = [node for node in simple.graph.node if node.op_type == "Cast"]
    assert [helper.get_attribute_value(node.attribute[0]) for node in casts] == kept


def test_bytes_are_flattened_as_bytes(run):
    model = build(
        """g (uint8[N, 3, 2] X) => (float[N, 6] Y) {
            A = Cast <to = 1> (X)
            Y = Flatten(A)
        }"""
    )
    X = RNG.integers(0, 256, (5, 3, 2), dtype=np.uint8)
    simple = check(run, model, X, ["Flatten", "Cast"])
    assert simple.graph.node[0].input[0] == "X"


def test_repeated_nodes_are_computed_once(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y, float[N, 3] Z) {
            A = Mul(X, two)
            B = Mul(X, zwei)
            C = Mul(X, three)
            D = Add(A, B)
            Y = Add(D, C)
            E = Relu(X)
            F = Relu(X)
            Z = Add(E, F)
        }""",
        two=np.float32(2),
        zwei=np.float32(2),
        three=np.float32(3),
    )
    check(run, model, ROWS, ["Mul", "Mul", "Add", "Add", "Relu", "Add"])


def test_nodes_that_differ_in_something_are_not_merged(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y) {
            A = Softmax <axis = 0> (X)
            B = Softmax <axis = 1> (X)
            C = Max(A, B)
            D = Max(A, B, X)
            E = Mul(C, half)
            F = Mul(C, D)
            Y = Add(E, F)
        }""",
        half=np.float32(0.5),
    )
    check(run, model, ROWS, ["Softmax", "Softmax", "Max", "Max", "Mul", "Mul", "Add"])


@pytest.mark.parametrize("is_flipped", [False, True])
def test_product_and_bias_become_gemm(run, is_flipped):
    operands = "bias, A" if is_flipped else "A, bias"
    model = build(
        f"""g (float[N, 3] X) => (float[N, 2] Y) {{
            A = MatMul(X, weights)
            Y = Add({operands})
        }}""",
        weights=WEIGHTS,
        bias=np.array([[1, 2]], dtype=np.float32),
    )
    check(run, model, ROWS, ["Gemm"], atol=1e-6)


def test_products_that_gemm_cannot_do_stay(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 2] Y) {
            A = MatMul(X, weights)
            B = Add(A, wide)
            C = Transpose(X)
            D = MatMul(X, C)
            E = ReduceMax(D)
            Y = Add(B, E)
        }""",
        weights=WEIGHTS,
        wide=np.ones((5, 2), dtype=np.float32),
    )
    kinds = ["MatMul", "Add", "Transpose", "MatMul", "ReduceMax", "Add"]
    check(run, model, ROWS, kinds)


@pytest.mark.parametrize("operator", ["Mul", "Div"])
@pytest.mark.parametrize("factor", [np.float32(255), np.array([2, 3, 4], dtype=np.float32)])
def test_scaling_moves_into_the_weights(run, operator, factor):
    model = build(
        f"""g (float[N, 3] X) => (float[N, 2] Y, float[N, 2] Z) {{
            A = {operator}(X, factor)
            Y = MatMul(A, weights)
            Z = Gemm(A, weights, bias)
        }}""",
        factor=factor,
        weights=WEIGHTS,
        bias=np.ones(2, dtype=np.float32),
    )
    check(run, model, ROWS, ["MatMul", "Gemm"], atol=1e-3 if operator == "Mul" else 1e-6)


def test_scaling_from_the_left(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 2] Y) {
            A = Mul(factor, X)
            Y = MatMul(A, weights)
        }""",
        factor=np.float32(0.5),
        weights=WEIGHTS,
    )
    check(run, model, ROWS, ["MatMul"], atol=1e-6)


def test_scaling_stays_where_something_else_reads_it(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 2] Y, float[N, 3] Z) {
            A = Mul(X, factor)
            Y = MatMul(A, weights)
            Z = Relu(A)
        }""",
        factor=np.float32(0.5),
        weights=WEIGHTS,
    )
    check(run, model, ROWS, ["Mul", "MatMul", "Relu"])


@pytest.mark.parametrize("attribute", ["transA", "transB"])
def test_scaling_stays_before_a_transposed_product(run, attribute):
    weights = WEIGHTS.T if attribute == "transB" else RNG.random((5, 2), dtype=np.float32)
    rows = "N" if attribute == "transB" else "3"
    model = build(
        f"""g (float[5, 3] X) => (float[{rows}, 2] Y) {{
            A = Mul(X, factor)
            Y = Gemm <{attribute} = 1> (A, weights)
        }}""",
        factor=np.float32(0.5),
        weights=weights,
    )
    check(run, model, ROWS, ["Mul", "Gemm"])


def test_scaling_of_another_shape_stays(run):
    model = build(
        """g (float[5, 3] X) => (float[5, 2] Y) {
            A = Mul(X, factor)
            Y = MatMul(A, weights)
        }""",
        factor=RNG.random((5, 1), dtype=np.float32),
        weights=WEIGHTS,
    )
    check(run, model, ROWS, ["Mul", "MatMul"])


def test_standard_scaler_is_spelled_out(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 2] Y) {
            A = ai.onnx.ml.Scaler <offset = [1.0, 2.0, 3.0], scale = [2.0, 0.5, 1.0]> (X)
            Y = MatMul(A, weights)
        }""",
        weights=WEIGHTS,
    )
    check(run, model, ROWS, ["Sub", "MatMul"], atol=1e-6)


def test_imputer_of_bytes_is_dropped(run):
    model = build(
        """g (uint8[N, 3] X) => (float[N, 3] Y) {
            A = Cast <to = 1> (X)
            B = ai.onnx.ml.Imputer <imputed_value_floats = [1.0], replaced_value_float = nan> (A)
            Y = Relu(B)
        }""".replace("nan", "0.0")
    )
    check(run, model, BYTES, ["Cast", "Imputer", "Relu"])  # it replaces zeros
    attribute = next(a for a in model.graph.node[1].attribute if a.name == "replaced_value_float")
    attribute.f = float("nan")
    check(run, model, BYTES, ["Cast", "Relu"])


def test_minimum_that_bytes_cannot_reach_is_dropped(run):
    text = """g (uint8[N, 3] X) => (float[N, 3] Y) {
        A = Cast <to = 1> (X)
        B = Min(A, bound)
        Y = Sqrt(B)
    }"""
    check(run, build(text, bound=np.float32(255)), BYTES, ["Cast", "Sqrt"])
    check(run, build(text, bound=np.float32(254)), BYTES, ["Cast", "Min", "Sqrt"])


@pytest.mark.parametrize("table", [[0, 1, 2], [2, 1, 0]])
def test_label_detour(run, table):
    model = build(
        """g (float[N, 3] X) => (int64[N] label) {
            best = ArgMax <axis = 1> (X)
            picked = ai.onnx.ml.ArrayFeatureExtractor(table, best)
            number = Cast <to = 1> (picked)
            row = Reshape(number, flat)
            label = Cast <to = 7> (row)
        }""",
        table=np.array(table, dtype=np.int32),
        flat=np.array([-1]),
    )
    is_plain = table == [0, 1, 2]
    detour = ["ArgMax", "ArrayFeatureExtractor", "Cast", "Reshape", "Cast"]
    check(run, model, ROWS, ["ArgMax"] if is_plain else detour)


def test_integer_rows_that_are_no_label_stay(run):
    model = build(
        """g (int64[N] X) => (int64[M] Y, int64[N] Z) {
            squared = Mul(X, X)
            pairs = Reshape(squared, two)
            Y = Reshape(pairs, flat)
            half = Cast <to = 10> (X)
            Z = Cast <to = 7> (half)
        }""",
        two=np.array([-1, 2]),
        flat=np.array([-1]),
    )
    kinds = ["Mul", "Reshape", "Reshape", "Cast", "Cast"]
    check(run, model, np.arange(4), kinds)


BRANCHES = """g (float[N, 3] X) => (float[N, 3] Y) {
    largest = ReduceMax <keepdims = 0> (X)
    A = Identity(X)
    flag = Cast <to = 9> (largest)
    Y = If (flag) <
        then_branch = then_g () => (float[M, 3] inner) { inner = Add(A, one) },
        else_branch = else_g () => (float[K, 3] other) { other = Neg(A) }
    >
}"""


def test_subgraphs_follow_renamed_tensors(run):
    model = build(BRANCHES, one=np.float32(1))
    check(run, model, ROWS, ["ReduceMax", "Cast", "If"])


def test_canonical_spelling(run):
    model = build(BRANCHES, one=np.float32(1))
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        node.name = f"whatever_{node.op_type}"
        node.input[:] = [name if name == "X" else f"{name}_2" for name in node.input]
        node.output[:] = [name if name == "Y" else f"{name}_2" for name in node.output]
        for attribute in node.attribute:
            for inner in attribute.g.node:
                inner.input[:] = [name if name == "one" else f"{name}_2" for name in inner.input]
    other.graph.node[1].doc_string = "noise"
    other.graph.doc_string = "noise"
    del other.opset_import[1]
    canonical = canonicalize(model)
    assert canonical.SerializeToString() == canonicalize(other).SerializeToString()
    onnx.checker.check_model(canonical, full_check=True)
    assert [node.name for node in canonical.graph.node] == [
        "ReduceMax_1",
        "Cast_1",
        "Identity_1",
        "If_1",
    ]
    np.testing.assert_array_equal(run(canonical, ROWS)[0], run(model, ROWS)[0])


def test_canonical_order_and_leftovers(run):
    model = build(
        """g (float[N, 3] X) => (float[N, 3] Y, float[N, 3] Z) {
            unused = Neg(X)
            Z = Mul(X, X)
            Y = Clip(X, , high)
        }""",
        high=np.float32(0.5),
        stray=np.float32(1),
    )
    canonical = canonicalize(model)
    assert [node.name for node in canonical.graph.node] == ["Clip_1", "Mul_1"]
    assert [tensor.name for tensor in canonical.graph.initializer] == ["Clip_1.max"]
    assert [opset.domain for opset in canonical.opset_import] == [""]
    np.testing.assert_array_equal(run(canonical, ROWS)[0], run(model, ROWS)[0])


def test_canonical_names_of_operators_that_onnx_does_not_know():
    node = helper.make_node("Gelu", ["X"], ["Y"], domain="com.microsoft")
    values = [helper.make_tensor_value_info(name, 1, ["N"]) for name in "XY"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    canonical = canonicalize(helper.make_model(graph, opset_imports=opsets))
    assert [opset.domain for opset in canonical.opset_import] == ["", "com.microsoft"]
    assert canonical.graph.node[0].input[0] == "X"
