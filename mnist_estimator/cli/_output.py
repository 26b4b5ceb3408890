"""What the commands print and write: consoles, foreign text, errors, files whole or not there."""

from pathlib import Path

from rich.console import Console


def make_console() -> Console:
    """Return the console for the results; the terminal's size and colours are looked up now.

    Returns
    -------
    console : rich.console.Console
        It writes to standard output, and takes square brackets for what they are.
    """
    return Console(highlight=False, markup=False, emoji=False)


def printable(text: object) -> str:
    """Return foreign text (a path, a label, metadata) without terminal control codes.

    Parameters
    ----------
    text : object
        Anything that has a string.

    Returns
    -------
    line : str
        One line of printable characters.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def describe_error(error: Exception) -> str:
    """Return an error's message; that of the operating system without its number.

    Parameters
    ----------
    error : Exception
        The error.

    Returns
    -------
    message : str
        What to tell the user.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def size_of(path: Path) -> str:
    """Return the size of a file in words.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    size : str
        For example "438 kB".
    """
    return f"{path.stat().st_size / 1000:,.0f} kB"
