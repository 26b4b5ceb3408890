"""Processes that others start: spawned or forked, they answer, or say why they cannot."""

import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest

from mnist_estimator import OnnxClassifier, make_mnist_pipeline, save_onnx
from mnist_estimator.runtime import OnnxModel, _fork

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
pytestmark = [
    # Python 3.12 warns of every fork in a process with threads; TensorFlow has threads.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    # Keras' own arrays do not know NumPy 2's `copy`.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def pipe(digits):
    X, y = digits
    pipe = make_mnist_pipeline(hidden_layer_sizes=(16,), epochs=2, random_state=0)
    return pipe.set_params(scale__pixel_max=16).fit(X[:500], y[:500])


@pytest.fixture
def exported(pipe, digits, tmp_path):
    save_onnx(pipe, tmp_path / "model.onnx", digits[0][:100])
    return OnnxClassifier(tmp_path / "model.onnx")


def in_a_fork(function, *args):
    """Return what a function returns, or raises, in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = function(*args)
        except Exception as error:
            answer = error
        with os.fdopen(writer, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(writer)
    alarm = threading.Timer(30, os.kill, (child, signal.SIGKILL))
    alarm.start()
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    alarm.cancel()
    assert os.waitpid(child, 0)[1] == 0, "the child did not answer"
    return pickle.loads(answer)


@needs_fork
def test_a_model_file_answers_in_a_fork_whatever_other_threads_are_doing(exported, digits):
    X, _ = digits
    expected = exported.predict_proba(X)
    content, stop, opened = exported._model()._content, threading.Event(), []

    def predict(n_rows):
        while not stop.is_set():
            exported.predict(X[:n_rows])

    def reopen():
        while not stop.is_set():
            opened.append(OnnxModel(content).n_features)

    threads = [threading.Thread(target=predict, args=(n,)) for n in (1, 1, 200, 256, 1797)]
    threads.append(threading.Thread(target=reopen))
    for thread in threads:
        thread.start()
    try:
        for n_rows in [1, 1797] * 10:
            answer = in_a_fork(exported.predict_proba, X[:n_rows])
            np.testing.assert_allclose(answer, expected[:n_rows], rtol=1e-5, atol=1e-7)
        assert in_a_fork(lambda: OnnxModel(content).n_features) == 64
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert opened


@needs_fork
def test_a_fork_does_not_inherit_that_another_thread_was_short_of_memory():
    held, stop = threading.Event(), threading.Event()

    def hold():
        with _fork.one_at_a_time:
            held.set()
            stop.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_a_fork(lambda: _fork.one_at_a_time.acquire(timeout=5))
    finally:
        stop.set()
        thread.join()


@needs_fork
@pytest.mark.parametrize("method", ["predict", "predict_proba", "fit"])
def test_a_network_in_a_fork_says_why_it_cannot(pipe, digits, method):
    X, y = digits
    args = (X[:10], y[:10]) if method == "fit" else (X[:10],)
    error = in_a_fork(getattr(pipe, method), *args)
    assert isinstance(error, RuntimeError)
    assert "forked from one that had used it already. Start processes by" in str(error)
    assert len(pipe.predict(X)) == len(X)  # the parent goes on


@needs_fork
def test_a_network_is_not_pickled_in_a_fork(pipe):
    error = in_a_fork(pickle.dumps, pipe)
    assert "TensorFlow does not work in this process" in str(error)
    assert isinstance(in_a_fork(pickle.dumps, make_mnist_pipeline()), bytes)


@needs_fork
def test_a_pool_of_forks_raises_what_its_workers_met(pipe, digits):
    """A worker that fails while it unpickles its task would be waited for forever."""
    X, y = digits
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for task in (pool.apply_async(pipe.predict, (X,)), pool.apply_async(pipe.fit, (X, y))):
            with pytest.raises(RuntimeError, match="TensorFlow does not work in this process"):
                task.get(timeout=60)


def test_spawned_processes_answer(pipe, exported, digits):
    X, y = digits
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(exported.score, (X, y)) == exported.score(X, y)
        probabilities = pool.apply(pipe.predict_proba, (X,))
        np.testing.assert_array_equal(probabilities, pipe.predict_proba(X))
        refitted = pool.apply(pipe.fit, (X[:500], y[:500]))
    np.testing.assert_array_equal(refitted.predict_proba(X), pipe.predict_proba(X))
