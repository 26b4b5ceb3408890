"""Arguments, names and surroundings of every kind: one line and an exit code, never a traceback."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MAIN = "from mnist_estimator.cli import main; main()"
OPTIONS = {
    "train": ["--data", "--layers", "--dropout", "--epochs", "--batch-size", "--seed", "--out"],
    "search": [
        "--data",
        "--layers",
        "--dropout",
        "--epochs",
        "--cv",
        "--n-jobs",
        "--rows",
        "--csv",
    ],
    "evaluate": ["--data", "--report"],
    "info": ["--json"],
    "predict": ["--json", "--csv"],
}
OF_EVERY_KIND = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "--",
            "---",
            "=",
            "0",
            "-1",
            "1",
            "1.5",
            "1e9",
            "nan",
            "inf",
            "NaN",
            "None",
        ),
        *("9" * 30, "128,64", "128,,64", ",", "none", "true", "²", "٣", "0x10", "1_000", "1 2"),
        *(
            "a b",
            "a\nb",
            "\n",
            "\t",
            "é",
            "数字",
            "🖊",
            "\x1b[31m",
            "\x07",
            "\u2028",
            "\x00",
            "a\x00b",
        ),
        *("~", "~nosuchuser/x", "/", "/dev/null", "/dev/zero", "/proc/self/mem", "nowhere/x", "."),
        *(
            "x" * 300,
            "x" * 5000,
            "%s",
            "{}",
            "[red]",
            "$(id)",
            "*",
            "\\",
            "'",
            '"',
            "-h=",
            "--out=",
        ),
    ]
)
UNKNOWN = ["--help", "-x", "--", "--unknown"]
anything = OF_EVERY_KIND | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
examples = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def check(result):
    """One line for a mistake; what is no mistake ends well."""
    assert "Traceback" not in result.err
    if result.code:
        assert result.code == 2
        assert result.err.startswith("mnist-estimator: ")
        assert result.err.endswith("\n")
        assert result.err[:-1].isprintable()


@examples
@given(data=st.data())
def test_options_of_every_kind(invoke, tmp_path_factory, monkeypatch, data):
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    command = data.draw(st.sampled_from(sorted(OPTIONS)))
    options = data.draw(st.lists(st.sampled_from([*OPTIONS[command], *UNKNOWN]), max_size=3))
    args = [part for option in options for part in (option, data.draw(anything))]
    # Nothing is there to be read: what is right so far ends here.
    check(
        invoke(command, *args, *(["--data", "nowhere"] if command in ("train", "search") else []))
    )


@examples
@given(args=st.lists(anything, max_size=4))
def test_words_of_every_kind(invoke, tmp_path_factory, monkeypatch, args):
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    check(invoke(*args))


@pytest.fixture(params=["with space.onnx", "new\nline.onnx", "数字 é.onnx", "\x1b[31m.onnx", "-m"])
def oddly_named(request, model_file, tmp_path):
    return model_file(sizes=(784, 3)).rename(tmp_path / request.param)


def test_names_of_every_kind(invoke, oddly_named, write_picture, tmp_path):
    picture = write_picture("seven.png", 7).rename(tmp_path / f"{oddly_named.name} 7.png")
    for args in (["info"], ["info", "--json"], ["predict"], ["predict", "--csv"]):
        pictures = [picture] if args[0] == "predict" else []
        result = invoke(*args, "--", oddly_named, *pictures)
        assert (result.code, result.err) == (0, "")
        if "--json" not in args and "--csv" not in args:
            assert "\x1b" not in result.out
    result = invoke("predict", "--", oddly_named, picture, tmp_path / f"{oddly_named.name}.png")
    check(result)
    assert result.code == 2


@pytest.mark.parametrize("columns", ["0", "1", "39", "40", "-5", "x", "", "99999999999", "٣"])
def test_widths_of_every_kind(invoke, model_file, monkeypatch, columns):
    path = model_file(sizes=(784, 3), classes=["no", "maybe", "yes"])
    for words, expected in (["info", path], "maybe"), (["train", "--help"], "--epochs"):
        monkeypatch.setenv("COLUMNS", columns)
        result = invoke(*words)
        assert result.code == 0
        assert expected in result.out


PLAIN = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
SURROUNDINGS = {
    "no home": ({"HOME": "/nowhere"}, "<&-"),
    "another language": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, ""),
    "no colour": ({"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "0"}, "2>&-"),
    "no output": ({}, ">&-"),
    "nothing": ({}, "<&- >&- 2>&-"),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_processes_in_every_surrounding(model_file, tmp_path, surroundings):
    path = model_file(sizes=(784, 3)).rename(tmp_path / "数字.onnx")
    environment, closed = SURROUNDINGS[surroundings]

    def run(*words):
        process = subprocess.run(
            ["sh", "-c", f'"$0" "$@" {closed}', sys.executable, "-c", MAIN, *words],
            capture_output=True,
            env=PLAIN | environment,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in process.stdout + process.stderr
        return process

    right, wrong = run("info", str(path)), run("info", f"{path} é")
    assert (right.returncode, wrong.returncode) == (0, 2)
    if ">&-" not in closed.replace("2>&-", ""):
        assert b"784 values" in right.stdout
    if "2>&-" not in closed:
        assert wrong.stderr.startswith(b"mnist-estimator: Cannot use ")
        assert wrong.stderr.count(b"\n") == 1
