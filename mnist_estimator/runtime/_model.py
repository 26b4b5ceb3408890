"""OnnxModel: an exported classifier, run by onnxruntime and nothing else."""

import atexit
import contextlib
import functools
import math
import os
import pickle
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_estimator.exceptions import ModelFileError
from mnist_estimator.runtime._file_check import MAX_FILE_BYTES, FileCheck
from mnist_estimator.runtime._fork import in_onnxruntime
from mnist_estimator.runtime._interface import (
    LABELS,
    PROBABILITIES,
    check_inputs,
    check_outputs,
)
from mnist_estimator.runtime._metadata import parse_classes, parse_metadata
from mnist_estimator.runtime._rows import RowReader
from mnist_estimator.runtime._session import (
    MAX_ARENA_BYTES,
    check_n_threads,
    check_providers,
    is_out_of_memory,
    open_session,
    quiet_run_options,
    run_in_parts,
)
from mnist_estimator.runtime._threads import map_in_threads

# 256 rows of 784 float32 pixels and what the first layers make of them stay in a core's L2 cache.
CHUNK_ROWS = 256
ACCELERATOR_CHUNK_ROWS = 8192
# A trial row takes microseconds; a graph that keeps a processor busy for this long is no
# classifier of ours. An accelerator's first run is slow.
MAX_TRIAL_SECONDS = 1.0
TRIAL_BYTES_PER_SECOND = 100e6  # of the file, on top of it: large weights are read slowly at first
ACCELERATOR_TRIAL_SECONDS = 10.0
SECONDS_AT_EXIT = 3.0
_reopening = threading.Lock()

# Operators after which a missing value (NaN) is an answer like any other.
_TAKE_MISSING_VALUES = {"Imputer", "IsNaN", "TreeEnsembleClassifier", "TreeEnsembleRegressor"}


class OnnxModel:
    """A classifier in an ``.onnx`` file that `save_onnx` wrote.

    It is what `OnnxClassifier` is made of, without scikit-learn. The file is treated as hostile:
    see Notes. One model may be used by several threads at once, and is picklable (the pickle
    holds the file's bytes).

    Parameters
    ----------
    path_or_bytes : str, path-like or bytes
        The model file, or its content. It is read once; later changes to the file have no effect.
    providers : sequence, default=None
        onnxruntime's execution providers, most wanted first: names, or (name, options) pairs.
        None runs on the processor.
    n_threads : int, default=None
        How many threads share a large batch. None takes the processors that this process may
        use, or `OMP_NUM_THREADS` where that is fewer (so a joblib worker keeps to its share).
    trusted : bool, default=False
        Whether the file is your own: then it may use any operator of onnxruntime's, and no row is
        tried. Support vector machines, enlarged images and loops (a GRU) need it.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The classes, in the dtype that the exported estimator's `classes_` had.
    input_names : list of str
        ``["X"]``, or the column names of a model that takes a DataFrame.
    input_shape : tuple of int
        The shape of one row: ``(784,)`` or ``(28, 28)``; ``(n_columns,)`` for columns.
    input_dtype : numpy.dtype or None
        The dtype of the rows that are taken as they are; None for columns.
    n_features : int
        The number of values in a row.
    metadata : dict
        What the file says of itself: versions, training figures, parameters, licence.
    session : onnxruntime.InferenceSession
        The session, for whatever this class does not cover. It has short texts in place of those
        of more than 15 bytes.

    Raises
    ------
    ModelFileError
        If the file is missing, unreadable, damaged, not one of ours, or not safe to run.
    TypeError
        If `path_or_bytes` is neither a path nor bytes.
    ValueError
        If `providers` or `n_threads` is not one that this machine has.

    See Also
    --------
    mnist_estimator.OnnxClassifier : The same as a scikit-learn classifier.

    Notes
    -----
    A file is refused when it is larger than 512 MiB or needs anything beside its own bytes
    (weights in other files, operators of other libraries), when it has control flow or functions,
    operators that are not on a list of plain arithmetic, or tensors of other sizes than it holds.
    One row is tried, for at most one second (and one for each 100 MB of the file), and all models
    of a process together may allocate 88 MiB while they run. Rows for which that is too little
    are run in smaller batches.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from mnist_estimator import PixelScaler, to_onnx
    >>> from mnist_estimator.runtime import OnnxModel
    >>> X, y = load_digits(return_X_y=True)
    >>> pipe = make_pipeline(PixelScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    >>> model = OnnxModel(to_onnx(pipe, X).SerializeToString())  # or the path of a file
    >>> model.predict(X[:3]).tolist(), model.predict_proba(X[:3]).shape, model.input_shape
    ([0, 1, 2], (3, 10), (64,))
    >>> OnnxModel(b"GIF89a")
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.ModelFileError: Cannot use the given bytes as a model: ...
    """

    # The name in messages about rows; OnnxClassifier puts its own.
    name = "OnnxModel"

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        *,
        providers: Sequence[Any] | None = None,
        n_threads: int | None = None,
        trusted: bool = False,
    ) -> None:
        self.providers = providers
        self.n_threads = n_threads
        self.trusted = trusted
        wanted = check_providers(providers)
        self._n_workers = check_n_threads(n_threads)
        self._on_processor = wanted == ["CPUExecutionProvider"]
        if isinstance(path_or_bytes, bytes):
            self._source, self._content = "the given bytes", path_or_bytes
        elif isinstance(path_or_bytes, str | os.PathLike):
            self._source = repr(os.fspath(path_or_bytes))
            self._content = self._read(Path(os.fsdecode(path_or_bytes)))
        else:
            raise TypeError(
                "A model's path must be a str or a path-like object, or its content be given as "
                f"bytes. Got {type(path_or_bytes).__name__!r} instead."
            )
        try:
            checked = FileCheck(self._content, trusted)
            self.metadata = parse_metadata(checked.metadata)
            self.classes = parse_classes(self.metadata)
        except ValueError as error:
            raise self._refusal(str(error)) from None
        try:
            with in_onnxruntime:
                self.session = open_session(checked, wanted)
            inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        except Exception as error:  # onnxruntime raises anything, and nothing of a common class
            raise self._refusal(f"onnxruntime does not load it ({_first_line(error)})") from error
        try:
            check_outputs(outputs, self.classes)
            dtypes = check_inputs(inputs, self.metadata["input"])
        except ValueError as error:
            raise self._refusal(str(error)) from None
        self.input_names = list(dtypes)
        is_table = "columns" in self.metadata["input"]
        self.input_dtype = None if is_table else dtypes["X"]
        self.input_shape = (len(inputs),) if is_table else tuple(inputs[0].shape[1:])
        self.n_features = math.prod(self.input_shape)
        self._rows = RowReader(
            dtypes,
            shape=None if is_table else self.input_shape,
            missing_allowed=not checked.operators.isdisjoint(_TAKE_MISSING_VALUES),
            shorten=checked.texts.shorten,
        )
        self._restore = checked.texts.restore
        # Rows of this dtype and shape go to the session as they are. Floats are not among them:
        # NaN and infinity have to be looked for.
        is_exact = self.input_dtype is not None and self.input_dtype.kind in "uib"
        self._exact_dtype = self.input_dtype if is_exact else None
        self._input_name = self.input_names[0]
        self._tails = {LABELS: (), PROBABILITIES: self.classes.shape}
        self._chunk_rows = CHUNK_ROWS if self._on_processor else ACCELERATOR_CHUNK_ROWS
        self._run_options = quiet_run_options()
        if not trusted:
            self._try_a_row()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, *input_shape), or DataFrame or dict of columns
            The rows: in the file's dtype they are passed on as they are, in any other dtype they
            are converted if no value changes by it. Flat rows and images are the same.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_samples, n_classes)
            Columns in the order of `classes`.

        Raises
        ------
        TypeError, ValueError
            If `X` is sparse, has the wrong shape, or values that the model does not take.
        ModelFileError
            If the model fails on rows that it should take.
        """
        return self._compute(X, [PROBABILITIES])[0]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely class.

        Parameters
        ----------
        X : array-like of shape (n_samples, *input_shape), or DataFrame or dict of columns
            The rows, as for `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Classes, in the dtype of `classes`.
        """
        return self._as_classes(self._compute(X, [LABELS])[0])

    def run(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the most likely class and the probabilities, for the price of one of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, *input_shape), or DataFrame or dict of columns
            The rows, as for `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Classes, in the dtype of `classes`.
        probabilities : ndarray of float32, shape (n_samples, n_classes)
            Columns in the order of `classes`.
        """
        labels, probabilities = self._compute(X, [LABELS, PROBABILITIES])
        return self._as_classes(labels), probabilities

    def __repr__(self) -> str:
        return f"OnnxModel({self._source})"

    def __reduce__(self) -> tuple:
        settings = pickle.dumps((self.providers, self.n_threads, self.trusted))
        return _reopen, (self._content, settings, self.name, self._source)

    def _compute(self, X: Any, outputs: list[str]) -> list[np.ndarray]:
        """Return the wanted outputs of the graph for any rows."""
        if (
            type(X) is np.ndarray
            and X.dtype is self._exact_dtype
            and X.shape[1:] == self.input_shape
            and 0 < len(X) <= self._chunk_rows
        ):
            return self._run_chunk(outputs, {self._input_name: X}, len(X))
        feed, n_rows = self._rows.read(X, self.name)
        if n_rows == 0:
            # Not every operator takes an empty batch.
            return [self._empty(output) for output in outputs]
        starts = range(0, n_rows, self._chunk_rows)
        if len(starts) == 1:
            return self._run_chunk(outputs, feed, n_rows)

        def compute_from(start: int) -> list[np.ndarray]:
            stop = min(start + self._chunk_rows, n_rows)
            part = {name: rows[start:stop] for name, rows in feed.items()}
            return self._run_chunk(outputs, part, stop - start)

        # Starting a thread costs a tenth of a millisecond: it should have two chunks to do.
        n_workers = min(self._n_workers, len(starts) // 2) if self._on_processor else 1
        if n_workers == 1:
            parts = [compute_from(start) for start in starts]
        else:
            parts = map_in_threads(compute_from, starts, n_workers)
        return [np.concatenate(chunks) for chunks in zip(*parts, strict=True)]

    def _run_chunk(
        self, outputs: list[str], feed: Mapping[str, np.ndarray], n_rows: int
    ) -> list[np.ndarray]:
        """Run the session once, and check the shapes of what comes out."""
        try:
            with in_onnxruntime:
                results = self.session.run(outputs, feed, self._run_options)
        except Exception as error:
            try:
                if not is_out_of_memory(error):
                    raise
                results = run_in_parts(self.session, outputs, feed, n_rows)
            except Exception as error:
                if is_out_of_memory(error):
                    found = f"one row takes more than {MAX_ARENA_BYTES >> 20} MiB of memory"
                else:
                    found = f"onnxruntime does not run it ({_first_line(error)})"
                raise self._refusal(found) from error
        for output, result in zip(outputs, results, strict=True):
            if result.shape != (n_rows, *self._tails[output]):
                raise self._refusal(
                    f"for {n_rows} rows and {len(self.classes)} classes its output {output!r} has "
                    f"the shape {result.shape}"
                )
        return results

    def _as_classes(self, labels: np.ndarray) -> np.ndarray:
        return self._restore(labels).astype(self.classes.dtype, copy=False)

    def _empty(self, output: str) -> np.ndarray:
        if output == LABELS:
            return self.classes[:0]
        return np.empty((0, len(self.classes)), np.float32)

    def _try_a_row(self) -> None:
        """Refuse a graph that does not come to an end.

        A thread tries the row, and is left alone when it takes too long: a graph can be stopped
        between two nodes, and a single one may take hours.
        """
        options = quiet_run_options(gives_back=True)

        def run() -> None:
            # A model may well refuse a blank row (an unknown category): that is for its first use.
            with contextlib.suppress(Exception):
                self.session.run(None, self._rows.blank(), options)

        limit = MAX_TRIAL_SECONDS if self._on_processor else ACCELERATOR_TRIAL_SECONDS
        limit += len(self._content) / TRIAL_BYTES_PER_SECOND
        trial = threading.Thread(target=run, daemon=True)
        with in_onnxruntime:  # this thread's: a fork does not wait for one that is left alone
            trial.start()
            trial.join(limit)
        if trial.is_alive():
            options.terminate = True
            # A thread that leaves onnxruntime while the interpreter ends, aborts the process.
            atexit.register(trial.join, SECONDS_AT_EXIT)
            raise self._refusal(f"one row takes longer than {limit:.2g} s")

    def _read(self, path: Path) -> bytes:
        """Return the content of a regular file of reasonable size."""
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise self._refusal("it is a directory")
            if not stat.S_ISREG(status.st_mode):
                raise self._refusal("it is not a regular file")
            with path.open("rb") as file:
                # One byte more than allowed, for FileCheck to notice.
                return file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise self._refusal("there is no such file") from None
        except OSError as error:
            raise self._refusal(f"it cannot be read ({error.strerror})") from error
        except ValueError as error:
            if isinstance(error, ModelFileError):
                raise
            raise self._refusal(f"it cannot be read ({error})") from error

    def _refusal(self, found: str) -> ModelFileError:
        return ModelFileError(
            f"Cannot use {self._source} as a model: {found}. "
            "Expected an .onnx file written by mnist_estimator.save_onnx; export the model again."
        )


def _reopen(*pickled: Any) -> OnnxModel:
    """Return a pickled model, the same one for the same pickle."""
    with _reopening:
        return _open_once(*pickled)


# A Dask worker unpickles the model with each of its tasks.
@functools.lru_cache(maxsize=4)
def _open_once(content: bytes, settings: bytes, name: str, source: str) -> OnnxModel:
    providers, n_threads, trusted = pickle.loads(settings)
    model = OnnxModel(content, providers=providers, n_threads=n_threads, trusted=trusted)
    model.name, model._source = name, source
    return model


def _first_line(error: Exception) -> str:
    """Return what an error says, short and fit for a terminal."""
    text = str(error).partition("\n")[0].rpartition("[ONNXRuntimeError] : ")[2]
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
