"""One onnxruntime session, opened the way that a stranger's file needs."""

import contextlib
import os
import threading
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import onnxruntime as ort

# What all models of a process may allocate together while they run, weights apart. A few bytes
# of graph can ask for any amount.
MAX_ARENA_BYTES = 4 * 2**30
_FATAL_ONLY = 4

_registration = threading.Lock()
_registered = False


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


def open_session(content: bytes, providers: Sequence[Any]) -> ort.InferenceSession:
    """Return a session that runs one batch on one thread, prints nothing and bounds its memory.

    Threads belong to the caller: a session without any of its own survives a fork, does not spin
    between calls, and runs several batches at once.

    Parameters
    ----------
    content : bytes
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
    session = _Session(
        content,
        options,
        providers=list(providers),
        # Folding runs nodes while loading, outside the bound in older releases of onnxruntime.
        disabled_optimizers=["ConstantFolding"],
        read_config_from_model=0,
    )
    session.disable_fallback()
    return session


class _Session(ort.InferenceSession):
    """A session that fails by raising; onnxruntime's own prints some errors and tries again."""

    def _create_inference_session(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._create_inference_session(*args, **kwargs)
        except (ValueError, RuntimeError) as error:
            raise SessionError(str(error)) from error


class SessionError(Exception):
    """onnxruntime does not load the model."""


def quiet_run_options() -> ort.RunOptions:
    """Return options for a run that prints nothing.

    Returns
    -------
    options : onnxruntime.RunOptions
        To be passed to `InferenceSession.run`.
    """
    options = ort.RunOptions()
    options.log_severity_level = _FATAL_ONLY
    return options


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
