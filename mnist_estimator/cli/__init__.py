"""The command line, ``mnist-estimator``: one subcommand a file.

`--help` answers at once, because a subcommand imports what it works with only when it runs: its
module holds a parser (a function whose annotated parameters typer reads) and a `run`.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mnist_estimator.cli import _evaluate, _info, _playground, _predict, _search, _train
from mnist_estimator.cli._group import OneLineErrors

app = typer.Typer(
    cls=OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    _train.train,
    _evaluate.evaluate,
    _predict.predict,
    _info.info,
    _search.search,
    _playground.playground,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mnist_estimator import __version__

        typer.echo(f"mnist-estimator {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _describe(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Train a small network on handwritten digits, and read digits with it.

    A first try that needs no network: mnist-estimator train --data digits
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line on the arguments of the process; this is ``mnist-estimator``."""
    # TensorFlow's own warnings say nothing that our messages do not; it reads this as it loads.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the process
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  (open to the end)
        # What a terminal cannot show becomes a question mark; each line appears when written.
        getattr(sys, name).reconfigure(errors="replace", line_buffering=True)
    app()
