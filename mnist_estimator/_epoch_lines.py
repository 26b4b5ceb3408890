"""The callback that prints a line an epoch."""

import time

from mnist_estimator._tensorflow import keras

# Keras' loop gives them in another order.
_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


class EpochLines(keras.callbacks.Callback):
    """Print a line an epoch: its figures; the pace and the time left there or in the bar."""

    def __init__(self, bar=None):
        super().__init__()
        self._bar = bar

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()
        self._resumed = self.params.get("initial_epoch", 0)
        epochs = self.params["epochs"]
        if self._bar is not None:
            self._task = self._bar.add_task("", total=epochs, completed=self._resumed, state="")
        if self._resumed:
            self._print(f"going on after epoch {self._resumed}/{epochs}")

    def on_epoch_end(self, epoch, logs=None):
        epochs, done = self.params["epochs"], epoch + 1
        pace = (time.perf_counter() - self._start) / (done - self._resumed)
        state = f"{pace:.2f} s/epoch, {pace * (epochs - done):.0f} s left"
        logs = {name: logs[name] for name in _FIGURES if name in logs} | logs
        figures = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        line = f"epoch {done}/{epochs}: {figures}"
        if self._bar is None:
            self._print(f"{line} ({state})")
        else:
            self._print(line)
            self._bar.update(self._task, completed=done, state=state)

    def _print(self, line):
        if self._bar is None:
            print(line)
        else:
            self._bar.console.print(line, soft_wrap=True)
