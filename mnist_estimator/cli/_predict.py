"""``mnist-estimator predict``: which digits are in these pictures."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from mnist_estimator.cli._options import Json, Model
from mnist_estimator.cli._output import describe_error, make_console, printable

if TYPE_CHECKING:  # they import onnxruntime and NumPy
    import numpy as np

    from mnist_estimator.runtime import OnnxModel

_SUFFIXES = {"bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "ppm", "tif", "tiff", "webp"}
_N_SHOWN = 3
_BAR_WIDTH = 24


@dataclass(frozen=True)
class Reading:
    """What a model reads in one picture.

    Attributes
    ----------
    path : Path
        The picture's file.
    image : ndarray of uint8, shape (28, 28), or None
        The picture as the model sees it; None where it could not be read.
    probabilities : dict of class to float
        In the order of the model's classes; empty where the picture could not be read.
    error : str or None
        Why the picture could not be read.
    """

    path: Path
    image: "np.ndarray | None" = None
    probabilities: dict[Any, float] = field(default_factory=dict)
    error: str | None = None

    @property
    def ranked(self) -> list[tuple[Any, float]]:
        """All classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])


def predict(
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Pictures of one digit each, or folders of them."),
    ],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Read the digit in each picture: photographs, scans or drawings of any size."""
    if as_json and as_csv:
        raise typer.BadParameter("choose --json or --csv.")
    run(model, images, print_json if as_json else print_csv if as_csv else print_readings)


def run(
    path: Path, images: list[Path], show: "Callable[[Iterator[Reading], OnnxModel], None]"
) -> None:
    """Read pictures with a model file.

    Parameters
    ----------
    path : Path
        The model file.
    images : list of Path
        Pictures, and folders of them.
    show : callable
        Called with the readings, made while it goes through them, and the model; it prints them.

    Raises
    ------
    ImageError
        If a picture cannot be read. The others have been by then.
    """
    from mnist_estimator.exceptions import ImageError
    from mnist_estimator.runtime import OnnxModel

    pictures = [picture for given in images for picture in _pictures_at(given)]
    model = OnnxModel(path)
    failed = 0

    def readings() -> Iterator[Reading]:
        nonlocal failed
        for reading in _read(model, pictures):
            if reading.error and len(pictures) == 1:
                raise ImageError(reading.error)
            failed += bool(reading.error)
            yield reading

    show(readings(), model)
    if failed:
        raise ImageError(f"{failed:,} of {len(pictures):,} pictures could not be read.")


def print_readings(readings: Iterator[Reading], model: "OnnxModel") -> None:
    """Print the likeliest classes of each picture; on a terminal also what the model sees.

    Parameters
    ----------
    readings : iterator of Reading
        The readings.
    model : OnnxModel
        The model.
    """
    from mnist_estimator.cli._pictures import draw

    console = make_console()
    for reading in readings:
        name, top = printable(reading.path), reading.ranked[:_N_SHOWN]
        if reading.image is None:
            console.print(printable(reading.error), style="red", soft_wrap=True)
        elif console.is_terminal:
            console.print(name, style="bold", soft_wrap=True)
            beside = Table.grid(padding=(0, 3))
            beside.add_row(draw(reading.image, console), _bars(top), style=None)
            console.print(beside)
        else:
            guesses = ", ".join(f"{printable(label)} {share:.2%}" for label, share in top)
            console.print(f"{name}: {guesses}", soft_wrap=True)


def print_json(readings: Iterator[Reading], model: "OnnxModel") -> None:
    """Print an array with one object a picture.

    Parameters
    ----------
    readings : iterator of Reading
        The readings.
    model : OnnxModel
        The model.
    """
    objects = []
    for reading in readings:
        entry: dict[str, Any] = {"path": str(reading.path)}
        if reading.error:
            entry["error"] = reading.error
        else:
            entry["label"] = reading.ranked[0][0]
            entry["probabilities"] = reading.probabilities
        objects.append(entry)
    typer.echo(json.dumps(objects, indent=2))


def print_csv(readings: Iterator[Reading], model: "OnnxModel") -> None:
    """Print a header and one line a picture: its label, the classes' probabilities, the error.

    Parameters
    ----------
    readings : iterator of Reading
        The readings.
    model : OnnxModel
        The model.
    """
    classes = model.classes.tolist()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["path", "label", *(f"p({label})" for label in classes), "error"])
    for reading in readings:
        if reading.error:
            table.writerow([reading.path, *[""] * (1 + len(classes)), reading.error])
        else:
            figures = [f"{share:.6f}" for share in reading.probabilities.values()]
            table.writerow([reading.path, reading.ranked[0][0], *figures, ""])


def _pictures_at(given: Path) -> list[Path]:
    """Return the picture itself, or those in a folder."""
    if not given.exists():
        raise FileNotFoundError(f"There is no picture or folder {str(given)!r}.")
    if not given.is_dir():
        return [given]
    pictures = [path for path in given.iterdir() if path.suffix.lower()[1:] in _SUFFIXES]
    if not pictures:
        raise FileNotFoundError(
            f"No pictures in the folder {str(given)!r}: expected files such as .png or .jpg."
        )
    return sorted(pictures)


def _read(model: "OnnxModel", pictures: list[Path]) -> Iterator[Reading]:
    """Read one picture after the other."""
    from mnist_estimator.cli._pictures import PictureFitter
    from mnist_estimator.exceptions import ImageError
    from mnist_estimator.images import prepare_digits

    fitter = PictureFitter(model)
    classes = model.classes.tolist()
    for path in pictures:
        try:
            image = prepare_digits(path).reshape(28, 28)
        except (ImageError, OSError) as error:
            yield Reading(path, error=describe_error(error))
            continue
        shares = model.predict_proba(fitter.fit(image))[0].tolist()
        yield Reading(path, image, dict(zip(classes, shares, strict=True)))


def _bars(top: list[tuple[Any, float]]) -> Table:
    """Return the likeliest classes with their probabilities, as figures and as bars."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    for place, (label, share) in enumerate(top):
        style = "bold green" if place == 0 else "dim"
        bar = Text("█" * round(share * _BAR_WIDTH))
        table.add_row(printable(label), f"{share:.2%}", bar, style=style)
    return table
