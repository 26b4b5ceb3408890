"""Fits that go on from a checkpoint: whatever stopped them, they end as if nothing had."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from mnist_estimator import KerasMLPClassifier, make_mnist_pipeline
from mnist_estimator._checkpoint import _read
from mnist_estimator.exceptions import CheckpointError
from mnist_estimator.training import EpochGraph

# Keras' own arrays do not know NumPy 2's `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SGD = keras.optimizers.SGD(0.1, momentum=0.9)
AVERAGED = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
COSINE = keras.optimizers.schedules.CosineDecay(0.02, 100)


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits
    return (X[:200] / 16).astype(np.float32), y[:200]


@pytest.fixture
def mlp(tmp_path):
    return KerasMLPClassifier(
        (8,), epochs=6, validation_split=0.2, checkpoint=tmp_path / "ck", random_state=0
    )


def alone(mlp, data, **params):
    """Return the same fit without a checkpoint, or with other parameters."""
    return clone(mlp).set_params(**{"checkpoint": None, **params}).fit(*data)


def state_of(mlp):
    variables = [*mlp.model_.variables, *mlp.model_.optimizer.variables]
    return [np.asarray(variable.numpy()) for variable in variables]


def assert_same_fit(one, other):
    for a, b in zip(state_of(one), state_of(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history_ == other.history_
    assert (one.n_iter_, one.n_samples_fit_) == (other.n_iter_, other.n_samples_fit_)
    # What the next fit, or the next epoch, would draw.
    assert one._rng.bit_generator.state == other._rng.bit_generator.state


@pytest.fixture
def epochs_trained(monkeypatch):
    """The number of epochs that were trained since the list was last cleared, as its length."""
    trained, train = [], EpochGraph.train
    monkeypatch.setattr(
        EpochGraph, "train", lambda *args: trained.append(1) or train(*args), raising=True
    )
    return trained


@pytest.fixture
def crash(monkeypatch):
    """``crash(mlp, data, 3)`` begins a fit that fails in its third epoch."""

    def fit(mlp, data, epoch):
        train, calls = EpochGraph.train, itertools.count(1)

        def fail(*args):
            if next(calls) == epoch:
                raise KeyboardInterrupt
            return train(*args)

        with monkeypatch.context() as patched:
            patched.setattr(EpochGraph, "train", fail)
            with pytest.raises(KeyboardInterrupt):
                mlp.fit(*data)

    return fit


# Going on.


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout": 0, "validation_split": 0.0, "class_weight": "balanced"},
        {"hidden_layer_sizes": (), "optimizer": SGD},
        {"learning_rate": COSINE, "activation": keras.activations.gelu},
        {"optimizer": AVERAGED, "batch_size": 1000},
        {"early_stopping": True, "n_iter_no_change": 4, "learning_rate": 0.3, "epochs": 30},
        {"random_state": np.random.RandomState(1)},
        {"augmentation": ("affine", "elastic"), "schedule": "cosine"},
    ],
    ids=[
        *("default", "balanced", "linear", "schedule", "average", "early stopping", "generator"),
        "recipe",
    ],
)
def test_a_fit_that_goes_on_ends_as_if_it_had_not_stopped(mlp, data, crash, epochs_trained, params):
    mlp.set_params(**params)
    expected = alone(mlp, data)
    for epoch in (3, 2):  # two epochs, and one epoch more
        crash(clone(mlp), data, epoch)
    epochs_trained.clear()
    resumed = clone(mlp).fit(*data)
    assert len(epochs_trained) == expected.n_iter_ - 3 > 0
    assert_same_fit(resumed, expected)
    np.testing.assert_array_equal(resumed.predict_proba(data[0]), expected.predict_proba(data[0]))


def test_callbacks_of_keras_remember(mlp, data, crash):
    def callbacks():
        reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=1e9)
        return [reduce, keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=4)]

    expected = alone(mlp, data, epochs=20, callbacks=callbacks())
    assert expected.n_iter_ == 5
    for epoch in (3, 2):
        crash(clone(mlp).set_params(epochs=20, callbacks=callbacks()), data, epoch)
    assert_same_fit(mlp.set_params(epochs=20, callbacks=callbacks()).fit(*data), expected)


def test_other_callbacks_see_the_epochs_that_are_left(mlp, data, crash, capsys):
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    mlp.set_params(callbacks=watch, verbose=1)
    crash(mlp, data, 4)
    assert capsys.readouterr().out.startswith("epoch 1/6: ")
    seen.clear()
    mlp.fit(*data)
    assert seen == [3, 4, 5]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "going on after epoch 3/6"
    assert [line.partition(":")[0] for line in lines[1:]] == [f"epoch {i}/6" for i in (4, 5, 6)]


def test_a_finished_fit_is_read_and_not_trained(mlp, data, epochs_trained):
    expected = clone(mlp).fit(*data)
    assert len(epochs_trained) == 6
    again = clone(mlp).set_params(checkpoint=str(mlp.checkpoint), verbose=1).fit(*data)
    assert len(epochs_trained) == 6
    assert_same_fit(again, expected)


def test_a_fit_that_was_stopped_early_is_finished(mlp, data, epochs_trained):
    mlp.set_params(early_stopping=True, n_iter_no_change=2, learning_rate=0.3, epochs=30)
    expected = clone(mlp).fit(*data)
    assert expected.n_iter_ < 30
    epochs_trained.clear()
    for epochs in (30, 40):
        assert_same_fit(clone(mlp).set_params(epochs=epochs).fit(*data), expected)
    assert not epochs_trained


def test_more_epochs_may_be_added_and_fewer_asked_for(mlp, data, epochs_trained):
    mlp.fit(*data)
    epochs_trained.clear()
    more = clone(mlp).set_params(epochs=8).fit(*data)
    assert len(epochs_trained) == 2
    assert_same_fit(more, alone(mlp, data, epochs=8))
    assert_same_fit(clone(mlp).set_params(epochs=3).fit(*data), alone(mlp, data, epochs=3))
    epochs_trained.clear()
    mlp.fit(*data)
    assert not epochs_trained


def test_with_a_schedule_more_epochs_are_another_fit(mlp, data, epochs_trained):
    mlp.set_params(schedule="cosine", epochs=2).fit(*data)
    epochs_trained.clear()
    more = clone(mlp).set_params(epochs=4).fit(*data)
    assert len(epochs_trained) == 4
    assert_same_fit(more, alone(mlp, data, epochs=4))


def test_warm_starts_go_on_each_from_its_own(mlp, data, crash, epochs_trained):
    mlp.set_params(warm_start=True, epochs=3)
    expected = clone(mlp).set_params(checkpoint=None)
    for _ in range(3):
        expected.fit(*data)
    killed = clone(mlp).fit(*data)
    crash(killed, data, 3)  # in the second fit, and in another process all began again
    epochs_trained.clear()
    resumed = clone(mlp)
    for _ in range(3):
        resumed.fit(*data)
    assert len(epochs_trained) == 0 + 1 + 3
    assert resumed.history_ == expected.history_
    assert_same_fit(resumed, expected)


def test_a_fit_with_weights(mlp, data, crash):
    X, y = data
    weight = np.random.default_rng(0).random(len(X))
    expected = clone(mlp).set_params(checkpoint=None).fit(X, y, sample_weight=weight)
    crash(clone(mlp), data, 3)
    assert_same_fit(mlp.fit(X, y, sample_weight=weight), expected)


# Other fits.


def reverse(x):
    return -x


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (9,)},
        {"dropout": 0.3},
        {"batch_size": 31},
        {"learning_rate": 0.002},
        {"optimizer": "sgd"},
        {"optimizer": AVERAGED},
        {"activation": reverse},
        {"early_stopping": True},
        {"validation_split": 0.3},
        {"class_weight": {0: 2}},
        {"random_state": 1},
        {"callbacks": keras.callbacks.ReduceLROnPlateau()},
        "X",
        "y",
    ],
    ids=str,
)
def test_a_fit_does_not_go_on_from_another(mlp, data, epochs_trained, change):
    X, y = data[0].copy(), data[1].copy()
    mlp.set_params(epochs=1).fit(X, y)
    if change == "X":
        X[7, 7] += 0.01
    elif change == "y":
        y[7] = (y[7] + 1) % 10
    else:
        mlp.set_params(**change)
    mlp.fit(X, y)
    assert len(epochs_trained) == 2
    assert len(list(mlp.checkpoint.glob("*.npz"))) == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"random_state": None}, "random_state, so that must not be None. Give a number"),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, "Keras' own loop.*cannot be resumed"),
        ({"activation": lambda x: x}, "cannot be told from others"),
    ],
)
def test_fits_that_could_not_go_on_are_refused(mlp, data, params, message):
    with pytest.raises(ValueError, match=message):
        mlp.set_params(**params).fit(*data)
    assert not hasattr(mlp, "model_")


def test_partial_fit_keeps_no_checkpoint(mlp, data):
    mlp.set_params(random_state=None).partial_fit(*data, classes=range(10))
    assert not mlp.checkpoint.exists()


# Searches.


def test_a_search_goes_on(mlp, data, crash, epochs_trained):
    X, y = data[0] * 16, data[1]
    grid = {"mlp__dropout": [0.0, 0.3], "mlp__epochs": [2, 3]}
    pipe = make_mnist_pipeline(**{**mlp.get_params(), "epochs": 2})
    expected = GridSearchCV(clone(pipe).set_params(mlp__checkpoint=None), grid, cv=2).fit(X, y)
    n_epochs = len(epochs_trained)
    assert n_epochs == 2 * 2 * (2 + 3) + expected.best_params_["mlp__epochs"]

    epochs_trained.clear()
    crash(GridSearchCV(pipe, grid, cv=2), (X, y), 7)
    resumed = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    # No epoch was trained again; those of three go on from those of two.
    assert len(epochs_trained) == 2 * 2 * 3 + resumed.best_params_["mlp__epochs"]
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(resumed.cv_results_[name], expected.cv_results_[name])
    np.testing.assert_array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    epochs_trained.clear()
    GridSearchCV(pipe, grid, cv=2, n_jobs=1).fit(X, y)
    assert not epochs_trained


# Damage.


@pytest.fixture
def file(mlp, data):
    """The file of a finished fit."""
    mlp.set_params(early_stopping=True, epochs=2).fit(*data)
    (path,) = mlp.checkpoint.iterdir()
    return path


def test_a_file_holds_numbers_and_text_only(file):
    with np.load(file, allow_pickle=False) as arrays:
        assert all(array.dtype.kind in "fiu" for array in dict(arrays).values())
        about = json.loads(arrays["about"].tobytes())
    assert about["done"] == 2
    assert list(about["history"]) == ["loss", "accuracy", "val_loss", "val_accuracy"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", "truncated", "pickle"])
def test_a_damaged_file_is_an_error_that_names_it(mlp, data, file, content):
    if content == "truncated":
        content = file.read_bytes()[:-1]
    elif content == "pickle":
        with file.open("wb") as opened:
            np.savez(opened, about=np.array([object()]))
        content = file.read_bytes()
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"checkpoint '{file}' cannot be read.*Delete it"):
        clone(mlp).fit(*data)
    file.unlink()
    assert clone(mlp).fit(*data).n_iter_ == 2


def test_the_file_of_another_network_under_this_name(mlp, data, file):
    other = clone(mlp).set_params(hidden_layer_sizes=(9,)).fit(*data)
    (path,) = set(mlp.checkpoint.iterdir()) - {file}
    shutil.copy(path, file)
    with pytest.raises(CheckpointError, match=r"\(64, 9\) is not the shape of .*hidden_1/kernel"):
        clone(mlp).fit(*data)
    assert other.n_iter_ == 2


def test_no_wrong_byte_goes_unnoticed(mlp, data, file):
    fitted = clone(mlp).fit(*data)
    variables = [*fitted.model_.weights, *fitted.model_.optimizer.variables]
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    expected = _read(file, variables)
    n_noticed = 0
    for place in rng.integers(len(whole), size=1000):
        damaged = bytearray(whole)
        damaged[place] ^= rng.integers(1, 256)
        file.write_bytes(damaged)
        try:
            state = _read(file, variables)
        except CheckpointError:
            n_noticed += 1
        else:  # a byte that means nothing, such as a date of the archive
            np.testing.assert_equal(state, expected)
    assert n_noticed > 900


# Killed.

# TensorFlow is imported once; every life is a fork of that process, from before TensorFlow starts
# its threads.
LIVES = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from sklearn.datasets import load_digits
from mnist_estimator import KerasMLPClassifier
from mnist_estimator._tensorflow import keras

class Tell(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        os.write(tell, b".")

def fit(checkpoint, result):
    X, y = load_digits(return_X_y=True)
    mlp = KerasMLPClassifier(
        (8,), batch_size=1000, epochs=300, validation_split=0.2, early_stopping=True,
        n_iter_no_change=300, checkpoint=checkpoint, random_state=0, callbacks=Tell(),
    ).fit(X[:200] / 16, y[:200])
    variables = (*mlp.model_.weights, *mlp.model_.optimizer.variables)
    np.savez(result, *(v.numpy() for v in variables), loss=mlp.history_["val_loss"])

def begin(checkpoint, result):
    global tell
    listen, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(listen)
        fit(checkpoint, result)
        os._exit(0)
    os.close(tell)
    return child, listen

def epochs_saved():
    epochs = [0]
    for path in folder.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)  # whole, or an error
        epochs.append(json.loads(arrays["about"].tobytes())["done"])
    return max(epochs)

results = Path(sys.argv[1])
folder, rng = results / "checkpoint", random.Random(0)
for life in range(20):
    child, listen = begin(folder, results / "never.npz")
    for _ in range(rng.randint(0, 3)):
        os.read(listen, 1)
    time.sleep(rng.uniform(0, 0.015))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(listen)
    print(os.WTERMSIG(status), epochs_saved(), flush=True)
for checkpoint, name in ((folder, "resumed"), (None, "alone")):
    child, listen = begin(checkpoint, results / f"{name}.npz")
    while os.read(listen, 1000):
        pass
    print(os.waitpid(child, 0)[1], epochs_saved(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, which this system does not know")
def test_twenty_kills_at_random_moments(tmp_path):
    lives = subprocess.run(
        [sys.executable, "-c", LIVES, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    signals, epochs = list(map(int, lives[::2])), list(map(int, lives[1::2]))
    assert signals == [signal.SIGKILL] * 20 + [0, 0]
    assert epochs == sorted(epochs)  # no epoch was lost again
    assert 0 < epochs[10] < epochs[19] < epochs[20] == 300
    with np.load(tmp_path / "resumed.npz") as resumed, np.load(tmp_path / "alone.npz") as alone:
        for name in alone.files:
            np.testing.assert_array_equal(resumed[name], alone[name])
    assert not (tmp_path / "never.npz").exists()
    assert len(list((tmp_path / "checkpoint").glob("*.npz"))) == 1


# Folders.


@pytest.fixture
def read_only():
    """A read-only folder that every user can reach."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o555)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def unprivileged(read_only):
    """The test runs as a user whom permissions hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions and paths of POSIX")
def test_a_folder_that_cannot_be_written_is_noticed_before_the_training(
    mlp, data, read_only, epochs_trained, unprivileged
):
    for checkpoint in (read_only, read_only / "new", "/proc/nowhere", __file__):
        with pytest.raises(OSError, match=str(checkpoint)):
            mlp.set_params(checkpoint=checkpoint).fit(*data)
    assert not epochs_trained


def test_what_a_killed_process_left_half_written_is_cleared_away(mlp, data, crash):
    crash(clone(mlp), data, 3)
    (file,) = mlp.checkpoint.iterdir()
    left, fresh = (mlp.checkpoint / f".{file.name}.{name}" for name in ("left", "fresh"))
    of_another = mlp.checkpoint / ".other-6.npz.left"
    for path in (left, fresh, of_another):
        path.write_bytes(b"half")
    for path in (left, of_another):
        os.utime(path, (time.time() - 100,) * 2)
    mlp.fit(*data)
    assert set(mlp.checkpoint.iterdir()) == {file, fresh, of_another}
