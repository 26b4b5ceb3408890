"""Where the digit is: ink told from paper, and one digit's strokes from everything else.

A stroke is what a closing fills, and has steep edges all around it. Of all that stands out from
the paper, at any contrast and for dark as for light ink, the digit is what the steepest edges
enclose: shadows have soft ones, noise and specks short ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mnist_estimator.exceptions import ImageError
from mnist_estimator.images._lines import crossing_lines, without_lines

# Widths of strokes looked for, as shares of the picture's longer side. A wider stroke is not
# filled, a shadow narrower than that is.
_STROKE_WIDTHS = (1 / 16, 1 / 7, 1 / 3)
# Contrasts looked at, as shares of the highest, and how much lower each step of the growing goes.
_LEVELS = 0.62 ** np.arange(1, 8)
_GROWTH = 0.75 ** np.arange(1, 6)
# Strokes as near as this share of the larger one's side belong together.
_REACH = 0.2
_SMALLEST_DIGIT = 0.035  # of the longer side
_NOISE_FACTOR = 5  # contrast below so many standard deviations of the noise is none
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass
class Digit:
    """A digit found in a picture.

    Attributes
    ----------
    strokes : ndarray of bool, shape (height, width)
        Where its ink is.
    is_dark : bool
        Whether the ink is darker than the paper.
    width : int
        The side of the square that fills its strokes, in pixels.
    lines : ndarray of float32, shape (height, width)
        How far the paper's ruling stands out; 0 where there is none.
    """

    strokes: np.ndarray
    is_dark: bool
    width: int
    lines: np.ndarray

    @property
    def box(self):
        """Rows and columns of the strokes, as two slices."""
        return box_of(self.strokes)


@dataclass
class _Parts:
    """The connected parts of what stands out by some contrast, each with its edges."""

    labels: np.ndarray
    boxes: list
    total: np.ndarray  # steepness summed along the edge
    mean: np.ndarray
    vague: np.ndarray  # share of the edge that is no edge in the picture
    score: np.ndarray


def box_of(mask):
    """Rows and columns that `mask` covers, as two slices."""
    return ndimage.find_objects(mask.view(np.uint8))[0]


def contrast_with_paper(dark, width):
    """How far every pixel stands out from the paper around it.

    The paper is what a closing by a square leaves: strokes narrower than the square are filled,
    shadows and their borders stay. Outside the picture the paper goes on as at its edge.

    Parameters
    ----------
    dark : ndarray of float32, shape (height, width)
        Grey levels in which ink is darker than paper.
    width : int
        The side of the square, in pixels.

    Returns
    -------
    contrast : ndarray of float32, shape (height, width)
        0 for paper, more for ink, in units of `dark`.
    """
    padded = np.pad(dark, width, mode="edge")
    paper = ndimage.grey_closing(padded, size=(width, width))[width:-width, width:-width]
    contrast = paper - dark
    # The brightest of many noisy pixels is brighter than the paper: take off what that adds.
    return np.maximum(contrast - np.median(contrast), 0)


def noise_level(grey):
    """Return the noise's standard deviation (Immerkær 1996), by a median that edges don't move."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32) / 6
    return 1.4826 * float(np.median(np.abs(ndimage.convolve(grey, kernel))))


def find_digit(grey):
    """Find the one digit in a picture.

    Parameters
    ----------
    grey : ndarray of float32, shape (height, width)
        Grey levels.

    Returns
    -------
    digit : Digit
        Where it is.

    Raises
    ------
    ImageError
        If there is no digit, or more than one.
    """
    floor = _NOISE_FACTOR * noise_level(grey)
    smooth = ndimage.gaussian_filter(grey, 0.8) if floor > 0 else grey
    steepness = ndimage.gaussian_gradient_magnitude(grey, 0.8)
    # Slopes that noise and uneven light have everywhere count for nothing.
    usual = np.median(steepness)
    steepness = np.maximum(steepness - 3 * usual, 0)
    widths = [max(3, round(share * max(grey.shape))) for share in _STROKE_WIDTHS]
    contrasts = {
        (is_dark, width): contrast_with_paper(smooth if is_dark else -smooth, width)
        for is_dark in (True, False)
        for width in widths
    }
    lines = dict.fromkeys((True, False), np.zeros_like(grey))
    digit = _sharpest(contrasts, steepness, floor, lines, usual)
    # Looking for lines takes longer than all else, and paper's lines cross the picture.
    if digit is None or max(np.divide(_size(digit.box), grey.shape)) > 0.5:
        lines = {dark: crossing_lines(contrasts[dark, widths[-1]], floor) for dark in lines}
        if any(mask.any() for mask in lines.values()):
            contrasts = {
                key: without_lines(contrast, lines[key[0]]) for key, contrast in contrasts.items()
            }
            digit = _sharpest(contrasts, steepness, floor, lines, usual) or digit
    if digit is None:
        raise ImageError("no digit in it: nothing stands out from the paper.")
    return digit


def _sharpest(contrasts, steepness, floor, lines, usual):
    """Return the digit with the steepest edges, or None where none are steeper than usual."""
    best_score, best = 0.0, None
    for (is_dark, width), contrast in contrasts.items():
        for level in contrast.max() * _LEVELS:
            if level <= floor:
                break
            parts = _parts(contrast > level, steepness)
            for i in np.argsort(parts.score)[::-1]:
                if parts.score[i] <= best_score:
                    break
                if not _is_sheet(parts.labels[parts.boxes[i]] == i + 1, steepness.shape):
                    best_score, best = parts.score[i], (is_dark, width, level, parts, i)
                    break
    if best is None:
        return None
    is_dark, width, level, parts, i = best
    # A part among many of its kind is a pattern's, unless it is much sharper than the paper.
    share = parts.total[i] / parts.total.sum()
    if parts.mean[i] < (1.5 if share > 0.12 else 5) * usual:
        return None
    contrast = contrasts[is_dark, width]
    parts, i = _grown(contrast, level, steepness, parts, i)
    # Strokes that a faint one joins are one digit's.
    faint = max(floor, 0.25 * np.median(contrast[parts.labels == i + 1]))
    joined = ndimage.label(contrast > faint, _EIGHT_NEIGHBOURS)[0]
    return Digit(_whole_digit(parts, i, joined), is_dark, width, lines[is_dark])


def _parts(ink, steepness):
    """Return the connected parts of `ink` and how steep their edges are."""
    labels, n_parts = ndimage.label(ink, _EIGHT_NEIGHBOURS)
    around = ndimage.maximum_filter(labels, 3)
    edge = (around > 0) & ~ink
    owner, slope = around[edge] - 1, steepness[edge]
    length = np.maximum(np.bincount(owner, minlength=n_parts), 1)
    total = np.bincount(owner, slope, minlength=n_parts)
    mean = total / length
    clear = np.bincount(owner, slope > 0.5 * mean[owner], minlength=n_parts) / length
    vague = np.bincount(owner, slope < 0.15 * mean[owner], minlength=n_parts) / length
    score = total * mean * clear**4 * np.where(vague > 0.15, 0.1, 1)
    boxes = ndimage.find_objects(labels)
    shortest = max(3, round(_SMALLEST_DIGIT * max(ink.shape)))
    for i, box in enumerate(boxes):
        if max(_size(box)) < shortest:
            score[i] = 0
        else:
            score[i] *= max(0.0, 1 - 2 * _touching(labels, i + 1, box) / max(_size(box)))
    return _Parts(labels, boxes, total, mean, vague, score)


def _size(box):
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def _touching(labels, label, box):
    """Return how many pixels of a part lie on the picture's edge."""
    rows, columns = box
    part = labels[box] == label
    height, width = labels.shape
    return (
        (rows.start == 0) * part[0].sum()
        + (rows.stop == height) * part[-1].sum()
        + (columns.start == 0) * part[:, 0].sum()
        + (columns.stop == width) * part[:, -1].sum()
    )


def _is_sheet(part, shape):
    """Whether a part is no stroke but a surface: a blot, or the sheet that the digit is on."""
    height, width = part.shape
    depth = ndimage.distance_transform_edt(np.pad(part, 1))
    thickness = 4 * depth[depth > 0].mean() / max(height, width)
    if thickness > 0.45:
        return True
    if thickness < 0.2 or height * width < 0.15 * shape[0] * shape[1]:
        return False
    # Unlike a bold 0, a sheet of paper fills the smallest rectangle around it.
    y, x = np.nonzero(part)
    area = ndimage.binary_fill_holes(part).sum()
    angles = np.deg2rad(np.arange(0, 90, 3))
    extents = [
        np.ptp(x * np.cos(a) + y * np.sin(a)) * np.ptp(y * np.cos(a) - x * np.sin(a))
        for a in angles
    ]
    return area > 0.88 * min(extents)


def _grown(contrast, level, steepness, parts, i):
    """Lower the level as long as what is added has edges too: the faint ends of the strokes."""
    seed = np.argmax(parts.labels == i + 1)
    sharp, total = parts.mean[i], parts.total[i]
    for lower in level * _GROWTH:
        more = _parts(contrast > lower, steepness)
        j = more.labels.flat[seed] - 1
        if more.mean[j] < 0.5 * sharp or more.vague[j] > 0.15 or more.score[j] <= 0:
            break
        if more.total[j] > 1.03 * total:
            parts, i, total = more, j, more.total[j]
    return parts, i


def _whole_digit(parts, main, joined):
    """Join to the main part those that belong to it; several digits are an error."""
    box = parts.boxes[main]
    whole = joined.flat[np.argmax(parts.labels == main + 1)]
    members, n_others = [main + 1], 0
    for j, other in enumerate(parts.boxes):
        if j == main or parts.mean[j] < 0.4 * parts.mean[main]:
            continue
        size, tall = max(_size(other)), max(_size(box))
        apart, aside = np.divide(_gaps(box, other), max(size, tall))
        is_joined = joined.flat[np.argmax(parts.labels == j + 1)] == whole
        is_digit = (
            size > 0.6 * tall
            and _size(other)[1] < 2.5 * _size(other)[0]
            and parts.score[j] > 0.1 * parts.score[main]
        )
        is_speck = size < 0.08 * tall or parts.total[j] < 0.05 * parts.total[main]
        if is_joined and size > 0.3 * tall:
            members.append(j + 1)
        elif is_digit and not is_joined and (apart > _REACH or aside > 0.4 * _REACH):
            n_others += 1
        elif max(apart, aside) <= _REACH and not is_speck and size < 3 * tall:
            members.append(j + 1)
    if n_others:
        raise ImageError(
            f"there seem to be {n_others + 1} digits in it; this reads one. Cut out the one meant."
        )
    strokes = np.isin(parts.labels, members)
    height, width = _size(box_of(strokes))
    if width > 2.5 * height:
        raise ImageError(
            f"no single digit in it: what stands out is {width / height:.1f} times as wide as it "
            "is high. This reads one upright digit."
        )
    return strokes


def _gaps(a, b):
    """Return the vertical and the horizontal distance between two boxes, negative for overlap."""
    return [max(p.start - q.stop, q.start - p.stop) for p, q in zip(a, b, strict=True)]
