"""How far a training is: a line an epoch, and a live bar where the output can show one."""

import multiprocessing
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

from mnist_estimator._tensorflow import keras

# Keras' loop gives them in another order.
_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@contextmanager
def epoch_progress(verbose):
    """Tell how far a training is, until it ends or fails.

    Parameters
    ----------
    verbose : int
        0 for silence.

    Yields
    ------
    callbacks : list of keras.callbacks.Callback
        To be given to the training: none, or one.
    """
    if not verbose:
        yield []
        return
    # rich takes a tenth of a second to load.
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not _can_be_live(console):
        yield [_EpochLines()]
        return
    with progress_bar("epochs", console) as bar:
        yield [_EpochLines(bar)]


def progress_bar(unit, console):
    """Return a bar for `rich`: how many are done, a text (the field `state`), the time so far.

    Parameters
    ----------
    unit : str
        What is counted.
    console : rich.console.Console
        Where to draw it.

    Returns
    -------
    bar : rich.progress.Progress
        Not started; it vanishes when it is stopped, and is never seen where the output is neither
        a terminal nor a notebook.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(f"{{task.completed}}/{{task.total}} {unit}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
    )


def _can_be_live(console):
    """Tell whether there is a terminal or a notebook, and this fit has it for itself.

    Fits that run at the same time, in threads or in joblib's processes, would draw their bars over
    each other.
    """
    alone = (
        threading.current_thread() is threading.main_thread()
        and multiprocessing.current_process().name == "MainProcess"
    )
    if console.is_jupyter:
        return alone and find_spec("ipywidgets") is not None
    return alone and console.is_terminal and not console.is_dumb_terminal


class _EpochLines(keras.callbacks.Callback):
    """Print a line an epoch: its figures; the pace and the time left there or in the bar."""

    def __init__(self, bar=None):
        super().__init__()
        self._bar = bar

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()
        self._resumed = self.params.get("initial_epoch", 0)
        epochs = self.params["epochs"]
        if self._bar is not None:
            self._task = self._bar.add_task("", total=epochs, completed=self._resumed, state="")
        if self._resumed:
            self._print(f"going on after epoch {self._resumed}/{epochs}")

    def on_epoch_end(self, epoch, logs=None):
        epochs, done = self.params["epochs"], epoch + 1
        pace = (time.perf_counter() - self._start) / (done - self._resumed)
        state = f"{pace:.2f} s/epoch, {pace * (epochs - done):.0f} s left"
        logs = {name: logs[name] for name in _FIGURES if name in logs} | logs
        figures = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        line = f"epoch {done}/{epochs}: {figures}"
        if self._bar is None:
            self._print(f"{line} ({state})")
        else:
            self._print(line)
            self._bar.update(self._task, completed=done, state=state)

    def _print(self, line):
        if self._bar is None:
            print(line)
        else:
            self._bar.console.print(line, soft_wrap=True)
