"""Checkpoints: the state of a fit after each epoch, in a file that the same fit goes on from.

A folder holds a file a fit, named by a hash of all that the training depends on: start weights,
random state, rows and parameters. So a fit finds its own file and no other, and one folder serves
a whole search: the fits that had ended are read, not run.
"""

import hashlib
import io
import json
import pickle
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from mnist_estimator._blocks import computed_blocks
from mnist_estimator._epoch_loop import needs_keras
from mnist_estimator._files import whole_file
from mnist_estimator._tensorflow import keras
from mnist_estimator.exceptions import CheckpointError

# Parameters that the result does not depend on, or only through what is hashed beside them.
_NOT_HASHED = {
    "callbacks",
    "checkpoint",
    "class_weight",
    "epochs",
    "random_state",
    "validation_split",
    "verbose",
    "warm_start",
}
# What Keras' callbacks remember from epoch to epoch.
_REMEMBERED = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}
# NumPy parses an array's header by `ast.literal_eval`, which in Python 3.11 sometimes fails in two
# threads at once ("AST constructor recursion depth mismatch").
_reading = threading.Lock()
# An unfinished file of this age was left by a process that was killed.
_ABANDONED_SECONDS = 60


def go_on_from_checkpoint(mlp, model, rows, callbacks, epochs):
    """Put a fit where its last run ended, and have every further epoch saved.

    Parameters
    ----------
    mlp : KerasMLPClassifier
        Whose fit it is. Its `checkpoint` is the folder, made where it is missing; its random
        number generator is put where the last run ended.
    model : keras.Model
        The network at the start of the fit. Its weights and its optimizer are changed likewise.
    rows : sequence of ndarray or dask array
        All that the fit learns from.
    callbacks : list of keras.callbacks.Callback
        The one that saves is appended.
    epochs : int
        How many the whole fit has.

    Returns
    -------
    history : dict of str to list of float
        The figures of the epochs that are done.
    epochs : int
        How many the whole fit has: as many as are done where a callback had ended it.

    Raises
    ------
    ValueError
        If the fit is none that can be known again.
    CheckpointError
        If its file is damaged.
    OSError
        If the folder cannot be written.
    """
    if mlp.random_state is None:
        raise ValueError(
            "A fit with a checkpoint is started again by its random_state, so that must not be "
            "None. Give a number, random_state=0 for example, or checkpoint=None."
        )
    if needs_keras(callbacks):
        raise ValueError(
            "Training by Keras' own loop, which callbacks for batches make necessary, cannot be "
            "resumed. Leave them out, or set checkpoint=None."
        )
    params = {name: p for name, p in mlp.get_params().items() if name not in _NOT_HASHED}
    if mlp.schedule != "constant":
        params["epochs"] = epochs  # the rates of the first epoch depend on it
    rng, optimizer, own = mlp._rng, model.optimizer, Path(__file__).parent.name
    facts = [1, params, optimizer, rng.bit_generator.state]
    facts += [callback for callback in callbacks if type(callback).__module__.split(".")[0] != own]
    arrays = [*rows, *(variable.numpy() for variable in _state_of(model))]
    saver = _Saver(Path(mlp.checkpoint), _fingerprint(facts, arrays), rng, callbacks, epochs)
    history, stopped = saver.resume(model)
    callbacks.append(saver)
    return history, len(history["loss"]) if stopped else epochs


class _Saver(keras.callbacks.Callback):
    """Save the state of a fit at the end of each epoch; it has to be the last callback."""

    def __init__(self, folder, fingerprint, rng, callbacks, epochs):
        super().__init__()
        self._folder = folder
        self._fingerprint = fingerprint
        self._path = folder / f"{fingerprint}-{epochs}.npz"
        self._rng = rng
        self._epochs = epochs
        self._remembering = [c for c in callbacks if isinstance(c, tuple(_REMEMBERED))]
        self._callback_states = [{} for _ in self._remembering]
        self._history = {}

    def resume(self, model):
        """Take the furthest state that there is; return its history, and whether it is the end."""
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # if it fails, then before the first epoch
        for unfinished in folder.glob(f".{self._fingerprint}-*"):
            if time.time() - unfinished.stat().st_mtime > _ABANDONED_SECONDS:
                unfinished.unlink(missing_ok=True)
        variables = _state_of(model)
        states = [_read(path, variables) for path in folder.glob(f"{self._fingerprint}-*.npz")]
        states = [state for state in states if state["done"] <= self._epochs]
        if not states:
            return self._history, False
        state = max(states, key=lambda state: state["done"])
        for variable, value in zip(variables, state["variables"], strict=True):
            variable.assign(value)
        self._rng.bit_generator.state = state["random_state"]
        self._callback_states = state["callbacks"]
        self._history.update(state["history"])
        return self._history, state["stopped"]

    def on_train_begin(self, logs=None):
        # Not sooner: callbacks begin a training by forgetting the last one.
        for callback, state in zip(self._remembering, self._callback_states, strict=True):
            if state and getattr(callback, "monitor_op", 0) is None:
                callback._set_monitor_op()  # Keras 3.6 forgets `best` when it does so by itself
            vars(callback).update(state)

    def on_epoch_end(self, epoch, logs=None):
        arrays = {
            f"variable_{i}": variable.numpy() for i, variable in enumerate(_state_of(self.model))
        }
        for i, callback in enumerate(self._remembering):
            best = getattr(callback, "best_weights", None) or []
            arrays |= {f"best_{i}_{j}": weight for j, weight in enumerate(best)}
        about = {
            "arrays": list(arrays),
            "done": epoch + 1,
            "stopped": self.model.stop_training,
            "history": self._history,
            "random_state": self._rng.bit_generator.state,
            "callbacks": [_remembered(callback) for callback in self._remembering],
        }
        arrays["about"] = np.frombuffer(json.dumps(about, default=float).encode(), np.uint8)
        # Not into the file itself: NumPy leaves it open where the disk is full.
        content = io.BytesIO()
        np.savez(content, **arrays)
        with whole_file(self._path) as unfinished:
            unfinished.write_bytes(content.getbuffer())


def _state_of(model):
    """Return every variable that training changes."""
    return [*model.weights, *model.optimizer.variables]


def _remembered(callback):
    """Return what a callback of Keras has to know in the next epoch, its best weights apart."""
    (names,) = (names for kind, names in _REMEMBERED.items() if isinstance(callback, kind))
    return {name: getattr(callback, name) for name in names}


def _read(path, variables):
    """Return the state in a file: that of these variables, and all else by name."""
    try:
        with _reading, path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)  # the archive's checksums are compared by reading all of it
        state = json.loads(arrays.pop("about").tobytes())
        if list(arrays) != state["arrays"]:
            raise ValueError("arrays are missing")
        state["variables"] = [arrays[f"variable_{i}"] for i in range(len(variables))]
        for variable, value in zip(variables, state["variables"], strict=True):
            if (value.shape, value.dtype.name) != (tuple(variable.shape), variable.dtype):
                raise ValueError(f"{value.shape} is not the shape of {variable.path}")
        for i, remembered in enumerate(state["callbacks"]):
            best = [array for name, array in arrays.items() if name.startswith(f"best_{i}_")]
            if best:
                remembered["best_weights"] = best
    except Exception as error:  # of a dozen classes, depending on the byte that is wrong
        raise CheckpointError(
            f"The checkpoint {str(path)!r} cannot be read, or is damaged: {error}. Delete it to "
            "train from the start."
        ) from error
    return state


def _fingerprint(facts, arrays):
    """Return a name for a fit: a hash of all that it depends on."""
    described = json.dumps(facts, sort_keys=True, default=_describe)
    digest = hashlib.sha256(described.encode())
    for array in arrays:
        # In which blocks the rows come decides how they are shuffled.
        digest.update(f"{array.dtype.str}{array.shape}{getattr(array, 'chunks', '')}".encode())
        for block in computed_blocks(array):
            digest.update(np.ascontiguousarray(block))
    return digest.hexdigest()[:32]


def _describe(value):
    """Say in JSON's terms what an object is that a fit depends on."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, keras.callbacks.Callback):
        return kind
    if hasattr(value, "get_config"):
        # Keras numbers the names of its objects as they are made.
        return [kind, {key: part for key, part in value.get_config().items() if key != "name"}]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    try:
        return [kind, hashlib.sha256(pickle.dumps(value)).hexdigest()]
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"A fit with a checkpoint has to be known again, but {value!r} cannot be told from "
            "others. Give a function that a module has under its name, or checkpoint=None."
        ) from error
