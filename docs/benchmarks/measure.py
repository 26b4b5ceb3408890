"""What is measured, and how: each function measures one table of the benchmark page.

Contestants take turns, round after round, so that whatever else the machine does falls on all of
them; a figure is the median of its rounds, with the smallest and the largest beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
# Seconds before each turn: the threads of OpenBLAS and onnxruntime wait for more work for some
# milliseconds after a call, and take the processors from whoever comes next.
_REST = 0.05
# What the command `mnist-estimator` runs, by this interpreter.
COMMAND_LINE = "from mnist_estimator.cli import main; main()"


def summarise(values):
    """Return the median and the spread of one contestant's rounds."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def run_contestant(*arguments):
    """Run one contestant in a process of its own and return what it printed."""
    command = [sys.executable, str(HERE / "contestants.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def take_turns(contestants, rounds, repeats=1):
    """Time callables in turns; return a summary of seconds of one call for each."""
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            time.sleep(_REST)
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            times[name].append((time.perf_counter() - start) / repeats)
    return {name: summarise(values) for name, values in times.items()}


def training(rounds):
    """A whole fit on 60,000 rows, 10 epochs, each in a process of its own; a round is a seed.

    Ours and plain Keras run at least 5 seeds, so that their accuracies can be compared.
    """
    runs = {name: [] for name in ("ours", "keras", "scikeras", "sklearn", "skorch")}
    for seed in range(max(rounds, 5)):
        for name, done in runs.items():
            if seed < rounds or name in ("ours", "keras"):
                done.append(run_contestant(name, "--seed", seed))
    return runs


def searches(rounds):
    """12 candidates × 3 folds on 10,000 rows, 3 epochs each."""
    names = ["search_ours_1", "search_ours_2", "search_scikeras"]
    runs = {name: [] for name in names}
    for round_ in range(rounds):
        for name in names:
            if name != "search_scikeras" or round_ == 0:  # minutes long: one round of it
                runs[name].append(run_contestant(name)["seconds"])
    return {name: summarise(values) for name, values in runs.items()}


def matrix_products(rows, batch=32, sizes=(784, 128, 64, 10)):
    """Return a function that does the matrix products of an epoch and nothing else.

    Forward, weight gradients and input gradients (none for the first layer), float32, into
    memory that is there already.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = list(pairwise(sizes))
    weights = [rng.random(shape, dtype=np.float32) for shape in shapes]
    inputs = [rng.random((batch, n), dtype=np.float32) for n in sizes[:-1]]
    deltas = [rng.random((batch, n), dtype=np.float32) for n in sizes[1:]]
    outputs = [np.empty((batch, n), np.float32) for n in sizes[1:]]
    gradients = [np.empty(shape, np.float32) for shape in shapes]
    backward = [np.empty((batch, n), np.float32) for n in sizes[1:-1]]

    def run():
        for start in range(0, len(rows) - batch + 1, batch):
            inputs[0] = rows[start : start + batch]
            for i, weight in enumerate(weights):
                np.matmul(inputs[i], weight, out=outputs[i])
                np.matmul(inputs[i].T, deltas[i], out=gradients[i])
                if i:
                    np.matmul(deltas[i], weight.T, out=backward[i - 1])

    return run


def epoch(rounds):
    """One epoch of the compiled graph against its matrix products alone, on one thread."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from mnist_estimator import training as graphs
    from mnist_estimator._rows import resident_rows
    from mnist_estimator.datasets import fetch_mnist
    from mnist_estimator.neural_network import KerasMLPClassifier
    from mnist_estimator.preprocessing import PixelScaler

    X, y = fetch_mnist(return_X_y=True)
    X, y = PixelScaler().fit_transform(X[:48_000]), y[:48_000]
    mlp = KerasMLPClassifier(epochs=1, random_state=0).fit(X, y)
    (graph,) = graphs._graphs.values()
    rows = resident_rows(X, y.astype(np.int32), np.ones(len(y), np.float32))
    rng = np.random.default_rng(0)
    products = matrix_products(X)

    def train():
        graph.train(mlp.model_, rows, rng.permutation(48_000).astype(np.int32), 0, 0.2)

    with threadpool_limits(1):
        return take_turns({"epoch": train, "matrix products": products}, 3 * rounds)


def prediction(rounds):
    """Probabilities of one row and of 10,000."""
    import numpy as np
    import onnxruntime
    from skl2onnx import to_onnx as skl2onnx_to_onnx
    from sklearn.neural_network import MLPClassifier

    from mnist_estimator.datasets import fetch_mnist
    from mnist_estimator.export import save_onnx
    from mnist_estimator.inference import OnnxClassifier
    from mnist_estimator.pipeline import make_mnist_pipeline

    X, y = fetch_mnist(return_X_y=True)
    X_test, _ = fetch_mnist(subset="test", return_X_y=True)
    pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X, y)
    mlp, scale = pipe["mlp"], pipe["scale"].transform
    scaled = scale(X_test)
    peer = MLPClassifier((128, 64), max_iter=1, early_stopping=True, batch_size=32)
    with np.errstate(all="ignore"):
        peer.fit(scale(X[:10_000]), y[:10_000])
    peer_file = skl2onnx_to_onnx(peer, scaled[:1], options={"zipmap": False})
    peer_session = onnxruntime.InferenceSession(peer_file.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        path, int8_path = Path(folder) / "digits.onnx", Path(folder) / "int8.onnx"
        save_onnx(pipe, path)
        save_onnx(pipe, int8_path, quantize="int8", calibration_data=X[:500])
        deployed, int8 = OnnxClassifier(path).fit(), OnnxClassifier(int8_path).fit()
        session = onnxruntime.InferenceSession(path)
    weights = [w.astype(np.float32) for w in mlp.model_.get_weights()[::2]]

    def products(rows):
        h = rows
        for weight in weights:
            h = h @ weight
        return h

    result = {}
    for n in (1, 10_000):
        pixels, ink = X_test[:n], scaled[:n]
        contestants = {
            "KerasMLPClassifier": lambda ink=ink: mlp.predict_proba(ink),
            "Keras Model.predict": lambda ink=ink: mlp.model_.predict(ink, verbose=0),
            "OnnxClassifier": lambda pixels=pixels: deployed.predict_proba(pixels),
            "OnnxClassifier, INT8 file": lambda pixels=pixels: int8.predict_proba(pixels),
            "bare session": lambda pixels=pixels: session.run(["probabilities"], {"X": pixels}),
            "scikit-learn MLP": lambda ink=ink: peer.predict_proba(ink),
            "scikit-learn MLP, pixels": lambda pixels=pixels: peer.predict_proba(scale(pixels)),
            "scikit-learn MLP by skl2onnx": lambda ink=ink: peer_session.run(None, {"X": ink}),
            "matrix products": lambda ink=ink: products(ink),
        }
        take_turns(contestants, 2)  # whatever happens once
        # One row takes microseconds: a turn of it is twenty predictions.
        turns, repeats = (10 * rounds, 20) if n == 1 else (5 * rounds, 1)
        result[str(n)] = take_turns(contestants, turns, repeats)
    return result


def start_up(rounds):
    """Whole processes: predicting one image by the command line, importing what it avoids."""
    import numpy as np
    from PIL import Image

    from mnist_estimator.datasets import fetch_mnist
    from mnist_estimator.export import save_onnx
    from mnist_estimator.pipeline import make_mnist_pipeline

    X, y = fetch_mnist(return_X_y=True)
    pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X[:2000], y[:2000])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        model, image = Path(folder) / "digits.onnx", Path(folder) / "digit.png"
        save_onnx(pipe, model)
        Image.fromarray(255 - np.asarray(X[0]).reshape(28, 28)).save(image)

        def process(*arguments):
            command = [sys.executable, *map(str, arguments)]
            return lambda: subprocess.run(command, check=True, capture_output=True, env=environment)

        contestants = {
            "python -c pass": process("-c", "pass"),
            "import mnist_estimator": process("-c", "import mnist_estimator"),
            "mnist-estimator --help": process("-c", COMMAND_LINE, "--help"),
            "mnist-estimator predict": process("-c", COMMAND_LINE, "predict", model, image),
            "import tensorflow": process("-c", "import tensorflow"),
        }
        take_turns(contestants, 1)  # writes the bytecode
        return take_turns(contestants, 3 * rounds)


def growth(rounds):
    """How the cost grows: with rows, with hidden units, with the batch of a prediction."""
    del rounds
    import numpy as np

    from mnist_estimator.datasets import fetch_mnist
    from mnist_estimator.export import to_onnx
    from mnist_estimator.neural_network import KerasMLPClassifier
    from mnist_estimator.pipeline import make_mnist_pipeline
    from mnist_estimator.preprocessing import PixelScaler
    from mnist_estimator.runtime import OnnxModel

    X, y = fetch_mnist(return_X_y=True)
    ink = PixelScaler().fit_transform(X)

    def seconds_of(work):
        work()
        return min(_timed(work) for _ in range(2))

    def epoch_seconds(n_rows, sizes):
        # Two epochs less one: what is done once a fit falls away.
        one, two = (
            seconds_of(
                lambda epochs=epochs: KerasMLPClassifier(sizes, epochs=epochs, random_state=0).fit(
                    ink[:n_rows], y[:n_rows]
                )
            )
            for epochs in (1, 2)
        )
        return max(two - one, 0.0)

    rows = {n: epoch_seconds(n, (128, 64)) for n in (1_000, 3_000, 10_000, 30_000, 60_000)}
    units = {n: epoch_seconds(10_000, (n,)) for n in (32, 128, 512, 2_048)}
    pipe = make_mnist_pipeline(epochs=1, random_state=0).fit(X[:2_000], y[:2_000])
    model = OnnxModel(to_onnx(pipe).SerializeToString())
    many = np.tile(X, (2, 1))[:100_000]
    batches = {
        n: seconds_of(lambda n=n: model.predict_proba(many[:n]))
        for n in (1, 10, 100, 1_000, 10_000, 100_000)
    }
    return {"rows": rows, "hidden units": units, "prediction batch": batches}


def _timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


SECTIONS = {f.__name__: f for f in (training, epoch, searches, prediction, start_up, growth)}
