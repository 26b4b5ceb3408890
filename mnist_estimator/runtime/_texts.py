"""Long texts in a model file, and the short ones that stand for them while it runs.

onnxruntime's bound on memory counts 32 bytes for a text. Up to 15 letters lie in these; the others
lie elsewhere, are not counted, and a graph of a few nodes copies a text a million times. So the
session is given a copy of the file in which every long text is a short one. No text is computed
with, only compared and copied, so that changes nothing else.
"""

from collections.abc import Iterable

import numpy as np

# What std::string keeps in itself, without allocating.
MAX_COUNTED_BYTES = 15

# Takes up the room that is left, which keeps all lengths around it as they are: field 1000, which
# no message of ONNX has and every reader passes over, of so many bytes.
_FILLER_TAG = bytes([1000 << 3 & 0x7F | 0x82, 1000 >> 4])


class LongTexts:
    """The long texts of a file.

    Parameters
    ----------
    content : bytes
        The file.
    places : iterable of (int, int)
        Where each text starts in it, and how many bytes it has: at least 16, at most 255.

    Attributes
    ----------
    content : bytes
        The file with short texts for them; itself where there are none.

    Raises
    ------
    ValueError
        If a text is not UTF-8, or its length is not written as protobuf writes it.
    """

    def __init__(self, content: bytes, places: Iterable[tuple[int, int]]) -> None:
        self.content = content
        self._short: dict[str, str] = {}
        places = list(places)
        if not places:
            return
        shortened = bytearray(content)
        for start, length in places:
            head = bytes([length] if length < 0x80 else [length & 0x7F | 0x80, length >> 7])
            first = start - len(head)
            if content[first:start] != head:
                raise ValueError("it is not an ONNX model")
            try:
                text = content[start : start + length].decode()
            except UnicodeDecodeError:
                raise ValueError("it holds a text that is not UTF-8") from None
            short = self._short.setdefault(text, f"\x01{len(self._short)}")
            value = short.encode()
            n_left = len(head) + length - 1 - len(value) - len(_FILLER_TAG) - 2
            filler = _FILLER_TAG + bytes([n_left & 0x7F | 0x80, n_left >> 7]) + bytes(n_left)
            shortened[first : start + length] = bytes([len(value)]) + value + filler
        self.content = bytes(shortened)
        self._long = {short: text for text, short in self._short.items()}

    def shorten(self, texts: np.ndarray) -> np.ndarray:
        """Return texts as the session knows them.

        Parameters
        ----------
        texts : ndarray of object
            Texts of a user.

        Returns
        -------
        known : ndarray of object, of the same shape
            The same with the short ones for the file's long ones.
        """
        return _replaced(texts, self._short) if self._short else texts

    def restore(self, texts: np.ndarray) -> np.ndarray:
        """Return texts that come from the session as the file has them.

        Parameters
        ----------
        texts : ndarray
            An output of the session; numbers stay as they are.

        Returns
        -------
        restored : ndarray, of the same shape
            The same with the file's long texts.
        """
        return _replaced(texts, self._long) if self._short and texts.dtype == object else texts


def _replaced(texts: np.ndarray, by: dict[str, str]) -> np.ndarray:
    replaced = np.empty(texts.shape, object)
    replaced.ravel()[:] = [by.get(text, text) for text in texts.ravel()]
    return replaced
