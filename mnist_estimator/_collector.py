"""Python's garbage collector, kept waiting where it would look through everything in vain."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector waiting while very many objects are made at once.

    They would set off collections of all objects that there are, each of which takes 0.2 seconds
    once TensorFlow is loaded.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
