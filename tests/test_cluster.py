"""Searches and predictions on a real scheduler with two worker processes on 127.0.0.1."""

import os
import signal
import threading
import time

import dask.array as da
import joblib
import numpy as np
import pytest
from distributed import LocalCluster
from sklearn.model_selection import GridSearchCV, cross_val_score

from mnist_estimator import OnnxClassifier, make_mnist_pipeline
from mnist_estimator.cli import app
from mnist_estimator.cluster import connect

# What distributed itself leaves behind at its end.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*unclosed.*")


@pytest.fixture(scope="module")
def address():
    """The address of a scheduler with two worker processes of one thread."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def client(address):
    with connect(address) as client:
        yield client


def pipeline(**params):
    params = {"hidden_layer_sizes": (16,), "epochs": 2, "random_state": 0, **params}
    return make_mnist_pipeline(**params)


def weights_of(pipe):
    return np.concatenate([weight.ravel() for weight in pipe["mlp"].model_.get_weights()])


GRID = {"mlp__dropout": [0.0, 0.2], "mlp__batch_size": [16, 64]}


@pytest.fixture
def fit():
    """A function that fits a pipeline and returns its weights; any process can unpickle it."""

    def fit(X, y):
        import numpy as np

        from mnist_estimator import make_mnist_pipeline

        pipe = make_mnist_pipeline(hidden_layer_sizes=(16,), epochs=2, random_state=0).fit(X, y)
        return np.concatenate([weight.ravel() for weight in pipe["mlp"].model_.get_weights()])

    return fit


def test_a_worker_keeps_to_its_thread(client):
    def threads():
        from mnist_estimator._tensorflow import tf

        threading = tf.config.threading
        return (
            threading.get_intra_op_parallelism_threads(),
            threading.get_inter_op_parallelism_threads(),
        )

    assert list(client.run(threads).values()) == [(1, 1), (1, 1)]


def test_a_search_on_the_cluster_equals_the_local_one(client, digits):
    X, y = digits
    here, there = (GridSearchCV(pipeline(), GRID, cv=3) for _ in range(2))
    with joblib.parallel_config("threading", n_jobs=2):
        here.fit(X, y)
    with joblib.parallel_config("dask"):
        there.fit(X, y)
    for fold in range(3):
        name = f"split{fold}_test_score"
        np.testing.assert_array_equal(here.cv_results_[name], there.cv_results_[name])
    assert here.best_params_ == there.best_params_
    np.testing.assert_array_equal(
        weights_of(here.best_estimator_), weights_of(there.best_estimator_)
    )


def test_cross_validation_runs_on_the_cluster(client, digits):
    X, y = digits
    here = cross_val_score(pipeline(), X, y, cv=3)
    with joblib.parallel_config("dask"):
        np.testing.assert_array_equal(cross_val_score(pipeline(), X, y, cv=3), here)


def test_the_same_random_state_gives_the_same_weights_everywhere(client, fit, digits):
    X, y = digits
    here = fit(X, y)
    np.testing.assert_array_equal(fit(X, y), here)
    for n_jobs, backend in ((1, "loky"), (2, "threading"), (2, "loky"), (-1, "dask")):
        with joblib.parallel_config(backend, n_jobs=n_jobs):
            fits = joblib.Parallel()(joblib.delayed(fit)(X, y) for _ in range(2))
        for weights in fits:
            np.testing.assert_array_equal(weights, here)


def test_a_streamed_fit_gives_the_same_weights_with_a_cluster(address, digits):
    X, y = digits
    rows = da.from_array(X, chunks=(500, 64))
    here = weights_of(pipeline().fit(rows, y))
    with connect(address):
        np.testing.assert_array_equal(weights_of(pipeline().fit(rows, y)), here)


def test_the_data_travels_once_a_worker(client, digits):
    """The rows are one task of the cluster, however many fits ask for them."""
    X, y = digits
    X = np.tile(X, (40, 1))  # 4.6 MB
    sent = []

    def watch():
        while not done.wait(0.05):
            sizes = client.run_on_scheduler(
                lambda dask_scheduler: [
                    (task.nbytes, len(task.who_has or ())) for task in dask_scheduler.tasks.values()
                ]
            )
            sent.append([copies for n_bytes, copies in sizes if n_bytes >= X.nbytes])

    done, search = threading.Event(), GridSearchCV(pipeline(epochs=1), GRID, cv=2, refit=False)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with joblib.parallel_config("dask"):
            search.fit(X, np.tile(y, 40))
    finally:
        done.set()
        watcher.join()
    assert max(map(len, sent)) == 1
    assert max(max(copies, default=0) for copies in sent) <= 2


def test_a_killed_worker_costs_only_its_running_candidates(client, digits, tmp_path):
    import tempfile

    import keras

    class Count(keras.callbacks.Callback):
        """Leaves a file at the start of each fit, so that one that runs again is seen."""

        def on_train_begin(self, logs=None):
            tempfile.mkstemp(dir=starts)

    X, y = digits
    starts = str(tmp_path)
    grid = {"mlp__dropout": np.linspace(0, 0.5, 8).tolist()}
    here = GridSearchCV(pipeline(), grid, cv=2, refit=False).fit(X, y)
    there = GridSearchCV(pipeline(callbacks=Count()), grid, cv=2, refit=False)
    victim = next(iter(client.run(os.getpid).values()))

    def kill():
        while len(list(tmp_path.iterdir())) < 4:
            time.sleep(0.02)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with joblib.parallel_config("dask"):
        there.fit(X, y)
    killer.join()
    for fold in range(2):
        name = f"split{fold}_test_score"
        np.testing.assert_array_equal(here.cv_results_[name], there.cv_results_[name])
    assert 16 <= len(list(tmp_path.iterdir())) <= 16 + 2


def test_predictions_on_the_cluster_open_the_model_once_a_worker(
    client, digits, network_file, tmp_path
):
    path = tmp_path / "network.onnx"
    path.write_bytes(network_file(sizes=(64, 16, 10)).SerializeToString())
    X, _ = digits
    classifier = OnnxClassifier(path)
    blocks = da.from_array(X, chunks=(100, 30))
    probabilities, labels = classifier.predict_proba(blocks), classifier.predict(blocks)
    rows = blocks.chunks[0]
    assert (probabilities.dtype, probabilities.chunks) == (np.float32, (rows, (10,)))
    assert (labels.dtype, labels.chunks) == (classifier.classes_.dtype, (rows,))
    path.unlink()  # the classifier travels with what it read
    np.testing.assert_array_equal(probabilities.compute(), classifier.predict_proba(X))
    np.testing.assert_array_equal(labels.compute(), classifier.predict(X))

    def opened():
        from mnist_estimator.runtime._model import _open_once

        return _open_once.cache_info().misses

    assert set(client.run(opened).values()) <= {0, 1}
    assert classifier.score(blocks, classifier.predict(X)) == 1


def test_a_scheduler_that_is_not_there_is_one_error():
    with pytest.raises(OSError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        connect("tcp://127.0.0.1:9")


# The command line.


@pytest.fixture
def search(capsys, tmp_path):
    """Run ``mnist-estimator search`` on the digits; return its code, its output and its table."""

    def run(*options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        options = ["--data", "digits", "--epochs", "2", "--csv", str(path), *options]
        with pytest.raises(SystemExit) as exited:
            app(["search", "--layers", "8", "--layers", "none", "--dropout", "0", *options])
        table = path.read_text().splitlines() if path.exists() else []
        shown = capsys.readouterr()
        # Without the seconds, the last column.
        return exited.value.code, shown.out + shown.err, [row.rpartition(",")[0] for row in table]

    return run


def test_a_search_of_the_command_line_on_a_cluster(address, search):
    code, output, table = search("--dask", address)
    assert code == 0, output
    assert "2 networks × 3 folds on 1,437 images, 2 at once." in output
    assert len(table) == 3
    assert search("--n-jobs", "1")[::2] == (0, table)


def test_a_search_on_a_cluster_that_is_not_there(search):
    code, output, table = search("--dask", "tcp://127.0.0.1:9")
    assert (code, table) == (2, [])
    assert output.count("\n") == 1
    assert "No Dask scheduler answers at 'tcp://127.0.0.1:9'" in output
