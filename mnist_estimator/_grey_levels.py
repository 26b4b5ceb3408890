"""Pixels on their way from a `PixelScaler` to the network behind it."""

import numpy as np

# The grey levels of an 8-bit image run from 0 to 255.
UINT8_MAX = 255.0


class GreyLevels(np.ndarray):
    """Images of uint8, to be divided by 255 by whoever computes with them.

    As float32 they take four times the memory, which a fit would fill before it begins.
    `PixelPipeline.fit` marks its images so, a `PixelScaler` passes them on as rows, and the graphs
    of `KerasMLPClassifier` scale each batch of them.
    """
