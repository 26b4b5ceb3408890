"""to_onnx: what goes into the file and comes out of it."""

import json
import math
import os
import pickle
import subprocess
import sys
from copy import copy
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import mnist_estimator
from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline, to_onnx
from mnist_estimator.exceptions import ExportError
from mnist_estimator.export import newest_opset


def operators(model):
    return [node.op_type for node in model.graph.node]


def metadata(model):
    return {prop.key: json.loads(prop.value) for prop in model.metadata_props}


def assert_same(run, model, estimator, X, feeds=None):
    """The file's labels and probabilities are the estimator's."""
    label, probabilities = run(model, X if feeds is None else feeds)
    np.testing.assert_allclose(probabilities, estimator.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(label, estimator.predict(X))
    assert probabilities.dtype == np.float32


@pytest.mark.parametrize("n_rows", [0, 1, 1797])
def test_takes_raw_pixels_of_any_number_of_rows(run, pipeline, digits, n_rows):
    label, probabilities = run(to_onnx(pipeline), digits[0][:n_rows])
    assert label.shape == (n_rows,)
    assert probabilities.shape == (n_rows, 10)
    if n_rows > 1:
        assert_same(run, to_onnx(pipeline), pipeline, digits[0])


def test_agrees_on_all_of_mnist(run, mnist_pipeline, mnist):
    assert_same(run, to_onnx(mnist_pipeline), mnist_pipeline, mnist[2])


def test_interface(pipeline):
    graph = to_onnx(pipeline).graph
    assert [value.name for value in graph.input] == ["X"]
    assert [value.name for value in graph.output] == ["label", "probabilities"]
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [["N", 64], ["N"], ["N", 10]]


def test_reference_graph_is_lean(pipeline):
    model = to_onnx(pipeline)
    products = ["Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert operators(model) == ["Cast", *products, "Softmax", "ArgMax"]
    assert len(model.graph.initializer) == 6  # three layers' weights and biases


def test_images(run, image_pipeline, digits):
    images = digits[0].reshape(-1, 8, 8)
    model = to_onnx(image_pipeline)
    assert operators(model)[:2] == ["Flatten", "Cast"]
    assert_same(run, model, image_pipeline, images)
    assert_same(
        run, to_onnx(image_pipeline, images[:1, ..., None]), image_pipeline, images[..., None]
    )
    flat = to_onnx(image_pipeline, digits[0])
    assert_same(run, flat, image_pipeline, digits[0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "float32", "float64", "bool"])
def test_input_takes_the_dtype_of_the_sample(run, pipeline, digits, dtype):
    X = digits[0].astype(dtype)
    model = to_onnx(pipeline, X[:1])
    element_type = model.graph.input[0].type.tensor_type.elem_type
    assert element_type == helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    assert operators(model).count("Cast") == (dtype != "float32")
    assert_same(run, model, pipeline, X)


def test_clipping(run, digits, small_pipeline):
    X, y = digits
    clipped = small_pipeline().set_params(scale__pixel_max=10, scale__clip=True).fit(X, y)
    assert "Min" in operators(to_onnx(clipped))
    assert_same(run, to_onnx(clipped), clipped, X)
    idle = small_pipeline().set_params(scale__pixel_max=255, scale__clip=True).fit(X, y)
    assert "Min" not in operators(to_onnx(idle))  # bytes are never above 255


def test_opsets(run, pipeline, digits):
    X = digits[0][:200]
    expected = run(to_onnx(pipeline), X)
    for opset in range(15, newest_opset() + 1):
        model = to_onnx(pipeline, target_opset=opset)
        onnx.checker.check_model(model, full_check=True)
        assert [(used.domain, used.version) for used in model.opset_import] == [("", opset)]
        label, probabilities = run(model, X)
        np.testing.assert_array_equal(label, expected[0])
        np.testing.assert_allclose(probabilities, expected[1], atol=1e-6)


@pytest.mark.parametrize(("runs", "newest"), [(21, 21), (14, 15)])
def test_newest_opset_is_what_onnxruntime_runs(monkeypatch, runs, newest):
    class Session:
        def __init__(self, content, *_, **__):
            if onnx.load_from_string(content).opset_import[0].version > runs:
                raise RuntimeError("Opset is under development")

    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    assert newest_opset.__wrapped__() == newest


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([3, 5, 7, 9], "uint8"),
        ([-4, -2, 0, 1], "int16"),
        ([1, 2**31, 2**40, 2**53 + 1], "int64"),
        (["one", "two", "übrig", "水"], "str"),
        ([False, True, False, True], "bool"),
        ([0.0, 1.0, 2.0, 3.0], "float64"),
    ],
)
def test_classes_come_out_as_they_are(run, four_digits, small_pipeline, labels, dtype):
    X, y = four_digits
    labels = np.array(labels) if dtype == "str" else np.array(labels, dtype=dtype)
    estimator = small_pipeline().fit(X, labels[y])
    model = to_onnx(estimator)
    assert_same(run, model, estimator, X)
    assert run(model, X)[0].dtype == (object if dtype == "str" else np.int64)
    assert metadata(model)["classes_dtype"] == dtype
    assert metadata(model)["classes"] == estimator.classes_.tolist()


# Keras' own saving calls NumPy in the way of NumPy 1.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_same_bytes_in_another_process_and_nothing_on_the_terminal(pipeline, tmp_path):
    (tmp_path / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))
    script = (
        "import pickle, sys; from pathlib import Path; from mnist_estimator import to_onnx;"
        "folder = Path(sys.argv[1]);"
        "pipeline = pickle.loads((folder / 'pipeline.pkl').read_bytes());"
        "(folder / 'model.onnx').write_bytes(to_onnx(pipeline).SerializeToString())"
    )
    root = str(Path(mnist_estimator.__file__).parents[1])
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (finished.stdout, finished.stderr) == ("", "")
    expected = to_onnx(pipeline).SerializeToString()
    assert (tmp_path / "model.onnx").read_bytes() == expected
    assert to_onnx(pipeline).SerializeToString() == expected


def test_metadata(pipeline, digits):
    model = to_onnx(pipeline, licence="CC0-1.0")
    assert model.producer_name == "mnist_estimator"
    assert model.producer_version == mnist_estimator.__version__
    told = metadata(model)
    assert told["classes"] == list(range(10))
    assert told["classes_dtype"] == "int64"
    assert told["input"] == {"dtype": "uint8", "shape": [64], "min": 0, "max": 16}
    assert told["versions"]["onnx"] == onnx.__version__
    history = pipeline["mlp"].history_
    assert told["training"] == {
        "rows": pipeline["mlp"].n_samples_fit_,
        "epochs": 6,
        **{figure: values[-1] for figure, values in history.items()},
    }
    assert told["parameters"]["mlp__hidden_layer_sizes"] == [24, 16]
    assert told["parameters"]["scale"] == "PixelScaler"
    assert told["licence"] == "CC0-1.0"
    assert "quantization" not in told
    assert metadata(to_onnx(pipeline))["licence"] == "MIT"


# Keras' own arrays, which the copy goes through, do not know NumPy 2's `copy`.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_metadata_leaves_out_what_the_last_epoch_has_no_figure_of(pipeline):
    trained_further = copy(pipeline["mlp"])
    trained_further.history_ = {"loss": [0.5, 0.4], "val_loss": [0.5, math.nan]}
    training = metadata(to_onnx(trained_further))["training"]
    assert training == {"rows": pipeline["mlp"].n_samples_fit_, "epochs": 2, "loss": 0.4}


def test_metadata_of_parameters_that_json_cannot_hold(four_digits, small_pipeline):
    def shifted(h):
        return h + 0.5

    estimator = small_pipeline(activation=shifted, class_weight={0: np.float32(2)})
    told = metadata(to_onnx(estimator.fit(*four_digits)))["parameters"]
    assert told["mlp__activation"].endswith("shifted")
    assert told["mlp__class_weight"] == {"0": 2.0}
    scaled = PixelScaler(pixel_max=np.float64(16)).fit(four_digits[0])
    assert metadata(to_onnx(scaled))["input"]["max"] == 16


def test_a_scaler_alone(run, digits):
    scaler = PixelScaler().fit(digits[0])
    (scaled,) = run(to_onnx(scaler), digits[0])
    np.testing.assert_allclose(scaled, scaler.transform(digits[0]), rtol=1e-6)


@pytest.fixture(scope="module")
def frame(digits):
    return pd.DataFrame(digits[0], columns=[f"pixel {i}" for i in range(64)])


@pytest.fixture(scope="module")
def fitted(frame, digits, small_pipeline):
    return small_pipeline().fit(frame, digits[1])


class TestDataFrames:
    """Named columns."""

    def test_one_input_a_column(self, run, frame, fitted):
        model = to_onnx(fitted, frame)
        assert [value.name for value in model.graph.input] == list(frame.columns)
        assert operators(model)[:2] == ["Concat", "Cast"]
        feeds = {name: frame[[name]].to_numpy() for name in frame}
        assert_same(run, model, fitted, frame, feeds)
        told = metadata(model)["input"]["columns"]
        assert told[3] == {"name": "pixel 3", "dtype": "uint8"}

    def test_one_matrix(self, run, frame, fitted):
        model = to_onnx(fitted, frame, columns_as="matrix")
        assert [value.name for value in model.graph.input] == ["X"]
        assert_same(run, model, fitted, frame, {"X": frame.to_numpy()})

    def test_columns_of_several_dtypes(self, run, frame, fitted):
        mixed = frame.astype({"pixel 0": "float64", "pixel 1": "int32"})
        model = to_onnx(fitted, mixed)
        feeds = {name: mixed[[name]].to_numpy() for name in mixed}
        assert_same(run, model, fitted, mixed, feeds)

    def test_column_transformer(self, run, frame, digits, small_pipeline):
        by_name = ColumnTransformer(
            [("left", StandardScaler(), list(frame.columns[:40]))], remainder="passthrough"
        )
        fitted = make_pipeline(by_name, small_pipeline()["mlp"]).fit(frame, digits[1])
        feeds = {name: frame[[name]].to_numpy() for name in frame}
        assert_same(run, to_onnx(fitted, frame), fitted, frame, feeds)
        matrix = to_onnx(fitted, frame, columns_as="matrix")
        assert_same(run, matrix, fitted, frame, {"X": frame.to_numpy()})

    def test_columns_of_text(self, run, frame, digits, small_pipeline):
        paper = np.where(frame["pixel 2"] > 3, "thick", "thin").astype(object)
        frame = frame.astype({"pixel 5": "float32"}).assign(paper=paper)
        encoded = ColumnTransformer(
            [
                ("ink", StandardScaler(), list(frame.columns[:64])),
                ("paper", OneHotEncoder(sparse_output=False), ["paper"]),
            ]
        )
        fitted = make_pipeline(encoded, small_pipeline()["mlp"]).fit(frame, digits[1])
        model = to_onnx(fitted, frame)
        feeds = {name: frame[[name]].to_numpy() for name in frame}
        assert_same(run, model, fitted, frame, feeds)
        assert metadata(model)["input"]["columns"][-1] == {"name": "paper", "dtype": "str"}
        with pytest.raises(ValueError, match="some columns hold text"):
            to_onnx(fitted, frame, columns_as="matrix")

    def test_names_of_outputs_are_taken(self, frame, fitted):
        with pytest.raises(ValueError, match="column named 'label'"):
            to_onnx(fitted, frame.rename(columns={"pixel 0": "label"}))


class TestErrors:
    """What cannot be exported, and what is said about it."""

    @pytest.mark.parametrize("make", [KerasMLPClassifier, PixelScaler, make_mnist_pipeline])
    def test_unfitted(self, make):
        with pytest.raises(NotFittedError):
            to_onnx(make())

    def test_foreign_estimator(self, four_digits):
        with pytest.raises(ExportError, match=r"LogisticRegression holds no PixelScaler.*skl2onnx"):
            to_onnx(LogisticRegression(max_iter=1000).fit(*four_digits))

    def test_step_without_converter_is_named(self, four_digits, small_pipeline):
        inner = make_pipeline(FunctionTransformer(np.sqrt), small_pipeline())
        outer = VotingClassifier([("rooted", inner)], voting="soft").fit(*four_digits)
        match = (
            r"functiontransformer' \(FunctionTransformer\) cannot be converted.*Replace the step"
        )
        with pytest.raises(ExportError, match=match):
            to_onnx(outer)

    def test_class_without_converter_is_named(self, four_digits, small_pipeline):
        class Inverter(FunctionTransformer):
            """Unknown to skl2onnx."""

        estimator = make_pipeline(Inverter(), small_pipeline()).fit(*four_digits)
        with pytest.raises(ExportError, match=r"The step 'inverter' \(Inverter\)"):
            to_onnx(estimator)

    def test_search_without_best_estimator(self, four_digits, small_pipeline):
        grid = {"mlp__epochs": [1]}
        search = GridSearchCV(small_pipeline(), grid, cv=2, refit=False).fit(*four_digits)
        with pytest.raises(ExportError, match="refit=False"):
            to_onnx(search)

    def test_ensemble_members_that_lack_classes(self, four_digits, small_pipeline):
        X, y = four_digits
        few = np.flatnonzero((y > 0) | (np.arange(len(y)) == 0))
        bagging = BaggingClassifier(small_pipeline(epochs=1), 3, max_samples=30, random_state=0)
        with pytest.raises(
            ExportError, match=r"BaggingClassifier holds a member .* 3 of 4 classes"
        ):
            to_onnx(bagging.fit(X[few], y[few]))

    def test_unknown_calibration_method(self, four_digits, small_pipeline):
        calibrated = CalibratedClassifierCV(small_pipeline(), cv=2).fit(*four_digits)
        for fold in calibrated.calibrated_classifiers_:
            fold.method = "spline"
        with pytest.raises(ExportError, match=r"method='spline'\) has no ONNX converter"):
            to_onnx(calibrated)

    @pytest.mark.parametrize(
        ("params", "match"),
        [
            ({"quantize": "int4"}, r"'quantize' parameter of to_onnx .* Got 'int4' instead"),
            ({"quantize": "int8"}, "calibration_data"),
            ({"columns_as": "tensor"}, "'columns_as' parameter of to_onnx"),
            ({"target_opset": 14}, r"'target_opset' .* range \[15, \d+\].* Got 14 instead"),
            ({"target_opset": 1000}, "Got 1000 instead"),
            ({"target_opset": 18.0}, r"Got 18\.0 instead"),
            ({"X": np.zeros((2, 60))}, r"shape \(2, 60\), but Pipeline was fitted .* \(64,\)"),
            ({"X": np.zeros(64)}, r"X of shape \(64,\)"),
            ({"X": [["a"] * 64]}, "X of dtype <U1"),
        ],
    )
    def test_bad_parameters(self, pipeline, params, match):
        with pytest.raises(ValueError, match=match):
            to_onnx(pipeline, **params)

    def test_sparse_sample(self, pipeline, digits):
        from scipy.sparse import csr_array

        with pytest.raises(TypeError, match=r"sparse matrix.*toarray"):
            to_onnx(pipeline, csr_array(digits[0][:3]))


def test_double_precision_is_kept_before_the_network(run, digits, small_pipeline):
    X = 1e6 + digits[0] * 1e-3  # differences that float32 cannot hold
    estimator = make_pipeline(StandardScaler(), small_pipeline()["mlp"]).fit(X, digits[1])
    model = to_onnx(estimator, X[:1])
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    assert_same(run, model, estimator, X)
