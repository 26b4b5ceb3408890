"""Arrays that TensorFlow can use where they lie."""

import numpy as np

# TensorFlow's kernels load whole vector registers, and copy an array that does not start on such
# a boundary; NumPy promises 16 bytes only.
ALIGNMENT = 64


def aligned_empty(shape, dtype=np.float32):
    """Return an uninitialised array that starts on a 64-byte boundary.

    Parameters
    ----------
    shape : tuple of int
        The array's shape.
    dtype : dtype, default=float32
        The array's dtype.

    Returns
    -------
    array : ndarray
        C-contiguous and writeable.
    """
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + n_bytes].view(dtype).reshape(shape)
