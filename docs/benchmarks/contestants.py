"""One contestant's run, in a process of its own: ``python contestants.py NAME [--epochs 10]``.

Prints one line of JSON: seconds of the work itself (imports and reading the data come before),
test accuracy and loss where the contestant trains, and the process's peak memory in MB.
Every contestant trains 784-128-64-10 by Adam at 0.001 in batches of 32; dropout is 0.2 where the
contestant knows it.
"""

import argparse
import json
import os
import resource
import time

# Before any library reads it. Peers keep every thread that they take by default.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.metrics import log_loss

from mnist_estimator.datasets import fetch_mnist


def build_keras():
    """Return the compiled reference network."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(128, "relu"),
            layers.Dropout(0.2),
            layers.Dense(64, "relu"),
            layers.Dropout(0.2),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def ours(epochs, seed):
    """`make_mnist_pipeline`, tracing, scaling and validation included."""
    from mnist_estimator.pipeline import make_mnist_pipeline

    pipe = make_mnist_pipeline(epochs=epochs, random_state=seed)
    return lambda X, y: pipe.fit(X, y).predict_proba


def keras(epochs, seed):
    """The script that everybody writes first: `Sequential.fit`."""
    import keras

    keras.utils.set_random_seed(seed)
    model = build_keras()

    def train(X, y):
        X = X / 255.0
        model.fit(X, y, epochs=epochs, batch_size=32, validation_split=0.2, verbose=0)
        return lambda X: model.predict(X / 255.0, verbose=0)

    return train


def scikeras(epochs, seed):
    """Stock SciKeras around the same network."""
    from scikeras.wrappers import KerasClassifier

    classifier = KerasClassifier(
        build_keras,
        epochs=epochs,
        batch_size=32,
        validation_split=0.2,
        verbose=0,
        random_state=seed,
    )

    def train(X, y):
        classifier.fit((X / 255.0).astype(np.float32), y)
        return lambda X: classifier.predict_proba((X / 255.0).astype(np.float32))

    return train


def sklearn(epochs, seed):
    """scikit-learn's own network, which has no dropout."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    network = MLPClassifier(
        (128, 64),
        batch_size=32,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        early_stopping=True,  # its name for holding rows out
        validation_fraction=0.2,
        random_state=seed,
    )
    return lambda X, y: _scaled(network.fit((X / 255.0).astype(np.float32), y).predict_proba)


def skorch(epochs, seed):
    """PyTorch under skorch, scikit-learn's way."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.dataset import ValidSplit
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 10),
    )
    classifier = NeuralNetClassifier(
        network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=32,
        max_epochs=epochs,
        train_split=ValidSplit(0.2, stratified=True),
        iterator_train__shuffle=True,
        verbose=0,
    )
    return lambda X, y: _scaled(classifier.fit((X / 255.0).astype(np.float32), y).predict_proba)


def _scaled(predict_proba):
    return lambda X: predict_proba((X / 255.0).astype(np.float32))


def search_ours(n_jobs):
    """`GridSearchCV` over our pipeline, the way that the command line runs it."""
    from mnist_estimator.pipeline import make_mnist_pipeline

    pipe = make_mnist_pipeline(epochs=3, validation_split=0.0, random_state=0)
    grid = {
        "mlp__hidden_layer_sizes": [(32,), (64,), (128,), (128, 64)],
        "mlp__dropout": [0.1, 0.2, 0.3],
    }
    return _search(pipe, grid, n_jobs)


def search_scikeras():
    """The same candidates with stock SciKeras."""
    import keras
    from scikeras.wrappers import KerasClassifier

    def build(sizes=(128, 64), rate=0.2):
        layers = [keras.Input((784,))]
        for size in sizes:
            layers += [keras.layers.Dense(size, "relu"), keras.layers.Dropout(rate)]
        model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    classifier = KerasClassifier(
        build, sizes=(128, 64), rate=0.2, epochs=3, batch_size=32, verbose=0, random_state=0
    )
    grid = {"sizes": [(32,), (64,), (128,), (128, 64)], "rate": [0.1, 0.2, 0.3]}
    return _search(classifier, grid, 1, scale=True)


def _search(estimator, grid, n_jobs, scale=False):
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    def run(X, y):
        X = (X[:10_000] / 255.0).astype(np.float32) if scale else X[:10_000]
        search = GridSearchCV(
            estimator, grid, cv=StratifiedKFold(3), scoring="accuracy", n_jobs=n_jobs
        )
        with parallel_config(backend="threading"):
            search.fit(X, y[:10_000])
        return search.best_score_

    return run


TRAINING = {f.__name__: f for f in (ours, keras, scikeras, sklearn, skorch)}
SEARCHES = {
    "search_ours_1": lambda: search_ours(1),
    "search_ours_2": lambda: search_ours(2),
    "search_scikeras": search_scikeras,
}


def main():
    """Run the contestant that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*TRAINING, *SEARCHES])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=60_000)
    parsed = parser.parse_args()

    X, y = fetch_mnist(return_X_y=True)
    X, y = X[: parsed.rows], y[: parsed.rows]
    if parsed.name in TRAINING:
        try:
            train = TRAINING[parsed.name](parsed.epochs, parsed.seed)
        except ModuleNotFoundError as error:
            print(json.dumps({"missing": error.name}))
            return
        start = time.perf_counter()
        predict_proba = train(X, y)
        result = {"seconds": time.perf_counter() - start}
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
        probabilities = np.asarray(predict_proba(X_test), dtype=np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        result["accuracy"] = float((probabilities.argmax(axis=1) == y_test).mean())
        result["loss"] = float(log_loss(y_test, probabilities))
    else:
        run = SEARCHES[parsed.name]()
        start = time.perf_counter()
        score = run(X, y)
        result = {"seconds": time.perf_counter() - start, "best_score": float(score)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
