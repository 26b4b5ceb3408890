"""Whether the processors are there for one piece of work alone."""

import multiprocessing
import threading

from joblib import cpu_count


def processors_are_free():
    """Tell whether this is no thread or worker process among several.

    Returns
    -------
    free : bool
        Whether it is the main thread of the main process.
    """
    return (
        threading.current_thread() is threading.main_thread()
        and multiprocessing.current_process().name == "MainProcess"
    )


def free_processors():
    """Count the processors that a piece of work may share among threads.

    Returns
    -------
    n_processors : int
        As many as this process may run on, where they are free; otherwise 1.
    """
    return cpu_count() if processors_are_free() else 1
