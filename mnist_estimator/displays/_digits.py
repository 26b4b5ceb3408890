"""DigitsDisplay: a grid of images with labels, predictions and confidence."""

import numpy as np

from mnist_estimator.displays._style import as_images, percent, read_with_confidence
from mnist_estimator.displays._tiles import draw_tiles


class DigitsDisplay:
    """A grid of images, each with its label, and what a classifier read.

    Use :meth:`from_estimator` or :meth:`from_predictions`. An image that was misread has a thick
    coloured frame and a bold caption.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        Grey levels; a missing pixel (NaN) is drawn in yellow.
    labels : ndarray of shape (n_images,), default=None
        The true labels.
    predictions : ndarray of shape (n_images,), default=None
        The predicted labels.
    confidences : ndarray of float, shape (n_images,), default=None
        The probability of each predicted label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with all images.
    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    MisclassifiedDisplay : Only the misread images, most confident mistake first.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from mnist_estimator import DigitsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = KNeighborsClassifier().fit(X[:1000], y[:1000])
    >>> display = DigitsDisplay.from_estimator(classifier, X[1000:], y[1000:], n_images=10)
    >>> display.ax_.get_title()
    '10 digits: 10 read rightly, 0 misread'
    """

    def __init__(self, images, *, labels=None, predictions=None, confidences=None):
        self.images = images
        self.labels = labels
        self.predictions = predictions
        self.confidences = confidences

    def plot(self, *, ax=None, n_cols=None, cmap="gray_r"):
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.
        n_cols : int, default=None
            Images in a row; where None, as many as look best.
        cmap : str or matplotlib Colormap, default="gray_r"
            The colours of the grey levels; the default draws ink dark on paper.

        Returns
        -------
        display : DigitsDisplay
            This display, with `ax_` and `figure_`.
        """
        n_images = len(self.images)
        title = f"{n_images} digit{'s' if n_images > 1 else ''}"
        wrong = np.zeros(n_images, dtype=bool)
        if self.labels is not None and self.predictions is not None:
            wrong = np.asarray(self.labels) != np.asarray(self.predictions)
            title += f": {(~wrong).sum()} read rightly, {wrong.sum()} misread"
        self.ax_ = draw_tiles(
            self.images, self._captions(wrong), marked=wrong, title=title,
            ax=ax, n_cols=n_cols, cmap=cmap,
        )  # fmt: skip
        self.figure_ = self.ax_.figure
        return self

    def _captions(self, wrong):
        """Return "4" or "read 4", "4 read as 9", each with the confidence where it is known."""
        if self.labels is None and self.predictions is None:
            return [""] * len(self.images)
        if self.predictions is None:
            return [str(label) for label in self.labels]
        if self.labels is None:
            captions = [f"read as {read}" for read in self.predictions]
        else:
            captions = [
                f"{label} read as {read}" if is_wrong else str(label)
                for label, read, is_wrong in zip(self.labels, self.predictions, wrong, strict=True)
            ]
        if self.confidences is not None:
            captions = [
                f"{caption}\n{percent(confidence)} sure"
                for caption, confidence in zip(captions, self.confidences, strict=True)
            ]
        return captions

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, n_images=25, image_shape=None, ax=None, n_cols=None
    ):
        """Draw the first images, and what a fitted classifier reads in them.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, `KerasMLPClassifier`, `OnnxClassifier` or any other classifier with
            `predict_proba`.
        X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
            Images in the form that the estimator takes; the first `n_images` are read and drawn.
        y : array-like of shape (n_rows,), default=None
            The true labels.
        n_images : int, default=25
            How many images to draw.
        image_shape : tuple of int (height, width), default=None
            The shape of one image, where the rows are flat and the images not square.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.
        n_cols : int, default=None
            Images in a row.

        Returns
        -------
        display : DigitsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no image, or if the rows cannot be images of that shape.
        """
        y_pred, probabilities = read_with_confidence(estimator, X[:n_images])
        return cls.from_predictions(
            X, y, y_pred, confidences=probabilities.max(axis=1), n_images=n_images,
            image_shape=image_shape, ax=ax, n_cols=n_cols,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true=None,
        y_pred=None,
        *,
        confidences=None,
        n_images=25,
        image_shape=None,
        ax=None,
        n_cols=None,
    ):
        """Draw the first images with the labels given.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
            Grey levels.
        y_true : array-like of shape (n_rows,), default=None
            The true labels.
        y_pred : array-like of shape (n_rows,), default=None
            The predicted labels.
        confidences : array-like of float, shape (n_rows,), default=None
            The probability of each predicted label.
        n_images : int, default=25
            How many images to draw.
        image_shape : tuple of int (height, width), default=None
            The shape of one image, where the rows are flat and the images not square.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.
        n_cols : int, default=None
            Images in a row.

        Returns
        -------
        display : DigitsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no image, or if the rows cannot be images of that shape.
        """
        first = (
            None if y is None else np.asarray(y)[:n_images] for y in (y_true, y_pred, confidences)
        )
        labels, predictions, confidences = first
        display = cls(
            as_images(X[:n_images], image_shape),
            labels=labels,
            predictions=predictions,
            confidences=confidences,
        )
        return display.plot(ax=ax, n_cols=n_cols)
