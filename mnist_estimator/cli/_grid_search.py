"""Cross-validation of a grid of networks, several fits at once in the threads of one process.

Threads, because the compiled epochs run outside Python's lock: TensorFlow is loaded once, a graph
traced for one fit serves the others, and all read the same images. Worker processes took longer
for the same grid (docs/benchmarks).
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Any

from sklearn.model_selection import StratifiedKFold

from mnist_estimator._tensorflow import keras, start_devices
from mnist_estimator.cli._options import Layers
from mnist_estimator.pipeline import make_mnist_pipeline


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
        How many fits run at once.
    **params
        Parameters of the `KerasMLPClassifier` that all candidates share; the folds are shuffled
        by its `random_state`.
    """
    folds = StratifiedKFold(cv, shuffle=True, random_state=params["random_state"])
    stop = threading.Event()

    def fit(candidate: Candidate, train: Any, test: Any) -> tuple[float, float]:
        pipe = make_mnist_pipeline(
            hidden_layer_sizes=tuple(candidate.layers),
            dropout=candidate.dropout,
            validation_split=0.0,
            callbacks=_StopWhenAsked(stop),
            **params,
        ).set_params(scale__pixel_max=int(X.max()))
        start = time.perf_counter()
        pipe.fit(X[train], y[train])
        return pipe.score(X[test], y[test]), time.perf_counter() - start

    splits = list(folds.split(X, y))
    # Holds back what TensorFlow writes to stderr; in a thread that could swallow our messages.
    start_devices()
    pool = ThreadPoolExecutor(n_workers)
    try:
        fits = {
            pool.submit(fit, candidate, train, test): (candidate, fold)
            for candidate in candidates
            for fold, (train, test) in enumerate(splits, start=1)
        }
        for future in as_completed(fits):
            candidate, fold = fits[future]
            candidate.accuracies[fold], seconds = future.result()
            candidate.seconds.append(seconds)
            on_fit(candidate)
    finally:
        # On Ctrl-C the fits under way end with their epoch.
        stop.set()
        pool.shutdown(cancel_futures=True)


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
