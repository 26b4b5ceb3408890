"""OpenVINO runs the same files."""

import pytest

pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")


def test_the_lines_of_the_page(model, shown, monkeypatch):
    monkeypatch.chdir(model.folder)
    names = {"X_test": model.X}
    exec(shown("OpenVINO", "python"), names)
    model.check(names["labels"], names["probabilities"])
