import io

import pytest
from rich.console import Console

from mnist_estimator.cli._results import print_facts, print_results
from mnist_estimator.evaluation import evaluate


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80, highlight=False, markup=False)


def lines_of(console):
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_results(console):
    probabilities = [[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]]
    read = ["four", "four", "nine", "nine"]
    true = ["four", "nine", "nine", "nine"]
    figures = evaluate(true, read, probabilities, classes=["four", "nine", "none"])
    print_results(console, figures, {"Model file": "m.onnx"})
    lines = lines_of(console)
    assert ["Test", "accuracy", "75.00%", "(1", "of", "4", "images", "misread)"] in lines
    assert ["Model", "file", "m.onnx"] in lines
    assert ["four", "1", "0", "100.00%", "best"] in lines
    assert ["nine", "3", "1", "66.67%", "worst"] in lines
    assert ["none", "0", "0"] in lines
    text = " ".join(console.file.getvalue().split())
    assert "four ↔ nine 1 four read as nine: 0, nine read as four: 1" in text


def test_nothing_confused(console):
    figures = evaluate([0, 1], [0, 1], [[1, 0], [0, 1]], classes=[0, 1])
    print_results(console, figures, {})
    text = console.file.getvalue()
    assert text.count("best") == 2
    assert "worst" not in text
    assert "confused" not in text


def test_facts_are_foreign_text(console):
    print_facts(console, {"name": "[bold]\x1b[1m"}, title="Facts")
    text = console.file.getvalue()
    assert "Facts" in text
    assert "[bold]�[1m" in text
