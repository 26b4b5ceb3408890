"""Options that several subcommands have, and how their values are read."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

# Those of `make_mnist_pipeline`, whose module would load TensorFlow.
RECIPES = ("reference", "accurate", "fast")


class Layers(tuple[int, ...]):
    """The units of each hidden layer; its string is what the command line takes."""

    def __str__(self) -> str:
        return ",".join(map(str, self)) or "none"


def parse_layers(text: str) -> Layers:
    """Read ``128,64``, or ``none`` for a network without hidden layers.

    Parameters
    ----------
    text : str
        What the user typed.

    Returns
    -------
    layers : Layers
        The units of each layer.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if isinstance(text, Layers) or text == "none":
        return Layers(text if isinstance(text, Layers) else ())
    sizes = text.split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise typer.BadParameter(
            f"{text!r} is not a list of units such as 128,64, nor 'none' for a linear model."
        )
    return Layers(map(int, sizes))


def parse_dropout(text: str) -> float:
    """Read the probability that a hidden unit is dropped.

    Parameters
    ----------
    text : str
        What the user typed.

    Returns
    -------
    dropout : float
        In [0, 1).

    Raises
    ------
    typer.BadParameter
        If it is not such a number.
    """
    try:
        dropout = float(text)
    except ValueError:
        dropout = 1.0
    if not 0 <= dropout < 1:
        raise typer.BadParameter(f"{text!r} is not a number in the range [0, 1).")
    return dropout


def parse_recipe(text: str) -> str:
    """Read the name of a recipe.

    Parameters
    ----------
    text : str
        What the user typed.

    Returns
    -------
    recipe : str
        The same.

    Raises
    ------
    typer.BadParameter
        If `make_mnist_pipeline` has no such recipe.
    """
    if text not in RECIPES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(RECIPES)}.")
    return text


def check_output(path: Path | None) -> Path | None:
    """Refuse a path that could not be written after the long work.

    Parameters
    ----------
    path : Path or None
        What the user typed, if anything.

    Returns
    -------
    path : Path or None
        The same.

    Raises
    ------
    typer.BadParameter
        If no file can be written there.
    """
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file in it.")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is not a regular file.")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; make it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.") from error
    return path


DATA_HELP = "mnist (downloaded once), digits (small scans, no network), or a folder of IDX files."

Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A model file of 'train'.")]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="The same seed, the same network.")
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Passes over the training images.")]
BatchSize = Annotated[
    int, typer.Option(min=1, metavar="N", help="Images that one step learns from.")
]
OF_RECIPE = "of the recipe"
RecipeEpochs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Passes over the training images.", show_default=OF_RECIPE
    ),
]
RecipeBatchSize = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Images that one step learns from.", show_default=OF_RECIPE
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html", callback=check_output, help="Also write the results as a web page."
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        file_okay=False,
        help="Save the state after each epoch there; the same command again goes on from it.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]
