"""ClassDistributionDisplay: how many images there are of each class."""

import numpy as np
from sklearn.utils.multiclass import unique_labels

from mnist_estimator.displays._style import PALETTE, axes_or_new, read_with_confidence

HATCHES = ("", "//", "..", "xx")
MOST_BARS_WITH_NUMBERS = 12


class ClassDistributionDisplay:
    """Bars of how many images there are of each class.

    Use :meth:`from_estimator` to compare the true labels with what a classifier read, or
    :meth:`from_predictions` for labels alone. The constructor takes any counts, those of a
    training and a test set for example.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The classes.
    counts : dict of str to ndarray of int, shape (n_classes,)
        For each set of bars its name and how many images there are of each class.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        One a set.
    ax_ : matplotlib Axes
        The axes with the bars.
    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from mnist_estimator import ClassDistributionDisplay
    >>> display = ClassDistributionDisplay.from_predictions(load_digits().target)
    >>> display.counts["true"]
    array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    """

    def __init__(self, classes, counts):
        self.classes = classes
        self.counts = counts

    def plot(self, *, ax=None):
        """Draw the bars, and the mean as a dashed line where all sets have the same.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.

        Returns
        -------
        display : ClassDistributionDisplay
            This display, with `bars_`, `ax_` and `figure_`.
        """
        self.ax_ = axes_or_new(ax, (7, 4))
        self.figure_ = self.ax_.figure
        places = np.arange(len(self.classes))
        width = 0.8 / len(self.counts)
        self.bars_ = []
        for number, (name, counts) in enumerate(self.counts.items()):
            bars = self.ax_.bar(
                places + (number - (len(self.counts) - 1) / 2) * width,
                counts,
                width,
                label=f"{name} ({np.sum(counts):,})",
                color=PALETTE[number % len(PALETTE)],
                hatch=HATCHES[number % len(HATCHES)],
                edgecolor="white",
            )
            if len(places) * len(self.counts) <= MOST_BARS_WITH_NUMBERS:
                # On a patch of background, so that the mean's line does not strike them through.
                patch = {"facecolor": self.ax_.get_facecolor(), "edgecolor": "none", "pad": 0.5}
                self.ax_.bar_label(bars, fmt="{:,.0f}", fontsize="small", padding=3, bbox=patch)
            self.bars_.append(bars)
        totals = {int(np.sum(counts)) for counts in self.counts.values()}
        title = "Images by class"
        if len(totals) == 1:
            (total,) = totals
            title = f"{total:,} images by class"
            mean = {"color": "0.4", "linestyle": "--", "linewidth": 1, "label": "mean"}
            self.ax_.axhline(total / len(places), **mean)
        names = [str(label) for label in self.classes]
        # Long class names would run into each other.
        rotation = 45 if sum(map(len, names)) > 60 else 0
        self.ax_.set_xticks(places, names, rotation=rotation, ha="right" if rotation else "center")
        self.ax_.set(xlabel="Class", ylabel="Number of images", title=title)
        self.ax_.yaxis.set_major_formatter("{x:,.0f}")
        self.ax_.margins(y=0.18)  # room for the legend above the bars
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(loc="upper right", ncols=len(self.counts) + 1, frameon=False)
        return self

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None):
        """Draw how often each class is true, and how often a fitted classifier reads it.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, `KerasMLPClassifier`, `OnnxClassifier` or any other classifier with
            `predict_proba`.
        X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
            Images in the form that the estimator takes.
        y : array-like of shape (n_rows,)
            The true labels.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        y_pred, _ = read_with_confidence(estimator, X)
        return cls.from_predictions(y, y_pred, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred=None, *, ax=None):
        """Draw how often each class occurs among the labels.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            The true labels.
        y_pred : array-like of shape (n_rows,), default=None
            The predicted labels, drawn beside the true ones.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure where None.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        labels = {"true": y_true} if y_pred is None else {"true": y_true, "predicted": y_pred}
        labels = {name: np.asarray(y) for name, y in labels.items()}
        classes = unique_labels(*labels.values())
        counts = {
            name: np.bincount(np.searchsorted(classes, y), minlength=len(classes))
            for name, y in labels.items()
        }
        return cls(classes, counts).plot(ax=ax)
