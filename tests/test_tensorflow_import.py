"""What a fresh interpreter loads, and what it keeps from the terminal."""

import os
import subprocess
import sys

import pytest

from mnist_estimator._tensorflow import stderr_held_back

IMPORT = """
import os
import numpy as np
from mnist_estimator import KerasMLPClassifier
import tensorflow as tf
"""
FIT = """
X = np.random.default_rng(0).random((40, 3))
KerasMLPClassifier((4,), epochs=1, validation_split=0.2).fit(X, X[:, 0] > 0.5).predict(X)
"""
# Set by whoever runs the tests, these would change what is tested.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("TF_CPP_MIN_LOG_LEVEL", "TF_NUM_INTRAOP_THREADS", "PYTHONWARNINGS")
}


def run(code, **environment):
    """Return what a fresh interpreter writes to its two outputs."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT | environment,
    )
    return done.stdout, done.stderr


def test_importing_the_package_loads_nothing_heavy():
    loaded = set(run("import sys, mnist_estimator; print(*sys.modules)")[0].split())
    assert "mnist_estimator" in loaded
    heavy = {"tensorflow", "keras", "scikeras", "matplotlib", "onnxruntime", "onnx", "sklearn"}
    assert not loaded & (heavy | {"numpy"})


def test_python_collects_garbage_once_for_the_import():
    # Left to itself four times, which is a quarter of the import.
    count = """
import gc, sys
import sklearn.model_selection
before = gc.get_stats()[-1]["collections"]
import mnist_estimator.neural_network
print(gc.get_stats()[-1]["collections"] - before, gc.isenabled())
"""
    assert run(count)[0] == "1 True\n"
    assert run("import gc; gc.disable()" + count)[0] == "0 False\n"


def test_training_is_silent_and_leaves_the_process_its_settings():
    configure = """
tf.config.threading.set_intra_op_parallelism_threads(3)
"""
    tell = """
print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
print(tf.config.threading.get_intra_op_parallelism_threads())
print(tf.config.threading.get_inter_op_parallelism_threads())
"""
    # Threads may be configured after the import: it has not started TensorFlow's devices.
    assert run(IMPORT + configure + FIT + tell) == ("None\n3\n0\n", "")


def test_training_works_after_tensorflow_and_without_a_standard_error():
    code = "import os; os.close(2); import tensorflow" + IMPORT + FIT
    code += "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    assert run(code, TF_CPP_MIN_LOG_LEVEL="3")[0] == "3\n"


def test_what_is_written_to_standard_error_is_held_back(capfd):
    with stderr_held_back():
        os.write(2, b"chatter")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_what_was_held_back_is_shown_if_the_block_fails(capfd):
    def fail():
        with stderr_held_back():
            os.write(2, b"the reason")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capfd.readouterr().err == "the reason"
