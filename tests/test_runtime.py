"""OnnxModel: rows of all kinds, threads, pickles, errors, and what it does not import."""

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper
from scipy.sparse import csr_matrix

from mnist_estimator.exceptions import ModelFileError
from mnist_estimator.runtime import OnnxModel, _session
from mnist_estimator.runtime._session import check_n_threads

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
ROWS = IMAGES.reshape(-1, 784)


@pytest.fixture(scope="module")
def content(network_file):
    return network_file().SerializeToString()


@pytest.fixture(scope="module")
def model(content):
    return OnnxModel(content)


@pytest.fixture(scope="module")
def image_model(network_file):
    return OnnxModel(network_file(shape=(28, 28)).SerializeToString())


@pytest.fixture(scope="module")
def float_model(network_file):
    return OnnxModel(network_file((4, 8, 2), dtype="float32").SerializeToString())


@pytest.fixture(scope="module")
def expected(content):
    """What a bare session computes from all rows at once."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], {"X": ROWS})


def make_table():
    """Make a model of two columns: the class is 1 where `age` is 40 or more."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", ["age"], ["years"], to=TensorProto.FLOAT),
        helper.make_node(
            "LabelEncoder",
            ["town"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["Bern"],
            values_floats=[100.0],
            default_float=0.0,
        ),
        helper.make_node("Add", ["years", "code"], ["sum"]),
        helper.make_node(
            "LinearClassifier",
            ["sum"],
            ["label", "probabilities"],
            domain="ai.onnx.ml",
            coefficients=[-1.0, 1.0],
            intercepts=[40.0, -40.0],
            classlabels_ints=[0, 1],
            post_transform="SOFTMAX",
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [info("age", TensorProto.DOUBLE, ["N", 1]), info("town", TensorProto.STRING, ["N", 1])],
        [
            info("label", TensorProto.INT64, ["N"]),
            info("probabilities", TensorProto.FLOAT, ["N", 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    table = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    columns = [{"name": "age", "dtype": "float64"}, {"name": "town", "dtype": "str"}]
    metadata = {
        "classes": [False, True],
        "classes_dtype": "bool",
        "input": {"columns": columns},
    }
    helper.set_model_props(table, {key: json.dumps(value) for key, value in metadata.items()})
    return table


@pytest.fixture(scope="module")
def table_model():
    return OnnxModel(make_table().SerializeToString())


def test_attributes(model, image_model, table_model):
    assert model.classes.tolist() == list(range(10))
    assert model.classes.dtype == np.int64
    assert (model.input_names, model.input_shape, model.n_features) == (["X"], (784,), 784)
    assert model.input_dtype == np.uint8
    assert model.metadata["input"]["max"] == 255
    assert image_model.input_shape == (28, 28)
    assert image_model.n_features == 784
    assert table_model.input_names == ["age", "town"]
    assert table_model.input_dtype is None
    assert table_model.n_features == 2
    assert repr(model) == "OnnxModel(the given bytes)"


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_rows", [1, 2, 255, 256, 257, 512, 513, 1000])
def test_any_number_of_rows_is_what_one_session_computes(content, expected, n_rows, n_threads):
    model = OnnxModel(content, n_threads=n_threads)
    labels, probabilities = model.run(ROWS[:n_rows])
    np.testing.assert_array_equal(labels, expected[0][:n_rows])
    np.testing.assert_allclose(probabilities, expected[1][:n_rows], atol=1e-6)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(model.predict(ROWS[:n_rows]), labels)
    np.testing.assert_array_equal(model.predict_proba(ROWS[:n_rows]), probabilities)


def test_the_number_of_threads_does_not_change_the_result(content):
    one, three = OnnxModel(content, n_threads=1), OnnxModel(content, n_threads=3)
    np.testing.assert_array_equal(one.predict_proba(ROWS), three.predict_proba(ROWS))


def test_no_rows_give_no_answers(model, image_model, table_model):
    for empty in (ROWS[:0], IMAGES[:0]):
        for any_model in (model, image_model):
            labels, probabilities = any_model.run(empty)
            assert (labels.shape, labels.dtype) == ((0,), np.int64)
            assert (probabilities.shape, probabilities.dtype) == ((0, 10), np.float32)
    assert table_model.predict({"age": [], "town": np.array([], dtype=str)}).shape == (0,)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:5].tolist(),
        ROWS[:5].astype(np.int64),
        ROWS[:5].astype(np.float64),
        ROWS[:5].astype(np.float16),
        ROWS[:5].astype(">i2"),
        np.asfortranarray(ROWS[:5]),
        ROWS[:10][::2][:0:-1][::-1],
        IMAGES[:5],
        IMAGES[:5, :, :, None],
        IMAGES[:5].astype(np.float32),
        pd.DataFrame(ROWS[:5]),
        np.ma.masked_array(ROWS[:5]),
    ],
    ids=lambda rows: type(rows).__name__ + str(getattr(rows, "dtype", "")),
)
def test_the_same_values_in_any_form_give_the_same(model, image_model, rows):
    same = np.asarray(rows).reshape(len(rows), 784).astype(np.uint8)
    for any_model in (model, image_model):
        np.testing.assert_array_equal(any_model.predict_proba(rows), model.predict_proba(same))


def test_rows_in_the_files_dtype_are_not_copied(model, monkeypatch):
    fed = []
    monkeypatch.setattr(
        model, "session", type("Spy", (), {"run": lambda self, *args: fed.append(args[1]["X"])})()
    )
    row = ROWS[3:4]
    with pytest.raises(TypeError):  # the spy answers nothing
        model.predict_proba(row)
    assert fed[0] is row


def test_booleans_are_whole_numbers(model):
    marks = ROWS[:3] > 127
    np.testing.assert_array_equal(model.predict_proba(marks), model.predict_proba(marks * 1))


def test_a_model_of_booleans(network_file):
    model = OnnxModel(network_file((4, 3), dtype="bool").SerializeToString())
    marks = np.array([[True, False, True, True]])
    np.testing.assert_array_equal(model.predict_proba(marks), model.predict_proba(marks * 1.0))
    with pytest.raises(ValueError, match=r"Found 2 in X, and the model takes False and True"):
        model.predict(marks * 2)


def test_float_rows(float_model):
    rows = RNG.normal(size=(3, 4))
    of_doubles = float_model.predict_proba(rows)
    np.testing.assert_array_equal(of_doubles, float_model.predict_proba(rows.astype(np.float32)))
    np.testing.assert_array_equal(
        float_model.predict_proba([[1, 2, 3, 4]]), float_model.predict_proba([[1.0, 2, 3, 4]])
    )


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (ROWS[0], ValueError, "Expected 2D array, got 1D array instead"),
        (7, ValueError, "Expected 2D array, got scalar array instead"),
        (
            ROWS[:, :783],
            ValueError,
            "X has 783 features, but OnnxModel is expecting 784 features as input.",
        ),
        (IMAGES[:, 1:], ValueError, "X has 756 features"),
        (ROWS[:2].astype(object), ValueError, "got values of dtype object"),
        (ROWS[:2].astype(str), ValueError, "Expected numbers that fit uint8 in X"),
        (ROWS[:2] * 1j, ValueError, "dtype complex128"),
        (csr_matrix(ROWS[:2]), TypeError, "Sparse data was passed"),
        (ROWS[:2] / 255, ValueError, "takes whole numbers from 0 to 255"),
        (np.full((2, 784), 256), ValueError, "Found 256 in X"),
        (np.full((2, 784), -1), ValueError, "Found -1 in X"),
        (np.full((2, 784), np.nan), ValueError, "Found nan in X"),
        (np.full((2, 784), np.inf), ValueError, "Found inf in X"),
    ],
)
def test_rows_that_do_not_fit(model, rows, error, message):
    for method in (model.predict, model.predict_proba, model.run):
        with pytest.raises(error, match=message):
            method(rows)


def test_images_of_another_format_do_not_fit(image_model):
    with pytest.raises(ValueError, match=r"rows of shape \(14, 56\), the model takes \(28, 28\)"):
        image_model.predict(IMAGES.reshape(-1, 14, 56))


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "contains NaN"), (np.inf, "contains infinity"), (1e300, "contains infinity or")],
)
def test_floats_that_no_network_takes(float_model, value, message):
    rows = np.zeros((300, 4))
    rows[7, 2] = value
    with pytest.raises(ValueError, match=message):
        float_model.predict_proba(rows)


def test_missing_values_reach_a_model_that_imputes_them(network_file):
    file = network_file((4, 3), dtype="float32")
    file.graph.node[0].CopyFrom(
        helper.make_node(
            "Imputer",
            ["X"],
            ["floats"],
            domain="ai.onnx.ml",
            imputed_value_floats=[1.0],
            replaced_value_float=float("nan"),
        )
    )
    file.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    model = OnnxModel(file.SerializeToString())
    imputed = model.predict_proba([[1.0, np.nan, 2.0, 3.0]])
    np.testing.assert_array_equal(imputed, model.predict_proba([[1.0, 1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match="infinity"):
        model.predict_proba([[1.0, np.inf, 2.0, 3.0]])


@pytest.mark.parametrize(
    "classes",
    [
        np.arange(10, dtype=np.uint8),
        np.arange(10, dtype=np.int16) * 7 - 20,
        np.array([f"digit {i}" for i in range(10)]),
        np.arange(10, dtype=np.float64),
    ],
    ids=lambda classes: classes.dtype.name,
)
def test_labels_are_the_classes_in_their_dtype(network_file, classes):
    model = OnnxModel(network_file(classes=classes).SerializeToString())
    labels, probabilities = model.run(ROWS)
    assert model.classes.dtype == labels.dtype == classes.dtype
    np.testing.assert_array_equal(labels, classes[probabilities.argmax(axis=1)])


def test_boolean_classes(network_file):
    model = OnnxModel(network_file((784, 4, 2), classes=[False, True]).SerializeToString())
    assert model.predict(ROWS).dtype == bool


def test_columns(table_model):
    frame = pd.DataFrame({"town": ["Bern", "Genf", "Genf"], "more": 1, "age": [20, 20, 50]})
    for table in (frame, dict(frame), {name: frame[[name]].to_numpy() for name in frame}):
        assert table_model.predict(table).tolist() == [True, False, True]
    many = pd.concat([frame] * 300)
    assert table_model.predict(many).tolist() == [True, False, True] * 300
    assert table_model.predict_proba(many).shape == (900, 2)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([[20, "Bern"]], TypeError, "Expected a DataFrame or a dict with the columns"),
        ({"age": [20]}, ValueError, "yet now missing:\n- town"),
        ({"age": [20], "town": [3]}, ValueError, "Expected texts in column 'town'"),
        ({"age": ["x"], "town": ["Bern"]}, ValueError, "Expected numbers that fit float64 in col"),
        ({"age": [np.nan], "town": ["Bern"]}, ValueError, "column 'age' contains NaN"),
        ({"age": [[1, 2]], "town": ["Bern"]}, ValueError, "Expected one value a row in column"),
        ({"age": [1, 2], "town": ["Bern"]}, ValueError, "columns of different lengths"),
        ({"age": 1, "town": ["Bern"]}, ValueError, "Expected one value a row in column 'age'"),
    ],
)
def test_columns_that_do_not_fit(table_model, table, error, message):
    with pytest.raises(error, match=message):
        table_model.predict(table)


def test_a_file_is_read_once(content, tmp_path):
    path = tmp_path / "digits.onnx"
    path.write_bytes(content)
    models = [OnnxModel(path), OnnxModel(str(path))]
    path.unlink()
    assert models[0].predict(ROWS[:3]).tolist() == models[1].predict(ROWS[:3]).tolist()
    assert "digits.onnx" in repr(models[0])


def test_a_pickle_holds_the_file(content, tmp_path):
    path = tmp_path / "digits.onnx"
    path.write_bytes(content)
    model = OnnxModel(path, n_threads=1)
    model.name = "Mine"
    pickled = pickle.dumps(model)
    path.unlink()
    copy = pickle.loads(pickled)
    np.testing.assert_array_equal(copy.predict_proba(ROWS), model.predict_proba(ROWS))
    assert (copy.n_threads, copy.name, repr(copy)) == (1, "Mine", repr(model))


def test_several_threads_may_use_one_model(content):
    model = OnnxModel(content, n_threads=2)
    alone = model.predict_proba(ROWS)
    with ThreadPoolExecutor(4) as pool:
        for together in pool.map(lambda _: model.predict_proba(ROWS), range(12)):
            np.testing.assert_array_equal(together, alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_may_use_the_model(model):
    # A session with threads of its own would wait in the child for threads that are not there.
    model.predict_proba(ROWS)
    script = (
        "import os, sys, pickle, numpy as np\n"
        "model = pickle.load(sys.stdin.buffer)\n"
        "rows = np.zeros((3000, 784), np.uint8)\n"
        "model.predict(rows)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(len(model.predict(rows)) == 3000)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(model), timeout=60, check=False
    )
    assert finished.returncode == 1


def test_no_file(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere\.onnx' as a model: there is no such file"):
        OnnxModel(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("path", [None, 3, ["a.onnx"], object])
def test_what_is_no_path(path):
    with pytest.raises(TypeError, match="A model's path must be a str or a path-like object"):
        OnnxModel(path)


def test_a_directory(tmp_path):
    with pytest.raises(ModelFileError, match="it is a directory"):
        OnnxModel(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="it is not a regular file"):
        OnnxModel(tmp_path / "pipe.onnx")


def test_a_file_that_may_not_be_read(content, tmp_path, monkeypatch):
    path = tmp_path / "digits.onnx"
    path.write_bytes(content)

    def forbid(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", forbid)
    with pytest.raises(ModelFileError, match=r"it cannot be read \(Permission denied\)"):
        OnnxModel(path)


def test_a_path_that_no_file_can_have():
    with pytest.raises(ModelFileError, match="as a model: "):
        OnnxModel("digits\0.onnx")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda graph: graph.output[0].__setattr__("name", "best"), r"its outputs are \['best', "),
        (lambda graph: graph.output.pop(), r"its outputs are \['label'\]"),
        (
            lambda graph: (
                graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_param", "M")
            ),
            r"its input 'X' is tensor\(uint8\) of shape \['N', 'M'\]",
        ),
        (
            lambda graph: graph.input[0].type.tensor_type.shape.dim[0].__setattr__("dim_value", 1),
            r"its input 'X' is tensor\(uint8\) of shape \[1, 784\]",
        ),
        (
            lambda graph: (
                graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 2**30)
            ),
            "a row of its input 'X' has 1,073,741,824 values",
        ),
    ],
)
def test_other_inputs_and_outputs(network_file, spoil, message):
    file = network_file()
    spoil(file.graph)
    with pytest.raises(ModelFileError, match=message):
        OnnxModel(file.SerializeToString())


def test_another_name_of_the_input(network_file):
    file = network_file()
    file.graph.input[0].name = file.graph.node[0].input[0] = "pixels"
    with pytest.raises(ModelFileError, match=r"its inputs are \['pixels'\], and its metadata"):
        OnnxModel(file.SerializeToString())


def test_classes_of_another_kind_than_the_labels(network_file):
    file = network_file((8, 2))
    texts = {"classes": '["a", "b"]', "classes_dtype": '"str"', "input": "{}"}
    helper.set_model_props(file, texts)
    with pytest.raises(ModelFileError, match=r"its output 'label' is tensor\(int64\)"):
        OnnxModel(file.SerializeToString())


def test_columns_of_other_names():
    file = make_table()
    file.graph.input[0].name = file.graph.node[0].input[0] = "years of age"
    with pytest.raises(ModelFileError, match=r"describes the columns \['age', 'town'\]"):
        OnnxModel(file.SerializeToString())


def test_outputs_of_another_shape_than_promised(network_file):
    file = network_file((8, 3))
    file.graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    file.graph.node[-1].CopyFrom(helper.make_node("Slice", ["best", "flat", "one"], ["label"]))
    file.graph.initializer[0].CopyFrom(helper.make_tensor("flat", TensorProto.INT64, [1], [0]))
    file.graph.node[1].CopyFrom(helper.make_node("Identity", ["floats"], ["units0"]))
    model = OnnxModel(file.SerializeToString())
    assert model.predict_proba(ROWS[:2, :8]).shape == (2, 3)
    with pytest.raises(ModelFileError, match=r"its output 'label' has the shape \(1,\)"):
        model.predict(ROWS[:2, :8])


def test_providers(content):
    assert OnnxModel(content, providers=["CPUExecutionProvider"]).predict(ROWS[:1]).shape == (1,)
    with_options = [("CPUExecutionProvider", {})]
    np.testing.assert_allclose(
        OnnxModel(content, providers=with_options).predict_proba(ROWS),
        OnnxModel(content).predict_proba(ROWS),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "providers", [[], ["TeapotExecutionProvider"], "CPUExecutionProvider", 3, [3], [()], [{}]]
)
def test_providers_that_are_not_there(content, providers):
    with pytest.raises(ValueError, match="The 'providers' parameter must be None or a list of"):
        OnnxModel(content, providers=providers)


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, True, "2"])
def test_n_threads_must_be_a_positive_int(content, n_threads):
    with pytest.raises(ValueError, match=r"'n_threads' parameter must be an int in the range \[1"):
        OnnxModel(content, n_threads=n_threads)


@pytest.mark.parametrize(
    ("limit", "n_workers"), [(None, 6), ("2", 2), ("8", 6), ("3,2", 3), ("0", 6), ("x", 6)]
)
def test_threads_keep_to_a_workers_share(monkeypatch, limit, n_workers):
    monkeypatch.delattr(_session.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(_session.os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert check_n_threads(None) == n_workers
    assert check_n_threads(4) == 4


def test_neither_scikit_learn_nor_tensorflow_is_imported(content, tmp_path):
    path = tmp_path / "digits.onnx"
    path.write_bytes(content)
    script = (
        "import sys, numpy as np\n"
        "from mnist_estimator.runtime import OnnxModel\n"
        "OnnxModel(sys.argv[1]).predict(np.zeros((1, 784), np.uint8))\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"numpy", "onnxruntime"} <= set(loaded)
    heavy = {"sklearn", "scipy", "tensorflow", "keras", "scikeras", "onnx", "pandas", "matplotlib"}
    assert heavy.isdisjoint(loaded)
