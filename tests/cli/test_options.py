from pathlib import Path

import pytest
from typer import BadParameter

from mnist_estimator.cli._options import Layers, check_output, parse_dropout, parse_layers


@pytest.mark.parametrize(
    ("text", "layers"),
    [("128,64", (128, 64)), ("7", (7,)), ("128, 64", (128, 64)), ("none", ())],
)
def test_layers_are_units_with_commas(text, layers):
    parsed = parse_layers(text)
    assert parsed == layers
    assert parse_layers(str(parsed)) == layers


@pytest.mark.parametrize("text", ["", "0", "128,", "128,-1", "1.5", "a", "12 8"])
def test_other_layers_are_refused(text):
    with pytest.raises(BadParameter, match="is not a list of units such as 128,64"):
        parse_layers(text)


def test_layers_that_are_parsed_already_stay():
    assert parse_layers(Layers((3, 2))) == (3, 2)


def test_dropout_is_a_share_below_1():
    assert parse_dropout("0") == 0
    assert parse_dropout("0.25") == 0.25


@pytest.mark.parametrize("text", ["1", "-0.1", "nan", "inf", "much", ""])
def test_other_dropout_is_refused(text):
    with pytest.raises(BadParameter, match=r"is not a number in the range \[0, 1\)"):
        parse_dropout(text)


def test_outputs_are_checked_without_touching_them(tmp_path):
    old = tmp_path / "old.onnx"
    old.write_text("kept")
    assert check_output(None) is None
    assert check_output(old) == old
    assert check_output(tmp_path / "new.onnx") == tmp_path / "new.onnx"
    assert old.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [old]


def test_outputs_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    with pytest.raises(BadParameter, match="is a folder; name a file in it"):
        check_output(tmp_path)
    with pytest.raises(BadParameter, match=r"there is no folder .*nowhere; make it first"):
        check_output(tmp_path / "nowhere" / "model.onnx")

    def no_space(dir):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", no_space)
    with pytest.raises(BadParameter, match="cannot be written: No space left on device"):
        check_output(tmp_path / "model.onnx")


def test_a_device_is_no_place_for_a_file():
    with pytest.raises(BadParameter, match="not a regular file"):
        check_output(Path("/dev/null"))
