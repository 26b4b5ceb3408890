"""What a training tells of itself: plain lines, a live bar on a terminal, or nothing."""

import re
import sys
import threading

import keras
import numpy as np
import pytest

from mnist_estimator import KerasMLPClassifier, _progress

# Keras' own arrays do not know NumPy 2's `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LINE = (
    r"epoch {}/2: loss \d\.\d{{4}}, accuracy \d\.\d{{4}}, "
    r"val_loss \d\.\d{{4}}, val_accuracy \d\.\d{{4}}"
)
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


@pytest.fixture
def fit():
    """``fit(verbose=1)`` trains a small network on random rows for two epochs."""
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 4)), np.arange(60) % 2

    def run(**params):
        params = {"epochs": 2, "validation_split": 0.2, "random_state": 0, **params}
        return KerasMLPClassifier((4,), **params).fit(X, y)

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Let the output pass for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


class BatchWatcher(keras.callbacks.Callback):
    """Makes `fit` take Keras' own loop."""

    def on_train_batch_end(self, batch, logs=None):
        pass


@pytest.mark.parametrize("callbacks", [None, BatchWatcher()], ids=["graph", "keras"])
def test_plain_lines_where_there_is_no_terminal(fit, capsys, callbacks):
    fit(verbose=1, callbacks=callbacks)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for i, line in enumerate(lines, start=1):
        assert re.fullmatch(LINE.format(i) + r" \(\d+\.\d\d s/epoch, \d+ s left\)", line)


def test_other_figures_stand_behind(fit, capsys):
    fit(verbose=1, callbacks=[keras.callbacks.ReduceLROnPlateau()])
    assert re.match(LINE.format(1) + r", learning_rate 0\.0010 \(", capsys.readouterr().out)


def test_silence(fit, capsys, monkeypatch):
    for module in ("rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, module, None)  # to import it fails
    fit()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_lines_above_a_bar(fit, capsys, terminal):
    fit(verbose=1)
    out = capsys.readouterr().out
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", out)
    assert re.search(LINE.format(1), text)
    assert re.search(LINE.format(2), text)
    assert re.search(r"2/2 epochs .* s/epoch, 0 s left", text)
    assert out.count(HIDE) == out.count(SHOW) == 1


def test_a_failing_fit_takes_its_bar_away(fit, capsys, terminal):
    def fail(epoch, logs):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        fit(verbose=1, callbacks=keras.callbacks.LambdaCallback(on_epoch_begin=fail))
    out = capsys.readouterr().out
    assert out.count(HIDE) == out.count(SHOW) == 1


def test_fits_in_threads_and_worker_processes_draw_no_bars(fit, capsys, terminal, monkeypatch):
    thread = threading.Thread(target=fit, kwargs={"verbose": 1})
    thread.start()
    thread.join()
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(_progress.multiprocessing.current_process(), "_name", "LokyProcess-1")
    fit(verbose=1)
    assert re.match(LINE.format(1), capsys.readouterr().out)


@pytest.mark.parametrize("has_widgets", [True, False])
def test_a_bar_in_a_notebook_needs_ipywidgets(monkeypatch, has_widgets):
    from rich.console import Console

    found = {"ipywidgets": object()} if has_widgets else {}
    monkeypatch.setattr(_progress, "find_spec", found.get)
    assert _progress._can_be_live(Console(force_jupyter=True)) == has_widgets
