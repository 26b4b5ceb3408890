"""Many threads at once, for a moment; docs/benchmarks/soak.py does the same for long."""

import faulthandler
import gc
import importlib.util
import weakref
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import KerasMLPClassifier, OnnxClassifier, make_mnist_pipeline, save_onnx


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


def test_forgotten_networks_do_not_pile_up(digits):
    # Without automatic collections: those come too late for objects with megabytes behind them.
    X, y = digits
    mlp = KerasMLPClassifier((2000,), epochs=1, random_state=0)  # 2 MB with its optimizer
    gc.collect()
    gc.disable()
    try:
        networks = [weakref.ref(mlp.fit(X[:32], y[:32]).model_) for _ in range(40)]
        n_alive = sum(network() is not None for network in networks)
    finally:
        gc.enable()
    assert n_alive < 25
