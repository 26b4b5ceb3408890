"""Cross-validation of a grid of networks, several fits at once in the threads of one process.

Threads, because the compiled epochs run outside Python's lock: TensorFlow is loaded once, a graph
traced for one fit serves the others, and all read the same images. Worker processes took longer
for the same grid (docs/benchmarks).
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import StratifiedKFold

from mnist_estimator._tensorflow import keras, start_devices
from mnist_estimator.cli._options import Layers
from mnist_estimator.pipeline import make_mnist_pipeline

if TYPE_CHECKING:  # an extra
    from distributed import Client

# The numbers of a candidate and of its fold, the accuracy and the seconds.
Result = tuple[int, int, float, float]
Results = Generator[Result, None, None]


@dataclass(eq=False)
class Candidate:
    """One network of the grid, and how well it did on each fold.

    Attributes
    ----------
    layers : Layers
        Units of the hidden layers.
    dropout : float
        The probability that a hidden unit is dropped.
    accuracies : dict of int to float
        For the number of each fold that is done, the share of its images read rightly.
    seconds : list of float
        How long each of these fits took.
    """

    layers: Layers
    dropout: float
    accuracies: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The mean accuracy."""
        return fmean(self.accuracies.values())

    @property
    def spread(self) -> float:
        """The standard deviation of the accuracies."""
        return pstdev(self.accuracies.values())

    def __str__(self) -> str:
        return f"layers {self.layers}, dropout {self.dropout:g}"


def grid_search(
    candidates: Sequence[Candidate],
    X: Any,
    y: Any,
    on_fit: Callable[[Candidate], None],
    *,
    cv: int,
    n_workers: int,
    client: "Client | None" = None,
    **params: Any,
) -> None:
    """Fit every candidate on every fold.

    Parameters
    ----------
    candidates : sequence of Candidate
        Their results are added to them.
    X, y : ndarray
        Images and labels.
    on_fit : callable
        Called in this thread with the candidate after each of its fits.
    cv : int
        How many folds, stratified and shuffled.
    n_workers : int
        How many fits run at once, in threads of this process.
    client : distributed.Client or None, default=None
        A connection to a Dask cluster, which is to run the fits instead.
    **params
        Parameters of the `KerasMLPClassifier` that all candidates share; the folds are shuffled
        by its `random_state`.
    """
    folds = StratifiedKFold(cv, shuffle=True, random_state=params["random_state"])
    stop, pixel_max = threading.Event(), int(X.max())
    if client is None:
        params["callbacks"] = _StopWhenAsked(stop)
    splits = list(folds.split(X, y))
    fits = []
    for number, candidate in enumerate(candidates):
        for fold, (train, test) in enumerate(splits, start=1):
            pipe = make_mnist_pipeline(
                hidden_layer_sizes=tuple(candidate.layers),
                dropout=candidate.dropout,
                validation_split=0.0,
                **params,
            ).set_params(scale__pixel_max=pixel_max)
            fits.append((number, fold, pipe, X, y, train, test))
    results = _in_threads(fits, n_workers, stop) if client is None else _on_cluster(fits)
    with closing(results):
        for number, fold, accuracy, seconds in results:
            candidate = candidates[number]
            candidate.accuracies[fold] = accuracy
            candidate.seconds.append(seconds)
            on_fit(candidate)


def _fit(number: int, fold: int, pipe: Any, X: Any, y: Any, train: Any, test: Any) -> Result:
    """Fit and score a pipeline on one fold of a candidate."""
    start = time.perf_counter()
    pipe.fit(X[train], y[train])
    return number, fold, pipe.score(X[test], y[test]), time.perf_counter() - start


def _in_threads(fits: list[tuple], n_workers: int, stop: threading.Event) -> Results:
    """Run fits in threads; yield what comes out as it comes."""
    # Holds back what TensorFlow writes to stderr; in a thread that could swallow our messages.
    start_devices()
    pool = ThreadPoolExecutor(n_workers)
    try:
        for future in as_completed([pool.submit(_fit, *fit) for fit in fits]):
            yield future.result()
    finally:
        # On Ctrl-C the fits under way end with their epoch.
        stop.set()
        pool.shutdown(cancel_futures=True)


def _on_cluster(fits: list[tuple]) -> Results:
    """Run fits on the connected Dask cluster; yield what comes out as it comes."""
    with parallel_config(backend="dask"):
        yield from Parallel(return_as="generator_unordered")(delayed(_fit)(*fit) for fit in fits)


class _Abandoned(Exception):
    """The search was interrupted."""


class _StopWhenAsked(keras.callbacks.Callback):
    """Abandon the training after the epoch in which an event is set."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._event.is_set():
            # Training that a callback stops counts as finished, in a checkpoint too.
            raise _Abandoned
