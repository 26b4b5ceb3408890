"""``mnist-estimator evaluate``: how well a model file reads images with known labels."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_estimator.cli._options import DATA_HELP, Model, Report
from mnist_estimator.cli._output import make_console, printable, size_of
from mnist_estimator.cli._results import judge, print_results

# What a model that takes so many pixels was trained on, in all likelihood.
_DATA_OF = {784: "mnist", 64: "digits"}


def evaluate(
    context: typer.Context,
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER", help=f"{DATA_HELP} By default, whichever fits the model."
        ),
    ] = None,
    report: Report = None,
) -> None:
    """Say how well a model reads the test images."""
    run(model, data, report, context.obj)


def run(path: Path, data: str | None, report: Path | None, command: str) -> None:
    """Judge a model file.

    Parameters
    ----------
    path : Path
        The model file.
    data : str or None
        A source that `load_image_data` knows; None for the one that fits.
    report : Path or None
        The page to write, if wanted.
    command : str
        The command line, for the report.
    """
    from mnist_estimator.datasets import load_image_data
    from mnist_estimator.inference import OnnxClassifier

    console = make_console()
    classifier = OnnxClassifier(path).fit()
    n_pixels = classifier.n_features_in_
    data = data or _DATA_OF.get(n_pixels, "mnist")
    with console.status("Loading the images"):
        _, _, X, y = load_image_data(data)
    if X.shape[1] != n_pixels:
        raise ValueError(
            f"{path} takes {n_pixels} values an image, and those of {data} have {X.shape[1]} "
            "pixels. Choose other images by --data."
        )
    facts = {"Model file": f"{printable(path)}, {size_of(path)}"}
    with console.status("Reading the test images"):
        evaluation = judge(classifier, X, y, report, facts=facts, command=command)
    if report is not None:
        facts["Report"] = printable(report)
    print_results(console, evaluation, facts)
