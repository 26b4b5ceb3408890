"""make_mnist_pipeline: pixels in, labels out, by one of the recipes."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._set_output import _get_output_config

from mnist_estimator._grey_levels import GreyLevels
from mnist_estimator.neural_network import KerasMLPClassifier
from mnist_estimator.preprocessing import PixelScaler


class PixelPipeline(Pipeline):
    """A `Pipeline` of images: it says what it takes, and keeps uint8 as it is.

    scikit-learn's own leaves out that its first step takes no negative values; its estimator
    checks then feed the pipeline what it rightly refuses. And it would scale all images before
    the network sees the first.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        first = self.steps[0][1]
        if isinstance(first, BaseEstimator):  # not "passthrough"
            tags.input_tags.positive_only = get_tags(first).input_tags.positive_only
        return tags

    def fit(self, X, y=None, **params):
        """Fit the steps, one after the other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, 1)
            Grey levels. A NumPy array of uint8 stays one: its batches are scaled, not all of it.
        y : array-like of shape (n_samples,)
            Labels.
        **params : dict
            Parameters of the steps' `fit`, ``mlp__sample_weight`` for example, or metadata where
            scikit-learn routes it.

        Returns
        -------
        self : PixelPipeline
            The fitted pipeline.
        """
        if self._hands_over(X):
            X = X.view(GreyLevels)
        return super().fit(X, y, **params)

    def _hands_over(self, X):
        """Tell whether images reach the network as the arrays that they are."""
        return (
            type(X) in (np.ndarray, np.memmap)
            and X.dtype == np.uint8
            and [type(step) for _, step in self.steps] == [PixelScaler, KerasMLPClassifier]
            and self.memory is None
            and _get_output_config("transform", self.steps[0][1])["dense"] == "default"
        )


# Chosen on 10,000 held-out rows of MNIST's training images (docs/benchmarks/recipes.md).
RECIPES = {
    "reference": {"validation_split": 0.2},
    "accurate": {
        "augmentation": ("affine", "elastic"),
        "dropout": 0.0,
        "optimizer": "sgd",
        "momentum": 0.9,
        "schedule": "cosine",
        "learning_rate": 0.06,
        "batch_size": 128,
        "epochs": 400,
    },
    "fast": {
        "dropout": 0.0,
        "schedule": "cosine",
        "learning_rate": 8e-3,
        "batch_size": 80,
        "epochs": 2,
    },
}


def make_mnist_pipeline(*, recipe="reference", **params):
    """Make a `PixelScaler` and a `KerasMLPClassifier`: the network 784-128-64-10 by a recipe.

    The network has 109,386 parameters and is trained on the cross-entropy.

    Parameters
    ----------
    recipe : {"reference", "accurate", "fast"}, default="reference"
        How it is trained. "reference": by Adam, dropout 0.2, learning rate 0.001, 10 epochs in
        batches of 32, with 20 % of the rows held out for validation. "accurate": by gradient
        descent with a momentum of 0.9, affine and elastic distortions, no dropout, 400 epochs in
        batches of 128, a cosine schedule from 0.06, on all rows. "fast": by Adam, 2 epochs in
        batches of 80, no dropout, a cosine schedule from 0.008, on all rows.
    **params : dict
        Parameters of the `KerasMLPClassifier`, in place of the recipe's.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        The steps ``"scale"`` and ``"mlp"``, not fitted. It takes rows or images of grey levels.

    Raises
    ------
    ValueError
        If there is no such recipe.

    Examples
    --------
    >>> from mnist_estimator import make_mnist_pipeline
    >>> pipe = make_mnist_pipeline(hidden_layer_sizes=(256,), random_state=0)
    >>> pipe["mlp"].hidden_layer_sizes, pipe["mlp"].validation_split
    ((256,), 0.2)
    """
    if recipe not in RECIPES:
        known = ", ".join(map(repr, RECIPES))
        raise ValueError(f"The known recipes are {known}. Got recipe={recipe!r} instead.")
    mlp = KerasMLPClassifier(**{**RECIPES[recipe], **params})
    return PixelPipeline([("scale", PixelScaler()), ("mlp", mlp)])
