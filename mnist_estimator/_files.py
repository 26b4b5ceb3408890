"""Files that appear whole or not at all."""

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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

    Raises
    ------
    OSError
        If it cannot be written; the error names `path`.
    """
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if error.filename == str(unfinished) or error.errno in _NO_ROOM:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        unfinished.unlink(missing_ok=True)
