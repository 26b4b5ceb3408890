"""Many threads at once, for a moment; docs/benchmarks/soak.py does the same for long."""

import faulthandler
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import OnnxClassifier, make_mnist_pipeline, save_onnx


@pytest.fixture(scope="module")
def soak():
    """The module of that name."""
    path = Path(__file__).parents[1] / "docs" / "benchmarks" / "soak.py"
    spec = importlib.util.spec_from_file_location("soak", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_deadlock():
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def pipe(digits):
    X, y = digits
    pipe = make_mnist_pipeline(hidden_layer_sizes=(32,), epochs=3, random_state=0)
    return pipe.set_params(scale__pixel_max=16).fit(X[:500], y[:500])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
def test_a_model_file_under_32_threads(soak, pipe, digits, tmp_path):
    X, _ = digits
    save_onnx(pipe, tmp_path / "model.onnx", X[:100])
    result = soak.soak(OnnxClassifier(tmp_path / "model.onnx"), X, 32, 50_000)
    assert (result.n_calls, result.n_wrong) == (50_000, 0)
    assert result.growth < 0.05, result


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
def test_a_network_under_8_threads_while_another_is_fitted(soak, pipe, digits):
    X, y = digits
    fits = []

    def fit_another():
        fits[:] = [clone(pipe).fit(X[:500], y[:500])]

    result = soak.soak(pipe, X, 8, 4_000, fit_another)
    assert (result.n_calls, result.n_wrong) == (4_000, 0)
    assert result.growth < 0.05, result
    np.testing.assert_array_equal(fits[0].predict_proba(X), pipe.predict_proba(X))
