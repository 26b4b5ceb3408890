"""``mnist-estimator info``: what a model file says of itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mnist_estimator.cli._options import Json, Model
from mnist_estimator.cli._output import make_console, size_of
from mnist_estimator.cli._results import print_facts

if TYPE_CHECKING:  # it imports onnxruntime
    from mnist_estimator.runtime import OnnxModel


def info(model: Model, as_json: Json = False) -> None:
    """Say what a model takes and gives, and what it was made by and from."""
    run(model, as_json)


def run(path: Path, as_json: bool) -> None:
    """Print a model file's description of itself.

    Parameters
    ----------
    path : Path
        The model file.
    as_json : bool
        Whether to print JSON instead of tables.
    """
    from mnist_estimator.runtime import OnnxModel

    model = OnnxModel(path)
    if as_json:
        described = {"path": str(path), "bytes": path.stat().st_size, **model.metadata}
        typer.echo(json.dumps(described, indent=2))
        return
    console = make_console()
    facts = {
        "Model file": f"{path}, {size_of(path)}",
        "Input": _input(model),
        "Classes": ", ".join(map(str, model.classes)),
        "Licence": model.metadata.get("licence", "not stated"),
    }
    if "quantization" in model.metadata:
        facts["Weights"] = model.metadata["quantization"]
    print_facts(console, facts)
    for title in ("training", "parameters", "versions"):
        if model.metadata.get(title):
            print_facts(console, _figures(model.metadata[title]), title.capitalize())


def _input(model: "OnnxModel") -> str:
    """Return in words what rows the model takes."""
    if model.input_dtype is None:
        return "a table with the columns " + ", ".join(model.input_names)
    shape = " × ".join(map(str, model.input_shape))
    described = model.metadata["input"]
    limits = ""
    if described.get("max") is not None:
        limits = f", {described.get('min')} (paper) to {described['max']} (ink)"
    return f"{shape} values of {model.input_dtype}{limits}"


def _figures(entries: Mapping[str, Any]) -> dict[str, object]:
    """Return the entries that say something, as people write figures."""
    return {
        name: _figure(value)
        for name, value in entries.items()
        if value is not None and name != "steps"
    }


def _figure(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return value
