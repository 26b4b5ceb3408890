import json
from types import SimpleNamespace

import pytest

from mnist_estimator.cli import _info


def test_tables(invoke, trained):
    out = invoke("info", trained).out
    assert "64 values of uint8, 0 (paper) to 16 (ink)" in out
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in out
    assert "1,150" in out
    for text in ("Training", "Parameters", "Versions", "tensorflow", "mlp__dropout", "MIT"):
        assert text in out


def test_json(invoke, trained):
    described = json.loads(invoke("info", trained, "--json").out)
    assert described["path"] == str(trained)
    assert described["bytes"] == trained.stat().st_size
    assert described["classes"] == list(range(10))
    assert described["training"]["epochs"] == 12


def test_a_file_that_says_little(invoke, model_file):
    out = invoke("info", model_file()).out
    assert "784 values of uint8" in out
    assert "Parameters" not in out


def test_foreign_text_controls_no_terminal(invoke, model_file):
    path = model_file(sizes=(784, 2), classes=["\x1b[2Jgone", "[red]markup"])
    out = invoke("info", path).out
    assert "\x1b" not in out
    assert "�[2Jgone, [red]markup" in out


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({"input_dtype": None, "input_names": ["a", "b"]}, "a table with the columns a, b"),
        (
            {"input_dtype": "float32", "input_shape": (8, 8), "metadata": {"input": {}}},
            "8 × 8 values of float32",
        ),
    ],
)
def test_other_inputs(described, expected):
    assert _info._input(SimpleNamespace(**described)) == expected


def test_quantized(invoke, network_file, tmp_path):
    from onnx import helper

    model = network_file()
    properties = {each.key: each.value for each in model.metadata_props}
    training = '{"rows": 1000, "accuracy": 0.98765432}'
    parameters = '{"layers": [128, 64], "shuffle": true, "steps": "x", "memory": null}'
    helper.set_model_props(
        model,
        {**properties, "quantization": '"int8"', "training": training, "parameters": parameters},
    )
    path = tmp_path / "int8.onnx"
    path.write_bytes(model.SerializeToString())
    lines = [line.split() for line in invoke("info", path).out.splitlines()]
    assert ["Weights", "int8"] in lines
    assert ["rows", "1,000"] in lines
    assert ["accuracy", "0.987654"] in lines
    assert ["layers", "128,", "64"] in lines
    assert ["shuffle", "True"] in lines
    assert not {"steps", "memory"} & {line[0] for line in lines if line}
