"""TrainingHistoryDisplay: the curves drawn, the best epoch, and where a history is found."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from mnist_estimator.displays import TrainingHistoryDisplay


class WithHistory(ClassifierMixin, BaseEstimator):
    """A classifier that keeps a history, as KerasMLPClassifier does."""

    def __init__(self, history=None, unit=1):
        self.history = history
        self.unit = unit

    def fit(self, X, y):
        self.classes_ = [0, 1]
        self.history_ = self.history
        return self

    def predict(self, X):
        return [0] * len(X)


@pytest.fixture
def network(history):
    return WithHistory(history).fit([[0], [1]], [0, 1])


def curves(axes):
    """The drawn lines by label, without the marks of the best epochs."""
    return {
        line.get_label(): line.get_ydata().tolist()
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_both_metrics_are_drawn_and_the_best_epoch_is_marked(network, history):
    display = TrainingHistoryDisplay.from_estimator(network)

    loss, accuracy = display.axes_
    labels = ["training", "validation (best: epoch 4)"]
    assert curves(loss) == dict(zip(labels, (history["loss"], history["val_loss"]), strict=True))
    assert list(curves(accuracy).values()) == [history["accuracy"], history["val_accuracy"]]
    marks = [line for axes in display.axes_ for line in axes.lines if line.get_marker() == "D"]
    assert [line.get_xydata().tolist() for line in marks] == [[[4, 0.3]], [[4, 0.9]]]
    assert [axes.get_xlabel() for axes in display.axes_] == ["Epoch", "Epoch"]
    assert [axes.get_ylabel() for axes in display.axes_] == ["Loss (cross-entropy)", "Accuracy"]
    assert display.ax_.get_title() == "Training history"
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == labels
    assert display.figure_ is display.ax_.figure


def test_epochs_without_held_out_rows_are_not_best(history):
    history = {name: [*values, np.nan] for name, values in history.items()}
    display = TrainingHistoryDisplay({"only": history}).plot()
    assert display.best_epochs_ == {"only": 4}


def test_without_validation_no_epoch_is_best(history):
    trained = {"loss": history["loss"], "accuracy": history["accuracy"]}
    display = TrainingHistoryDisplay({"only": trained}).plot()
    assert display.best_epochs_ == {"only": None}
    assert list(curves(display.axes_[0])) == ["training"]


def test_histories_side_by_side(history, network):
    longer = {name: values * 10 for name, values in history.items()}
    estimators = {"64": network, "128-64": WithHistory(longer).fit(None, None)}
    display = TrainingHistoryDisplay.from_estimator(estimators)
    lines = [line for line in display.axes_[0].lines if line.get_marker() != "D"]
    assert [line.get_label() for line in lines] == [
        "64: training",
        "64: validation (best: epoch 4)",
        "128-64: training",
        "128-64: validation (best: epoch 4)",
    ]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--"]
    first, _, second, _ = [line.get_color() for line in lines]
    assert first != second
    assert [line.get_marker() for line in lines] == [".", ".", "None", "None"]


def test_history_is_found_in_pipelines_and_searches(history, network, digits):
    X, y = digits[0][:30], digits[1][:30]
    pipeline = make_pipeline(MaxAbsScaler(), WithHistory(history))
    search = GridSearchCV(pipeline, {"withhistory__unit": [1, 2]}, cv=3).fit(X, y)
    for estimator in (search, search.best_estimator_):
        display = TrainingHistoryDisplay.from_estimator(estimator)
        assert curves(display.axes_[0])["training"] == history["loss"]


def test_given_axes_are_divided(history):
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 4), layout="constrained")
    display = TrainingHistoryDisplay({"a": history, "b": history, "c": history}).plot(ax=right)
    figure.canvas.draw()
    assert display.ax_ is right
    for panel in display.axes_:
        assert right.bbox.x0 <= panel.bbox.x0
        assert panel.bbox.x1 <= right.bbox.x1 + 1
    loss, accuracy = display.axes_
    renderer = figure.canvas.get_renderer()
    assert not loss.get_tightbbox(renderer).overlaps(accuracy.get_tightbbox(renderer))
    legend = right.get_legend().get_window_extent()
    assert legend.y1 < loss.get_tightbbox(renderer).y0 + 1
    assert left.has_data() is False


def test_one_metric_fills_the_axes(history):
    display = TrainingHistoryDisplay({"only": history}).plot(metrics=("accuracy",))
    assert display.ax_.get_title() == "Accuracy by epoch"
    (panel,) = display.axes_
    assert curves(panel)["training"] == history["accuracy"]
    assert panel.get_ylabel() == "Accuracy"
    display.figure_.canvas.draw()
    assert panel.bbox.width == pytest.approx(display.ax_.bbox.width)


def test_epochs_are_whole_numbers(history):
    display = TrainingHistoryDisplay(
        {"two": {name: values[:2] for name, values in history.items()}}
    ).plot()
    display.figure_.canvas.draw()
    ticks = display.axes_[0].get_xticks()
    assert [float(tick).is_integer() for tick in ticks] == [True] * len(ticks)


def test_estimators_without_a_history():
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(make_pipeline(MaxAbsScaler(), WithHistory()))
    fitted = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match="LogisticRegression keeps no training history"):
        TrainingHistoryDisplay.from_estimator(fitted)


@pytest.mark.parametrize(("name", "n_columns"), [("{}", 3), ("learning_rate=0.0000{}", 1)])
def test_long_names_stand_below_each_other_and_leave_the_curves_their_width(
    history, name, n_columns
):
    display = TrainingHistoryDisplay({name.format(i): history for i in range(3)}).plot()
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend()
    lefts = {round(text.get_window_extent().x0) for text in legend.get_texts()}
    assert len(lefts) == n_columns
    assert display.ax_.get_window_extent().width > 0.7 * display.figure_.bbox.width
    assert legend.get_window_extent().width < display.figure_.bbox.width
