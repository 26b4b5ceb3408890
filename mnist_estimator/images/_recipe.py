"""prepare_digits: what MNIST's makers did to their scans, done to anybody's picture."""

import os

import numpy as np
from PIL import Image
from scipy import ndimage

from mnist_estimator.exceptions import ImageError
from mnist_estimator.images._ink import (
    LEAST_SMOOTHING,
    box_of,
    contrast_with_paper,
    find_digit,
)
from mnist_estimator.images._lines import without_lines
from mnist_estimator.images._reading import read_grey

IMAGE_SIDE = 28
BOX_SIDE = 20
# The digit is looked for in a picture of this many pixels a side, whatever its size was ...
_SEARCH_SIDE = 320
# ... and cut out of the picture with this many pixels along its longer side.
_CUT_SIDE = 100
# Half of MNIST's digits have strokes at least 2.5 pixels wide, and 95 % at most 4.1.
_THINNEST, _THICKEST = 2.4, 4.2


def prepare_digits(images):
    """Make of any pictures of single digits what MNIST's makers made of theirs.

    Grey levels are taken along the direction of colour in which ink and paper differ. Ink is
    told from paper under uneven light, whichever is darker; specks, ruled and squared lines,
    frames and shadows are left out. The digit is scaled into a box of 20×20 pixels with its
    proportions kept and its edges anti-aliased, strokes much thinner or bolder than MNIST's
    are brought to MNIST's width, and its centre of mass is put at the centre of 28×28 pixels.

    Parameters
    ----------
    images : str, path-like, binary file, PIL image, array or a list of these
        One picture of one digit, or several pictures. A picture's array is of shape (height,
        width) or (height, width, channels) with grey, grey and alpha, RGB or RGBA channels, and
        of any numeric dtype; an array of shape (n, height, width) or (n, height, width,
        channels) is n pictures. Pictures have at most 100,000,000 pixels, files at most
        64 MiB; of a format that takes much memory to decode there are fewer (of a PNG in colour
        30,000,000).

    Returns
    -------
    X : ndarray of uint8, shape (n, 784)
        Grey levels 0 (paper) to 255 (ink), row by row: what a pipeline trained on MNIST reads.

    Raises
    ------
    ImageError
        If a picture has no digit in it, or several; if a file is damaged, too large, animated,
        or no picture. The message says which picture it was.
    OSError
        If a file is not there or cannot be read.
    TypeError
        If something is no kind of picture.

    Notes
    -----
    Images that are MNIST's already (28×28 pixels, the digit in a box of 20×20 with its centre
    of mass at the centre), or their negatives, come back with their grey levels as they are.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998). "Gradient-based learning applied to
    document recognition." Proceedings of the IEEE 86(11), 2278-2324.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator import prepare_digits
    >>> page = np.full((480, 640), 200, dtype=np.uint8)  # light paper ...
    >>> page[100:300, 400:410] = 60  # ... and on it a thin, upright stroke
    >>> X = prepare_digits(page)
    >>> X.shape, X.dtype
    ((1, 784), dtype('uint8'))
    >>> np.flatnonzero(X.reshape(28, 28).any(axis=1))[[0, -1]]  # 20 pixels high
    array([ 4, 23])
    """
    pictures = _as_list(images)
    rows = np.zeros((len(pictures), IMAGE_SIDE * IMAGE_SIDE), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        try:
            rows[i] = _prepare(read_grey(picture)).ravel()
        except ImageError as error:
            raise ImageError(f"{_name(picture, i)}: {error}") from error.__cause__
    return rows


def _as_list(images):
    """Return the pictures one by one."""
    if hasattr(images, "__array__") and not isinstance(images, Image.Image):
        images = np.asarray(images)
        is_one = images.ndim < 3 or (images.ndim == 3 and images.shape[2] <= 4)
        return [images] if is_one else list(images)
    if isinstance(images, str | os.PathLike | Image.Image) or hasattr(images, "read"):
        return [images]
    try:
        return list(images)
    except TypeError:
        return [images]  # reading it says what is wrong with it


def _name(picture, i):
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    return str(getattr(picture, "filename", "") or getattr(picture, "name", "") or f"picture {i}")


def _prepare(grey):
    """Return a picture's digit as an image of 28×28 pixels."""
    low, high = grey.min(), grey.max()
    if low == high:
        height, width = grey.shape
        raise ImageError(f"no digit in it: all its {width} × {height} pixels are of one colour.")
    for image in (grey - low, high - grey):
        if _is_prepared(image):
            # Levels of 0 to 255 stay as they are; of other ranges the highest becomes 255.
            return np.rint(image * (1 if 1 < high - low <= 255 else 255 / max(1, high - low)))
    grey = (grey - low) / (high - low)
    digit = find_digit(_resized(grey, _SEARCH_SIDE / max(grey.shape)))
    return _drawn(_cut_out(grey, digit))


def _is_prepared(image):
    """Whether an image, ink light, is already as MNIST's."""
    if image.shape != (IMAGE_SIDE, IMAGE_SIDE):
        return False
    rows, columns = box_of(image > 0)
    centre = np.array(ndimage.center_of_mass(image))
    return (
        max(rows.stop - rows.start, columns.stop - columns.start) == BOX_SIDE
        and np.abs(centre - IMAGE_SIDE / 2).max() < 0.6
    )


def _resized(grey, scale, box=None):
    """Scale an image, or the part `box` (left, upper, right, lower) of it."""
    left, upper, right, lower = box or (0, 0, grey.shape[1], grey.shape[0])
    size = (max(1, round((right - left) * scale)), max(1, round((lower - upper) * scale)))
    # Of a one-pixel stroke a box filter would make a dashed one.
    filter_ = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(grey).resize(size, filter_, box=(left, upper, right, lower)))


def _cut_out(grey, digit):
    """Return the digit's strokes as a mask, from the picture in its full resolution.

    Parameters
    ----------
    grey : ndarray of float32, shape (height, width)
        The picture.
    digit : Digit
        What was found in it, scaled to `_SEARCH_SIDE`.

    Returns
    -------
    strokes : ndarray of bool
        About `_CUT_SIDE` pixels along the longer side, and a margin.
    """
    rows, columns = digit.box
    side = max(rows.stop - rows.start, columns.stop - columns.start)
    margin = 0.3 * side
    height, width = digit.strokes.shape
    found_box = np.array(
        [
            max(columns.start - margin, 0),
            max(rows.start - margin, 0),
            min(columns.stop + margin, width),
            min(rows.stop + margin, height),
        ]
    )
    scale = max(grey.shape) / max(height, width)
    limits = np.array([grey.shape[1], grey.shape[0]] * 2)
    part = _resized(grey, _CUT_SIDE / (side * scale), tuple(np.minimum(found_box * scale, limits)))

    def at_this_scale(mask):
        share = Image.fromarray(mask.astype(np.float32))
        size = part.shape[::-1]
        return np.asarray(share.resize(size, Image.Resampling.BILINEAR, tuple(found_box))) > 0.1

    # A faint digit was found in a picture that was smoothed more than others.
    smoothing = max(1, (digit.smoothing - LEAST_SMOOTHING) * _CUT_SIDE / side)
    dark = ndimage.gaussian_filter(part if digit.is_dark else -part, smoothing)
    contrast = contrast_with_paper(dark, max(3, round(digit.width * _CUT_SIDE / side)))
    on_line = at_this_scale(digit.lines > 0)
    if on_line.any():
        contrast = without_lines(
            contrast, np.where(on_line, np.percentile(contrast[on_line], 75), 0)
        )
    near = ndimage.binary_dilation(at_this_scale(digit.strokes), iterations=3)
    ink = contrast > 0.5 * _ink_strength(np.where(near, contrast, 0))
    # Where a line was taken off, a thin stroke that crosses it has a gap.
    ink |= ndimage.binary_closing(ink, iterations=4) & on_line
    labels, n_parts = ndimage.label(ink, np.ones((3, 3)))
    area = np.bincount(labels[ink], minlength=n_parts + 1)
    area_near = np.bincount(labels[ink & near], minlength=n_parts + 1)
    keep = (area_near > 0.5 * area) & (area > 0.02 * area.sum())
    # In the shade a faint stroke may not stand out at this scale as it did when it was found.
    return keep[labels] if keep.any() else at_this_scale(digit.strokes)


def _ink_strength(contrast):
    """Return how far ink stands out, pixel by pixel: a pen's pressure changes along a stroke."""
    typical = (contrast**2).sum() / max(contrast.sum(), 1e-9)
    # Weighted by the contrast itself, so that the paper between the strokes does not count.
    strength = ndimage.gaussian_filter(contrast**2, 15) + 0.05 * typical**2
    strength /= ndimage.gaussian_filter(contrast, 15) + 0.05 * typical + 1e-9
    return np.clip(strength, 0.5 * typical, 2 * typical)


def _drawn(strokes):
    """Draw the strokes as MNIST's makers did."""
    strokes = _with_mnist_width(strokes)
    strokes = strokes[box_of(strokes)]
    small = _resized(strokes.astype(np.float32), BOX_SIDE / max(strokes.shape))
    centre = ndimage.center_of_mass(small)
    place = tuple(
        slice(start, start + n)
        for n, start in (
            (n, int(np.clip(round(IMAGE_SIDE / 2 - c), 0, IMAGE_SIDE - n)))
            for n, c in zip(small.shape, centre, strict=True)
        )
    )
    image = np.zeros((IMAGE_SIDE, IMAGE_SIDE))
    image[place] = np.rint(small * (255 / small.max()))
    return image


def _with_mnist_width(strokes):
    """Make strokes bolder or thinner that in MNIST would be unusually thin or bold."""
    side = max(s.stop - s.start for s in box_of(strokes))
    pixel = side / BOX_SIDE
    strokes = np.pad(strokes, int(_THICKEST * pixel))
    depth = ndimage.distance_transform_edt(strokes)
    ridge = (depth > 0) & (depth == ndimage.maximum_filter(depth, 3))
    width = (2 * np.median(depth[ridge]) - 1) / pixel
    grow = (np.clip(width, _THINNEST, _THICKEST) - width) / 2 * pixel
    if grow > 0:
        return ndimage.distance_transform_edt(~strokes) <= grow
    thinner = depth > -grow
    return thinner if thinner.any() else strokes
