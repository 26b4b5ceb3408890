"""Measure what a GPU does for the classifier, against the processors and plain Keras.

    MNIST_ESTIMATOR_DATA=folder-of-mnist python docs/benchmarks/gpu.py

needs a GPU that TensorFlow sees. Every network trains by Adam at 0.001, dropout 0.2, on all 60,000
images. It prints Markdown.
"""

import os
import time
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from threads import in_keras, ours

from mnist_estimator import KerasMLPClassifier, fetch_mnist, make_mnist_pipeline

# Hidden layers, rows of a batch.
NETWORKS = [
    ((128, 64), 32),
    ((128, 64), 1024),
    ((1024, 1024), 128),
    ((1024, 1024), 1024),
    ((4096, 4096), 1024),
]
# Beyond so many weights the processors take minutes.
LARGEST_ON_PROCESSOR = 3e6
SEEDS, CALLS = range(5), 15


def first_and_later(seconds):
    """Show the seconds of the first epoch, which holds what is prepared, and of a later one."""
    return f"{seconds[0]:.2f} / {median(seconds[1:]):.2f}"


def milliseconds(function):
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return f"{1e3 * median(times):.1f}"


def accuracies(train, test, device):
    with tf.device(device):
        pipes = [make_mnist_pipeline(random_state=seed).fit(*train) for seed in SEEDS]
        scores = [pipe.score(*test) for pipe in pipes]
    return f"{np.mean(scores):.4f} ({min(scores):.4f}–{max(scores):.4f})"


def main():
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise SystemExit("TensorFlow sees no GPU here.")
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    images, y = fetch_mnist(return_X_y=True)
    X = images.reshape(len(images), -1) / np.float32(255)
    print(f"{name}, {os.cpu_count()} processors, TensorFlow {tf.__version__}\n")
    print(f"| seconds of the first / a later epoch | {name} | processors | Keras, {name} |")
    print("|---|---|---|---|", flush=True)
    for hidden, batch in NETWORKS:
        widths = [X.shape[1], *hidden, 10]
        network = (X, y, hidden, batch)
        cells = [first_and_later(ours(*network)), "–", first_and_later(in_keras(*network))]
        if np.dot(widths[:-1], widths[1:]) < LARGEST_ON_PROCESSOR:
            with tf.device("CPU:0"):
                cells[1] = first_and_later(ours(*network))
        label = "-".join(map(str, widths))
        print(f"| {label}, batches of {batch:,} | {' | '.join(cells)} |", flush=True)
    mlp = KerasMLPClassifier(epochs=1, random_state=0).fit(X, y)
    print("\n| ms of a prediction | `predict_proba` | `Model.predict` |\n|---|---|---|")
    for n_rows in (10_000, 1):
        rows = X[:n_rows]
        mlp.model_.predict(rows, verbose=0)
        figures = [milliseconds(lambda rows=rows: mlp.predict_proba(rows))]
        figures.append(milliseconds(lambda rows=rows: mlp.model_.predict(rows, verbose=0)))
        print(f"| rows: {n_rows:,} | {' | '.join(figures)} |")
    train, test = (images, y), fetch_mnist(subset="test", return_X_y=True)
    print("\n| test accuracy of `make_mnist_pipeline().fit`, 5 seeds | |\n|---|---|")
    for label, device in ((name, "GPU:0"), ("processors", "CPU:0")):
        print(f"| {label} | {accuracies(train, test, device)} |", flush=True)


if __name__ == "__main__":
    main()
