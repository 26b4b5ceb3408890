"""A grid of captioned images on one Axes."""

import math

import numpy as np

from mnist_estimator.displays._style import WRONG, axes_or_new

TILE_INCHES = 1.15
LINE_HEIGHT = 0.15  # of a caption's line, in widths of a tile
GAP = 0.06  # between an image and its tile's border, in widths of a tile


def draw_tiles(images, captions, *, marked, title, ax=None, n_cols=None, cmap="gray_r"):
    """Draw images in rows, each with its caption below.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        Grey levels; NaN, a missing pixel, is drawn in colour.
    captions : list of str
        One an image, of equally many lines; "" for none.
    marked : ndarray of bool, shape (n_images,)
        Which images get a frame and a coloured caption.
    title : str
        The title of the axes.
    ax : matplotlib Axes, default=None
        Where to draw; a new figure where None.
    n_cols : int, default=None
        Images in a row; where None, as many as look best.
    cmap : str or matplotlib Colormap, default="gray_r"
        The colours of the grey levels; the default draws ink dark on paper.

    Returns
    -------
    ax : matplotlib Axes
        The axes drawn on.
    """
    n_images = len(images)
    lines = [line for caption in captions for line in caption.split("\n")]
    tile_height = 1 + LINE_HEIGHT * max(caption.count("\n") + bool(caption) for caption in captions)
    if n_cols is None:
        n_cols = _columns(n_images, tile_height, ax)
    n_rows = math.ceil(n_images / n_cols)
    height = n_rows * tile_height
    ax = axes_or_new(ax, (max(n_cols * TILE_INCHES, 4), height * TILE_INCHES + 0.3))

    import matplotlib as mpl

    cmap = mpl.colormaps.get_cmap(cmap).with_extremes(bad="#F0E442")
    fontsize = _fontsize(ax, n_cols, height, max(map(len, lines)))
    # One scale for all of them: a faint digit looks faint. An all-missing set has none.
    largest = np.nanmax(images, initial=0) or 1
    aspect = images.shape[1] / images.shape[2]
    for tile, (image, caption, mark) in enumerate(zip(images, captions, marked, strict=True)):
        left, top = tile % n_cols, tile // n_cols * tile_height
        width = (1 - 2 * GAP) / max(aspect, 1)
        x, y = left + (1 - width) / 2, top + (1 - width * aspect) / 2
        ax.imshow(
            image,
            extent=(x, x + width, y + width * aspect, y),
            cmap=cmap,
            vmin=0,
            vmax=largest,
            interpolation="nearest",
        )
        frame = {"edgecolor": WRONG, "linewidth": 2} if mark else {"edgecolor": "0.7"}
        ax.add_patch(mpl.patches.Rectangle((x, y), width, width * aspect, fill=False, **frame))
        emphasis = {"color": WRONG, "fontweight": "bold"} if mark else {}
        ax.text(left + 0.5, top + 1, caption, ha="center", va="top", fontsize=fontsize, **emphasis)
    ax.set(xlim=(0, n_cols), ylim=(height, 0), aspect="equal", title=title)
    ax.set_axis_off()
    return ax


def _columns(n_images, tile_height, ax):
    """Return how many tiles in a row are largest on `ax`, or look well in a figure of their own."""
    if ax is None:
        return min(n_images, max(5, math.ceil(math.sqrt(n_images))))
    extent = ax.get_window_extent()

    def tile_size(n_cols):
        return min(
            extent.width / n_cols, extent.height / math.ceil(n_images / n_cols) / tile_height
        )

    return max(range(1, n_images + 1), key=tile_size)


def _fontsize(ax, width, height, n_letters):
    """Return the size in points at which the longest of the captions' lines fits its tile."""
    extent = ax.get_window_extent()
    tile_points = min(extent.width / width, extent.height / height) * 72 / ax.figure.dpi
    # A letter is about 0.6 of its size wide.
    return tile_points * min(LINE_HEIGHT / 1.25, 0.95 / (0.6 * max(n_letters, 1)))
