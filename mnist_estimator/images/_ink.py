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
# A stroke may lie on so much of the picture's edge; a table or a shadow on more.
_LONGEST_AT_THE_EDGE = 2 / 3
# Strokes as near as this share of the larger one's side belong together.
_REACH = 0.2
_SMALLEST_DIGIT = 0.035  # of the longer side
_NOISE_FACTOR = 5  # contrast below so many standard deviations of the noise is none
# Smoothings tried, as standard deviations in pixels, each with how much of a digit's edge is about
# as steep as all of it, and how much of all the edges in the picture it has, at the least. What is
# seen only in a picture smoothed more must be clearer.
LEAST_SMOOTHING = 0.8
_SMOOTHINGS = {LEAST_SMOOTHING: (0.5, 0.15), 2.0: (0.9, 0.4)}
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
    smoothing : float
        The standard deviation, in pixels, of the smoothing in which it was found.
    """

    strokes: np.ndarray
    is_dark: bool
    width: int
    lines: np.ndarray
    smoothing: float

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
    clear: np.ndarray  # share of the edge that is about as steep as all of it
    vague: np.ndarray  # share of the edge that is no edge in the picture
    score: np.ndarray


def box_of(mask):
    """Rows and columns that `mask` covers, as two slices."""
    return ndimage.find_objects(mask.view(np.uint8))[0]


def contrast_with_paper(dark, width):
    """How far every pixel stands out from the paper around it.

    The paper is what a closing by a square leaves: strokes narrower than the square are filled,
    shadows and their borders stay. Outside the picture the paper goes on as at its edge, from
    which strokes that run into it are left out.

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
    padded = _with_paper_around(_with_paper_around(dark, width).T, width).T
    paper = ndimage.grey_closing(padded, size=(width, width))[width:-width, width:-width]
    contrast = paper - dark
    # The brightest of many noisy pixels is brighter than the paper: take off what that adds.
    return np.maximum(contrast - np.median(contrast), 0)


def _with_paper_around(dark, width):
    """Add `width` rows above and below, as bright as the first and the last without strokes."""
    length = max(1, round(_LONGEST_AT_THE_EDGE * dark.shape[1]))
    edges = ndimage.grey_closing(dark[[0, -1]], size=(1, length), mode="nearest")
    return np.concatenate([np.repeat(edges[:1], width, 0), dark, np.repeat(edges[1:], width, 0)])


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
    noise = noise_level(grey)
    # More smoothing, in which a faint pen stands out from noise, blurs all other digits.
    for smoothing in _SMOOTHINGS if noise > 0 else (LEAST_SMOOTHING,):
        digit = _found(grey, smoothing, noise)
        if digit is not None:
            return digit
    raise ImageError("no digit in it: nothing stands out from the paper as one digit would.")


def _found(grey, smoothing, noise):
    """Return the digit found in a picture smoothed so far, or None."""
    # The first smoothing counts for nothing here: a picture's noise is seldom white.
    left = 1 if smoothing == LEAST_SMOOTHING else 1 / (2 * np.sqrt(np.pi) * smoothing)
    floor = _NOISE_FACTOR * left * noise
    smooth = ndimage.gaussian_filter(grey, smoothing) if floor > 0 else grey
    steepness = ndimage.gaussian_gradient_magnitude(grey, smoothing)
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
    digit = _sharpest(contrasts, steepness, floor, lines, usual, smoothing)
    # Looking for lines takes longer than all else, and paper's lines cross the picture.
    if digit is None or max(np.divide(_size(digit.box), grey.shape)) > 0.5:
        lines = {dark: crossing_lines(contrasts[dark, widths[-1]], floor) for dark in lines}
        if any(mask.any() for mask in lines.values()):
            contrasts = {
                key: without_lines(contrast, lines[key[0]]) for key, contrast in contrasts.items()
            }
            digit = _sharpest(contrasts, steepness, floor, lines, usual, smoothing) or (
                None if digit is None or _is_ruling(digit, lines[digit.is_dark]) else digit
            )
    return digit


def _is_ruling(digit, lines):
    """Whether what was found is the paper's lines, and not strokes that happen to cross it."""
    return (lines[digit.strokes] > 0).mean() > 0.5


def _sharpest(contrasts, steepness, floor, lines, usual, smoothing):
    """Return the digit with the steepest edges, or None where none are steeper than usual."""
    least_clear, least_share = _SMOOTHINGS[smoothing]
    best_score, best = 0.0, None
    for (is_dark, width), contrast in contrasts.items():
        for level in contrast.max() * _LEVELS:
            if level <= floor:
                break
            parts = _parts(contrast > level, steepness)
            for i in np.argsort(parts.score)[::-1]:
                if parts.score[i] <= best_score:
                    break
                if parts.clear[i] < least_clear or parts.vague[i] > 0.15:
                    continue
                if not _is_sheet(parts.labels[parts.boxes[i]] == i + 1, steepness.shape):
                    best_score, best = parts.score[i], (is_dark, width, level, parts, i)
                    break
    if best is None:
        return None
    is_dark, width, level, parts, i = best
    # A part among many of its kind is a pattern's, unless it is much sharper than the paper.
    share = parts.total[i] / parts.total.sum()
    if share < least_share or parts.mean[i] < (1.5 if share > 0.12 else 5) * usual:
        return None
    contrast = contrasts[is_dark, width]
    parts, i = _grown(contrast, level, steepness, parts, i)
    # Strokes that a faint one joins are one digit's.
    faint = max(floor, 0.25 * np.median(contrast[parts.labels == i + 1]))
    joined = ndimage.label(contrast > faint, _EIGHT_NEIGHBOURS)[0]
    return Digit(_whole_digit(parts, i, joined), is_dark, width, lines[is_dark], smoothing)


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
            score[i] *= max(0.0, 1 - _touching(labels, i + 1, box) / max(_size(box)))
    return _Parts(labels, boxes, total, mean, clear, vague, score)


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
    # No digit has more than three holes, and flaws of the pen some more.
    holes = ndimage.label(np.pad(~part, 1, constant_values=True))[0]
    if (np.bincount(holes.ravel())[1:] > 6).sum() > 10:
        return True
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
