"""The same data and the same `random_state` give the same weights, wherever they are trained."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone

from mnist_estimator import make_mnist_pipeline

# Keras' own arrays do not know NumPy 2's `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ELSEWHERE = """
import pickle, sys
pipes, X, y = pickle.load(sys.stdin.buffer)
pickle.dump([pipe.fit(X, y) for pipe in pipes], sys.stdout.buffer)
"""


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits
    return X[:400].copy(), y[:400]


@pytest.fixture(scope="module")
def pipe():
    """Not fitted; all that chance decides is in it."""
    return make_mnist_pipeline(
        hidden_layer_sizes=(24, 12), epochs=4, early_stopping=True, random_state=3
    )


@pytest.fixture(scope="module")
def expected(pipe, data):
    return clone(pipe).fit(*data)


def assert_same(pipe, other):
    mlp, other = pipe["mlp"], other["mlp"]
    one, two = (
        [variable.numpy() for variable in (*m.model_.weights, *m.model_.optimizer.variables)]
        for m in (mlp, other)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert mlp.history_ == other.history_


def test_in_another_process_and_resumed_here(pipe, data, expected, tmp_path):
    two_epochs = clone(pipe).set_params(mlp__checkpoint=tmp_path, mlp__epochs=2)
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    process = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps(([pipe, two_epochs], *data)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **threads},
        stdout=subprocess.PIPE,
        check=True,
    )
    fitted, begun = pickle.loads(process.stdout)
    assert_same(fitted, expected)
    X, _ = data
    np.testing.assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))
    assert begun["mlp"].n_iter_ == 2
    assert len(list(tmp_path.iterdir())) == 1
    assert_same(two_epochs.set_params(mlp__epochs=4).fit(*data), expected)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_under_joblib(pipe, data, expected, backend, n_jobs):
    parallel = Parallel(n_jobs=n_jobs, backend=backend)
    for fitted in parallel(delayed(clone(pipe).fit)(*data) for _ in range(3)):
        assert_same(fitted, expected)


@pytest.mark.parametrize("duplicate", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy])
def test_a_copy_and_its_further_training(pipe, data, expected, duplicate):
    assert_same(duplicate(expected), expected)
    original = clone(pipe).set_params(mlp__warm_start=True).fit(*data)
    other = duplicate(original)
    assert_same(other.fit(*data), original.fit(*data))
