"""Prepared digits as a model takes them, and as a terminal shows them."""

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from mnist_estimator.runtime import OnnxModel

_SIDE = 28
_SHADES = " ░▒▓█"
# The small scans were made so (E. Alpaydin, C. Kaynak 1998): a bitmap of 32 × 32, the digit as
# high as it and narrower, and each pixel the number of inked ones among 4 × 4.
_BLOCK = 4
_FAINTEST_INK = 64
_WIDEST = 3 / 4


class PictureFitter:
    """Makes rows for one model out of images as `prepare_digits` gives them.

    Parameters
    ----------
    model : OnnxModel
        A model that takes images of any size.

    Raises
    ------
    ValueError
        If it takes no images.
    """

    def __init__(self, model: "OnnxModel") -> None:
        shape = model.input_shape
        side = math.isqrt(shape[0])
        if len(shape) == 1:
            shape = (side, side)
        if model.input_dtype is None or math.prod(shape) != model.n_features or shape[2:] > (1,):
            raise ValueError(
                f"The model takes {model.n_features} values that are not the pixels of a grey "
                "image; 'predict' reads pictures only."
            )
        self._height, self._width = shape[:2]
        self._row_shape, self._dtype = model.input_shape, model.input_dtype
        largest = model.metadata["input"].get("max")
        if largest is None:
            largest = 255 if self._dtype.kind in "ui" else 1
        self._largest = largest

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return one image as a batch of one row.

        Parameters
        ----------
        image : ndarray of uint8, shape (28, 28)
            Grey levels, 0 (paper) to 255 (ink).

        Returns
        -------
        rows : ndarray of shape (1, *input_shape)
            In the grey levels and the dtype that the model takes.
        """
        if (self._height, self._width) == (_SIDE, _SIDE):
            shares = image / np.float32(255)
        else:
            shares = _count_blocks(image, self._height, self._width)
        levels = shares * self._largest
        if self._dtype.kind in "ui":
            levels = np.rint(levels)
        return levels.astype(self._dtype).reshape(1, *self._row_shape)


def _count_blocks(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a digit as the shares of ink in the blocks of a bitmap that it fills."""
    inked_rows, inked_columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    digit = image[
        inked_rows[0] : inked_rows[-1] + 1, inked_columns[0] : inked_columns[-1] + 1
    ].astype(np.float32)
    tall, wide = height * _BLOCK, width * _BLOCK
    # Not less than a block wide, and never so wide that a one becomes a bar.
    fitted = round(tall * digit.shape[1] / digit.shape[0])
    fitted = max(min(_BLOCK, wide), min(int(wide * _WIDEST), fitted))
    scaled = Image.fromarray(digit).resize((fitted, tall), Image.Resampling.BILINEAR)
    bitmap = np.zeros((tall, wide), dtype=np.float32)
    left = (wide - fitted) // 2
    bitmap[:, left : left + fitted] = np.asarray(scaled) > _FAINTEST_INK
    return bitmap.reshape(height, _BLOCK, width, _BLOCK).mean(axis=(1, 3))


def draw(image: np.ndarray, console: Console) -> Text:
    """Return an image as text, two rows of pixels a line, light ink on dark paper.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width)
        Grey levels, 0 (paper) to 255 (ink); an even number of rows.
    console : rich.console.Console
        Where it will be shown: in grey levels, or in shades of characters where it has no colour.

    Returns
    -------
    picture : rich.text.Text
        height / 2 lines of `width` characters.
    """
    if console.no_color or console.color_system is None:
        means = image.reshape(-1, 2, image.shape[1]).mean(axis=1)
        shades = np.rint(means / 255 * (len(_SHADES) - 1)).astype(int)
        return Text("\n".join("".join(_SHADES[shade] for shade in line) for line in shades))
    picture = Text()
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            picture.append(
                "▀",
                Style(
                    color=f"rgb({above},{above},{above})", bgcolor=f"rgb({below},{below},{below})"
                ),
            )
        picture.append("\n")
    picture.rstrip()
    return picture
