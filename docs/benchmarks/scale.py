"""Measure the pieces that the cost of a search and of a prediction on a cluster is made of.

    MNIST_ESTIMATOR_DATA=folder-of-mnist python docs/benchmarks/scale.py

fits the reference network in two worker processes of one thread, derives from that what larger
searches take, and runs one to hold the estimate against. It prints Markdown.
"""

import time
from statistics import median

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV

EPOCHS, FOLDS, SMALL, LARGE, CHECKED = 2, 3, 4_000, 16_000, 10_000


def seconds_of(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def search(n_candidates):
    from mnist_estimator import make_mnist_pipeline

    return GridSearchCV(
        make_mnist_pipeline(epochs=EPOCHS, validation_split=0.0, random_state=0),
        {"mlp__dropout": np.linspace(0.1, 0.4, n_candidates).tolist()},
        cv=FOLDS,
        refit=False,
    )


def main():
    import tempfile
    from pathlib import Path

    import dask.array as da
    from distributed import LocalCluster

    from mnist_estimator import OnnxClassifier, fetch_mnist, make_mnist_pipeline, save_onnx
    from mnist_estimator.cluster import connect

    X, y = fetch_mnist(return_X_y=True)
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, connect(cluster.scheduler_address) as client:
        run = joblib.parallel_config("dask")
        with run:
            warm = seconds_of(search(2).fit, X[:SMALL], y[:SMALL])
            times = {
                n_rows: median(search(4).fit(X[:n_rows], y[:n_rows]).cv_results_["mean_fit_time"])
                for n_rows in (SMALL, LARGE)
            }
            used = {n_rows: n_rows * (FOLDS - 1) / FOLDS * EPOCHS for n_rows in times}
            per_row = (times[LARGE] - times[SMALL]) / (used[LARGE] - used[SMALL])
            per_fit = max(0.0, times[SMALL] - per_row * used[SMALL])
            checked = search(8)
            measured = seconds_of(checked.fit, X[:CHECKED], y[:CHECKED])
        one_fit = per_fit + per_row * CHECKED * (FOLDS - 1) / FOLDS * EPOCHS
        expected = 8 * FOLDS * one_fit / 2
        noops = client.map(lambda i: i, range(2000), pure=False)
        dispatch = seconds_of(client.gather, noops) / 2000
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mnist.onnx"
            pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X[:SMALL], y[:SMALL])
            save_onnx(pipe, path, X[:100])
            classifier = OnnxClassifier(path, n_threads=1)
            classifier.predict(X[:1000])
            rate = len(X) / median(seconds_of(classifier.predict, X) for _ in range(5))
            images = da.random.randint(0, 255, (400_000, 784), chunks=(10_000, -1), dtype=np.uint8)
            images = images.persist()
            images.sum().compute()
            classifier.predict(images[:20_000]).compute()
            on_two = seconds_of(classifier.predict(images).compute)
    print(f"- a worker's first fits (TensorFlow loaded, graph traced): {warm:.0f} s")
    print(f"- a fit: {per_fit:.2f} s and {per_row * 1e6:.1f} µs a row and epoch")
    print(f"- a task through the scheduler: {dispatch * 1e3:.2f} ms")
    print(f"- a prediction: {rate:,.0f} images/s in one thread")
    print(
        f"- check: 8 candidates × {FOLDS} folds × {CHECKED:,} rows × {EPOCHS} epochs in two "
        f"workers: {expected:.0f} s expected, {measured:.0f} s measured"
    )
    print(
        f"- check: 400,000 predictions in two workers: {400_000 / rate / 2:.1f} s expected, "
        f"{on_two:.1f} s measured"
    )


if __name__ == "__main__":
    main()
