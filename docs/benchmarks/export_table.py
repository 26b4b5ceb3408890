"""Everything that exports, on real MNIST, as a table: ``python docs/benchmarks/export_table.py``.

The models are those of tests/export/test_what_exports.py, with the reference network in them,
trained on 5,000 images; the rows compared are the 10,000 test images. Then the INT8 file of the
reference pipeline: size, throughput, accuracy. MNIST is fetched as by `fetch_mnist`; the table is
written to docs/benchmarks/results/export.md.
"""

import argparse
import os
import runpy
import time
import warnings
from pathlib import Path

# One thread everywhere, before any library reads it: a row's time is then a row's arithmetic.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import numpy as np
import onnxruntime

from mnist_estimator import fetch_mnist, make_mnist_pipeline, to_onnx
from mnist_estimator.export import _to_onnx as conversion

ROOT = Path(__file__).parents[2]
N_TRAIN_ROWS = 5000
N_TIMED_ROWS = 2000
REPEATS = 5


def best_seconds(call, repeats=REPEATS):
    """Return the shortest of several runs: the machine's other work only ever adds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def open_session(model):
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def export_counting_nodes(estimator):
    """Return the model, and how many nodes the converters wrote before the graph was simplified."""
    simplify, counted = conversion.simplify, []

    def count(model):
        counted.append(len(model.graph.node))
        return simplify(model)

    conversion.simplify = count
    try:
        return to_onnx(estimator), counted[0]
    finally:
        conversion.simplify = simplify


def seconds_of(session, X):
    """Return how long one run took."""
    return best_seconds(lambda: session.run(["probabilities"], {"X": X}), repeats=1)


def table_row(name, estimator, X):
    """Return one line of the table."""
    model, n_before = export_counting_nodes(estimator)
    session = open_session(model)
    label, probabilities = session.run(None, {"X": X})
    predict = getattr(estimator, "predict_proba", None)
    difference = "–"
    if predict is not None:
        difference = f"{np.max(np.abs(predict(X) - probabilities)):.1e}"
    agreement = np.mean(label == estimator.predict(X))
    timed = X[:N_TIMED_ROWS]
    original = best_seconds(lambda: (predict or estimator.predict)(timed))
    exported = best_seconds(lambda: session.run(["probabilities"], {"X": timed}))
    return (
        f"| {name} | {n_before} | {len(model.graph.node)} | {len(model.SerializeToString()):,} | "
        f"{difference} | {agreement:.2%} | {original / len(timed) * 1e6:.1f} | "
        f"{exported / len(timed) * 1e6:.1f} |"
    )


def int8_rows(seeds, X, y, X_test, y_test):
    """Return lines that compare the INT8 file with the float file, a seed a line."""
    for seed in seeds:
        estimator = make_mnist_pipeline(random_state=seed).fit(X, y)
        models = [
            to_onnx(estimator),
            to_onnx(estimator, quantize="int8", calibration_data=X),
        ]
        sessions = [open_session(model) for model in models]
        n_bytes = [len(model.SerializeToString()) for model in models]
        labels = [session.run(["label"], {"X": X_test})[0] for session in sessions]
        # In turns, so that both meet the machine's quiet moments.
        seconds = np.min([[seconds_of(s, X_test) for s in sessions] for _ in range(20)], axis=0)
        accuracy = [np.mean(label == y_test) for label in labels]
        yield (
            f"| {seed} | {n_bytes[0]:,} | {n_bytes[1]:,} | {n_bytes[1] / n_bytes[0]:.3f} | "
            f"{seconds[0] * 1e3:.1f} | {seconds[1] * 1e3:.1f} | {seconds[0] / seconds[1]:.2f} | "
            f"{accuracy[0]:.2%} | {accuracy[1]:.2%} | {np.mean(labels[0] == labels[1]):.2%} |"
        )


def main():
    """Make the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/results/export.md")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    X, y = fetch_mnist(return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    tests = runpy.run_path(str(ROOT / "tests/export/test_what_exports.py"))
    settings = tests["network"].__globals__
    settings["NETWORK"] = {"epochs": 3}
    settings["PIXEL_MAX"] = "auto"
    lines = [
        f"Trained on {N_TRAIN_ROWS:,} images of MNIST, compared on the 10,000 test images. Times "
        f"are microseconds a row, in batches of {N_TIMED_ROWS:,}, one thread.",
        "",
        "| model | nodes as converted | nodes | bytes | largest difference | same labels "
        "| scikit-learn, µs | ONNX, µs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, make in tests["MODELS"].items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant border pixels
            estimator = make().fit(X[:N_TRAIN_ROWS], y[:N_TRAIN_ROWS])
        lines.append(table_row(name, estimator, X_test))
        print(lines[-1], flush=True)
    lines += [
        "",
        'The reference pipeline with `quantize="int8"`, calibrated on 1,000 training images; '
        "10,000 test images in one batch, one thread.",
        "",
        "| seed | float bytes | INT8 bytes | ratio | float, ms | INT8, ms | times as fast "
        "| float accuracy | INT8 accuracy | same labels |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in int8_rows(arguments.seeds, X, y, X_test, y_test):
        lines.append(line)
        print(line, flush=True)
    versions = f"onnxruntime {onnxruntime.__version__}, NumPy {np.__version__}"
    lines += ["", f"Made by `docs/benchmarks/export_table.py` with {versions}.", ""]
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
