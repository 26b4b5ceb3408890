"""One onnxruntime session, opened the way that a stranger's file needs."""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import onnxruntime as ort

from mnist_estimator.runtime import _fork
from mnist_estimator.runtime._file_check import FileCheck

# What all models of a process may allocate together while they run. A few bytes of graph can ask
# for any amount.
MAX_ARENA_BYTES = 88 * 2**20
# Weights that onnxruntime copies are counted as well, and beyond the bound its count wraps round:
# then nothing is bounded any more. So weights beyond these bytes are kept outside.
MAX_COPIED_BYTES = 24 * 2**20
# How long one row waits for memory that other threads have.
SECONDS_PER_WAIT = 0.15
MAX_WAITS = 6
_FATAL_ONLY = 4

_registration = threading.Lock()
_registered = False
_copies: weakref.WeakSet = weakref.WeakSet()


def check_providers(providers: Sequence[Any] | None) -> list[Any]:
    """Return the execution providers to ask for.

    Parameters
    ----------
    providers : sequence or None
        Names, or (name, options) pairs; None is the processor.

    Returns
    -------
    wanted : list
        The same as a list.

    Raises
    ------
    ValueError
        If the installed onnxruntime has not all of them.
    """
    if providers is None:
        return ["CPUExecutionProvider"]
    available = ort.get_available_providers()
    try:
        names = {entry if isinstance(entry, str) else entry[0] for entry in providers}
    except (TypeError, LookupError):
        names = set()
    if isinstance(providers, str) or not names or not names <= set(available):
        raise ValueError(
            f"The 'providers' parameter must be None or a list of names among {available}. "
            f"Got {providers!r} instead."
        )
    return list(providers)


def check_n_threads(n_threads: int | None) -> int:
    """Return how many threads share a large batch.

    Parameters
    ----------
    n_threads : int or None
        None is the number of processors that this process may use, or `OMP_NUM_THREADS` where
        that is fewer: joblib sets it in its workers.

    Returns
    -------
    n_workers : int
        At least 1.

    Raises
    ------
    ValueError
        If `n_threads` is not a positive int.
    """
    if n_threads is None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        n_usable = usable or os.cpu_count() or 1
        return min(n_usable, int(limit)) if limit.isdecimal() and int(limit) else n_usable
    if isinstance(n_threads, bool) or not isinstance(n_threads, Integral) or n_threads < 1:
        raise ValueError(
            "The 'n_threads' parameter must be an int in the range [1, inf) or None. "
            f"Got {n_threads!r} instead."
        )
    return int(n_threads)


def open_session(checked: FileCheck, providers: Sequence[Any]) -> ort.InferenceSession:
    """Return a session that runs one batch on one thread, prints nothing and bounds its memory.

    Threads belong to the caller: a session without any of its own survives a fork, does not spin
    between calls, and runs several batches at once.

    Parameters
    ----------
    checked : FileCheck
        The model file.
    providers : sequence
        onnxruntime's execution providers, most wanted first.

    Returns
    -------
    session : onnxruntime.InferenceSession
        The session.

    Raises
    ------
    Exception
        Whatever onnxruntime raises for a model that it does not load.
    """
    _bound_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # The bytes were checked as ONNX; they could be read as onnxruntime's own format as well.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    copied = _Copied(checked.n_copied_bytes)
    kept: list[Any] = [copied]
    if list(providers) == ["CPUExecutionProvider"] and not copied.fits():
        options.add_session_config_entry("session.disable_prepacking", "1")
        for name, values in checked.weights.items():
            value = ort.OrtValue.ortvalue_from_numpy(_align(values))
            kept.append(value)
            options.add_initializer(name, value)
    session = _Session(
        checked.texts.content,
        options,
        providers=list(providers),
        # Folding runs nodes while loading, outside the bound in older releases of onnxruntime.
        disabled_optimizers=["ConstantFolding"],
        read_config_from_model=0,
    )
    session.kept = kept
    session.disable_fallback()
    return session


def _align(values: np.ndarray) -> np.ndarray:
    """Return a copy that starts where a cache line does: products with others take longer."""
    padded = np.empty(values.nbytes + 64, np.uint8)
    start = -padded.ctypes.data % 64
    aligned = padded[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    aligned[...] = values
    return aligned


class _Copied:
    """Stands for the weights that onnxruntime copies for one session, as long as that lives."""

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes

    def fits(self) -> bool:
        """Count these weights, unless all together would be more than `MAX_COPIED_BYTES`."""
        with _registration:
            fits = self._n_bytes + sum(copy._n_bytes for copy in _copies) <= MAX_COPIED_BYTES
            if fits:
                _copies.add(self)
        return fits


class _Session(ort.InferenceSession):
    """A session that fails by raising; onnxruntime's own prints some errors and tries again."""

    kept: list[Any]  # as long as the session: it does not hold them itself

    def _create_inference_session(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._create_inference_session(*args, **kwargs)
        except (ValueError, RuntimeError) as error:
            raise SessionError(str(error)) from error


class SessionError(Exception):
    """onnxruntime does not load the model."""


def quiet_run_options(gives_back: bool = False) -> ort.RunOptions:
    """Return options for a run that prints nothing.

    Parameters
    ----------
    gives_back : bool, default=False
        Whether the run ends with giving back to the system what memory is free.

    Returns
    -------
    options : onnxruntime.RunOptions
        To be passed to `InferenceSession.run`.
    """
    options = ort.RunOptions()
    options.log_severity_level = _FATAL_ONLY
    if gives_back:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a run failed because `MAX_ARENA_BYTES` do not hold it."""
    return "Available memory of" in str(error)


def run_in_parts(
    session: ort.InferenceSession, outputs: list[str], feed: Mapping[str, np.ndarray], n_rows: int
) -> list[np.ndarray]:
    """Run rows that are too many for the memory that is left: fewer at a time, or after a while.

    One thread does so at a time. What runs have left in pieces is given back at the end of each.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session.
    outputs : list of str
        The wanted outputs.
    feed : dict of str to ndarray
        The rows, by the names of the inputs.
    n_rows : int
        How many rows they are.

    Returns
    -------
    results : list of ndarray
        The outputs.

    Raises
    ------
    Exception
        Whatever onnxruntime raises; want of memory if it does not hold one row.
    """
    options = quiet_run_options(gives_back=True)
    parts, start, size, n_failures = [], 0, n_rows, 0
    with _fork.one_at_a_time:
        while start < n_rows:
            part = {name: rows[start : start + size] for name, rows in feed.items()}
            try:
                with _fork.in_onnxruntime:
                    parts.append(session.run(outputs, part, options))
                start += size
            except Exception as error:
                # Runs of other threads may have it, which began before: they come to an end.
                n_failures += size == 1
                if not is_out_of_memory(error) or n_failures > MAX_WAITS:
                    raise
                time.sleep(SECONDS_PER_WAIT if size == 1 else 0)
                size = max(size // 2, 1)
    return [np.concatenate(results) for results in zip(*parts, strict=True)]


def _bound_memory() -> None:
    """Register the bounded allocator that our sessions share; once in a process."""
    global _registered  # noqa: PLW0603  (onnxruntime's registry is global as well)
    with _registration:
        if _registered:
            return
        _registered = True
        memory = ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        )
        same_as_requested = 1
        limits = ort.OrtArenaCfg(
            {"max_mem": MAX_ARENA_BYTES, "arena_extend_strategy": same_as_requested}
        )
        # The program around us may have registered one of its own: then that bound holds.
        with contextlib.suppress(RuntimeError):
            ort.create_and_register_allocator(memory, limits)
