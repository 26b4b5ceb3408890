"""``mnist-estimator train``: from images to one ``.onnx`` file."""

import time
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from mnist_estimator.cli._options import (
    DATA_HELP,
    OF_RECIPE,
    RECIPES,
    Checkpoint,
    Layers,
    RecipeBatchSize,
    RecipeEpochs,
    Report,
    Seed,
    check_output,
    parse_dropout,
    parse_layers,
    parse_recipe,
)
from mnist_estimator.cli._output import make_console, printable, size_of
from mnist_estimator.cli._results import judge, print_results


def train(
    context: typer.Context,
    data: Annotated[str, typer.Option(metavar="NAME|FOLDER", help=DATA_HELP)] = "mnist",
    recipe: Annotated[
        str,
        typer.Option(parser=parse_recipe, metavar="|".join(RECIPES), help="How to train."),
    ] = "reference",
    layers: Annotated[
        Layers, typer.Option(parser=parse_layers, metavar="N,N", help="Units of the hidden layers.")
    ] = "128,64",  # type: ignore[assignment]  # typer parses the default
    dropout: Annotated[
        float | None,
        typer.Option(
            parser=parse_dropout,
            metavar="P",
            help="How likely a unit is dropped.",
            show_default=OF_RECIPE,
        ),
    ] = None,
    epochs: RecipeEpochs = None,
    batch_size: RecipeBatchSize = None,
    seed: Seed = 0,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE.onnx", callback=check_output, help="The model file to write."),
    ] = Path("digits.onnx"),
    report: Report = None,
    checkpoint: Checkpoint = None,
) -> None:
    """Train a network, say how well it reads the test images, and write it as an .onnx file."""
    if report is not None and report.resolve() == out.resolve():
        raise typer.BadParameter("--out and --report name the same file.")
    given = {"dropout": dropout, "epochs": epochs, "batch_size": batch_size}
    params = {
        "recipe": recipe,
        "hidden_layer_sizes": tuple(layers),
        "random_state": seed,
        "checkpoint": checkpoint,
        **{name: value for name, value in given.items() if value is not None},
    }
    run(data, params, out, report, context.obj)


def run(data: str, params: dict[str, Any], out: Path, report: Path | None, command: str) -> None:
    """Train, write and judge a network.

    Parameters
    ----------
    data : str
        A source that `load_image_data` knows.
    params : dict
        Parameters of `make_mnist_pipeline`.
    out, report : Path
        The model file to write, and the page, if wanted.
    command : str
        The command line, for the report.
    """
    from mnist_estimator.datasets import load_image_data

    console = make_console()
    with console.status("Loading the images"):
        X_train, y_train, X_test, y_test = load_image_data(data)
    with console.status("Starting TensorFlow"):
        from mnist_estimator.export import save_onnx
        from mnist_estimator.pipeline import make_mnist_pipeline

    # The scans of 'digits' go up to 16, not to 255.
    pipe = make_mnist_pipeline(**params).set_params(scale__pixel_max=int(X_train.max()))
    console.print(f"Training on {len(X_train):,} images of {X_train.shape[1]} pixels.")
    start = time.perf_counter()
    pipe.set_params(mlp__verbose=1).fit(X_train, y_train)
    seconds = time.perf_counter() - start
    # The file and the report tell the parameters: how the training was watched is none of them.
    pipe.set_params(mlp__verbose=0, mlp__checkpoint=None)
    with console.status("Writing the model"):
        save_onnx(pipe, out, X_test)
    facts = {
        **_training_facts(pipe["mlp"]),
        "Training time": f"{seconds:.1f} s",
        "Model file": f"{printable(out)}, {size_of(out)}",
    }
    with console.status("Reading the test images"):
        evaluation = judge(pipe, X_test, y_test, report, facts=facts, command=command)
    if report is not None:
        facts["Report"] = printable(report)
    print_results(console, evaluation, facts)
    console.print(f"Read pictures with it: mnist-estimator predict {quote(str(out))} IMAGE ...")


def _training_facts(mlp: Any) -> dict[str, str]:
    """Return the figures of the last epoch in words."""
    last = {name: figures[-1] for name, figures in mlp.history_.items()}
    hard = [name for name in ("dropout", "augmentation") if getattr(mlp, name)]
    facts = {
        "Training accuracy": f"{last['accuracy']:.2%}"
        + (f" (with {' and '.join(hard)} on)" if hard else "")
    }
    if "val_accuracy" in last:
        gap = 100 * (last["accuracy"] - last["val_accuracy"])
        side = "below" if gap > 0 else "above"
        facts["Validation accuracy"] = (
            f"{last['val_accuracy']:.2%} ({abs(gap):.2f} points {side} training)"
        )
    return facts | {
        "Parameters": f"{mlp.model_.count_params():,}",
        "Epochs": f"{mlp.n_iter_} of {mlp.n_samples_fit_:,} images",
    }
