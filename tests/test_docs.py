"""What the README and the docs show runs, and their links lead somewhere."""

import doctest
import os
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import pytest
from PIL import Image, ImageDraw

from mnist_estimator.cli import app as command_line

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page, languages):
    """Return (language, code, number of the line above it) of a page's code blocks."""
    text = page.read_text("utf-8")
    return [
        (found[1], found[2], text[: found.start(2)].count("\n"))
        for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if found[1] in languages
    ]


def run_python(page):
    """Run the Python blocks of a page one after the other, as a reader would."""
    names = {"__name__": "__main__"}
    for language, code, line in blocks(page, {"python", "pycon"}):
        if code.startswith("import openvino") and not find_spec("openvino"):
            continue  # tests/runtimes says that OpenVINO is not there
        if language == "python":
            exec(compile("\n" * line + code, page, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
        runner = doctest.DebugRunner(optionflags=OPTIONS)
        runner.run(test, clear_globs=False)
        names.update(test.globs)


def commands(page):
    """Return the arguments of each call of mnist-estimator that ends and needs no full MNIST."""
    code = "".join(code for _, code, _ in blocks(page, {"console"}))
    calls = map(shlex.split, re.findall(r"^\$ mnist-estimator (.*)$", code, re.MULTILINE))
    calls = [call for call in calls if call[0] != "playground"]
    return [call for call in calls if call[0] not in {"train", "search"} or "digits" in call]


def draw_seven(path):
    """Save the picture that the pages read: a seven in dark ink on light paper."""
    picture = Image.new("L", (300, 400), "white")
    ImageDraw.Draw(picture).line([(80, 90), (220, 90), (130, 320)], "black", 22, joint="curve")
    picture.save(path)


PAGES_THAT_RUN = [page for page in PAGES if blocks(page, {"python", "pycon"}) or commands(page)]


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: page.name)
def test_examples_run(page, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "fetch_mnist(" in "".join(code for _, code, _ in blocks(page, {"python"})):
        request.getfixturevalue("mnist")
    draw_seven("seven.png")

    run_python(page)
    plt.close("all")
    for command in commands(page):
        # A search sets how many threads its process takes, for good.
        with mock.patch.dict(os.environ), pytest.raises(SystemExit) as exit_:
            command_line(command)
        assert exit_.value.code == 0


def test_a_block_that_does_not_run_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```pycon\n>>> x\n2\n```\n")
    with pytest.raises(doctest.DocTestFailure):
        run_python(page)
    page.write_text("text\n\n```python\nx = undefined\n```\n")
    with pytest.raises(NameError) as caught:
        run_python(page)
    assert caught.traceback[-1].lineno + 1 == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []
