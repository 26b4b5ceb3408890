"""Every name on the API page has a complete numpydoc docstring."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import mnist_estimator

validate = pytest.importorskip("numpydoc.validate", reason="needs numpydoc").validate

API_PAGE = Path(__file__).parent.parent / "docs" / "api.md"
# The names in the autosummary tables: what is indented and stands alone.
NAMES = [
    f"mnist_estimator.{name}"
    for name in re.findall(r"^ {3}([\w.]+)$", API_PAGE.read_text("utf-8"), re.MULTILINE)
]

# What numpydoc would like and this project does otherwise.
IGNORED = {
    "ES01",  # a summary that says it all needs no extension
    "SA01",  # See Also stands where there is something to see
    "EX01",  # methods are shown in the example of their class
    "RT02",  # a returned value has a name, as in scikit-learn
    "PR08",  # onnxruntime and scikit-learn are written in lower case, in
    "SA03",  # front of a sentence too
}


def load(name):
    """Return the object of a full name."""
    found = mnist_estimator
    for part in name.split(".")[1:]:
        if not hasattr(found, part):
            __import__(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def public_methods(name):
    """Return the full names of a class's own public methods."""
    found = load(name)
    if not inspect.isclass(found):
        return []
    return [
        f"{found.__module__}.{found.__name__}.{member}"
        for member, value in vars(found).items()
        if not member.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, property))
        and not member.endswith("_request")  # scikit-learn makes and describes these
    ]


def mistakes(name):
    """Return what numpydoc finds wrong with a docstring."""
    ignored = set(IGNORED)
    if dataclasses.is_dataclass(load(name)):
        ignored.add("PR01")  # its attributes are its parameters
    if name.endswith("baseline_accuracies"):
        ignored.add("PR03")  # describes both X in one entry, and both y in the next
    return [error for error in validate(name)["errors"] if error[0] not in ignored]


def test_the_api_page_lists_every_public_name():
    listed = [name.removeprefix("mnist_estimator.") for name in NAMES]
    assert [name for name in listed if name in mnist_estimator.__all__] == mnist_estimator.__all__


@pytest.mark.parametrize("name", NAMES)
def test_docstring_is_complete(name):
    found = {each: mistakes(each) for each in (name, *public_methods(name))}
    assert not any(found.values()), found


@pytest.mark.parametrize("name", NAMES)
def test_public_names_show_an_example(name):
    assert ">>> " in inspect.getdoc(load(name))


def test_an_incomplete_docstring_is_noticed():
    codes = {code for code, _ in mistakes("mnist_estimator.onnx_converters._scaler.scaler_shapes")}
    assert "GL08" in codes
