"""What it costs to distort a batch: ours, TensorFlow's image kernel, Keras' layers.

``python docs/benchmarks/distortions.py`` prints a table: microseconds for 128 images of 28×28 on
one thread, the contestants in turns. The training step on the same batch stands beside them.
"""

import os

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
from measure import take_turns

from mnist_estimator._mlp import build_mlp
from mnist_estimator._rows import resident_rows
from mnist_estimator._tensorflow import keras, tf
from mnist_estimator.augmentation import make_distortion
from mnist_estimator.training import EpochGraph

N_IMAGES = 128


def one_transform_an_image(images):
    """Rotate and shift each image by itself: TensorFlow's image kernel."""
    angle, x, y = tf.unstack(tf.random.uniform((3, tf.shape(images)[0]), -0.2, 0.2))
    zero = tf.zeros_like(x)
    matrix = (tf.cos(angle), -tf.sin(angle), 10 * x, tf.sin(angle), tf.cos(angle), 10 * y)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([*matrix, zero, zero], axis=1),
        output_shape=[28, 28],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def contestants():
    """Return a call for each: it distorts a batch, or trains on one."""
    layers = keras.layers
    distortions = {
        '"affine"': "affine",
        '"affine" and "elastic"': ("affine", "elastic"),
        "`ImageProjectiveTransformV3`, rotation and shift": one_transform_an_image,
        "Keras' `RandomRotation`": layers.RandomRotation(0.03, fill_mode="constant"),
        "Keras' `RandomRotation`, `RandomZoom`, `RandomTranslation`": keras.Sequential(
            [
                layers.RandomRotation(0.03, fill_mode="constant"),
                layers.RandomZoom(0.15, fill_mode="constant"),
                layers.RandomTranslation(0.07, 0.07, fill_mode="constant"),
            ]
        ),
    }
    rows = tf.constant(np.random.default_rng(0).random((N_IMAGES, 784), np.float32))
    seed = tf.constant([1, 2])

    def caller(augmentation):
        distort = tf.function(make_distortion(augmentation, 784, batch_size=N_IMAGES))
        return lambda: distort(rows, seed)

    calls = {name: caller(augmentation) for name, augmentation in distortions.items()}

    model = build_mlp(784, 10, dropout=0.0, seed=0)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    graph = EpochGraph(model, N_IMAGES, dropout=False)
    labels, weight = np.zeros(N_IMAGES, np.int32), np.ones(N_IMAGES, np.float32)
    resident, order = (
        resident_rows(rows.numpy(), labels, weight),
        np.arange(N_IMAGES, dtype=np.int32),
    )
    order = np.tile(order, 100)
    calls["the training step itself"] = lambda: graph.train(model, resident, order, 0, 0.0)
    return calls


def main():
    """Print the table."""
    calls = contestants()
    for call in calls.values():
        call()
    times = take_turns(calls, rounds=7, repeats=20)
    print("| what | µs for 128 images: median | smallest – largest |\n|---|---|---|")
    for name, seconds in times.items():
        batches = 100 if name == "the training step itself" else 1
        low, middle, high = (seconds[key] * 1e6 / batches for key in ("min", "median", "max"))
        print(f"| {name} | {middle:,.0f} | {low:,.0f} – {high:,.0f} |")


if __name__ == "__main__":
    main()
