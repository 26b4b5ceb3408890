"""TensorFlow, Keras and SciKeras, imported without their start-up chatter.

TensorFlow's C++ libraries write to the process's standard error while they load (that no GPU
driver was found, that oneDNN is on), before any logging level can be set from Python. Modules
that need one of the three import it from here.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Collect what is written to file descriptor 2, and show it only if the block fails."""
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


# 1 hides what is informational; TensorFlow reads it once, while it loads.
level_was_set = "TF_CPP_MIN_LOG_LEVEL" in os.environ
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
try:
    with nullcontext() if "tensorflow" in sys.modules else _stderr_held_back():
        import keras
        import tensorflow as tf
        from scikeras.utils.random_state import tensorflow_random_state
        from scikeras.wrappers import BaseWrapper, KerasClassifier
        from tensorflow.python.eager.context import function_executor_type

        # The libraries speak again when the devices are set up, which the first tensor does.
        tf.constant(0)
finally:
    if not level_was_set:
        del os.environ["TF_CPP_MIN_LOG_LEVEL"]

__all__ = [
    "BaseWrapper",
    "KerasClassifier",
    "function_executor_type",
    "keras",
    "tensorflow_random_state",
    "tf",
]
