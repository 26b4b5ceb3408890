"""How far long work is: plain lines, and a live bar where the output can show one."""

import multiprocessing
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec


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
    # Takes TensorFlow along, which a search of something else does without.
    from mnist_estimator._epoch_lines import EpochLines

    with live_bar("epochs") as bar:
        yield [EpochLines(bar)]


@contextmanager
def live_bar(unit):
    """Show a bar where the output can have one, until the work ends or fails.

    Parameters
    ----------
    unit : str
        What is counted.

    Yields
    ------
    bar : rich.progress.Progress or None
        None where plain lines have to do.
    """
    # rich takes a tenth of a second to load.
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not _can_be_live(console):
        yield None
        return
    with progress_bar(unit, console) as bar:
        yield bar


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
    """Tell whether there is a terminal or a notebook, and this work has it for itself.

    Fits that run at the same time, in threads or in joblib's processes, would draw their bars over
    each other, and those within a search over the search's.
    """
    alone = (
        threading.current_thread() is threading.main_thread()
        and multiprocessing.current_process().name == "MainProcess"
        # What rich puts there while a bar is shown, to print lines above it.
        and not hasattr(sys.stdout, "rich_proxied_file")
    )
    if console.is_jupyter:
        return alone and find_spec("ipywidgets") is not None
    return alone and console.is_terminal and not console.is_dumb_terminal
