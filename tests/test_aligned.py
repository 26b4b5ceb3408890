"""Arrays on TensorFlow's boundary, of any shape and dtype."""

import numpy as np
import pytest

from mnist_estimator._aligned import ALIGNMENT, aligned_empty


@pytest.mark.parametrize("shape", [(1,), (7, 13), (2, 3, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.float64, np.uint8])
def test_arrays_start_on_the_boundary(shape, dtype):
    array = aligned_empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.flags.c_contiguous
    array[...] = 1  # writeable
    assert array.sum() == array.size
