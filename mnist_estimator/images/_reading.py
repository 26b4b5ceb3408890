"""Pictures of any kind become grey float32 arrays; what is no picture becomes a clear error."""

import os
import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from mnist_estimator.exceptions import ImageError
from mnist_estimator.images._limits import (
    MAX_FILE_BYTES,
    check_decoding,
    check_n_pixels,
    too_large,
)

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM")
# JPEG files are decoded at a fraction of their size as long as this many pixels a side remain.
_ENOUGH_PIXELS_A_SIDE = 1280
_STRIPE_PIXELS = 4_000_000
_ORIENTATION = 0x0112  # in EXIF
# What brings a picture of each orientation upright (Exif 2.32, 4.6.4).
_UPRIGHT = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
# What Pillow's readers raise: of Python's errors nearly all, and those of its C libraries.
_DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError),
    *(ValueError, struct.error, zlib.error),
)
_EXPECTED = (
    "expected a path or an open binary file of a PNG, JPEG, TIFF, BMP, GIF or WebP picture, a PIL "
    "image, or an array of shape (height, width) or (height, width, channels)"
)
_LOOKS_LIKE = {
    b"%PDF": "a PDF document: save the page as PNG or JPEG",
    b"<svg": "an SVG drawing: save it as PNG",
    b"PK\x03\x04": "a ZIP archive: unpack it and give the pictures inside",
    b"ftyphei": "a HEIC photograph: save it as JPEG",
    b"ftypmif": "a HEIC photograph: save it as JPEG",
}


def read_grey(source):
    """Read one picture as grey levels.

    Parameters
    ----------
    source : str, path-like, binary file, PIL image or ndarray
        The picture.

    Returns
    -------
    grey : ndarray of float32, shape (height, width)
        Grey levels, of any range; the order from dark to light is the picture's.

    Raises
    ------
    ImageError
        If there is no picture in it, or one that cannot be taken for a single digit's.
    TypeError
        If `source` is no kind of picture.
    """
    if isinstance(source, Image.Image):
        return _grey_of_pil(source)
    if isinstance(source, str | os.PathLike):
        return _read_file(source)
    if hasattr(source, "read"):
        return _read_stream(source)
    if hasattr(source, "__array__"):
        return _grey_of_array(np.asarray(source))
    raise TypeError(f"Got {type(source).__name__!r} for a picture; {_EXPECTED}.")


def _read_file(path):
    if os.path.isdir(path):  # noqa: PTH112  (path-like need not be pathlib)
        raise ImageError("this is a folder; give the picture files in it.")
    with open(path, "rb") as stream:  # noqa: PTH123
        return _read_stream(stream)


def _read_stream(stream):
    data = stream.read(MAX_FILE_BYTES + 1)
    if not isinstance(data, bytes):
        raise TypeError("Got a file opened as text; open it in binary mode ('rb').")
    if not data:
        raise ImageError("the file is empty.")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(
            f"the file has more than {MAX_FILE_BYTES >> 20} MiB. Scale the picture down first."
        )
    with warnings.catch_warnings():
        # Limits of our own take the place of Pillow's, and errors that of its doubts.
        warnings.simplefilter("ignore")
        with _open(data) as image:
            return _grey_of_pil(image)


def _open(data):
    """Return the picture in a file's bytes, not yet decoded."""
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
        full_size = image.size
        image.draft(None, (_ENOUGH_PIXELS_A_SIDE, _ENOUGH_PIXELS_A_SIDE))
    except UnidentifiedImageError as error:
        head = data[:1024].lower()
        for mark, what in _LOOKS_LIKE.items():
            if mark.lower() in head:
                raise ImageError(f"this is {what}.") from error
        raise ImageError(
            f"no known picture format, whatever its name says; {_EXPECTED}."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(too_large(f"more than {2 * Image.MAX_IMAGE_PIXELS:,}")) from error
    except _DAMAGE as error:
        raise _damaged(error) from error
    check_decoding(image, full_size, data)
    return image


def _damaged(error):
    return ImageError(f"the file is damaged or cut short ({error}).")


def _grey_of_pil(image):
    """Grey levels of a PIL image of any mode, upright."""
    check_n_pixels(*image.size)
    try:
        # A phone's MPO file is one photograph and its previews.
        is_film = getattr(image, "is_animated", False) and image.format != "MPO"
        if not is_film:
            image.draft(None, (_ENOUGH_PIXELS_A_SIDE, _ENOUGH_PIXELS_A_SIDE))
            image.load()
            orientation = image.getexif().get(_ORIENTATION)
    except _DAMAGE as error:
        raise _damaged(error) from error
    if is_film:
        raise ImageError("it has several frames or pages; save the one that shows the digit.")
    width, height = image.size
    factor = max(1, max(width, height) // _ENOUGH_PIXELS_A_SIDE)
    # A stripe at a time, because converting makes copies.
    n_rows = factor * max(1, _STRIPE_PIXELS // (width * factor))
    pixels = np.concatenate(
        [
            _reduced(image.crop((0, top, width, min(top + n_rows, height))), factor)
            for top in range(0, height, n_rows)
        ]
    )
    return _grey_of_array(_UPRIGHT.get(orientation, lambda a: a)(pixels))


def _reduced(image, factor):
    """Return the pixels of a PIL image of any mode as an array, scaled down by a whole factor."""
    if image.mode[0] in "IF":
        image = Image.fromarray(np.asarray(image).astype(np.float32))
    elif image.mode not in ("L", "RGB") or image.has_transparency_data:
        target = "RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB"
        image = image.convert(target)
    return np.asarray(image if factor == 1 else image.reduce(factor))


def _grey_of_array(pixels):
    """Grey levels of an array of shape (height, width) or (height, width, channels)."""
    if pixels.dtype.kind not in "buif":
        raise TypeError(f"Got an array of dtype {pixels.dtype}; expected grey levels as numbers.")
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ImageError(
            f"an array of shape {pixels.shape} is no picture; expected (height, width) or (height, "
            "width, channels) with 1 to 4 channels: grey, grey and alpha, RGB or RGBA."
        )
    height, width, n_channels = pixels.shape
    check_n_pixels(width, height)
    if pixels.size == 0:
        raise ImageError(f"an array of shape {pixels.shape} has no pixels.")
    levels = pixels.astype(np.float32)
    if not np.isfinite(levels).all():
        raise ImageError("it has missing (NaN) or infinite pixels; fill them in first.")
    if n_channels in (2, 4):
        colour, alpha = levels[..., :-1], levels[..., -1]
        levels = _composite(colour, alpha / max(alpha.max(), 1e-9), alpha.max() <= 0)
    return _strongest_axis(levels)


def _composite(colour, alpha, invisible):
    """Put a transparent picture on the paper it was drawn for.

    That is white for dark strokes and black for light ones; a transparent margin around a
    photograph, which has paper of its own, takes the photograph's.
    """
    if invisible:
        raise ImageError("no digit in it: every pixel is transparent.")
    visible = colour[alpha > 0.5]
    levels = visible.mean(axis=1)
    low, middle, high = np.percentile(levels, [2, 50, 98])
    white = max(colour.max(), 1e-9)
    if high - low > 0.25 * white and len(visible) > 0.5 * alpha.size:
        paper = np.median(visible, axis=0)
    else:
        paper = white if middle < 0.5 * white else 0.0
    alpha = alpha[..., np.newaxis]
    return colour * alpha + paper * (1 - alpha)


def _strongest_axis(colour):
    """Reduce colours to grey along the direction in which they differ most from their paper.

    Luminance would lose a red pen on green paper, and half of a blue pen on white.
    """
    if colour.shape[2] == 1:
        return colour[..., 0]
    step = max(1, max(colour.shape[:2]) // 256)
    coarse = colour[::step, ::step]
    around = max(coarse.shape[:2]) // 4 + 1
    difference = coarse - ndimage.uniform_filter(coarse, (around, around, 1))
    difference = difference.reshape(-1, colour.shape[2])
    # Fourth powers of the distance: the few pixels of ink outweigh the many of noise.
    weighted = difference * (difference**2).sum(axis=1, keepdims=True)
    axis = np.linalg.eigh(weighted.T @ weighted)[1][:, -1]
    # So that a picture in grey keeps its levels.
    axis = axis / np.abs(axis).sum()
    return colour @ (axis if axis.sum() >= 0 else -axis)
