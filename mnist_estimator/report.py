"""write_report: one HTML page of a model's results, readable without a network."""

import base64
import io
import platform
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix

from mnist_estimator._files import whole_file
from mnist_estimator.displays import TrainingHistoryDisplay
from mnist_estimator.displays._style import as_images, percent, read_with_confidence
from mnist_estimator.displays._training_history import best_epoch, history_of
from mnist_estimator.evaluation import column_numbers, evaluate, rank_misread

N_MISREAD_SHOWN = 24
PACKAGES = ("mnist_estimator", "numpy", "scikit-learn", "tensorflow", "keras", "onnxruntime")


def write_report(
    path, estimator, X, y, *, facts=None, baselines=None, command=None, title="Digits, read"
):
    """Write one HTML page that says how well a classifier reads some images.

    The page holds the summary, the learning curves where the estimator has a `history_`, accuracy
    by class, the confused pairs, the confusion matrix, the misread images, the parameters and the
    versions. Pictures and styles are inside; it loads nothing.

    Parameters
    ----------
    path : str or path-like
        Where to write the page; a file there is replaced.
    estimator : estimator
        A fitted pipeline, `KerasMLPClassifier`, `OnnxClassifier` or any other classifier with
        `predict_proba`.
    X : array-like of shape (n_rows, n_pixels) or (n_rows, height, width)
        Images in the form that the estimator takes, best those it was not trained on.
    y : array-like of shape (n_rows,)
        Their true labels.
    facts : dict of str to str, default=None
        Further figures for the summary, ``{"Training time": "12.3 s"}`` for example.
    baselines : dict of str to float, default=None
        What simpler methods reach, from :func:`mnist_estimator.evaluation.baseline_accuracies`.
    command : str, default=None
        The command that made the model, to be shown.
    title : str, default="Digits, read"
        The heading.

    Returns
    -------
    evaluation : Evaluation
        The figures that the page shows.

    Raises
    ------
    ValueError
        If there are no rows, the rows cannot be images, or a label is not one of the estimator's
        classes.
    OSError
        If the file cannot be written.

    See Also
    --------
    mnist_estimator.evaluation.evaluate : The figures without the page.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from mnist_estimator.report import write_report
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = KNeighborsClassifier().fit(X[:1000], y[:1000])
    >>> with TemporaryDirectory() as folder:
    ...     evaluation = write_report(f"{folder}/report.html", classifier, X[1000:], y[1000:])
    ...     Path(f"{folder}/report.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    >>> print(f"{evaluation.accuracy:.1%}")
    95.7%
    """
    # Jinja2 is needed only here.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    y = np.asarray(y)
    y_pred, probabilities = read_with_confidence(estimator, X)
    evaluation = evaluate(y, y_pred, probabilities, classes=estimator.classes_)
    environment = Environment(
        loader=PackageLoader("mnist_estimator"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=title,
        made=datetime.now().astimezone(),
        evaluation=evaluation,
        facts=facts or {},
        baselines=baselines or {},
        curves=_curves(estimator),
        matrix=_matrix(y, y_pred, evaluation),
        misread=_misread(X, y, y_pred, probabilities, evaluation),
        parameters=_parameters(estimator),
        versions=_versions(estimator),
        command=command,
    )
    with whole_file(Path(path)) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return evaluation


def _curves(estimator):
    """Return a dict for each learning curve: pictures for light and dark pages, and its text."""
    try:
        history = history_of(estimator)
    except TypeError:  # trained elsewhere
        return []
    return [
        {
            "light": _curve_picture(history, metric, "default"),
            "dark": _curve_picture(history, metric, "dark_background"),
            "text": _curve_text(history, metric),
        }
        for metric in ("loss", "accuracy")
        if metric in history
    ]


def _curve_picture(history, metric, style):
    """Return the curves of one metric as a PNG in a data URI, without a background."""
    from matplotlib import style as mpl_style
    from matplotlib.figure import Figure

    with mpl_style.context(style, after_reset=True):
        # A figure without pyplot: it needs no screen, and nobody else sees it.
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        TrainingHistoryDisplay({"network": history}).plot(metrics=(metric,), ax=figure.subplots())
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=160, transparent=True)
    return _data_uri(picture)


def _curve_text(history, metric):
    """Return in words what the curves of one metric show."""
    sentences = [
        f"{part} {metric} by epoch: from {history[key][0]:.4g} to {history[key][-1]:.4g}."
        for part, key in (("Training", metric), ("Validation", f"val_{metric}"))
        if key in history
    ]
    best = best_epoch(history)
    if best is not None:
        sentences.append(
            f"The validation loss is lowest in epoch {best} of {len(history[metric])}."
        )
    return " ".join(sentences)


def _matrix(y, y_pred, evaluation):
    """Return the confusion matrix as rows of (label, cells); a cell's tint grows with its count."""
    labels = [entry.label for entry in evaluation.per_class]
    counts = confusion_matrix(
        column_numbers(y, labels, "y"),
        column_numbers(y_pred, labels, "y_pred"),
        labels=range(len(labels)),
    )
    most = max(1, (counts - np.diag(counts.diagonal())).max())
    rows = []
    for true, row in enumerate(counts.tolist()):
        cells = [
            {
                "count": count,
                "right": true == read,
                # The square root, so that the few mistakes of a good model can be told apart.
                "tint": 12 if true == read else round(60 * (count / most) ** 0.5),
            }
            for read, count in enumerate(row)
        ]
        rows.append((labels[true], cells))
    return rows


def _misread(X, y, y_pred, probabilities, evaluation):
    """Return a dict for each of the most confident mistakes: picture, labels, probabilities."""
    labels = [entry.label for entry in evaluation.per_class]
    rows = rank_misread(y, y_pred, probabilities, classes=labels)[:N_MISREAD_SHOWN]
    images = np.nan_to_num(as_images(X)[rows].astype(np.float32))
    largest = images.max(initial=0) or 1
    true, read = (column_numbers(each[rows], labels, "y") for each in (y, y_pred))
    return [
        {
            "picture": _ink_on_paper(image / largest),
            "true": labels[true_column],
            "read": labels[read_column],
            "p_true": percent(probabilities[row, true_column]),
            "p_read": percent(probabilities[row, read_column]),
            "row": int(row),
        }
        for row, image, true_column, read_column in zip(rows, images, true, read, strict=True)
    ]


def _ink_on_paper(image):
    """Return an image of ink between 0 and 1 as a PNG in a data URI, dark on white."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(np.uint8(255 * (1 - image) + 0.5)).save(picture, "png", optimize=True)
    return _data_uri(picture)


def _data_uri(png):
    """Return a buffer that holds a PNG as the address of a picture."""
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def _parameters(estimator):
    """Return the parameters by name, those of the steps too but not the steps themselves."""
    parameters = _of_file(estimator, "parameters") or estimator.get_params()
    with_parameters = {name.rpartition("__")[0] for name in parameters}
    return {
        name: repr(value)
        for name, value in sorted(parameters.items())
        if name not in with_parameters and name != "steps"
    }


def _versions(estimator):
    """Return the release of Python and of each package that the results depend on."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a checkout
            continue
    trained_with = _of_file(estimator, "versions")
    return versions | {f"{package} in training": v for package, v in trained_with.items()}


def _of_file(estimator, entry):
    """Return what an OnnxClassifier's file says of the training; nothing for others."""
    return getattr(estimator, "metadata_", {}).get(entry, {})
