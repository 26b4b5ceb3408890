"""How large a picture's file may be, so that a few bytes cannot ask for much memory or time."""

from mnist_estimator.exceptions import ImageError

MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 64 * 2**20
# What a decoder may hold at once.
_MAX_DECODED_BYTES = 120_000_000
# Bytes of a pixel in memory, by Pillow's mode; in all others they are four.
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
# How many copies of the picture Pillow's decoder of a format makes at the most.
_COPIES_OF_FORMAT = {"GIF": 2, "TIFF": 2, "WEBP": 4}
# Netpbm's formats that write the pixels as text, which Pillow reads at a few megabytes a second.
_PLAIN_NETPBM = (b"P1", b"P2", b"P3")
_MAX_PLAIN_BYTES = 4 * 2**20
# A progressive JPEG has about ten scans; each goes through the whole picture.
_MAX_JPEG_SCANS = 60


def check_decoding(image, full_size, data):
    """Refuse a picture whose decoding would take too much.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        The picture, opened and not loaded; a JPEG's with its `draft` made.
    full_size : tuple of int
        Width and height before the `draft`.
    data : bytes
        The file.

    Raises
    ------
    ImageError
        If it has too many pixels for its format.
    """
    check_n_pixels(*full_size, MAX_PIXELS)
    bytes_per_pixel = _BYTES_OF_MODE.get(image.mode, 4) * _COPIES_OF_FORMAT.get(image.format, 1)
    check_n_pixels(*image.size, _MAX_DECODED_BYTES // bytes_per_pixel)
    if data[:2] in _PLAIN_NETPBM and len(data) > _MAX_PLAIN_BYTES:
        raise ImageError("it has its pixels written out as text. Save it as PNG.")
    if image.format in ("JPEG", "MPO"):
        if data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
            raise ImageError("it has too many scans for a JPEG picture. Save it anew.")
        n_bands = len(image.getbands())
        # All coefficients, of two bytes each, are kept until the last scan, whatever the draft.
        if "progressive" in image.info or _n_bands_of_first_scan(data) < n_bands:
            check_n_pixels(*full_size, _MAX_DECODED_BYTES // (2 * n_bands))


def check_n_pixels(width, height, limit=MAX_PIXELS):
    """Refuse a picture of too many pixels.

    Parameters
    ----------
    width, height : int
        Its size.
    limit : int, default=100,000,000
        How many pixels it may have.

    Raises
    ------
    ImageError
        If it has more.
    """
    if width * height > limit:
        raise ImageError(too_large(f"{width:,} × {height:,}", min(limit, MAX_PIXELS)))


def too_large(n_pixels, limit=MAX_PIXELS):
    """Say that a picture has too many pixels.

    Parameters
    ----------
    n_pixels : str
        How many it has.
    limit : int, default=100,000,000
        How many it may have.

    Returns
    -------
    message : str
        What to tell the user.
    """
    return (
        f"it has {n_pixels} pixels; the limit is {limit:,} for such a file. Scale the picture down "
        "first."
    )


def _n_bands_of_first_scan(data):
    """Return how many bands of colour the first scan of a JPEG file has."""
    position = 2
    while position + 4 < len(data):
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # markers without a segment
            position += 2
        elif marker == 0xDA:
            return data[position + 4]
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0
