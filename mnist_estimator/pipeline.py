"""make_mnist_pipeline: pixels in, labels out, in the reference configuration."""

from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from mnist_estimator.neural_network import KerasMLPClassifier
from mnist_estimator.preprocessing import PixelScaler


class PixelPipeline(Pipeline):
    """A `Pipeline` that says of its input what its first step says.

    scikit-learn's own leaves out that the first step takes no negative values, takes missing
    ones, or takes images; its estimator checks then feed the pipeline what it rightly refuses.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = get_tags(self.steps[0][1]).input_tags.positive_only
        return tags


def make_mnist_pipeline(**params):
    """Make the reference pipeline: a `PixelScaler`, then a `KerasMLPClassifier`.

    As it comes it is the network 784-128-64-10 with dropout 0.2 (109,386 parameters), trained by
    Adam at 0.001 on the cross-entropy for 10 epochs in batches of 32, with 20 % of the rows held
    out for validation.

    Parameters
    ----------
    **params : dict
        Parameters of the `KerasMLPClassifier`, in place of the reference configuration's.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        The steps ``"scale"`` and ``"mlp"``, not fitted. It takes rows or images of grey levels.

    Examples
    --------
    >>> from mnist_estimator import make_mnist_pipeline
    >>> pipe = make_mnist_pipeline(hidden_layer_sizes=(256,), random_state=0)
    >>> pipe["mlp"].hidden_layer_sizes, pipe["mlp"].validation_split
    ((256,), 0.2)
    """
    params = {"validation_split": 0.2, **params}
    return PixelPipeline([("scale", PixelScaler()), ("mlp", KerasMLPClassifier(**params))])
