"""OnnxClassifier: an exported model as a fitted scikit-learn classifier."""

import copy
import threading

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from mnist_estimator._blocks import BlockwiseScore, is_dask, map_rows
from mnist_estimator.runtime import OnnxModel
from mnist_estimator.runtime._fork import in_onnxruntime

_opening = threading.Lock()


class OnnxClassifier(BlockwiseScore, ClassifierMixin, BaseEstimator):
    """A fitted classifier over one ``.onnx`` file.

    The file is one that `save_onnx` wrote, from a `KerasMLPClassifier` or from anything that
    contains one. Predicting from it needs onnxruntime only: TensorFlow is never loaded.

    It is fitted from the beginning, and stays as it is: `fit` only checks the file. The file is
    opened when it is first needed, and read once; the classifier then keeps its content, so that
    clones, copies and pickles work wherever the file is not.

    Parameters
    ----------
    path : str or path-like
        The model file.
    providers : sequence, default=None
        onnxruntime's execution providers, most wanted first: names, or (name, options) pairs.
        None runs on the processor.
    n_threads : int, default=None
        How many threads share a large batch. None takes the processors that this process may
        use, or `OMP_NUM_THREADS` where that is fewer (so a joblib worker keeps to its share).
        The result does not depend on it.
    trusted : bool, default=False
        Whether the file is your own: then it may use any operator of onnxruntime's. Support vector
        machines, enlarged images and loops (a GRU) need it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype that the exported estimator's `classes_` had.
    n_features_in_ : int
        The number of values in a row.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        The columns of a model that takes a DataFrame; other models do not have the attribute.
    metadata_ : dict
        What the file says of itself: versions, training figures, parameters, licence.

    See Also
    --------
    save_onnx : Writes the file.
    mnist_estimator.runtime.OnnxModel : The same without scikit-learn.
    sklearn.frozen.FrozenEstimator : Keeps any fitted estimator from being fitted again.

    Notes
    -----
    A model file is treated as hostile: it is refused with a `ModelFileError` unless it is plain
    arithmetic on what it holds itself. `OnnxModel` says which limits there are. A pickle is not a
    model file: loading one from a stranger runs whatever he likes.

    A dask array gives a dask array: the file's content travels with the blocks' tasks, and each
    worker process opens it once.

    One classifier may be used by several threads at once. Rows in the file's own dtype and shape
    go to onnxruntime as they are; large batches are computed a few hundred rows at a time, which
    stay in the processor's cache.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from mnist_estimator import OnnxClassifier, make_mnist_pipeline, save_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> pipe = make_mnist_pipeline(hidden_layer_sizes=(32,), random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     report = save_onnx(pipe, f"{folder}/digits.onnx", X)
    ...     classifier = OnnxClassifier(f"{folder}/digits.onnx").fit()  # reads the file
    >>> classifier.predict(X[:1]).tolist(), classifier.predict_proba(X[:1]).shape
    ([0], (1, 10))
    >>> classifier.score(X, y) == pipe.score(X, y)
    True
    >>> OnnxClassifier("nowhere.onnx").predict(X)
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.ModelFileError: Cannot use 'nowhere.onnx' as a model: there is no ...
    """

    def __init__(self, path, *, providers=None, n_threads=None, trusted=False):
        self.path = path
        self.providers = providers
        self.n_threads = n_threads
        self.trusted = trusted

    def fit(self, X=None, y=None, **fit_params):
        """Check the model file, and change nothing.

        Parameters
        ----------
        X : object
            Ignored.
        y : object
            Ignored.
        **fit_params : dict
            Ignored.

        Returns
        -------
        self : OnnxClassifier
            The classifier as it was.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, not one of ours, or not safe to run.
        """
        self._model()
        return self

    def predict(self, X):
        """Return the most likely class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width), \
                or DataFrame, dict of columns or dask array
            Rows as the exported estimator took them, in any dtype that holds the same values.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Classes, in the dtype of `classes_`. Lazy where `X` is.

        Raises
        ------
        TypeError, ValueError
            If `X` is sparse, has the wrong shape, or values that the model does not take.
        ModelFileError
            If the file is missing, damaged, not one of ours, or not safe to run.
        """
        if is_dask(X):
            return map_rows(X, self.predict, self.classes_.dtype)
        return self._model().predict(X)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width), \
                or DataFrame, dict of columns or dask array
            Rows as the exported estimator took them, in any dtype that holds the same values.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_samples, n_classes)
            Columns in the order of `classes_`. Lazy where `X` is.

        Raises
        ------
        TypeError, ValueError
            If `X` is sparse, has the wrong shape, or values that the model does not take.
        ModelFileError
            If the file is missing, damaged, not one of ours, or not safe to run.
        """
        if is_dask(X):
            return map_rows(X, self.predict_proba, np.float32, len(self.classes_))
        return self._model().predict_proba(X)

    @property
    def classes_(self):
        """The classes, in the order of the columns of `predict_proba`."""
        return self._model().classes

    @property
    def n_features_in_(self):
        """The number of values in a row."""
        return self._model().n_features

    @property
    def feature_names_in_(self):
        """The columns of a model that takes a DataFrame."""
        model = self._model()
        if model.input_dtype is not None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute 'feature_names_in_': its model "
                "takes one array"
            )
        return np.array(model.input_names, dtype=object)

    @property
    def metadata_(self):
        """What the file says of itself."""
        return self._model().metadata

    def _model(self):
        """Return the open model, opening it where the parameters have changed."""
        params = (self.path, self.providers, self.n_threads, self.trusted)
        opened = self.__dict__.get("_opened")
        if opened is None or opened[0] != params:
            with in_onnxruntime, _opening:
                opened = self.__dict__.get("_opened")
                if opened is None or opened[0] != params:
                    path, providers, n_threads, trusted = params
                    model = OnnxModel(
                        path, providers=providers, n_threads=n_threads, trusted=trusted
                    )
                    model.name = type(self).__name__
                    self._opened = opened = (params, model)
        return opened[1]

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_clone__(self):
        clone = type(self)(**copy.deepcopy(self.get_params(deep=False)))
        if "_opened" in self.__dict__:
            clone._opened = self._opened  # sessions are shared: they hold nothing that changes
        return clone

    def __getstate__(self):
        self._model()  # the pickle takes the file's content along
        return dict(super().__getstate__())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        # scikit-learn's checks fit an estimator on data of their own.
        tags._skip_test = True
        return tags
