"""The lines of ruled and squared paper, and frames: found, and taken off the ink."""

import numpy as np
from scipy import ndimage

_SHORTEST_LINE = 0.3  # of the picture's side
_ANGLES = np.deg2rad(np.arange(-15, 15.1, 1.5))
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def crossing_lines(contrast, floor):
    """Find straight lines, nearly level or upright, that cross the picture.

    Two in the same direction at the least: a single one may be a stroke of the digit.

    Parameters
    ----------
    contrast : ndarray of float32, shape (height, width)
        How far every pixel stands out from the paper.
    floor : float
        What noise reaches, in the same units.

    Returns
    -------
    lines : ndarray of float32, shape (height, width)
        How far the lines stand out; 0 where there is none.
    """
    parts = ndimage.label(contrast > max(floor, 0.05 * contrast.max()), _EIGHT_NEIGHBOURS)[0]
    spans = [
        np.divide([s.stop - s.start for s in box], parts.shape).max()
        for box in ndimage.find_objects(parts)
    ]
    if max(spans, default=0) < 0.8:
        return np.zeros_like(contrast)  # nothing crosses; looking for lines takes long
    level = _level_lines(contrast, floor)
    upright = _level_lines(np.ascontiguousarray(contrast.T), floor).T
    return ndimage.maximum_filter(np.maximum(level, upright), 3)


def without_lines(contrast, lines):
    """Take the contrast that lines have off where they are; strokes stand out above it.

    Parameters
    ----------
    contrast : ndarray of float32, shape (height, width)
        How far every pixel stands out from the paper.
    lines : ndarray of float32, shape (height, width)
        How far the lines do; 0 where there is none.

    Returns
    -------
    contrast : ndarray of float32, shape (height, width)
        The same for a picture on plain paper.
    """
    rest = contrast - lines
    return np.where(rest > 0.3 * lines, rest, 0)


def _level_lines(contrast, floor):
    """Return the contrast of lines within 15° of the level that cross from side to side."""
    height, width = contrast.shape
    length = max(3, round(_SHORTEST_LINE * width))
    # One pixel thicker on both sides, so that a line between two of the angles counts as straight.
    thickened = ndimage.maximum_filter1d(contrast, 3, axis=0)
    straight = np.zeros_like(contrast)
    columns = np.arange(width)
    rows = np.arange(height)[:, np.newaxis]
    for slope in np.tan(_ANGLES):
        drop = np.round(slope * (columns - width / 2)).astype(int)
        pad = np.abs(drop).max()
        # Shear the picture so that such lines lie along a row. Beyond its edges they go on.
        source = np.arange(-pad, height + pad)[:, np.newaxis] + drop
        inside = (source >= 0) & (source < height)
        sheared = np.where(inside, thickened[np.clip(source, 0, height - 1), columns], np.inf)
        opened = ndimage.minimum_filter1d(sheared, length, axis=1, mode="nearest")
        opened[np.isinf(opened)] = 0
        opened = ndimage.maximum_filter1d(opened, length, axis=1, mode="nearest")
        np.maximum(straight, opened[rows - drop + pad, columns], out=straight)
    straight = np.minimum(straight, contrast)
    strong = straight > max(floor, 0.1 * straight.max())
    labels, n_lines = ndimage.label(
        ndimage.binary_dilation(strong, _EIGHT_NEIGHBOURS), _EIGHT_NEIGHBOURS
    )
    near = 0.02 * max(contrast.shape) + 2
    crosses = np.zeros(n_lines + 1, dtype=bool)
    for label, (r, c) in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[r, c] == label
        left, right = (r.start + np.flatnonzero(part[:, end]).mean() for end in (0, -1))
        crosses[label] = c.stop - c.start >= 0.8 * width or (
            min(c.start, left, height - left) <= near
            and min(width - c.stop, right, height - right) <= near
        )
    if crosses.sum() < 2:
        return np.zeros_like(contrast)
    # What is thick is a bold stroke across the line, or a shadow.
    thick = ndimage.binary_opening(strong, np.ones((7, 7), dtype=bool))
    return np.where(crosses[labels] & strong & ~thick, straight, 0)
