"""The tables that `train` and `evaluate` end with."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from mnist_estimator.cli._output import printable

if TYPE_CHECKING:  # it imports NumPy, which the parsers of the subcommands do not need
    from mnist_estimator.evaluation import Evaluation

N_PAIRS_SHOWN = 5


def judge(
    estimator: Any,
    X: Any,
    y: Any,
    report: Path | None,
    *,
    facts: Mapping[str, str],
    command: str,
) -> "Evaluation":
    """Have a classifier read the test images, and write the report on it, if wanted.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of images.
    X, y : ndarray
        The test images and their labels.
    report : Path or None
        The page to write.
    facts : mapping of str to str
        Further lines for the page's summary.
    command : str
        The command line, for the page.

    Returns
    -------
    evaluation : Evaluation
        The figures.
    """
    if report is not None:
        from mnist_estimator.report import write_report

        return write_report(report, estimator, X, y, facts=facts, command=command)
    from mnist_estimator.evaluation import evaluate

    probabilities = estimator.predict_proba(X)
    labels = estimator.classes_[probabilities.argmax(axis=1)]
    return evaluate(y, labels, probabilities, classes=estimator.classes_)


def print_results(console: Console, evaluation: "Evaluation", facts: Mapping[str, str]) -> None:
    """Print how well a model reads the test images.

    Parameters
    ----------
    console : rich.console.Console
        Where to.
    evaluation : Evaluation
        The figures.
    facts : mapping of str to str
        Further lines for the first table.
    """
    summary = {
        "Test accuracy": f"{evaluation.accuracy:.2%} "
        f"({evaluation.n_misread:,} of {evaluation.n_rows:,} images misread)",
        "Test loss": f"{evaluation.log_loss:.4f}",
        "Calibration error": f"{evaluation.calibration_error:.2%}",
        **facts,
    }
    print_facts(console, summary)
    console.print(_per_class_table(evaluation))
    if evaluation.confused_pairs:
        console.print(_pairs_table(evaluation))


def print_facts(console: Console, facts: Mapping[str, object], title: str | None = None) -> None:
    """Print names and values in two columns.

    Parameters
    ----------
    console : rich.console.Console
        Where to.
    facts : mapping of str to object
        The lines.
    title : str, default=None
        What stands above them.
    """
    table = _table(title)
    table.show_header = False
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(printable(name), printable(value))
    console.print(table)


def _per_class_table(evaluation: "Evaluation") -> Table:
    table = _table("Accuracy by class")
    for heading in ("class", "images", "misread", "accuracy"):
        table.add_column(heading, justify="right")
    table.add_column()
    extremes = {evaluation.worst.accuracy: "worst", evaluation.best.accuracy: "best"}
    styles = {"best": "green", "worst": "red"}
    for entry in evaluation.per_class:
        mark = extremes.get(entry.accuracy, "")
        table.add_row(
            printable(entry.label),
            f"{entry.n_rows:,}",
            f"{entry.n_rows - entry.n_correct:,}",
            f"{entry.accuracy:.2%}" if entry.n_rows else "",
            mark,
            style=styles.get(mark),
        )
    return table


def _pairs_table(evaluation: "Evaluation") -> Table:
    table = _table("Most often confused")
    table.add_column("pair")
    table.add_column("mistakes", justify="right")
    table.add_column("of which")
    for pair in evaluation.confused_pairs[:N_PAIRS_SHOWN]:
        first, second = printable(pair.first), printable(pair.second)
        table.add_row(
            f"{first} ↔ {second}",
            f"{pair.count:,}",
            f"{first} read as {second}: {pair.first_as_second:,}, "
            f"{second} read as {first}: {pair.second_as_first:,}",
        )
    return table


def _table(title: str | None) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
