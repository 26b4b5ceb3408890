"""``mnist-estimator search``: which layers and which dropout serve best."""

import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from shlex import quote
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mnist_estimator._files import whole_file
from mnist_estimator.cli._options import (
    DATA_HELP,
    BatchSize,
    Checkpoint,
    Epochs,
    Layers,
    Seed,
    check_output,
    parse_dropout,
    parse_layers,
)
from mnist_estimator.cli._output import make_console

if TYPE_CHECKING:  # an extra, and what imports TensorFlow
    from distributed import Client

    from mnist_estimator.cli._grid_search import Candidate


def search(
    data: Annotated[str, typer.Option(metavar="NAME|FOLDER", help=DATA_HELP)] = "mnist",
    layers: Annotated[
        list[Layers],
        typer.Option(
            parser=parse_layers,
            metavar="N,N",
            help="Units of the hidden layers; repeat it.",
            show_default="64 | 128 | 128,64 | 256,128",
        ),
    ] = ["64", "128", "128,64", "256,128"],  # type: ignore[list-item]  # noqa: B006
    dropout: Annotated[
        list[float],
        typer.Option(
            parser=parse_dropout, metavar="P", help="How likely a unit is dropped; repeat it."
        ),
    ] = [0.0, 0.2, 0.4],  # noqa: B006
    cv: Annotated[int, typer.Option(min=2, metavar="N", help="Folds of the cross-validation.")] = 3,
    n_jobs: Annotated[
        int,
        typer.Option(
            metavar="N", help="Fits at once, at most one a processor; -1 for all of them."
        ),
    ] = -1,
    rows: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Search with so many of the training images."),
    ] = None,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE.csv", callback=check_output, help="Also write the table as CSV."
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Run the fits on a Dask cluster: its scheduler's address (tcp://host:8786), or "
            "'local' for worker processes on this machine.",
        ),
    ] = None,
) -> None:
    """Compare networks by cross-validation, each of --layers with each of --dropout."""
    if n_jobs == 0:
        raise typer.BadParameter("--n-jobs is a number of fits, or -1 for one a processor.")
    params = {
        "epochs": epochs,
        "batch_size": batch_size,
        "random_state": seed,
        "checkpoint": checkpoint,
    }
    run(data, rows, layers, dropout, params, cv=cv, n_jobs=n_jobs, csv_file=csv_file, dask=dask)


def run(
    data: str,
    n_rows: int | None,
    layers: Sequence[Layers],
    dropout: Sequence[float],
    params: dict[str, Any],
    *,
    cv: int,
    n_jobs: int,
    csv_file: Path | None,
    dask: str | None = None,
) -> None:
    """Cross-validate a grid and print its table.

    Parameters
    ----------
    data : str
        A source that `load_image_data` knows.
    n_rows : int or None
        How many of its training images to use; None for all.
    layers : sequence of Layers
        The hidden layers to try.
    dropout : sequence of float
        The dropout rates to try with each.
    params : dict
        Parameters of the `KerasMLPClassifier` that stay the same.
    cv : int
        How many folds.
    n_jobs : int
        Fits at once, as joblib counts them.
    csv_file : Path or None
        Where to write the table, if wanted.
    dask : str or None, default=None
        The cluster that runs the fits: a scheduler's address or "local"; None for this process.
    """
    from joblib import cpu_count

    from mnist_estimator.datasets import load_image_data

    console = make_console()
    with _cluster(dask, console) as client:
        with console.status("Loading the images"):
            X, y, _, _ = load_image_data(data)
        if n_rows is not None:
            X, y = _sample(X, y, n_rows, params["random_state"])
        if client is None:
            n_processors = cpu_count()
            wanted = n_jobs if n_jobs > 0 else n_processors + 1 + n_jobs
            n_workers = max(1, min(wanted, n_processors))
            _share_processors(n_processors, n_workers)
        else:
            n_workers = sum(client.ncores().values())
        with console.status("Starting TensorFlow"):
            from mnist_estimator.cli._grid_search import Candidate, grid_search

        candidates = [Candidate(*pair) for pair in product(layers, dropout)]
        console.print(
            f"{len(candidates)} networks × {cv} folds on {len(X):,} images, {n_workers} at once."
        )
        with _progress(console, candidates, cv) as on_fit:
            common = {"cv": cv, "n_workers": n_workers, "client": client}
            grid_search(candidates, X, y, on_fit, **common, **params)
    ranked = sorted(candidates, key=lambda candidate: -candidate.score)
    console.print(_table(ranked))
    if csv_file is not None:
        _write_csv(csv_file, ranked)
    best = ranked[0]
    console.print(
        f"Train the best: mnist-estimator train --data {quote(data)} --layers {best.layers} "
        f"--dropout {best.dropout:g} --epochs {params['epochs']}",
        soft_wrap=True,
    )


@contextmanager
def _cluster(dask: str | None, console: Console) -> "Iterator[Client | None]":
    """Connect to a Dask cluster, if one is wanted."""
    if dask is None:
        yield None
        return
    try:
        from mnist_estimator.cluster import connect
    except ImportError as error:
        message = f"--dask needs another package ({error}): pip install 'mnist_estimator[dask]'."
        raise typer.BadParameter(message) from error
    with console.status("Connecting to the cluster"):
        client = connect(dask)
    with client:
        yield client


def _sample(X: Any, y: Any, n_rows: int, seed: int) -> tuple[Any, Any]:
    """Return so many of the images, each class in proportion."""
    from sklearn.model_selection import train_test_split

    if n_rows > len(X):
        raise ValueError(f"--rows {n_rows}: there are only {len(X):,} training images.")
    if n_rows == len(X):
        return X, y
    X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=y, random_state=seed)
    return X, y


def _share_processors(n_processors: int, n_workers: int) -> None:
    """Give each fit its share of the processors, where the user has not set the variables."""
    share = str(n_processors // n_workers)
    # Read once, while TensorFlow loads. Its pools belong to the process: "interop" runs whole
    # graphs, one thread for each fit, and "intraop" the parts of one operation.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(n_workers))
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", share)
    os.environ.setdefault("OMP_NUM_THREADS", share)


@contextmanager
def _progress(
    console: Console, candidates: "Sequence[Candidate]", cv: int
) -> "Iterator[Callable[[Candidate], None]]":
    """Yield what is to be called after each fit; it prints a line for each network that is done."""
    from mnist_estimator._progress import progress_bar

    n_fits, start = len(candidates) * cv, time.perf_counter()
    bar = progress_bar("fits", console)

    def on_fit(candidate: "Candidate") -> None:
        done = [each for each in candidates if len(each.accuracies) == cv]
        fits = sum(len(each.accuracies) for each in candidates)
        seconds_left = (time.perf_counter() - start) / fits * (n_fits - fits)
        best = f"best {max(each.score for each in done):.2%}, " if done else ""
        state = f"{best}{seconds_left:.0f} s left"
        bar.update(task, completed=fits, state=state)
        if candidate in done:
            console.print(
                f"{len(done)}/{len(candidates)} {candidate}: {candidate.score:.2%} ({state})"
            )

    with bar:
        task = bar.add_task("", total=n_fits, state="")
        yield on_fit


def _table(ranked: "Sequence[Candidate]") -> Table:
    table = Table(
        title="Accuracy on held-out images",
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("rank", justify="right")
    table.add_column("layers")
    for heading in ("dropout", "accuracy", "± between folds", "s/fit"):
        table.add_column(heading, justify="right")
    for rank, candidate in enumerate(ranked, start=1):
        table.add_row(
            str(rank),
            str(candidate.layers),
            f"{candidate.dropout:g}",
            f"{candidate.score:.2%}",
            f"{candidate.spread:.2%}",
            f"{fmean(candidate.seconds):.1f}",
            style="green" if rank == 1 else None,
        )
    return table


def _write_csv(path: Path, ranked: "Sequence[Candidate]") -> None:
    """Write the table with every fold's accuracy."""
    folds = sorted(ranked[0].accuracies)
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        figures = ["accuracy", "spread", *(f"fold_{fold}" for fold in folds), "seconds"]
        table.writerow(["rank", "layers", "dropout", *figures])
        for rank, candidate in enumerate(ranked, start=1):
            folds_accuracies = (candidate.accuracies[fold] for fold in folds)
            values = (candidate.score, candidate.spread, *folds_accuracies)
            seconds = f"{fmean(candidate.seconds):.3f}"
            start = [rank, candidate.layers, f"{candidate.dropout:g}"]
            table.writerow([*start, *(f"{value:.6f}" for value in values), seconds])
