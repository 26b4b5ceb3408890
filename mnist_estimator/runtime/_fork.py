"""Forks that wait for onnxruntime, so that no child inherits it in the middle of a prediction.

A fork copies the memory of the process, locks included, and only the thread that forks. A lock of
onnxruntime's that another thread held would stay locked in the child, whose first prediction would
wait for it forever.
"""

import os
import threading
import time
import weakref
from typing import Any

_locks: weakref.WeakSet = weakref.WeakSet()
_adding = threading.RLock()
_held: list[Any] = []


class _InOnnxruntime(threading.local):
    """Marks a thread as being in onnxruntime: ``with in_onnxruntime:``.

    Every thread has a lock of its own, so that they do not wait for each other. It may be taken
    again by its thread, as a signal handler does that predicts, or forks.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        with _adding:
            _locks.add(self.lock)

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self.lock.release()
        if _held:
            time.sleep(1e-4)  # else a busy thread has it again before the one that forks


in_onnxruntime = _InOnnxruntime()
# For what takes much memory: `with _fork.one_at_a_time:`, around `in_onnxruntime`.
one_at_a_time = threading.RLock()


def _wait() -> None:
    _adding.acquire()
    _held.extend(_locks)
    for lock in _held:
        lock.acquire()


def _renew() -> None:
    global one_at_a_time  # noqa: PLW0603  (a thread that held it is not in the child)
    one_at_a_time = threading.RLock()


def _go_on() -> None:
    while _held:
        _held.pop().release()
    _adding.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_go_on)
    os.register_at_fork(after_in_child=_renew)
