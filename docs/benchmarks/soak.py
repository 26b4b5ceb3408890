"""Many at once, for long: right answers, no leak, no deadlock.

    python docs/benchmarks/soak.py --data mnist

An `OnnxClassifier` answers a million calls from 32 threads; then a `KerasMLPClassifier` answers
in 8 threads while another one is fitted again and again. Every answer is compared with the one
that a single thread gave beforehand, and the memory at the end with that after the first tenth.
"""

import argparse
import ctypes
import faulthandler
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import clone

# Rows of one call: mostly one, as on a web server, and batches that are computed in parts.
CALLS = (1, 1, 1, 1, 1, 1, 1, 7, 64, 300)


@dataclass
class Soak:
    """What came of it.

    Attributes
    ----------
    n_calls, n_rows : int
        Calls that were answered, and rows in them.
    n_wrong : int
        Calls whose answer was another than beforehand.
    seconds : float
        How long it took.
    first_tenth, end : int
        Bytes of the process that are in memory, after a tenth of the calls and after all.
    """

    n_calls: int = 0
    n_rows: int = 0
    n_wrong: int = 0
    seconds: float = 0.0
    first_tenth: int = 0
    end: int = 0

    @property
    def growth(self):
        """How much larger the process became after the first tenth, as a share."""
        return self.end / self.first_tenth - 1

    def __str__(self):
        return (
            f"{self.n_calls:,} calls, {self.n_rows:,} rows, {self.n_wrong} wrong, "
            f"{self.seconds:.0f} s; memory {self.first_tenth / 2**20:.0f} MiB after a tenth, "
            f"{self.end / 2**20:.0f} MiB at the end ({self.growth:+.1%})"
        )


def memory():
    """Return how many bytes of this process are in memory; Linux tells."""
    # What is free and kept by the C library is no leak.
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status does not tell the memory")


def soak(estimator, X, n_threads, n_calls, meanwhile=None):
    """Let threads call a fitted classifier, and compare every answer.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier.
    X : ndarray of shape (n_samples, n_features)
        The rows to ask about.
    n_threads, n_calls : int
        How many threads, and how many calls by all of them together.
    meanwhile : callable, default=None
        Called without arguments, again and again, in this thread.

    Returns
    -------
    result : Soak
        What came of it.
    """
    starts = np.random.default_rng(0).integers(len(X) - max(CALLS), size=10 * len(CALLS))
    questions = [X[first:][:n_rows] for first, n_rows in zip(starts, CALLS * 10, strict=True)]
    answers = [estimator.predict_proba(rows) for rows in questions]
    calls, counting, result = iter(range(n_calls)), threading.Lock(), Soak()
    tenth = threading.Event()

    def ask():
        while True:
            with counting:
                call = next(calls, None)
            if call is None:
                return
            if call == n_calls // 10:
                tenth.set()
            rows, expected = (part[call % len(questions)] for part in (questions, answers))
            right = np.array_equal(estimator.predict_proba(rows), expected)
            with counting:
                result.n_calls += 1
                result.n_rows += len(rows)
                result.n_wrong += not right

    start = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    if meanwhile is not None:
        meanwhile()  # the first one needs memory that the others use again
    tenth.wait()
    result.first_tenth = memory()
    while meanwhile is not None and any(thread.is_alive() for thread in threads):
        meanwhile()
    for thread in threads:
        thread.join()
    result.seconds, result.end = time.perf_counter() - start, memory()
    return result


def main():
    """Run both and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="digits", help="digits, mnist, or a folder of IDX files")
    parser.add_argument("--calls", type=int, default=1_000_000, help="a tenth by the network")
    parser.add_argument("--only", choices=["file", "network"], help="one of the two parts")
    args = parser.parse_args()
    faulthandler.dump_traceback_later(3600, exit=True)  # a deadlock shows where

    from mnist_estimator import OnnxClassifier, make_mnist_pipeline, save_onnx
    from mnist_estimator.datasets import load_image_data

    X, y, X_test, _ = load_image_data(args.data)
    pipe = make_mnist_pipeline(epochs=2, random_state=0).set_params(scale__pixel_max=int(X.max()))
    pipe.fit(X[:5000], y[:5000])
    if args.only != "network":
        with tempfile.TemporaryDirectory() as folder:
            save_onnx(pipe, Path(folder) / "model.onnx", X_test[:1000])
            exported = OnnxClassifier(Path(folder) / "model.onnx")
        print("OnnxClassifier, 32 threads:", soak(exported, X_test, 32, args.calls), flush=True)
    if args.only == "file":
        return

    fits, n_fits = [], 0

    def fit_another():
        nonlocal n_fits
        n_fits += 1
        fits.append(clone(pipe).fit(X[:5000], y[:5000]))
        del fits[1:-1]  # the first and the last are compared

    result = soak(pipe, X_test, 8, args.calls // 10, fit_another)
    same = np.array_equal(fits[0].predict_proba(X_test), fits[-1].predict_proba(X_test))
    print("KerasMLPClassifier, 8 threads while another fits:", result)
    print(f"{n_fits} fits gave the same weights:", same)


if __name__ == "__main__":
    main()
