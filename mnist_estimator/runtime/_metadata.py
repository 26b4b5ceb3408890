"""What a model file says of itself, read as data of a stranger."""

import json
from typing import Any

import numpy as np

# The JSON type that each entry must have. Entries of other names are passed over.
_TYPES: dict[str, type] = {
    "classes": list,
    "classes_dtype": str,
    "input": dict,
    "versions": dict,
    "training": dict,
    "parameters": dict,
    "licence": str,
    "quantization": str,
}
_REQUIRED = ("classes", "classes_dtype", "input")

# dtype of the classes → the JSON type that each of them must have.
_CLASS_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "bool": bool,
    **dict.fromkeys(("float32", "float64"), (int, float)),
    **{f"{sign}int{bits}": int for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def parse_metadata(entries: dict[str, bytes]) -> dict[str, Any]:
    """Return the file's metadata as Python objects.

    Parameters
    ----------
    entries : dict of str to bytes
        The `metadata_props` of the file; each value JSON in UTF-8.

    Returns
    -------
    metadata : dict
        Those entries that this package knows, each of the type that it must have.

    Raises
    ------
    ValueError
        If an entry is missing, not JSON, or of another type.
    """
    metadata = {}
    for key, expected in _TYPES.items():
        if key not in entries:
            if key in _REQUIRED:
                raise ValueError(f"its metadata has no {key!r}")
            continue
        try:
            value = json.loads(entries[key])
        except (ValueError, RecursionError):
            raise ValueError(f"its metadata {key!r} is not JSON") from None
        if type(value) is not expected:
            raise ValueError(f"its metadata {key!r} is not a {expected.__name__}")
        metadata[key] = value
    return metadata


def parse_classes(metadata: dict[str, Any]) -> np.ndarray:
    """Return the classes in the dtype that the exported estimator had them in.

    Parameters
    ----------
    metadata : dict
        As `parse_metadata` returns it.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes.

    Raises
    ------
    ValueError
        If there are none, they occur twice, or they are not of their dtype.
    """
    classes, dtype = metadata["classes"], metadata["classes_dtype"]
    expected = _CLASS_TYPES.get(dtype)
    if expected is None:
        raise ValueError(f"its classes are of the dtype {dtype[:40]!r}")
    # bool is a subclass of int, and True no class among integers.
    are_right = all(
        isinstance(label, expected) and isinstance(label, bool) == (dtype == "bool")
        for label in classes
    )
    if not classes or not are_right or len(set(classes)) != len(classes):
        raise ValueError(f"its classes are not distinct values of the dtype {dtype}")
    try:
        array = np.array(classes).astype(dtype)
    except OverflowError:
        array = np.array([])
    if array.tolist() != classes:
        raise ValueError(f"its classes do not fit the dtype {dtype}")
    return array
