import signal
import webbrowser
from threading import Event
from urllib.request import urlopen

import pytest

from mnist_estimator import playground
from mnist_estimator.cli import _playground

# The real files are 14 MB; the browser's tests have them.
FAKE_RUNTIME = "import mnist_estimator.playground as p; p.load_web_runtime = lambda folder: {}; "


@pytest.fixture
def no_runtime(monkeypatch):
    monkeypatch.setattr(playground, "load_web_runtime", lambda folder: {})


def test_serves_until_interrupted(start, model_file):
    code = f"{FAKE_RUNTIME}from mnist_estimator.cli import main; main()"
    process = start("playground", model_file(), "--no-browser", code=code)
    line = process.stdout.readline()
    assert line.startswith("Draw at http://127.0.0.1:")
    url = line.split()[2]
    with urlopen(url) as page, urlopen(f"{url}model.onnx") as model:
        assert b"Draw a digit" in page.read()
        assert model.read() == model_file().read_bytes()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "Ended.\n", "")


@pytest.mark.usefixtures("no_runtime")
def test_opens_a_browser(invoke, model_file, monkeypatch):
    opened = Event()
    addresses = []

    def open_page(url):
        addresses.append(url)
        opened.set()

    def serve(server):
        assert opened.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", open_page)
    monkeypatch.setattr(playground.PlaygroundServer, "serve_forever", serve)
    result = invoke("playground", model_file())
    assert result.code == 0
    assert result.out == f"Draw at {addresses[0]} until Ctrl-C.\nEnded.\n"


@pytest.mark.usefixtures("no_runtime")
def test_a_port_in_use(refuse, model_file):
    with playground.PlaygroundServer({}) as server:
        port = server.server_port
        said = refuse("playground", model_file(), "--port", port, "--no-browser")
    assert (
        said
        == f"mnist-estimator: Port {port} cannot be used: Address already in use. Choose another.\n"
    )


def test_mistakes(refuse, model_file, tmp_path, monkeypatch):
    assert "28 × 28 pixels" in refuse("playground", model_file(sizes=(64, 10)))
    assert "5 classes" in refuse("playground", model_file(sizes=(784, 5)))
    (tmp_path / "page.txt").write_text("no model")
    assert "as a model" in refuse("playground", tmp_path / "page.txt")
    assert "no such file" in refuse("playground", tmp_path / "missing.onnx")
    assert "No such file" in refuse("playground", model_file(), "--runtime", tmp_path)
    monkeypatch.setenv("MNIST_ESTIMATOR_WEB_RUNTIME", str(tmp_path / "nowhere"))
    assert "nowhere" in refuse("playground", model_file())
    assert "65535" in refuse("playground", model_file(), "--port", 70_000)


def test_help_says_what_it_does(invoke):
    assert _playground.playground.__doc__.split(";")[0] in " ".join(
        invoke("playground", "--help").out.split()
    )
