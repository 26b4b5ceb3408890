"""TensorFlow, Keras and SciKeras, imported without their start-up chatter.

TensorFlow's C++ libraries write to the process's standard error while they load (that no GPU
driver was found, that oneDNN is on), before any logging level can be set from Python. Modules
that need one of the three import it from here.
"""

import functools
import gc
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from mnist_estimator._collector import collector_paused

# File descriptor 2 is the process's: one thread at a time may hold it back.
_descriptor = threading.RLock()


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Collect what is written to file descriptor 2, and show it only if the block fails."""
    with _descriptor:
        yield from _held_back()


def _held_back() -> Iterator[None]:
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a process without a standard error has nothing to be kept clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _is_worker() -> bool:
    """Tell whether joblib, Dask or the like started this process and bounded its threads."""
    return (
        multiprocessing.current_process().name != "MainProcess" and "OMP_NUM_THREADS" in os.environ
    )


# 1 hides what is informational; TensorFlow reads it once, while it loads.
level_was_set = "TF_CPP_MIN_LOG_LEVEL" in os.environ
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
try:
    if "tensorflow" in sys.modules:
        import tensorflow as tf
    else:
        with stderr_held_back(), collector_paused():
            import tensorflow as tf
        if _is_worker() and "TF_NUM_INTRAOP_THREADS" not in os.environ:
            # TensorFlow does not know the variable by which worker processes are told how many
            # threads are theirs, and would take every core in each of them.
            threads = int(os.environ["OMP_NUM_THREADS"])
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    with stderr_held_back(), collector_paused():
        import keras
        from scikeras.utils.random_state import tensorflow_random_state
        from scikeras.wrappers import BaseWrapper, KerasClassifier
        from tensorflow.python.eager.context import context_safe, function_executor_type
    if gc.isenabled():
        gc.collect()  # once, of what was made meanwhile; later it would fall into a fit
finally:
    if not level_was_set:
        del os.environ["TF_CPP_MIN_LOG_LEVEL"]


def start_devices() -> None:
    """Let TensorFlow set up its devices, which is when it speaks again.

    Not done by the import: until then a user may still configure threads and GPUs.

    Raises
    ------
    RuntimeError
        If this process was forked from one in which TensorFlow had started its threads: it would
        wait forever.
    """
    if _forked_at_work:
        raise RuntimeError(
            "TensorFlow does not work in this process, which was forked from one that had used it "
            "already. Start processes by the 'spawn' or 'forkserver' method of multiprocessing, "
            "or by joblib's default backend; or use threads. An OnnxClassifier may be forked."
        )
    _start_devices_once()


@functools.cache
def _start_devices_once() -> None:
    with stderr_held_back():
        tf.constant(0)


_one_at_a_time = threading.RLock()


def turns() -> AbstractContextManager:
    """Let one thread at a time use TensorFlow, where it sees a GPU.

    There TensorFlow 2.21 sometimes gives an operation of one thread what belongs to another's: the
    moments of Adam took the shape of another network's in 4 of 2,200 fits (tensorflow#124017).

    Returns
    -------
    turn : context manager
        A lock, which a thread may take again; without a GPU nothing that waits.

    Raises
    ------
    RuntimeError
        If TensorFlow cannot work in this process.
    """
    start_devices()
    return _one_at_a_time if _sees_gpu() else nullcontext()


@functools.cache
def _sees_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


@contextmanager
def full_precision() -> Iterator[None]:
    """Take a turn in which a GPU does not round what it multiplies to 11 bits (TF32)."""
    if not _is_running() or _forked_at_work or not _sees_gpu():
        yield
        return
    config = tf.config.experimental
    with turns():
        before = config.tensor_float_32_execution_enabled()
        config.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            config.enable_tensor_float_32_execution(before)


_forked_at_work = False


def is_forked_at_work() -> bool:
    """Tell whether this process was forked from one in which TensorFlow had started its threads.

    Returns
    -------
    is_forked : bool
        If so, TensorFlow waits for these threads forever.
    """
    return _forked_at_work


def _note_fork() -> None:
    global _forked_at_work  # noqa: PLW0603  (it is the process that was forked)
    _forked_at_work |= _is_running()


def _is_running() -> bool:
    """Tell whether TensorFlow has started its devices and threads."""
    running = context_safe()
    return running is not None and running._initialized


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@functools.cache
def known_type(registry: Any, name: str) -> type:
    """Return the type of what Keras knows under a name.

    TensorFlow keeps 35 KB forever for each name that a variable ever had, and Keras numbers the
    names of its optimizers. So none is made in vain, and those in use are all called alike.

    Parameters
    ----------
    registry : module
        `keras.activations` or `keras.optimizers`.
    name : str
        For example "adam".

    Returns
    -------
    type : type
        The class of the optimizer, for example.

    Raises
    ------
    ValueError
        If Keras does not know it.
    """
    return type(registry.get(name))


__all__ = [
    "BaseWrapper",
    "KerasClassifier",
    "full_precision",
    "function_executor_type",
    "is_forked_at_work",
    "keras",
    "known_type",
    "start_devices",
    "tensorflow_random_state",
    "tf",
    "turns",
]
