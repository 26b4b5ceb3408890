"""The files of the page, with a model that it can run."""

import json
import math
import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from mnist_estimator.runtime import OnnxModel

_N_PIXELS = 28 * 28
_N_CLASSES = 10


def page_files(model: str | os.PathLike[str], *, offline: bool = False) -> dict[str, bytes]:
    """Return the page with a model, without the WebAssembly runtime that runs it.

    Parameters
    ----------
    model : str or path-like
        A model file of ten classes that takes images of 28×28 pixels, uint8, as `save_onnx` writes
        it.
    offline : bool, default=False
        Whether the browser shall keep the page, so that it opens without its server too.

    Returns
    -------
    files : dict of str to bytes
        The content of each file; together with those of `load_web_runtime` they are a whole site.

    Raises
    ------
    ModelFileError
        If the model is none that this package wrote, or is damaged.
    ValueError
        If it does not take digits' images, or tells other than ten classes apart.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from mnist_estimator import PixelScaler, save_onnx
    >>> from mnist_estimator.playground import page_files
    >>> X = np.random.default_rng(0).integers(0, 256, (50, 784), dtype=np.uint8)
    >>> pipe = make_pipeline(PixelScaler(), LogisticRegression()).fit(X, np.arange(50) % 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = Path(folder) / "digits.onnx"
    ...     report = save_onnx(pipe, model, X)
    ...     files = page_files(model)
    >>> sorted(files)[:4]
    ['icon.svg', 'image.js', 'index.html', 'main.js']
    """
    opened = OnnxModel(model)
    if opened.input_dtype != np.uint8 or math.prod(opened.input_shape) != _N_PIXELS:
        rows = "columns" if opened.input_dtype is None else f"values of {opened.input_dtype}"
        raise ValueError(
            f"{os.fspath(model)} takes {opened.n_features} {rows}; the playground draws images of "
            "28 × 28 pixels (uint8). Train one with 'mnist-estimator train'."
        )
    if len(opened.classes) != _N_CLASSES:
        raise ValueError(
            f"{os.fspath(model)} tells {len(opened.classes)} classes apart; the playground is for "
            "the ten digits."
        )
    found = {entry.name: entry.read_bytes() for entry in (files(__package__) / "page").iterdir()}
    found["model.onnx"] = Path(model).read_bytes()
    description = {
        "name": Path(model).name,
        "classes": [str(label) for label in opened.classes],
        "shape": opened.input_shape,
        "max": opened.metadata["input"].get("max") or 255,
        "offline": offline,
    }
    found["page.json"] = json.dumps(description).encode()
    return found
