"""Where the time of a grid search goes: ``python docs/benchmarks/search_parts.py``.

Runs the 36 fits of the benchmark's search with one thread and with two, and adds up the seconds
that its threads spend in each part. Without a second thread the parts are what the search takes;
with one, what they take longer is waiting: for Python's lock, or for a graph that the other
thread traces. MNIST is fetched as by `fetch_mnist`.
"""

import functools
import resource
import subprocess
import sys
import time
from collections import Counter

import contestants

seconds, calls = Counter(), Counter()


def timed(owner, name, part):
    """Add up the seconds spent in a function."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[part] += time.perf_counter() - start
            calls[part] += 1

    setattr(owner, name, wrapper)


def measure(n_jobs):
    """Run the search once in this process, and print the table."""
    from mnist_estimator import _bounded_graph, fetch_mnist, neural_network, preprocessing

    X, y = fetch_mnist(return_X_y=True)
    timed(_bounded_graph.BoundedGraph, "__call__", "epochs, in TensorFlow")
    timed(_bounded_graph.BoundedGraph, "__init__", "tracing")
    timed(neural_network, "compiled_mlp", "building Keras models")
    timed(preprocessing.PixelScaler, "transform", "scaling")
    timed(neural_network.KerasMLPClassifier, "predict", "predicting the held-out rows")
    timed(neural_network, "check_labelled_rows", "checking rows")
    search = contestants.search_ours(n_jobs)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    search(X, y)
    took = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"n_jobs={n_jobs}: {took:.2f} s, {used:.2f} s of processor time")
    for part, total in seconds.most_common():
        print(f"  {part:30s} {total:5.2f} s in {calls[part]:3d} calls")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        for n_jobs in (1, 2):
            subprocess.run([sys.executable, __file__, str(n_jobs)], check=True)
