"""What is different where TensorFlow sees a GPU, as far as that shows without one.

On a GPU itself `python docs/benchmarks/gpu.py` trains, and the other tests hold but for those that
compare bits, or probabilities beyond the 11 bits of TF32, or count the processor's threads.
"""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from mnist_estimator import KerasMLPClassifier, _distorted_rows, _tensorflow, save_onnx, training
from mnist_estimator._rows import resident_rows
from mnist_estimator._streaming import StreamedRows
from mnist_estimator._tensorflow import keras, tf

GPU = "/job:localhost/replica:0/task:0/device:GPU:0"


@pytest.fixture
def on_gpu(monkeypatch):
    """Name a GPU where a model's device is asked for; TensorFlow then takes the processor."""
    monkeypatch.setattr(training, "_graphs", type(training._graphs)())
    for module in (training, _distorted_rows):
        monkeypatch.setattr(module, "device_of", lambda model: GPU)


@pytest.fixture
def turns_taken(monkeypatch):
    """Let threads take turns."""
    monkeypatch.setattr(_tensorflow, "_sees_gpu", lambda: True)


@pytest.fixture
def small(digits):
    X, y = digits
    return X[:200] / np.float32(16), y[:200]


def fitted(small, **params):
    params = {"hidden_layer_sizes": (8,), "epochs": 2, "random_state": 0} | params
    return KerasMLPClassifier(**params).fit(*small)


@pytest.mark.parametrize("augmentation", [None, "affine"])
def test_graphs_are_called_as_any_other(small, request, monkeypatch, augmentation):
    expected = fitted(small, augmentation=augmentation, validation_split=0.2).history_
    request.getfixturevalue("on_gpu")
    monkeypatch.setattr(tf.raw_ops, "MapDefun", None)
    history = fitted(small, augmentation=augmentation, validation_split=0.2).history_
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)


def test_a_graph_is_kept_for_each_device(small, monkeypatch):
    traced = []
    build = training.BoundedGraph
    monkeypatch.setattr(training, "_graphs", type(training._graphs)())
    monkeypatch.setattr(
        training, "BoundedGraph", lambda *args: traced.append(args[2]) or build(*args)
    )
    for device in (GPU, "CPU:0", GPU):
        monkeypatch.setattr(training, "device_of", lambda model, device=device: device)
        fitted(small)
    assert traced == [GPU, "CPU:0"]


def test_grey_levels_are_scaled_at_once(digits, monkeypatch):
    levels, codes, weight = digits[0][:20], np.zeros(20, np.int32), np.ones(20, np.float32)
    assert resident_rows(levels, codes, weight).X.dtype == tf.uint8
    monkeypatch.setattr(tf, "zeros", lambda shape: SimpleNamespace(device=GPU))
    X = resident_rows(levels, codes, weight).X
    np.testing.assert_array_equal(X, levels / np.float32(255))


def test_a_round_of_streamed_rows_is_a_tensor_that_no_gpu_has_seen(digits, monkeypatch):
    da = pytest.importorskip("dask.array")
    monkeypatch.setattr("mnist_estimator._streaming._ROUND_BYTES", 4 * 64 * 320)
    X = da.from_array(digits[0].astype(np.float32), chunks=(100, 64))
    rows = StreamedRows(X, digits[1].astype(np.int32), np.ones(len(X), np.float32), 32)
    tensors = [buffer.X for buffer, _ in rows.rounds(np.arange(len(X)), np.random.default_rng(0))]
    assert len(tensors) > 3
    assert len({id(tensor) for tensor in tensors}) == len(tensors)


class Watch(keras.callbacks.Callback):
    """Count how many fits are under way at once."""

    now, most, lock = 0, 0, threading.Lock()

    def on_train_begin(self, logs=None):
        with Watch.lock:
            Watch.now += 1
            Watch.most = max(Watch.most, Watch.now)

    def on_train_end(self, logs=None):
        with Watch.lock:
            Watch.now -= 1


def test_fits_of_several_threads_take_turns(small, turns_taken):
    threads = [
        threading.Thread(target=fitted, args=(small,), kwargs={"callbacks": Watch()})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Watch.now, Watch.most) == (0, 1)


def test_predictions_wait_for_a_fit(small, turns_taken):
    mlp, answers = fitted(small), []
    asking = threading.Thread(target=lambda: answers.append(mlp.predict(small[0])))

    class Asks(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            asking.start()

        def on_epoch_end(self, epoch, logs=None):
            asking.join(0.2)
            answers.append("epoch")
            mlp.predict(small[0])  # in the fit's own thread it may

    fitted(small, callbacks=Asks())
    asking.join(60)
    assert [str(answer) for answer in answers[:2]] == ["epoch", "epoch"]
    assert len(answers) == 3


def test_rows_are_distorted_by_the_thread_that_trains(small, on_gpu, monkeypatch):
    threads, trace = [], _distorted_rows.DistortingGraph._trace

    def noting(*args):
        threads.append(threading.current_thread())
        return trace(*args)

    monkeypatch.setattr(_distorted_rows.DistortingGraph, "_trace", noting)
    fitted(small, augmentation="affine")
    assert set(threads) == {threading.current_thread()}


def test_an_export_is_compared_without_tf32_which_is_then_as_before(
    small, tmp_path, monkeypatch, turns_taken
):
    config, seen = tf.config.experimental, []
    mlp, predict_proba = fitted(small), KerasMLPClassifier.predict_proba

    def noting(self, X):
        seen.append(config.tensor_float_32_execution_enabled())
        return predict_proba(self, X)

    monkeypatch.setattr(KerasMLPClassifier, "predict_proba", noting)
    before = config.tensor_float_32_execution_enabled()
    try:
        for enabled in (True, False):
            config.enable_tensor_float_32_execution(enabled)
            save_onnx(mlp, tmp_path / "mlp.onnx", small[0])
            assert config.tensor_float_32_execution_enabled() == enabled
    finally:
        config.enable_tensor_float_32_execution(before)
    assert set(seen) == {False}
