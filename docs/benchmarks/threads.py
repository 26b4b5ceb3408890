"""Measure for which batches the operations of the training graph should share the processors.

    MNIST_ESTIMATOR_DATA=folder-of-mnist python docs/benchmarks/threads.py

trains each network on 20,000 images, with one thread, with all of them, and in plain Keras. It
prints Markdown: the shortest of the epochs, in seconds.
"""

import math
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from mnist_estimator import KerasMLPClassifier, fetch_mnist, training

# Hidden layers, rows of a batch.
NETWORKS = [
    ((128, 64), 32),
    ((128, 64), 128),
    ((128, 64), 1024),
    ((512, 256), 32),
    ((512, 256), 128),
    ((1024, 1024), 32),
    ((1024, 1024), 128),
    ((1024, 1024), 1024),
    ((2048,), 32),
]
EPOCHS = 4


class Clock(keras.callbacks.Callback):
    """Note when training starts and each epoch ends."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


def ours(X, y, hidden, batch):
    """Return the seconds of each epoch."""
    clock = Clock()
    mlp = KerasMLPClassifier(
        hidden, batch_size=batch, epochs=EPOCHS, callbacks=clock, random_state=0
    )
    mlp.fit(X, y)
    return np.diff(clock.times)


def in_keras(X, y, hidden, batch):
    """Return the seconds of each epoch of the same network under `Model.fit`."""
    clock, layers = Clock(), [keras.Input((X.shape[1],))]
    for size in hidden:
        layers += [keras.layers.Dense(size, "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, y, batch_size=batch, epochs=EPOCHS, callbacks=[clock], verbose=0)
    return np.diff(clock.times)


def main():
    images, y = (part[:20_000] for part in fetch_mnist(return_X_y=True))
    X = images.reshape(len(images), -1) / np.float32(255)
    print("| network, rows of a batch | million multiplications | one thread | all | Keras |")
    print("|---|---|---|---|---|")
    for hidden, batch in NETWORKS:
        widths = [X.shape[1], *hidden, 10]
        work = batch * np.dot(widths[:-1], widths[1:]) / 1e6
        seconds = []
        for training._SHARED_WORK in (math.inf, 0):
            seconds.append(ours(X, y, hidden, batch))
        seconds.append(in_keras(X, y, hidden, batch))
        cells = [f"{work:.0f}", *(f"{min(epochs):.3f}" for epochs in seconds)]
        print(f"| {'-'.join(map(str, widths))}, {batch:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
