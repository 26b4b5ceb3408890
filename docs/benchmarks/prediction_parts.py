"""Where the time of a prediction goes: ``python docs/benchmarks/prediction_parts.py``.

Exports the reference network, and measures for 10,000 rows: what one core's float32 products come
to, what onnxruntime takes for each operator of a chunk, and when each thread of `OnnxModel` begins
and ends its chunks. MNIST is fetched as by `fetch_mnist`.
"""

import json
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
from threadpoolctl import threadpool_limits

from mnist_estimator import fetch_mnist, make_mnist_pipeline, to_onnx
from mnist_estimator.runtime import OnnxModel
from mnist_estimator.runtime._model import CHUNK_ROWS

ROUNDS = 40
REST = 0.05  # seconds before each prediction, as in measure.py


def one_core():
    """Print how many multiplications and additions a second NumPy gets from one core."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    with threadpool_limits(1):
        seconds = min(_timed(lambda: a @ a) for _ in range(ROUNDS))
    print(f"one core, NumPy's product of 2048 x 2048: {2 * 2048**3 / seconds / 1e9:.0f} GFLOP/s")


def operators(model_bytes, X):
    """Print what each operator takes of a chunk, by onnxruntime's profiler."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(model_bytes, options)
        for start in range(0, len(X) - CHUNK_ROWS + 1, CHUNK_ROWS):
            session.run(["probabilities"], {"X": X[start : start + CHUNK_ROWS]})
        events = json.loads(Path(session.end_profiling()).read_text())
    took = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            took[event["name"].removesuffix("_kernel_time")].append(event["dur"])
    total = sum(np.median(times) for times in took.values())
    print(f"a chunk of {CHUNK_ROWS} rows, one thread: {total:.0f} µs in its operators")
    for name, times in took.items():
        print(f"  {name:16s} {np.median(times):4.0f} µs")


def threads(model_bytes, X):
    """Print what predictions take, and when a median one's threads worked."""
    alone, together = OnnxModel(model_bytes, n_threads=1), OnnxModel(model_bytes)
    log = []
    run_chunk = together._run_chunk

    def noting(*args):
        start = time.perf_counter()
        result = run_chunk(*args)
        log.append((threading.get_ident(), start, time.perf_counter()))
        return result

    def predict():
        log.clear()
        start = time.perf_counter()
        together.predict_proba(X)
        return time.perf_counter() - start, start, sorted(log)

    seconds = sorted(_timed(lambda: alone.predict_proba(X)) for _ in range(ROUNDS))
    print(f"one thread: {1e3 * seconds[ROUNDS // 2]:.2f} ms")
    together._run_chunk = noting
    took, began, chunks = sorted(_rested(predict) for _ in range(ROUNDS))[ROUNDS // 2]
    print(f"all threads: {1e3 * took:.2f} ms, of which")
    for thread in sorted({chunk[0] for chunk in chunks}):
        own = [(start, end) for owner, start, end in chunks if owner == thread]
        lasted = [1e3 * (end - start) for start, end in own]
        print(
            f"  {len(own)} chunks from {1e3 * (own[0][0] - began):.2f} to "
            f"{1e3 * (own[-1][1] - began):.2f} ms: the first {lasted[0]:.2f} ms, "
            f"the median one {np.median(lasted):.2f}"
        )


def _rested(work):
    time.sleep(REST)
    return work()


def _timed(work):
    time.sleep(REST)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    X, y = fetch_mnist(return_X_y=True)
    pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X, y)
    exported = to_onnx(pipe).SerializeToString()
    X_test = fetch_mnist(subset="test", return_X_y=True)[0]
    one_core()
    operators(exported, X_test)
    threads(exported, X_test)
