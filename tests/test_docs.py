"""What the README and the docs show runs, and their links lead somewhere."""

import doctest
import re
import shlex
import shutil
import subprocess
from pathlib import Path

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
        if language == "python":
            exec(compile("\n" * line + code, page, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
        runner = doctest.DebugRunner(optionflags=OPTIONS)
        runner.run(test, clear_globs=False)
        names.update(test.globs)


def commands(page):
    """Return the arguments of each call of mnist-estimator, but for training on the full MNIST."""
    code = "".join(code for _, code, _ in blocks(page, {"console"}))
    calls = map(shlex.split, re.findall(r"^\$ mnist-estimator (.*)$", code, re.MULTILINE))
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
        with pytest.raises(SystemExit) as exit_:
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


def test_javascript_reads_the_file_as_python_does(tmp_path, digits):
    """The fragment of the deployment page runs under Node on onnxruntime-web."""
    modules = ROOT / "node_modules"
    if not shutil.which("node") or not (modules / "onnxruntime-web").is_dir():
        pytest.skip("needs Node and `npm install --no-save --no-package-lock onnxruntime-web`")
    from mnist_estimator import make_mnist_pipeline, save_onnx

    X, y = digits
    pipe = make_mnist_pipeline(hidden_layer_sizes=(32,), epochs=5, random_state=0).fit(X, y)
    save_onnx(pipe, tmp_path / "digits.onnx", X)
    ((_, code, _),) = blocks(ROOT / "docs" / "deploy.md", {"js"})
    rows = X[:20].tolist()
    code += f"for (const row of {rows}) console.log((await read(new Uint8Array(row))).label);\n"
    (tmp_path / "page.mjs").write_text(code)
    (tmp_path / "node_modules").symlink_to(modules)
    printed = subprocess.run(
        ["node", "page.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [int(line) for line in printed.stdout.split()] == pipe.predict(X[:20]).tolist()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []
