"""How commands fail: in one line on stderr, with an exit code, without a traceback."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from mnist_estimator.cli._output import describe_error, printable
from mnist_estimator.exceptions import MnistEstimatorError

PROGRAM = "mnist-estimator"
USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
# Longer than it takes to clean up.
_SECONDS_BEFORE_REPEATING = 3
OUTPUT_CLOSED = 1  # as typer and rich exit in that case

# What COLUMNS may say. Rich prints nothing in a width of 0, and pads lines to a huge one.
_NARROWEST, _WIDEST = 40, 1000
_OUT_OF_MEMORY = "ResourceExhaustedError"
# Newer releases of typer bring their own copy of click, so that its classes have no other name.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


class OneLineErrors(TyperGroup):
    """A group of commands that puts every mistake of the user into one line on stderr.

    Commands find the command line as one string in `obj` of their context.
    """

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Parse the arguments, run the command, and exit with its code."""
        args = list(sys.argv[1:] if args is None else args)
        columns = os.environ.get("COLUMNS", "")
        if columns.isdecimal() and not _NARROWEST <= int(columns) <= _WIDEST:
            del os.environ["COLUMNS"]
        extra |= {"standalone_mode": False, "obj": shlex.join([PROGRAM, *args])}
        try:
            code = super().main(args, PROGRAM, **extra)
        except _ClickException as error:
            code = _fail(error.format_message(), USER_ERROR)  # type: ignore[attr-defined]
        except typer.Abort:  # how older releases of typer pass on Ctrl-C
            code = INTERRUPTED
        if code == INTERRUPTED:
            _fail("interrupted; no unfinished file is left.", INTERRUPTED)
        sys.exit(code or 0)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command that the arguments name."""
        try:
            with _persistent_interrupts() as interrupts:
                try:
                    return super().invoke(ctx)
                except Exception as error:
                    if interrupts:  # another error was made of it
                        raise KeyboardInterrupt from error
                    raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader went away, as `head` does; what is left in the buffer has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OUTPUT_CLOSED) from None
        except (MnistEstimatorError, ValueError, OSError) as error:
            raise typer.Exit(_fail(describe_error(error), USER_ERROR)) from error
        except Exception as error:
            # TensorFlow's own class for it cannot be named here without importing TensorFlow.
            if not isinstance(error, MemoryError) and type(error).__name__ != _OUT_OF_MEMORY:
                raise
            message = "the memory does not suffice; choose smaller layers or batches."
            raise typer.Exit(_fail(message, USER_ERROR)) from error


@contextmanager
def _persistent_interrupts() -> Iterator[list[int]]:
    """Repeat Ctrl-C until it ends the command; yield a list of those that came.

    During training one in about twenty gets lost, or becomes another error: it seems, where
    TensorFlow converts an argument.
    """
    came: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_BEFORE_REPEATING)
        raise KeyboardInterrupt

    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # ignored, by nohup
        or not hasattr(signal, "setitimer")  # on Windows
    ):
        yield came
        return
    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGALRM)
    }
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(message: str, code: int) -> int:
    """Print a message, in one line; return the exit code."""
    typer.echo(f"{PROGRAM}: {printable(' '.join(message.split()))}", err=True)
    return code
