"""The progress of a training on a terminal: a row of figures an epoch, and a live bar below."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from mnist_estimator._tensorflow import keras

_HEADING = "    epoch      loss  accuracy  validation loss  validation accuracy"


class _EpochRows(keras.callbacks.Callback):
    """Print a row an epoch, and advance a bar."""

    def __init__(self, progress: Progress, bar: TaskID) -> None:
        super().__init__()
        self._progress = progress
        self._bar = bar

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._start = time.perf_counter()
        self._resumed = self.params.get("initial_epoch", 0)
        if self._resumed:
            self._progress.console.print(
                f"Going on after epoch {self._resumed} of {self.params['epochs']}."
            )
        self._progress.console.print(_HEADING, style="bold")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        epochs, done = self.params["epochs"], epoch + 1
        figures = logs or {}
        self._progress.console.print(
            f"{f'{done}/{epochs}':>9}  {figures['loss']:8.4f}  {figures['accuracy']:8.2%}  "
            f"{figures['val_loss']:15.4f}  {figures['val_accuracy']:19.2%}"
        )
        pace = (time.perf_counter() - self._start) / (done - self._resumed)
        left = pace * (epochs - done)
        self._progress.update(
            self._bar, completed=done, pace=f"{pace:.2f} s/epoch, {left:.0f} s left"
        )


@contextmanager
def epoch_rows(console: Console, epochs: int) -> Iterator[Any]:
    """Show the progress of one training.

    Parameters
    ----------
    console : rich.console.Console
        A terminal.
    epochs : int
        How many there will be.

    Yields
    ------
    callback : keras.callbacks.Callback
        To be given to the network.
    """
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed}/{task.total} epochs"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with progress:
        yield _EpochRows(progress, progress.add_task("", total=epochs, pace=""))
