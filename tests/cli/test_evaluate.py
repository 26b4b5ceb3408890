import re

import pytest


def accuracy_in(text):
    return re.search(r"Test accuracy +([\d.]+)%", text)[1]


def test_results(invoke, trained):
    result = invoke("evaluate", trained)
    assert result.code == 0
    assert float(accuracy_in(result.out)) > 85
    assert "of 360 images misread" in result.out
    assert re.search(r"\b4 +36 +\d+ +[\d.]+%", result.out)
    assert result.err == ""


def test_data_may_be_named(invoke, trained):
    assert accuracy_in(invoke("evaluate", trained, "--data", "digits").out)


def test_report(invoke, trained, tmp_path):
    report = tmp_path / "report.html"
    result = invoke("evaluate", trained, "--report", report)
    assert accuracy_in(result.out) == accuracy_in(invoke("evaluate", trained).out)
    assert f"mnist-estimator evaluate {trained} --report {report}" in report.read_text("utf-8")


def test_images_of_another_size_are_refused(refuse, model_file):
    message = refuse("evaluate", model_file(), "--data", "digits")
    assert "takes 784 values an image, and those of digits have 64 pixels" in message


def test_a_model_for_mnist_is_judged_on_mnist(refuse, model_file, monkeypatch):
    asked = []
    monkeypatch.setattr("mnist_estimator.datasets.load_image_data", asked.append)
    with pytest.raises(TypeError):  # what the replacement returns is no data
        refuse("evaluate", model_file())
    assert asked == ["mnist"]


def test_labels_of_other_classes_are_refused(refuse, model_file):
    path = model_file(sizes=(64, 2), classes=["even", "odd"])
    assert "labels that are not among the classes" in refuse("evaluate", path)


def test_what_is_no_model_is_refused(refuse, tmp_path):
    assert "it is a directory" in refuse("evaluate", tmp_path)
    assert "there is no such file" in refuse("evaluate", tmp_path / "nowhere.onnx")


def test_the_report_is_checked_first(refuse, tmp_path):
    message = refuse("evaluate", tmp_path / "nowhere.onnx", "--report", tmp_path)
    assert "'--report'" in message
