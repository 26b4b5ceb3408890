"""TrainingHistoryDisplay: loss and accuracy, epoch by epoch."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mnist_estimator.displays._style import PALETTE, axes_or_new

LABELS = {"loss": "Loss (cross-entropy)", "accuracy": "Accuracy"}
GAP = 0.18  # between two panels, in widths of the axes
MOST_EPOCHS_WITH_MARKERS = 30


class TrainingHistoryDisplay:
    """Loss and accuracy by epoch, in training and in validation.

    Use :meth:`from_estimator`, or the constructor for several histories side by side. Solid lines
    are training, dashed ones validation. The best epoch, that of the lowest validation loss, is
    marked where there was a validation.

    Parameters
    ----------
    histories : dict of str to dict
        For each network its name and its `history_`: a list of one value an epoch for "loss" and
        "accuracy", and for "val_loss" and "val_accuracy" where rows were held out.

    Attributes
    ----------
    best_epochs_ : dict of str to int or None
        The best epoch of each network, counted from 1; None without validation.
    axes_ : ndarray of matplotlib Axes, shape (n_metrics,)
        The axes of each metric, as a rule the loss and the accuracy.
    ax_ : matplotlib Axes
        The axes around them.
    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> from mnist_estimator import TrainingHistoryDisplay
    >>> history = {
    ...     "loss": [0.9, 0.4, 0.2], "accuracy": [0.7, 0.9, 0.95],
    ...     "val_loss": [0.6, 0.3, 0.35], "val_accuracy": [0.8, 0.92, 0.91],
    ... }
    >>> display = TrainingHistoryDisplay({"128-64": history}).plot()
    >>> display.best_epochs_
    {'128-64': 2}
    """

    def __init__(self, histories):
        self.histories = histories

    def plot(self, *, metrics=("loss", "accuracy"), ax=None):
        """Draw the curves, a panel a metric.

        Parameters
        ----------
        metrics : tuple of {"loss", "accuracy"}, default=("loss", "accuracy")
            What to draw, from left to right.
        ax : matplotlib Axes, default=None
            Where to draw, divided into the panels; a new figure where None.

        Returns
        -------
        display : TrainingHistoryDisplay
            This display, with `best_epochs_`, `axes_`, `ax_` and `figure_`.
        """
        from matplotlib.transforms import ScaledTranslation

        self.ax_ = axes_or_new(ax, (4.5 * len(metrics), 4))
        self.figure_ = self.ax_.figure
        self.ax_.set_axis_off()
        only = f"{metrics[0].capitalize()} by epoch" if len(metrics) == 1 else None
        self.ax_.set_title(only or "Training history")
        width = (1 + GAP) / len(metrics)
        self.axes_ = np.array(
            [self.ax_.inset_axes((i * width, 0, width - GAP, 1)) for i in range(len(metrics))]
        )
        self.best_epochs_ = {name: best_epoch(one) for name, one in self.histories.items()}
        for panel, metric in zip(self.axes_, metrics, strict=True):
            for number, name in enumerate(self.histories):
                self._draw_curves(panel, metric, name, number)
            panel.set(xlabel="Epoch", ylabel=LABELS[metric])
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(alpha=0.3)
            panel.spines[["top", "right"]].set_visible(False)
        lines, labels = self.axes_[0].get_legend_handles_labels()
        n_cols = 3 if len(self.histories) == 3 else 2
        # A letter is about 5.5 points wide, and a line and the gaps around it 40.
        width = n_cols * (5.5 * max(map(len, labels)) + 40) * self.figure_.dpi / 72
        # The layout makes the axes of a figure of their own a fifth wider when it is drawn.
        room = 1.2 * self.ax_.get_window_extent().width
        self.ax_.legend(
            lines,
            labels,
            ncols=n_cols if width < room else 1,
            loc="upper center",
            frameon=False,
            bbox_to_anchor=(0.5, 0),
            # Below the labels of the x axes, whatever the height of the axes.
            bbox_transform=self.ax_.transAxes
            + ScaledTranslation(0, -0.45, self.figure_.dpi_scale_trans),
        )
        return self

    def _draw_curves(self, panel, metric, name, number):
        """Draw one metric of one network, and mark its best epoch."""
        alone = len(self.histories) == 1
        of_network = "" if alone else f"{name}: "
        best = self.best_epochs_[name]
        for part, key, style in (("training", metric, "-"), ("validation", f"val_{metric}", "--")):
            values = self.histories[name].get(key)
            if values is None:
                continue
            # One network: a colour a curve. Several: a colour a network.
            colour = PALETTE[(number if not alone else style == "--") % len(PALETTE)]
            label = f"{of_network}{part}"
            if style == "--":
                label += f" (best: epoch {best})"
                panel.plot(best, values[best - 1], "D", color=colour, markersize=8)
            panel.plot(
                range(1, len(values) + 1),
                values,
                style,
                color=colour,
                label=label,
                marker="." if len(values) <= MOST_EPOCHS_WITH_MARKERS else None,
            )

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the training of a fitted network.

        Parameters
        ----------
        estimator : estimator or dict of str to estimator
            A fitted `KerasMLPClassifier`, a pipeline that ends in one, or a search over either,
            whose best estimator is drawn; several of them by name to draw them side by side.
        ax : matplotlib Axes, default=None
            Where to draw, divided in two; a new figure where None.

        Returns
        -------
        display : TrainingHistoryDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If an estimator is not fitted.
        TypeError
            If an estimator keeps no history; an `OnnxClassifier` was trained elsewhere.
        """
        estimators = estimator if isinstance(estimator, dict) else {"network": estimator}
        return cls({name: history_of(one) for name, one in estimators.items()}).plot(ax=ax)


def history_of(estimator):
    """Return the `history_` of a fitted network, also inside a pipeline or a search."""
    network = getattr(estimator, "best_estimator_", estimator)
    if hasattr(network, "steps"):
        network = network.steps[-1][1]
    if hasattr(network, "history_"):
        return network.history_
    check_is_fitted(network)
    raise TypeError(
        f"{type(network).__name__} keeps no training history; expected a fitted "
        "KerasMLPClassifier, a pipeline that ends in one, or a search over either."
    )


def best_epoch(history):
    """Return the epoch of the lowest validation loss, from 1; None without validation."""
    losses = history.get("val_loss", [])
    # NaN stands for an epoch without held-out rows, as `partial_fit` trains.
    return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else None
