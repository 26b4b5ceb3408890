"""Damaged and malicious model files: each is refused with our error, or it works."""

import json
import pickle
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from mnist_estimator.exceptions import ModelFileError
from mnist_estimator.runtime import OnnxModel, _file_check

N_MUTANTS = 5000

# Tries every file in a process of its own, so that a crash of onnxruntime fails one test and
# does not end the others.
_CHILD = textwrap.dedent(
    """
    import faulthandler, json, struct, sys
    import numpy as np
    from mnist_estimator.exceptions import ModelFileError
    from mnist_estimator.runtime import OnnxModel

    outcomes = []
    with open(sys.argv[1], "rb") as files, open(sys.argv[2], "w") as progress:
        while size := files.read(4):
            content = files.read(struct.unpack("<I", size)[0])
            progress.seek(0)
            progress.write(str(len(outcomes)).ljust(9))
            progress.flush()
            faulthandler.dump_traceback_later(20, exit=True)
            try:
                model = OnnxModel(content)
                if model.n_features > 10_000:
                    outcomes.append("works")
                    continue
                for n_rows in (1, 3, 300):
                    if model.input_dtype is None:
                        X = {name: np.zeros(n_rows, int) for name in model.input_names}
                        if "town" in X:
                            X["town"] = np.full(n_rows, "Bern")
                    else:
                        X = np.ones((n_rows, *model.input_shape), model.input_dtype)
                    labels, probabilities = model.run(X)
                    assert labels.shape == (n_rows,)
                    assert probabilities.shape == (n_rows, len(model.classes))
                outcomes.append("works")
            except ModelFileError as error:
                assert str(error).isprintable(), repr(error)
                outcomes.append("refused")
            except (ValueError, TypeError) as error:
                # Another dtype or set of columns than the rows above.
                assert str(error).startswith(("Expected", "The feature names")), repr(error)
                outcomes.append("works")
    with open(sys.argv[2], "w") as progress:
        json.dump(outcomes, progress)
    """
)


@pytest.fixture(scope="module")
def table_file():
    return make_table()


def make_table():
    """Return a forest of two trees over two columns, one of them text."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["town"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["Bern", "Genf"],
            values_floats=[1.0, 2.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["age"], ["years"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["years", "code"], ["both"], axis=1),
        helper.make_node(
            "Imputer",
            ["both"],
            ["full"],
            domain="ai.onnx.ml",
            imputed_value_floats=[30.0, 0.0],
            replaced_value_float=float("nan"),
        ),
        helper.make_node(
            "TreeEnsembleClassifier",
            ["full"],
            ["label", "probabilities"],
            domain="ai.onnx.ml",
            nodes_treeids=[0, 0, 0, 1, 1, 1],
            nodes_nodeids=[0, 1, 2, 0, 1, 2],
            nodes_featureids=[0, 0, 0, 1, 0, 0],
            nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
            nodes_values=[40.0, 0.0, 0.0, 1.5, 0.0, 0.0],
            nodes_truenodeids=[1, 0, 0, 1, 0, 0],
            nodes_falsenodeids=[2, 0, 0, 2, 0, 0],
            nodes_missing_value_tracks_true=[0] * 6,
            class_treeids=[0, 0, 1, 1, 1],
            class_nodeids=[1, 2, 1, 2, 2],
            class_ids=[0, 1, 2, 0, 1],
            class_weights=[0.5, 0.5, 0.5, 0.25, 0.25],
            classlabels_strings=["low", "middle", "high"],
            post_transform="NONE",
        ),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "table",
        [info("age", TensorProto.INT64, ["N", 1]), info("town", TensorProto.STRING, ["N", 1])],
        [
            info("label", TensorProto.STRING, ["N"]),
            info("probabilities", TensorProto.FLOAT, ["N", 3]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    columns = [{"name": "age", "dtype": "int64"}, {"name": "town", "dtype": "str"}]
    metadata = {
        "classes": ["low", "middle", "high"],
        "classes_dtype": "str",
        "input": {"columns": columns},
    }
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    return model


def damage_bytes(content, rng):
    """Return the content with some bytes changed, removed, doubled or moved."""
    content = bytearray(content)
    kind = rng.choice(["flip", "flip", "flip", "truncate", "cut", "double", "swap"])
    if kind == "flip":
        # The weights are most of a file; its structure is at the two ends.
        reach = rng.choice([len(content), 400])
        for _ in range(rng.choice([1, 2, 8, 64])):
            place = rng.randrange(reach)
            content[rng.choice([place, -place - 1])] = rng.choice(
                [0, 1, 0x7F, 0x80, 0xFF, None]
            ) or rng.randrange(256)
    else:
        start, stop = sorted(rng.sample(range(len(content)), 2))
        piece = content[start:stop]
        if kind == "truncate":
            del content[start:]
        elif kind == "cut":
            del content[start : start + rng.choice([1, 4, 100])]
        elif kind == "double":
            content[start:start] = piece
        else:
            content[start:stop] = piece[::-1]
    return bytes(content)


def damage_fields(model, rng):
    """Return the content with some fields of the model changed, by way of `onnx`."""
    mutant = onnx.ModelProto()
    mutant.CopyFrom(model)
    for _ in range(rng.choice([1, 1, 2, 4])):
        rng.choice(_FIELD_DAMAGES)(mutant, rng)
    return mutant.SerializeToString()


_STRANGE_NUMBERS = [0, 1, -1, 2, 7, 255, 10**6, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, -(2**63)]
_STRANGE_FLOATS = [0.0, -0.0, 1.0, 1e38, -1e38, float("inf"), float("nan"), 1e-45]


def _damage_dims(model, rng):
    tensors = list(model.graph.initializer)
    if tensors:
        tensor = rng.choice(tensors)
        if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_STRANGE_NUMBERS)
        else:
            tensor.dims.append(rng.choice(_STRANGE_NUMBERS))


def _damage_weights(model, rng):
    tensors = list(model.graph.initializer)
    if tensors:
        tensor = rng.choice(tensors)
        tensor.data_type = rng.choice([tensor.data_type, *range(25)])
        tensor.raw_data = rng.randbytes(rng.choice([0, 3, 8, len(tensor.raw_data)]))


def _damage_operator(model, rng):
    nodes = list(model.graph.node)
    if nodes:
        allowed = sorted(_file_check._ALLOWED_OPERATORS[rng.choice(["", "", "ai.onnx.ml"])])
        others = [node.op_type for node in nodes] + ["Loop", "If", "Nothing", ""]
        node = rng.choice(nodes)
        node.op_type = rng.choice([*allowed, *others])
        node.domain = rng.choice([node.domain, "", "ai.onnx.ml", "com.microsoft", "evil"])


def _damage_attribute(model, rng):
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    if attributes:
        attribute = rng.choice(attributes)
        attribute.i = rng.choice(_STRANGE_NUMBERS)
        attribute.f = rng.choice(_STRANGE_FLOATS)
        attribute.type = rng.choice(
            [attribute.type] * 4 + list(AttributeProto.AttributeType.values())
        )
        for numbers, strange in (
            (attribute.ints, _STRANGE_NUMBERS),
            (attribute.floats, _STRANGE_FLOATS),
        ):
            if numbers:
                numbers[rng.randrange(len(numbers))] = rng.choice(strange)
                if rng.random() < 0.3:
                    del numbers[rng.randrange(len(numbers)) :]
        if attribute.strings:
            attribute.strings[rng.randrange(len(attribute.strings))] = rng.choice(
                [b"", b"LEAF", b"BRANCH_LEQ", b"BRANCH_EQ", b"\xff\xfe"]
            )


def _damage_wires(model, rng):
    names = [name for node in model.graph.node for name in [*node.input, *node.output]]
    nodes = [node for node in model.graph.node if node.input]
    if nodes:
        node = rng.choice(nodes)
        side = rng.choice([node.input, node.output])
        if side:
            side[rng.randrange(len(side))] = rng.choice([*names, "", "nothing"])


def _damage_order(model, rng):
    nodes = model.graph.node
    if len(nodes) > 1:
        first, second = rng.sample(range(len(nodes)), 2)
        if rng.random() < 0.5:
            nodes.add().CopyFrom(nodes[first])
        else:
            del nodes[second]


def _damage_interface(model, rng):
    value = rng.choice([*model.graph.input, *model.graph.output])
    value.name = rng.choice([value.name, "X", "label", "probabilities", ""])
    tensor = value.type.tensor_type
    tensor.elem_type = rng.choice([tensor.elem_type, *range(25)])
    for dim in tensor.shape.dim:
        if rng.random() < 0.3:
            dim.dim_value = rng.choice(_STRANGE_NUMBERS)
    if rng.random() < 0.2:
        value.type.Clear()


def _damage_metadata(model, rng):
    entry = rng.choice(model.metadata_props)
    entry.value = rng.choice(
        ["", "null", "[]", "{}", "[" * 100_000, "9" * 10_000, "1e999", '"\\ud800"', "[1, 1]", "\0",
         '["a", "b"]', "[true, false]", '{"columns": [1]}', '{"columns": null}', '"V10000000000"']
    )  # fmt: skip
    if rng.random() < 0.2:
        entry.key = rng.choice(["classes", "input", "classes_dtype", "", "\x1b[31m"])


def _damage_opset(model, rng):
    opset = rng.choice(model.opset_import)
    opset.version = rng.choice([0, 1, 6, 9, 12, 15, 21, 99, -1, 2**62])
    model.ir_version = rng.choice([model.ir_version, 3, 10, 0, 99, 2**62])


_FIELD_DAMAGES = [
    _damage_dims,
    _damage_weights,
    _damage_operator,
    _damage_operator,
    _damage_attribute,
    _damage_attribute,
    _damage_wires,
    _damage_order,
    _damage_interface,
    _damage_metadata,
    _damage_opset,
]


def try_in_a_process(contents, folder):
    """Return what became of each file: "works" or "refused"."""
    files, progress = folder / "files", folder / "progress"
    with files.open("wb") as file:
        for content in contents:
            file.write(len(content).to_bytes(4, "little") + content)
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CHILD, str(files), str(progress)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert child.returncode == 0, (
        f"file {progress.read_text()} ended the process with {child.returncode}:\n{child.stderr}"
    )
    # Nothing that a file makes onnxruntime say reaches the user's terminal.
    assert child.stdout == child.stderr == "", child.stdout + child.stderr
    return json.loads(progress.read_text())


@pytest.fixture(scope="module")
def originals(network_file, table_file):
    return [
        network_file((8, 4, 3)),
        network_file((8, 3), shape=(2, 4), classes=["no", "maybe", "yes"], dtype="float32"),
        table_file,
    ]


def test_mutated_files_are_refused_or_work(originals, tmp_path):
    rng = random.Random(0)
    mutants = [model.SerializeToString() for model in originals]
    while len(mutants) < N_MUTANTS:
        model = rng.choice(originals)
        if rng.random() < 0.4:
            mutants.append(damage_bytes(model.SerializeToString(), rng))
        else:
            mutants.append(damage_fields(model, rng))
    outcomes = try_in_a_process(mutants, tmp_path)
    assert len(outcomes) == N_MUTANTS
    assert outcomes[: len(originals)] == ["works"] * len(originals)
    # Otherwise the damage would be too coarse, or too slight, to reach anything.
    assert 100 < outcomes.count("works") < 0.7 * N_MUTANTS


def refused(model, because):
    """Assert that a model is refused for the reason given."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ModelFileError, match=because):
        OnnxModel(content)


@pytest.fixture
def model(network_file):
    """A small network that a test may spoil."""
    return network_file((8, 4, 3))


def spoil_last_node(model, *nodes, initializers=()):
    """Put nodes behind the network, whose last output `late` becomes the probabilities."""
    model.graph.initializer.extend(initializers)
    model.graph.node[5].output[0] = "early"  # the softmax
    model.graph.node[6].input[0] = "early"
    model.graph.node.extend(nodes)
    return model


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "it is empty"),
        (b"GIF89a", "not an ONNX model"),
        (b"\x08\x08", "it holds 0 graphs"),
        (b"\x3a\x7f\x01", "truncated"),
        (b"\xff" * 40, "not an ONNX model"),
        (b"\x00" * 40, "not an ONNX model"),
        (b"\x08", "truncated"),
    ],
)
def test_what_is_no_model_is_refused(content, because):
    refused(content, because)


def test_bytes_of_onnxruntimes_own_format_are_read_as_onnx(model):
    # onnxruntime takes a file with these letters in this place for its own, unchecked format.
    content = b"\x12\x04ORTM" + model.SerializeToString()
    assert content[2:6] == b"ORTM"
    padded = b"\x08\x08" + content
    assert padded[4:8] == b"ORTM"
    assert OnnxModel(padded).predict(np.zeros((1, 8), np.uint8)).shape == (1,)


def test_a_file_that_is_too_large_is_refused(model, monkeypatch):
    monkeypatch.setattr(_file_check, "MAX_FILE_BYTES", 100)
    refused(model, "it has more than")


def test_weights_in_another_file_are_refused(model):
    weights = model.graph.initializer[2]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    refused(model, "its weights lie in another file")


@pytest.mark.parametrize(
    ("operator", "domain"),
    [("Loop", ""), ("If", ""), ("Scan", ""), ("RandomNormal", ""), ("Evil", "my.library"),
     ("EPContext", "com.microsoft"), ("TreeEnsemble", "ai.onnx.ml")],
)  # fmt: skip
def test_operators_beyond_arithmetic_are_refused(model, operator, domain):
    model.graph.node[3].op_type, model.graph.node[3].domain = operator, domain
    refused(model, f"it uses the operator '{operator}'.*which is run only with trusted=True")


def test_graphs_inside_nodes_and_functions_are_refused(model):
    model.graph.node[3].attribute.append(helper.make_attribute("body", model.graph))
    refused(model, "a node holds a graph")
    del model.graph.node[3].attribute[:]
    model.functions.add().name = "f"
    refused(model, "functions or training steps")


def test_sparse_weights_are_refused(model):
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("i", TensorProto.INT64, [1], [0]),
        [2**60],
    )
    model.graph.node[3].attribute.append(helper.make_attribute("sparse_value", sparse))
    refused(model, "sparse weights")
    del model.graph.node[3].attribute[:]
    model.graph.sparse_initializer.append(sparse)
    refused(model, "sparse weights")


@pytest.mark.parametrize("dims", [[2**40], [-1], [2**32, 2**32], [3], []])
def test_tensors_of_other_sizes_than_their_data_are_refused(model, dims):
    weights = model.graph.initializer[2]
    del weights.dims[:]
    weights.dims.extend(dims)
    refused(model, "it declares a tensor of .* elements and holds 32")


def test_tensors_of_unused_data_types_are_refused(model):
    model.graph.initializer[2].data_type = TensorProto.COMPLEX128
    refused(model, "data type 15")


@pytest.mark.parametrize("data_type", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64])
def test_values_in_typed_fields_are_counted(model, data_type):
    values = [300, 1, 2, 3, 4, 5]
    model.graph.initializer.append(helper.make_tensor("spare", data_type, [6], values))
    assert len(OnnxModel(model.SerializeToString()).classes) == 3
    model.graph.initializer[-1].dims[0] = 7
    refused(model, "of 7 elements and holds 6")


def field(number, payload):
    """Return a field of Protocol Buffers' wire format that holds bytes."""
    length = len(payload)
    assert length < 2**14  # two digits of seven bits
    return bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7]) + payload


def test_a_tensor_given_twice_is_refused(model):
    # A parser merges the two into one of 2 × 2 elements, each with the data of one.
    values = numpy_helper.from_array(np.zeros(2, np.float32)).SerializeToString()
    head = AttributeProto(name="value", type=AttributeProto.TENSOR).SerializeToString()

    def constant(attribute):
        output, operator = field(2, b"spare"), field(4, b"Constant")
        node = field(1, output + operator + field(5, attribute))
        bare = onnx.ModelProto()
        bare.CopyFrom(model)
        bare.ClearField("graph")
        return bare.SerializeToString() + field(7, model.graph.SerializeToString() + node)

    assert OnnxModel(constant(head + field(5, values))).n_features == 8
    refused(constant(head + field(5, values) * 2), "an attribute is given twice")


def test_numbers_packed_into_one_field_are_read_as_such(model, table_file):
    # Parsers take repeated numbers both ways; onnx itself writes one a field.
    weights = model.graph.initializer[2]
    dims = bytes(weights.dims)
    weights.ClearField("dims")
    graph = model.graph.SerializeToString()
    unpacked = field(5, weights.SerializeToString())
    assert unpacked in graph
    model.ClearField("graph")

    def with_dims(dims):
        packed = field(5, weights.SerializeToString() + field(1, dims))
        return model.SerializeToString() + field(7, graph.replace(unpacked, packed))

    assert OnnxModel(with_dims(dims)).n_features == 8
    refused(with_dims(dims + b"\xff\x7f"), "it declares a tensor of 524,256 elements and holds 32")

    tree = table_file.graph.node[-1].attribute
    ids = next(attribute for attribute in tree if attribute.name == "nodes_treeids")
    check = _file_check.FileCheck(table_file.SerializeToString())
    head = AttributeProto(name=ids.name, type=ids.type).SerializeToString()
    check._check_attribute(memoryview(head + field(8, b"\x00\x01" * 5000)))
    with pytest.raises(ValueError, match="a tree has 16,000 nodes"):
        check._check_attribute(memoryview(head + field(8, b"\x07" * 16_000)))


def test_trees_that_overflow_the_stack_are_refused(table_file):
    # onnxruntime builds a tree recursively; at this depth it ends the process.
    depth = 20_000
    nodes = range(2 * depth + 1)
    chain = [i + 2 if i % 2 == 0 and i < 2 * depth else 0 for i in nodes]
    model = onnx.ModelProto()
    model.CopyFrom(table_file)
    values = {
        "nodes_treeids": [0] * len(nodes),
        "nodes_nodeids": list(nodes),
        "nodes_truenodeids": chain,
        "nodes_falsenodeids": [i + 1 if chain[i] else 0 for i in nodes],
    }
    for attribute in model.graph.node[-1].attribute:
        if attribute.name in values:
            attribute.ints[:] = values[attribute.name]
    refused(model, "a tree has 40,001 nodes, more than 15,000")


def test_too_many_fields_are_refused(monkeypatch):
    monkeypatch.setattr(_file_check, "MAX_FIELDS", 1000)
    refused(b"\x08\x08" * 1001, "more than 1,000 fields")


def test_too_many_nodes_are_refused(model, monkeypatch):
    monkeypatch.setattr(_file_check, "MAX_NODES", 7)
    refused(model, "more than 7 nodes")


# Opens a file, asks for rows, and says what came of it and how much memory it took.
_MEASURING_CHILD = textwrap.dedent(
    """
    import re, sys
    from pathlib import Path
    import numpy as np
    from mnist_estimator.exceptions import ModelFileError
    from mnist_estimator.runtime import OnnxModel

    def peak():
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    good, hostile = (Path(name).read_bytes() for name in sys.argv[1:])
    OnnxModel(good).predict(np.zeros((1, 8), np.uint8))
    Path("/proc/self/clear_refs").write_text("5")
    before, said = peak(), "works"
    try:
        model = OnnxModel(hostile)
        for n_rows in (1, 300):
            assert model.predict(np.zeros((n_rows, 8), np.uint8)).shape == (n_rows,)
    except ModelFileError as error:
        said = str(error)
    print(peak() - before, said)
    """
)


def constant(name, *shape, dtype=TensorProto.FLOAT):
    """Return a node that makes zeros, and the weights that it needs."""
    zero = helper.make_tensor("zero", dtype, [1], [0])
    shape = numpy_helper.from_array(np.array(shape, np.int64), f"{name}_shape")
    return helper.make_node("ConstantOfShape", [shape.name], [name], value=zero), shape


def numbers(name, *values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def larger_than_memory():
    """Yield graphs of a few nodes that ask for much memory in their value `huge`."""
    node = helper.make_node
    for power in (27, 28, 29, 30):
        yield f"2**{power} values", constant("huge", 2**power)
    zero, shape = numbers("0", 0, dtype=np.float32), numbers("shape", 2**28)
    yield "Expand", (node("Expand", ["0", "shape"], ["huge"]), zero, shape)
    yield "Tile", (node("Tile", ["0", "shape"], ["huge"]), zero, shape)
    sides = (*constant("column", 20_000, 1), *constant("row", 1, 20_000))
    yield "outer product", (*sides, node("MatMul", ["column", "row"], ["huge"]))
    yield "broadcast sum", (*sides, node("Add", ["column", "row"], ["huge"]))
    limits = [numpy_helper.from_array(np.float32(v), f"limit{v}") for v in (0, 2**24, 0.05)]
    yield "Range", (node("Range", [limit.name for limit in limits], ["huge"]), *limits)
    yield "Pad", (node("Pad", ["0", "pads"], ["huge"]), zero, numbers("pads", 0, 2**28))
    doublings = [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(30)]
    yield "doublings", (*constant("c0", 1), *doublings, node("Identity", ["c30"], ["huge"]))
    many = [part for i in range(40) for part in constant(f"m{i}", 2**20)]
    yield "many together", (*many, node("Concat", [f"m{i}" for i in range(40)], ["huge"], axis=0))
    # 32 bytes of each text are counted, and no more: the longer ones must not be there.
    text = numpy_helper.from_array(np.array(["a" * 255], object), "text")
    texts = node("Expand", ["text", "n"], ["texts"])
    codes = node(
        *("LabelEncoder", ["texts"], ["huge"]),
        **{"domain": "ai.onnx.ml", "keys_strings": ["b"], "values_floats": [1.0]},
    )
    yield "long texts", (texts, codes, text, numbers("n", 2_700_000))
    scan = node("CumSum", ["ones", "axis"], ["huge"])
    yield "CumSum", (*constant("ones", 2**24), scan, numpy_helper.from_array(np.int64(0), "axis"))


def spoil_with(model, parts):
    """Let the probabilities depend on the value `huge` of a graph's nodes and weights."""
    return spoil_last_node(
        model,
        *(part for part in parts if isinstance(part, onnx.NodeProto)),
        helper.make_node("ReduceMax", ["huge"], ["zero"], keepdims=0),
        helper.make_node("Add", ["early", "zero"], ["probabilities"]),
        initializers=[part for part in parts if isinstance(part, TensorProto)],
    )


def measure(model, parts, folder):
    """Return how many megabytes a model with these parts took, and what was said of it."""
    (folder / "good").write_bytes(model.SerializeToString())
    (folder / "hostile").write_bytes(spoil_with(model, parts).SerializeToString())
    child = subprocess.run(
        [sys.executable, "-c", _MEASURING_CHILD, folder / "good", folder / "hostile"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    megabytes, _, said = child.stdout.strip().partition(" ")
    return float(megabytes), said


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux measures memory")
@pytest.mark.parametrize("parts", [pytest.param(p, id=name) for name, p in larger_than_memory()])
def test_memory_that_a_graph_asks_for_is_bounded(model, tmp_path, parts):
    megabytes, said = measure(model, parts, tmp_path)
    assert megabytes < 200
    assert "one row takes more than 88 MiB of memory" in said


def test_other_models_work_after_one_that_took_all_the_memory(model, network_file):
    good = OnnxModel(network_file((8, 4, 3)).SerializeToString())
    hostile = OnnxModel(spoil_with(model, constant("huge", 2**30)).SerializeToString())
    with pytest.raises(ModelFileError, match="one row takes more than 88 MiB"):
        hostile.predict(np.zeros((1, 8), np.uint8))
    assert good.predict(np.zeros((300, 8), np.uint8)).shape == (300,)


def test_weights_do_not_use_up_the_bound(model, network_file):
    # onnxruntime's count of what it has allocated would wrap round.
    large = network_file((8, 1500, 1500, 3)).SerializeToString()
    models = [OnnxModel(large) for _ in range(12)]  # 9 MB each
    expected = models[0].predict_proba(np.ones((3, 8), np.uint8))
    for other in models:
        np.testing.assert_allclose(
            other.predict_proba(np.ones((3, 8), np.uint8)), expected, rtol=1e-5
        )
    hostile = OnnxModel(spoil_with(model, constant("huge", 2**25)).SerializeToString())
    with pytest.raises(ModelFileError, match="one row takes more than 88 MiB"):
        hostile.predict(np.zeros((1, 8), np.uint8))


@pytest.mark.parametrize("n_threads", [1, 4])
def test_rows_for_which_memory_is_too_little_are_run_in_parts(network_file, n_threads):
    # 256 rows of 60,000 units are 61 MB, and twice as much with the next layer's input.
    wide = network_file((8, 60_000, 3)).SerializeToString()
    deep = OnnxModel(spoiled_by_copies(wide), n_threads=n_threads)
    X = np.random.default_rng(0).integers(0, 256, (2000, 8), dtype=np.uint8)
    expected = np.concatenate([deep.predict_proba(X[i : i + 8]) for i in range(0, 2000, 8)])
    np.testing.assert_allclose(deep.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


def spoiled_by_copies(content):
    """Return a network whose first layer is kept in memory twice."""
    model = onnx.ModelProto.FromString(content)
    layer = model.graph.node[4]
    assert layer.input[0] == "units1"
    layer.input[0] = "both"
    copies = [
        helper.make_node("Sigmoid", ["units1"], ["copy"]),
        helper.make_node("Add", ["units1", "copy"], ["both"]),
    ]
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:4], *copies, *nodes[4:]])
    return model.SerializeToString()


def without_end():
    """Yield graphs that compute for minutes, some of them in a single node."""
    node = helper.make_node
    image = constant("image", 1, 1, 4000, 4000)
    pool = node("MaxPool", ["image"], ["huge"], kernel_shape=[2001, 2001])
    yield "MaxPool", (*image, pool)
    convolution = node("Conv", ["image", "kernel"], ["huge"])
    yield "Conv", (*constant("image", 1, 1, 2**20), *constant("kernel", 1, 1, 2**19), convolution)
    products = [node("MatMul", [f"p{i}", "p0"], [f"p{i + 1}"]) for i in range(200)]
    last = node("Identity", ["p200"], ["huge"])
    yield "200 products", (*constant("p0", 1500, 1500), *products, last)


@pytest.mark.parametrize("parts", [pytest.param(p, id=name) for name, p in without_end()])
def test_a_graph_that_does_not_come_to_an_end_is_refused(model, parts, tmp_path):
    """It is not waited for, nor by a fork; in a process of its own, which it is not to slow."""
    (tmp_path / "hostile").write_bytes(spoil_with(model, parts).SerializeToString())
    code = """
        import os, sys
        from pathlib import Path
        from mnist_estimator.exceptions import ModelFileError
        from mnist_estimator.runtime import OnnxModel, _model

        _model.MAX_TRIAL_SECONDS = 0.25
        try:
            OnnxModel(Path(sys.argv[1]).read_bytes())
        except ModelFileError as error:
            assert "one row takes longer than 0.25 s" in str(error)
            if hasattr(os, "fork"):
                child = os.fork()
                if not child:
                    os._exit(0)
                os.waitpid(child, 0)
            print("refused")
    """
    # The node takes minutes: the process ends without it.
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "hostile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert child.stdout == "refused\n"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux measures memory")
@pytest.mark.parametrize("alias", [None, "Identity", "Transpose"])
def test_one_weight_in_many_products_is_kept_once(model, tmp_path, alias):
    # onnxruntime 1.20 rearranges it for each of them: 1.5 GB, of a megabyte.
    names = ["weight" if alias is None else "alias"] * 1500
    products = [
        helper.make_node("MatMul", [f"p{i}", name], [f"p{i + 1}"]) for i, name in enumerate(names)
    ]
    if alias:
        products.insert(0, helper.make_node(alias, ["weight"], ["alias"]))
    last = helper.make_node("Identity", ["p1500"], ["huge"])
    weight = numpy_helper.from_array(np.zeros((500, 500), np.float32), "weight")
    megabytes, said = measure(model, (*constant("p0", 1, 500), *products, last, weight), tmp_path)
    assert megabytes < 200
    assert said == "works"


def test_weights_of_the_same_name_are_refused(network_file):
    model = network_file((8, 64, 3))
    model.graph.initializer.append(model.graph.initializer[2])
    refused(model, "two of its weights have the same name")


def test_constants_that_are_too_large_are_refused(model, monkeypatch):
    monkeypatch.setattr(_file_check, "MAX_OTHER_BYTES", 100)
    refused(model, "MiB of it are constants")


def test_texts_that_are_too_long_are_refused(network_file):
    assert len(
        OnnxModel(network_file((8, 2), classes=["a" * 255, "b"]).SerializeToString()).classes
    )
    refused(network_file((8, 2), classes=["a" * 256, "b"]), "a text of 256 bytes, more than 255")


@pytest.mark.parametrize("length", [15, 16, 127, 128, 130, 131, 132, 255])
def test_long_class_names_come_out_whole(network_file, length):
    names = [letter * length for letter in "abc"] + ["d", "é" * (length // 2)]
    model = OnnxModel(network_file((8, 5), classes=names).SerializeToString())
    X = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    labels, probabilities = model.run(X)
    assert len(set(labels)) > 1
    np.testing.assert_array_equal(labels, np.array(names)[probabilities.argmax(axis=1)])
    np.testing.assert_array_equal(model.predict(X), labels)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), labels)


def test_long_texts_in_a_table_are_found(table_file):
    towns, expected = ["Bern", "Genf"], None
    for towns[1] in ("Genf", "Saint-Germain-en-Laye"):
        (keys,) = (a for a in table_file.graph.node[0].attribute if a.name == "keys_strings")
        keys.strings[1] = towns[1].encode()
        model = OnnxModel(table_file.SerializeToString())
        found = model.predict_proba({"age": [20, 20], "town": towns})
        assert not np.array_equal(*found)
        assert expected is None or np.array_equal(found, expected)
        expected = found
    keys.strings[1] = b"Genf"


def test_a_text_that_is_not_written_as_protobuf_does_is_refused(network_file):
    content = network_file((8, 2), classes=["a" * 20, "b"]).SerializeToString()
    text = b"\x32\x14" + b"a" * 20
    assert content.count(text) == 1
    # The same length in two bytes; the last letter makes room, and the message stays as long.
    refused(content.replace(text, b"\x32\x93\x00" + b"a" * 19), "not an ONNX model")
    refused(content.replace(text, b"\x32\x14" + b"\xff" * 20), "not UTF-8")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Cast", ["early"], ["probabilities"], to=TensorProto.STRING),
        helper.make_node("Resize", ["early", "", "", "early"], ["probabilities"]),
        helper.make_node("SVMRegressor", ["early"], ["probabilities"], domain="ai.onnx.ml"),
    ],
    ids=lambda node: node.op_type,
)
def test_what_takes_memory_beyond_the_bound_is_refused(model, node):
    because = "makes texts" if node.op_type == "Cast" else f"{node.op_type!r}.* with trusted=True"
    refused(spoil_last_node(model, node), because)


@pytest.mark.parametrize(
    ("key", "value", "because"),
    [
        ("classes", None, "its metadata has no 'classes'"),
        ("classes", "[0, 1", "'classes' is not JSON"),
        ("classes", "[" * 100_000, "'classes' is not JSON"),
        ("classes", "9" * 10_000, "'classes' is not JSON"),
        ("classes", "{}", "'classes' is not a list"),
        ("classes", "[0, 1, 1]", "not distinct values of the dtype int64"),
        ("classes", "[0, 1, true]", "not distinct values of the dtype int64"),
        ("classes", "[]", "not distinct values"),
        ("classes", "[0, 1, [2]]", "not distinct values"),
        ("classes", f"[0, 1, {2**80}]", "do not fit the dtype int64"),
        ("classes", "[0, 1]", "a column for each of 2 classes"),
        ("classes_dtype", '"V1000000000"', "its classes are of the dtype 'V1000000000'"),
        ("classes_dtype", '"uint8"', None),
        ("input", '"uint8"', "'input' is not a dict"),
        ("input", '{"columns": 3}', "its metadata describes the columns"),
        ("licence", "x" * 2**20, "its metadata exceeds 1 MiB"),
        ("unheard of", "{", None),
    ],
)
def test_metadata_is_read_as_data(model, key, value, because):
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = "" if value is None else value
            entry.key = "gone" if value is None else key
            break
    else:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    if because is None:
        assert OnnxModel(model.SerializeToString()).n_features == 8
    else:
        refused(model, because)


def test_metadata_that_is_not_utf8_is_refused(model):
    content = model.SerializeToString().replace(b'["', b"[\xff").replace(b"[0, 1", b"[\xff, 1")
    refused(content, "not JSON")


def test_classes_that_do_not_fit_their_dtype_are_refused(network_file):
    model = network_file((8, 3), classes=[0, 1, 300])
    for entry in model.metadata_props:
        if entry.key == "classes_dtype":
            entry.value = '"uint8"'
    refused(model, "do not fit the dtype uint8")


def test_names_that_are_not_utf8_are_refused(model, capfd):
    content = model.SerializeToString().replace(b"kernel0", b"kernel\xff", 1)
    with pytest.raises(ModelFileError, match="onnxruntime does not load it") as caught:
        OnnxModel(content)
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")


def test_messages_hold_nothing_that_a_terminal_obeys(model):
    model.graph.node[3].op_type = "\x1b[2J"
    with pytest.raises(ModelFileError) as caught:
        OnnxModel(model.SerializeToString())
    assert str(caught.value).isprintable()
