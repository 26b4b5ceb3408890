"""Fixtures that every test may use."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib.externals.loky import reusable_executor
from sklearn.datasets import load_digits

PLAYGROUND_DOCS = Path(__file__).parents[1] / "docs" / "playground"
# How npm says that it could not reach its registry.
UNREACHABLE = re.compile(
    r"\b(EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT"
    r"|ETIMEDOUT|FETCH_ERROR)\b"
)


@pytest.fixture(scope="module", autouse=True)
def fresh_workers():
    """Give each file worker processes of its own.

    joblib takes a worker that did something small before it loaded TensorFlow for one that leaks
    memory, and ends it; where both end at once, joblib 1.6 waits forever.
    """
    yield
    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(kill_workers=True)


@pytest.fixture(scope="session")
def mnist():
    """Real MNIST, `(X_train, y_train, X_test, y_test)`, read-only; skips where it is absent."""
    if "MNIST_ESTIMATOR_DATA" not in os.environ:
        pytest.skip("needs the full MNIST: set MNIST_ESTIMATOR_DATA to a folder of its IDX files")
    from mnist_estimator import fetch_mnist

    arrays = (*fetch_mnist(return_X_y=True), *fetch_mnist(subset="test", return_X_y=True))
    for array in arrays:
        array.setflags(write=False)
    return arrays


@pytest.fixture
def printed_on_one_thread():
    """What a program prints where TensorFlow has one thread for graphs, as on one processor."""

    def run(code):
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
            env=os.environ | {"TF_NUM_INTEROP_THREADS": "1"},
        ).stdout

    return run


@pytest.fixture(scope="session")
def digits():
    """The 1,797 real 8×8 scans inside scikit-learn, `(X, y)`: uint8 rows 0–16 and int64 labels."""
    X, y = load_digits(return_X_y=True)
    X, y = X.astype(np.uint8), y.astype(np.int64)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def node_project(tmp_path_factory):
    """A folder with the ``node_modules`` of the docs' lock file; skips where it cannot be had."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("needs Node and npm")
    folder = tmp_path_factory.mktemp("node_project")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PLAYGROUND_DOCS / name, folder)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    install += ["--fetch-retries=1", "--fetch-timeout=60000"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("needs onnxruntime-web from the npm registry, which does not answer")
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)  # 130 MB


@pytest.fixture(scope="session")
def network_file():
    """`make_network`, for tests that write model files."""
    return make_network


def make_network(sizes=(784, 16, 10), *, shape=None, dtype="uint8", classes=None):
    """Make a small model file as `save_onnx` writes it, without TensorFlow.

    It returns an `onnx.ModelProto`: a network of random weights over rows of `shape`, with our
    metadata.
    """
    import json
    from itertools import pairwise

    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shape = shape or (sizes[0],)
    classes = np.arange(sizes[-1]) if classes is None else np.asarray(classes)
    is_text = classes.dtype.kind == "U"
    stored = classes.astype(object if is_text else np.int64)
    weights = [
        numpy_helper.from_array(np.array([-1, sizes[0]]), "flat"),
        numpy_helper.from_array(stored, "classes"),
    ]
    nodes = [
        helper.make_node("Cast", ["X"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "flat"], ["units0"]),
    ]
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        kernel = rng.normal(scale=n_in**-0.5, size=(n_in, n_out)) / (255 if i == 0 else 1)
        bias = rng.normal(scale=0.1, size=n_out)
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"kernel{i}"))
        weights.append(numpy_helper.from_array(bias.astype(np.float32), f"bias{i}"))
        inputs = [f"units{i}", f"kernel{i}", f"bias{i}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"sums{i}"]))
        activation = "Relu" if i < len(sizes) - 2 else "Softmax"
        output = f"units{i + 1}" if activation == "Relu" else "probabilities"
        nodes.append(helper.make_node(activation, [f"sums{i}"], [output]))
    nodes.append(helper.make_node("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0))
    nodes.append(helper.make_node("Gather", ["classes", "best"], ["label"]))
    input_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    label_type = TensorProto.STRING if is_text else TensorProto.INT64
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "network",
        [info("X", input_type, ["N", *shape])],
        [
            info("label", label_type, ["N"]),
            info("probabilities", TensorProto.FLOAT, ["N", sizes[-1]]),
        ],
        weights,
    )
    model = helper.make_model(
        graph,
        producer_name="mnist_estimator",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    metadata = {
        "classes": classes.tolist(),
        "classes_dtype": "str" if is_text else classes.dtype.name,
        "input": {"dtype": dtype, "shape": list(shape), "min": 0, "max": 255},
        "versions": {"mnist_estimator": "0.1.0"},
        "licence": "MIT",
    }
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    return model
