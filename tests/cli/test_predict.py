import csv
import io
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def blank(tmp_path):
    path = tmp_path / "blank.png"
    Image.new("L", (50, 50), 255).save(path)
    return path


def test_reads_drawn_digits(invoke, trained, write_picture, digits):
    pictures = [write_picture(f"{i}.png", i) for i in range(10)]
    read = json.loads(invoke("predict", trained, *pictures, "--json").out)
    labels = [entry["label"] for entry in read]
    assert np.sum(labels == digits[1][:10]) >= 7


def test_plain_lines_where_the_output_is_no_terminal(invoke, trained, write_picture):
    picture = write_picture("[zero].png", 0)
    result = invoke("predict", trained, picture)
    assert result.code == 0
    (line,) = result.out.splitlines()
    assert line.startswith(f"{picture}: 0 ")
    assert line.count("%") == 3


def test_a_terminal_sees_the_picture(invoke, trained, write_picture):
    out = invoke("predict", trained, write_picture("zero.png", 0), terminal=True).out
    assert out.count("▀") == 14 * 28
    assert out.count("%") == 3
    assert "█" in out


def test_no_colour(invoke, trained, write_picture, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = invoke("predict", trained, write_picture("zero.png", 0), terminal=True).out
    assert "▀" not in out
    assert "38;" not in out
    assert len(out.splitlines()) == 15


def test_json(invoke, trained, write_picture):
    picture = write_picture("zero.png", 0)
    ((entry),) = json.loads(invoke("predict", trained, picture, "--json").out)
    assert entry["path"] == str(picture)
    assert entry["label"] == 0
    assert list(entry["probabilities"]) == list("0123456789")
    assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_csv_of_a_folder(invoke, trained, write_picture, tmp_path):
    write_picture("b.PNG", 1)
    write_picture("a, first.jpg", 0)
    (tmp_path / "notes.txt").write_text("no picture")
    rows = list(csv.DictReader(io.StringIO(invoke("predict", trained, tmp_path, "--csv").out)))
    assert [row["path"] for row in rows] == [
        str(tmp_path / "a, first.jpg"),
        str(tmp_path / "b.PNG"),
    ]
    assert rows[0]["label"] == "0"
    assert sum(float(rows[0][f"p({label})"]) for label in range(10)) == pytest.approx(1, abs=1e-5)
    assert rows[0]["error"] == ""


def test_labels_may_be_texts(invoke, model_file, write_picture):
    path = model_file(classes=["\x1bone", "two"], sizes=(784, 2))
    result = invoke("predict", path, write_picture("a.png", 0))
    assert "�one" in result.out
    assert "\x1b" not in result.out


def test_a_picture_without_a_digit_is_said_to_have_none(refuse, trained, blank):
    message = refuse("predict", trained, blank)
    assert "blank.png" in message
    assert "no digit" in message


def test_one_bad_picture_does_not_stop_the_others(invoke, trained, write_picture, blank):
    picture = write_picture("zero.png", 0)
    result = invoke("predict", trained, blank, picture)
    assert result.code == 2
    assert result.err == "mnist-estimator: 1 of 2 pictures could not be read.\n"
    first, second = result.out.splitlines()
    assert "no digit" in first
    assert second.startswith(f"{picture}: 0 ")
    listed = json.loads(invoke("predict", trained, blank, picture, "--json").out)
    assert "no digit" in listed[0]["error"]
    assert listed[1]["label"] == 0
    out = invoke("predict", trained, blank, picture, "--csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert "no digit" in rows[0]["error"]
    assert rows[0]["label"] == ""
    assert rows[1]["label"] == "0"


def test_mistakes(refuse, trained, write_picture, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    picture = write_picture("zero.png", 0)
    assert "no picture or folder" in refuse("predict", trained, tmp_path / "nowhere.png")
    assert "No pictures in the folder" in refuse("predict", trained, empty)
    assert "choose --json or --csv" in refuse("predict", trained, picture, "--json", "--csv")
    assert "it is not an ONNX model" in refuse("predict", picture, picture)


def test_a_model_of_other_rows_is_refused(refuse, model_file, write_picture):
    path = model_file(sizes=(10, 2))
    assert "not the pixels of a grey image" in refuse("predict", path, write_picture("a.png", 0))
