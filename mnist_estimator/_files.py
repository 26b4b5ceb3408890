"""Files that appear whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary file that becomes `path` if the block ends well, and vanishes if not.

    Parameters
    ----------
    path : Path
        The file that shall be there in the end.

    Yields
    ------
    unfinished : Path
        The file to write, in the same folder. A reader of `path` sees the old file or the new.
    """
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
