"""KerasMLPClassifier: a multilayer perceptron as a scikit-learn classifier."""

import os
from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from mnist_estimator._blocks import BlockwiseScore, is_dask, map_rows, most_likely
from mnist_estimator._checkpoint import go_on_from_checkpoint
from mnist_estimator._epoch_loop import (
    CosineSchedule,
    as_callbacks,
    extend_history,
    needs_keras,
    train_by_graph,
    train_by_keras,
)
from mnist_estimator._holdout import stratified_holdout
from mnist_estimator._mlp import LARGEST_SEED, build_mlp, check_finite, compiled_mlp, forward
from mnist_estimator._parameters import check_parameters
from mnist_estimator._progress import epoch_progress
from mnist_estimator._scikeras import MethodOrder, reduced, restored, unchanged_on_failure
from mnist_estimator._streaming import graph_and_rows
from mnist_estimator._targets import class_factors, encode_labels, row_weights, sorted_classes
from mnist_estimator._tensorflow import KerasClassifier, keras, turns
from mnist_estimator._validation import check_labelled_rows, check_rows
from mnist_estimator._warm_start import keep_on_course
from mnist_estimator.augmentation import make_distortion
from mnist_estimator.training import epoch_graph

__all__ = ["KerasMLPClassifier", "build_mlp"]


class KerasMLPClassifier(BlockwiseScore, KerasClassifier, metaclass=MethodOrder):
    """A multilayer perceptron classifier: SciKeras' `KerasClassifier`, trained as one graph.

    It minimises the cross-entropy of a softmax output by minibatch gradient descent. Each epoch
    runs as one compiled TensorFlow graph on an ordinary Keras model.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 64)
        Units of each hidden layer. ``()`` is a linear model: multinomial logistic regression.
    activation : str or callable, default="relu"
        The hidden units' activation: a name that Keras knows, or a function of a tensor; register
        that one with `keras.saving.register_keras_serializable` to pickle a fitted classifier.
    dropout : float, default=0.2
        The probability that a hidden unit is dropped in a training step, in [0, 1)
        (Srivastava et al. 2014).
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name that Keras knows, or an optimizer; a copy of it is used, with its own learning rate.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule, default=1e-3
        The step size, or how it changes with the steps; not used where `optimizer` is an object.
    momentum : float, default=0.0
        Nesterov's momentum of the optimizer "sgd", in [0, 1]; not used by any other.
    schedule : {"constant", "cosine"}, default="constant"
        "cosine" makes the learning rate of `fit` rise over the first twentieth of the steps and
        then fall to 0 along half a cosine (Loshchilov and Hutter 2017).
    batch_size : int, default=32
        Rows of a minibatch. Fewer rows than that are one batch.
    epochs : int, default=10
        Passes over the training rows, at the most where `early_stopping` is True.
    validation_split : float, default=0.0
        The share of rows held out, each class in proportion, to compute `val_loss` and
        `val_accuracy` after each epoch. In [0, 1).
    early_stopping : bool, default=False
        Whether to stop once `val_loss` has not improved for `n_iter_no_change` epochs, and to go
        back to the weights that had the lowest. Needs a `validation_split`.
    n_iter_no_change : int, default=5
        Epochs without an improvement after which `early_stopping` stops.
    augmentation : None, str, tuple of str, keras.layers.Layer or callable, default=None
        How every training image is distorted, anew in every epoch: "affine" rotates, scales,
        shears and shifts it, "elastic" displaces its pixels by a smooth random field (Simard et
        al. 2003), ``("affine", "elastic")`` does both. Or a Keras preprocessing layer, or a
        function of a batch of images (float32 tensor of shape (n, height, width, 1)) that returns
        one; if it has a parameter `seed`, that is given a seed of shape (2,) for TensorFlow's
        stateless random operations. Held-out rows are never distorted, and nothing of it is in
        `model_`.
    image_shape : tuple of int, default=None
        Height and width of the images that `augmentation` distorts; None takes rows for squares.
    class_weight : dict, "balanced" or None, default=None
        What a row of each class counts in the training loss. "balanced" counts every class alike.
        Multiplied with `sample_weight`.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the optimizer of the last `fit`. The classes,
        the features and the network must be the same; `learning_rate` may be another number.
    callbacks : keras.callbacks.Callback, list of them, or None, default=None
        Called as Keras calls them. Those that want to be called at each batch make `fit` use
        Keras' own, slower loop.
    checkpoint : str, path-like or None, default=None
        A folder, where `fit` saves its state after each epoch. Killed and started again with the
        same data, parameters and `random_state`, it goes on from there and ends with the weights
        of an uninterrupted fit; with more `epochs` it adds those. Many fits may share a folder.
    random_state : int, RandomState instance or None, default=None
        Start weights, held-out rows, the order of the rows and dropout. The same number on the
        same data and processor gives the same weights to the bit.
    verbose : int, default=0
        1 shows a line an epoch, and the time left: in a live bar on a terminal, and in a notebook
        that has ipywidgets.

    Attributes
    ----------
    model_ : keras.Model
        The fitted network, compiled with its optimizer: an ordinary Keras model.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted, in the dtype of `y`.
    history_ : dict of str to list of float
        For each epoch `loss` and `accuracy` (means over the epoch, dropout on, as Keras reports
        them), and with a `validation_split` also `val_loss` and `val_accuracy` (NaN for epochs of
        `partial_fit`, which holds no rows out).
    n_iter_ : int
        Epochs trained in the last call.
    n_samples_fit_ : int
        Rows trained on in the last call.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        The column names, where `fit` was given a DataFrame whose column names are strings.

    See Also
    --------
    make_mnist_pipeline : This classifier behind a `PixelScaler`.
    sklearn.neural_network.MLPClassifier : scikit-learn's network, without dropout.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.

    P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis", ICDAR 2003, section 2.

    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    JMLR 15, 2014, pp. 1929-1958.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from mnist_estimator import KerasMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = KerasMLPClassifier((32,), epochs=20, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> mlp.score(X[1500:] / 16, y[1500:]) > 0.85
    True
    >>> mlp.predict_proba(X[1500:] / 16).shape, len(mlp.history_["loss"])
    ((297, 10), 20)
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [str, callable],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [str, keras.optimizers.Optimizer],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            keras.optimizers.schedules.LearningRateSchedule,
        ],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "schedule": [StrOptions({"constant", "cosine"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_split": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "augmentation": "no_validation",  # `make_distortion` says more
        "image_shape": [tuple, list, None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "callbacks": [keras.callbacks.Callback, list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 64),
        *,
        activation="relu",
        dropout=0.2,
        optimizer="adam",
        learning_rate=1e-3,
        momentum=0.0,
        schedule="constant",
        batch_size=32,
        epochs=10,
        validation_split=0.0,
        early_stopping=False,
        n_iter_no_change=5,
        augmentation=None,
        image_shape=None,
        class_weight=None,
        warm_start=False,
        callbacks=None,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_split = validation_split
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.augmentation = augmentation
        self.image_shape = image_shape
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    def __reduce__(self):
        return reduced(self)

    def __setstate__(self, state):
        super().__setstate__(restored(state))

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features)
            Features, best between 0 and 1; used as float32. A dask array is streamed.
        y : array-like of shape (n_samples,)
            Labels: integers, strings or booleans, of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row's loss counts; rows of weight 0 are left out. None counts each as 1.

        Returns
        -------
        self : KerasMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or an array is not as described, or the training diverges. Whatever
            goes wrong, the classifier is as it was before the call.
        """
        go_on = self.warm_start and hasattr(self, "model_")
        with turns(), unchanged_on_failure(self):
            self._fit_rows(X, y, sample_weight, go_on=go_on)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch more, on these rows alone.

        The rows are taken in the order in which they come, none held out: parts of a whole number
        of batches train as the whole would, to the bit. Where they are sorted, shuffle them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, best between 0 and 1; used as float32.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come. Needed in the first call only.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row's loss counts.

        Returns
        -------
        self : KerasMLPClassifier
            The classifier, trained further.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call, or differs in a later one.
        """
        go_on = hasattr(self, "model_")
        if classes is not None:
            classes = sorted_classes(classes)
            if go_on and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes} is not the same as on the last call to partial_fit, "
                    f"{self.classes_}."
                )
        elif not go_on:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with turns(), unchanged_on_failure(self):
            self._fit_rows(X, y, sample_weight, go_on=go_on, classes=classes, partial=True)
        return self

    def predict_proba(self, X):
        """Estimate the probability of each class.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features)
            Features, scaled as in `fit`.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_samples, n_classes)
            One column a class, in the order of `classes_`; each row sums to 1. Lazy where `X` is.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        if is_dask(X):
            return map_rows(X, self.predict_proba, np.float32, len(self.classes_))
        return forward(self.model_, X)

    def predict(self, X):
        """Predict the label of each row.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features)
            Features, scaled as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The class of the largest probability, in the dtype of `classes_`. Lazy where `X` is.
        """
        return most_likely(self.predict_proba(X), self.classes_)

    def _fit_rows(self, X, y, sample_weight, *, go_on, classes=None, partial=False):
        """Train on rows, from new weights or (`go_on`) from those that are there."""
        sizes = check_parameters(self)
        X, y = check_labelled_rows(self, X, y, reset=not go_on)
        codes, classes = encode_labels(y, self.classes_ if go_on else classes)
        weight = row_weights(sample_weight, X)
        if not go_on:
            self._rng = np.random.default_rng(
                check_random_state(self.random_state).randint(LARGEST_SEED)
            )
            self._split_seed = self._rng.integers(LARGEST_SEED)
        keep_on_course(self, sizes, go_on=go_on)
        train, validation = np.flatnonzero(weight).astype(np.int32), np.array([], np.int32)
        if self.validation_split and not partial:
            kept, held_out = stratified_holdout(
                codes[train], self.validation_split, np.random.default_rng(self._split_seed)
            )
            train, validation = train[kept], train[held_out]
        if self.class_weight is not None:
            factors = class_factors(self.class_weight, classes, codes[train])
            weight[train] *= factors[codes[train]]

        architecture = (X.shape[1], len(classes), sizes)
        model = self.model_ if go_on else compiled_mlp(self, architecture, self._rng)
        data = (X, codes, weight, train, validation)
        with epoch_progress(self.verbose) as watchers:
            history = self._train(model, architecture, data, watchers, partial=partial)
        check_finite(model)
        self.n_iter_, self.n_samples_fit_ = len(history["loss"]), len(train)
        self.history_ = extend_history(self.history_, history) if go_on else history
        self.model_, self.classes_ = model, classes

    def _train(self, model, architecture, data, watchers, *, partial):
        """Train `model` in place by the loop that the callbacks allow; return the history."""
        X, codes, weight, train, validation = data
        epochs, history = 1 if partial else self.epochs, {}
        peak_rate = self.learning_rate if self.schedule == "cosine" and not partial else None
        distort = make_distortion(self.augmentation, X.shape[1], self.image_shape, self.batch_size)
        callbacks = as_callbacks(self.callbacks)
        if self.early_stopping and len(validation):
            options = {"patience": self.n_iter_no_change, "restore_best_weights": True}
            callbacks.append(keras.callbacks.EarlyStopping("val_loss", **options))
        callbacks += watchers
        if self.checkpoint is not None and not partial:
            history, epochs = go_on_from_checkpoint(self, model, data, callbacks, epochs)
        common = {"epochs": epochs, "rng": self._rng, "callbacks": callbacks}
        if needs_keras(callbacks):
            if peak_rate is not None:
                callbacks.append(CosineSchedule(peak_rate))
            common |= {"batch_size": self.batch_size, "distort": distort}
            return train_by_keras(model, *data, **common)
        graph = epoch_graph(
            lambda: compiled_mlp(self, architecture, np.random.default_rng(0), model.optimizer),
            architecture,
            self.activation,
            model.optimizer,
            self.batch_size,
            self.dropout > 0,
            distort,
            scheduled=peak_rate is not None,
        )
        graph, rows = graph_and_rows(graph, X, codes, weight, self.batch_size)
        common |= {"dropout": self.dropout, "peak_rate": peak_rate, "history": history}
        common["in_order"] = self._split_seed if partial else None
        return train_by_graph(graph, model, rows, train, validation, **common)
