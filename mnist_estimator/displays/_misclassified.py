"""MisclassifiedDisplay: the misread images, most confident mistakes first."""

import numpy as np

from mnist_estimator.displays._style import (
    as_images,
    axes_or_new,
    percent,
    read_with_confidence,
)
from mnist_estimator.displays._tiles import draw_tiles
from mnist_estimator.evaluation import column_numbers, rank_misread


class MisclassifiedDisplay:
    """The misread images, most confident mistakes first.

    Use :meth:`from_estimator` or :meth:`from_predictions`. Below each image stand the true label
    and what it was read as, each with the probability that the classifier gave it.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        The misread images to draw, in order; none where nothing was misread.
    y_true, y_pred : ndarray of shape (n_images,)
        Their true and their predicted labels.
    p_true, p_pred : ndarray of float, shape (n_images,)
        The probabilities of these labels.
    n_misread, n_rows : int
        How many rows were misread, and how many were read.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with all images.
    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    mnist_estimator.evaluation.rank_misread : The row numbers in the same order.
    sklearn.metrics.ConfusionMatrixDisplay : How often each class was read as each.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from mnist_estimator import MisclassifiedDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = KNeighborsClassifier().fit(X[:1000], y[:1000])
    >>> display = MisclassifiedDisplay.from_estimator(classifier, X[1000:], y[1000:])
    >>> display.ax_.get_title()
    '34 of 797 misread: the 20 most confident'
    """

    def __init__(self, images, *, y_true, y_pred, p_true, p_pred, n_misread, n_rows):
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.p_true = p_true
        self.p_pred = p_pred
        self.n_misread = n_misread
        self.n_rows = n_rows

    def plot(self, *, ax=None, n_cols=None, cmap="gray_r"):
        """Draw the misread images.

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
        display : MisclassifiedDisplay
            This display, with `ax_` and `figure_`.
        """
        title = f"{self.n_misread:,} of {self.n_rows:,} misread"
        if self.n_misread == 0:
            self.ax_ = axes_or_new(ax, (4, 1))
            self.ax_.set_axis_off()
            self.ax_.set_title(title)
        else:
            shown = len(self.images)
            title += (
                ", most confident first"
                if shown == self.n_misread
                else (f": the {shown} most confident")
            )
            captions = [
                f"is {true}: {percent(p_true)}\nread {read}: {percent(p_read)}"
                for true, p_true, read, p_read in zip(
                    self.y_true, self.p_true, self.y_pred, self.p_pred, strict=True
                )
            ]
            self.ax_ = draw_tiles(
                self.images, captions, marked=np.zeros(shown, dtype=bool), title=title,
                ax=ax, n_cols=n_cols, cmap=cmap,
            )  # fmt: skip
        self.figure_ = self.ax_.figure
        return self

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, n_images=20, image_shape=None, ax=None, n_cols=None
    ):
        """Read images with a fitted classifier, and draw those that it misread.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, `KerasMLPClassifier`, `OnnxClassifier` or any other classifier with
            `predict_proba`.
        X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
            Images in the form that the estimator takes.
        y : array-like of shape (n_rows,)
            The true labels.
        n_images : int, default=20
            How many misread images to draw at most.
        image_shape : tuple of int (height, width), default=None
            The shape of one image, where the rows are flat and the images not square.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.
        n_cols : int, default=None
            Images in a row.

        Returns
        -------
        display : MisclassifiedDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are no rows, or a label is not one of the estimator's classes.
        """
        y_pred, probabilities = read_with_confidence(estimator, X)
        return cls.from_predictions(
            X, y, y_pred, probabilities, classes=estimator.classes_, n_images=n_images,
            image_shape=image_shape, ax=ax, n_cols=n_cols,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        probabilities,
        *,
        classes,
        n_images=20,
        image_shape=None,
        ax=None,
        n_cols=None,
    ):
        """Draw the images whose predicted label is not the true one.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
            Grey levels.
        y_true, y_pred : array-like of shape (n_rows,)
            The true and the predicted labels.
        probabilities : array-like of float, shape (n_rows, n_classes)
            The probability of each class, a column a class.
        classes : array-like of shape (n_classes,)
            The classes in the order of the columns.
        n_images : int, default=20
            How many misread images to draw at most.
        image_shape : tuple of int (height, width), default=None
            The shape of one image, where the rows are flat and the images not square.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.
        n_cols : int, default=None
            Images in a row.

        Returns
        -------
        display : MisclassifiedDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are no rows, lengths or shapes differ, or a label is not one of `classes`.
        """
        misread = rank_misread(y_true, y_pred, probabilities, classes=classes)
        rows = misread[:n_images]
        labels = np.asarray(classes).tolist()
        true, read = np.asarray(y_true)[rows], np.asarray(y_pred)[rows]
        shown = np.asarray(probabilities)[rows]
        display = cls(
            as_images(X, image_shape)[rows],
            y_true=true,
            y_pred=read,
            p_true=shown[range(len(rows)), column_numbers(true, labels, "y_true")],
            p_pred=shown[range(len(rows)), column_numbers(read, labels, "y_pred")],
            n_misread=len(misread),
            n_rows=len(probabilities),
        )
        return display.plot(ax=ax, n_cols=n_cols)
