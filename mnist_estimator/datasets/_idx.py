"""The IDX format: unsigned bytes behind a header that says their shape.

The header is two zero bytes, the code of the value type, the number of axes, and then the length
of each axis as a big-endian 32-bit integer. Nothing in it is believed before it has been compared
with the bytes that follow.
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from mnist_estimator._aligned import aligned_empty

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
# What gzip may add to data that it cannot make smaller.
GZIP_OVERHEAD = 4096
_UNSIGNED_BYTE = 0x08


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return what a file holds, decompressed where it is gzip, without ever reading further.

    Parameters
    ----------
    path : Path
        The file. Its first bytes, not its name, tell whether it is gzip: browsers and servers
        decompress files on the way and keep the ``.gz``.
    max_bytes : int
        The most bytes that the decompressed file may have.

    Returns
    -------
    content : bytes
        At most `max_bytes` bytes.

    Raises
    ------
    ValueError
        If the gzip stream is damaged, truncated or followed by something, or the file holds more
        than `max_bytes` bytes.
    """
    with path.open("rb") as file:
        is_gzip = file.peek(2)[:2] == _GZIP_MAGIC
        content = file.read(max_bytes + GZIP_OVERHEAD + 1)
    if is_gzip:
        # zlib itself, because the standard library's gzip goes through headers a byte at a time
        # and through any number of empty streams: seconds for a file of a few megabytes.
        stream = zlib.decompressobj(_GZIP_FORMAT)
        try:
            content = stream.decompress(content, max_bytes + 1)
        except zlib.error as error:
            raise ValueError(f"its gzip stream is damaged ({error})") from error
        if len(content) <= max_bytes and not stream.eof:
            raise ValueError("its gzip stream is cut short")
        if stream.unused_data.strip(b"\0"):
            raise ValueError("something follows its gzip stream")
    if len(content) > max_bytes:
        raise ValueError(f"it holds more than the {max_bytes:,} bytes expected")
    return content


def parse_idx(content: bytes) -> np.ndarray:
    """Return the labels or images of an IDX file.

    Parameters
    ----------
    content : bytes
        The whole file, decompressed.

    Returns
    -------
    values : ndarray of uint8, shape (n_samples,) or (n_samples, height, width)
        Labels or grey levels 0–255, in memory of their own.

    Raises
    ------
    ValueError
        If the bytes are not IDX labels or images, or not as many as the header says.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"it does not start with an IDX header but with {content[:8]!r}")
    type_code, n_axes = content[2], content[3]
    if type_code != _UNSIGNED_BYTE or n_axes not in (1, 3):
        raise ValueError(
            f"its IDX header says {n_axes} axes of value type 0x{type_code:02x}; expected labels "
            f"(1 axis) or images (3 axes) of type 0x{_UNSIGNED_BYTE:02x}, unsigned bytes"
        )
    header_size = 4 + 4 * n_axes
    if len(content) < header_size:
        raise ValueError(f"it ends after {len(content)} bytes, within its IDX header")
    shape = struct.unpack(f">{n_axes}I", content[4:header_size])
    n_promised, n_found = math.prod(shape), len(content) - header_size
    if n_promised != n_found or n_found == 0:
        sizes = " × ".join(f"{size:,}" for size in shape)
        raise ValueError(
            f"its IDX header promises {sizes} = {n_promised:,} bytes, and {n_found:,} follow"
        )
    values = aligned_empty(shape, np.uint8)  # which a fit takes without a copy
    values[...] = np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)
    return values
