"""What else is said to help the recipe "accurate", on held-out rows of MNIST's training images.

    python docs/benchmarks/recipe_tries.py plain adam averaged pruned --epochs 40 --seeds 3

trains 784-128-64-10 on 50,000 images in each way that is named, and prints accuracy and loss on
the other 10,000, means of the seeds. "larger" is the network that "distilled" learns from, which
is trained for 60 epochs first (ten minutes). The test images are never read.
"""

import argparse
import functools
import time

import numpy as np
from sklearn.metrics import log_loss

from mnist_estimator import PixelScaler, fetch_mnist, make_mnist_pipeline
from mnist_estimator._epoch_loop import cosine_rates
from mnist_estimator._tensorflow import keras, tf
from mnist_estimator.augmentation import make_distortion
from mnist_estimator.pipeline import RECIPES

RATE, BATCH_SIZE = (RECIPES["accurate"][name] for name in ("learning_rate", "batch_size"))
LARGER = {
    "hidden_layer_sizes": (1536, 1024, 512),
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "epochs": 60,
}


def load():
    """Return images in [0, 1] and labels: 50,000 to train on, and 10,000 that are held out."""
    X, y = fetch_mnist(return_X_y=True)
    X = PixelScaler().fit_transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    held_out, train = order[:10_000], order[10_000:]
    return X[train], y[train], X[held_out], y[held_out]


def network(epochs, seed, **params):
    """Return the recipe's classifier, without the scaler."""
    recipe = make_mnist_pipeline(recipe="accurate", epochs=epochs, random_state=seed, **params)
    return recipe["mlp"]


def plain(X, y, epochs, seed, **params):
    """The recipe as it is."""
    return network(epochs, seed, **params).fit(X, y).predict_proba


def adam(X, y, epochs, seed):
    """Adam, and the batch size and the learning rate that were best for it."""
    return plain(X, y, epochs, seed, optimizer="adam", learning_rate=4e-3, batch_size=64)


def lower_rate(X, y, epochs, seed):
    """A smaller learning rate."""
    return plain(X, y, epochs, seed, learning_rate=0.04)


def higher_rate(X, y, epochs, seed):
    """A larger learning rate."""
    return plain(X, y, epochs, seed, learning_rate=0.09)


def small_batches(X, y, epochs, seed):
    """Batches half as large, at half the learning rate."""
    return plain(X, y, epochs, seed, learning_rate=0.03, batch_size=64)


def larger(_X, _y, _epochs, _seed):
    """The network to distil from."""
    return teacher().predict_proba


@functools.cache
def teacher():
    """Return that network, fitted once."""
    X, y, _, _ = load()
    return network(seed=0, **LARGER).fit(X, y)


def sgd(rate, **options):
    """Return the recipe's optimizer, with further options."""
    return keras.optimizers.SGD(
        rate, momentum=RECIPES["accurate"]["momentum"], nesterov=True, **options
    )


def averaged(X, y, epochs, seed):
    """Averages of the weights (Polyak and Juditsky 1992) over the same schedule."""
    n_steps = epochs * -(-len(X) // BATCH_SIZE)
    n_rising = n_steps // 20
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps - n_rising, warmup_target=RATE, warmup_steps=n_rising
    )
    optimizer = sgd(rate, use_ema=True, ema_momentum=0.999)
    return plain(X, y, epochs, seed, schedule="constant", optimizer=optimizer)


def averaged_constant(X, y, epochs, seed):
    """Averages of the weights in place of the schedule."""
    optimizer = sgd(RATE / 4, use_ema=True, ema_momentum=0.9995)
    return plain(X, y, epochs, seed, schedule="constant", optimizer=optimizer)


def distilled(X, y, epochs, seed, temperature=1.0, share=1.0):
    """The larger network's probabilities for labels (Hinton, Vinyals and Dean 2015)."""
    teacher()
    model = keras.models.clone_model(network(1, seed).fit(X[:640], y[:640]).model_)  # new weights
    optimizer = sgd(RATE)
    optimizer.build(model.trainable_variables)
    distort = make_distortion(("affine", "elastic"), X.shape[1], batch_size=BATCH_SIZE)

    def logits(network, h):
        *hidden, last = (layer for layer in network.layers if isinstance(layer, keras.layers.Dense))
        for layer in hidden:
            h = layer(h)
        return h @ last.kernel.value + last.bias.value

    @tf.function(autograph=False)
    def step(rows, labels, seed, rate):
        images = distort(rows, seed)
        targets = tf.nn.softmax(logits(teacher().model_, images) / temperature)
        with tf.GradientTape() as tape:
            given = logits(model, images)
            soft = tf.nn.softmax_cross_entropy_with_logits(targets, given / temperature)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, given)
            loss = tf.reduce_mean(share * temperature**2 * soft + (1 - share) * hard)
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.learning_rate.assign(rate)
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)

    rng, n_batches, labels = np.random.default_rng(seed), len(X) // BATCH_SIZE, y.astype(np.int32)
    for epoch, rates in enumerate(cosine_rates(RATE, epochs, n_batches)):
        order = rng.permutation(len(X))[: n_batches * BATCH_SIZE].reshape(n_batches, -1)
        for batch, rows in enumerate(order):
            place = tf.constant([epoch, batch], tf.int32)
            step(tf.constant(X[rows]), tf.constant(labels[rows]), place, tf.constant(rates[batch]))
    return lambda rows: model.predict(rows, verbose=0)


def distilled_warm(X, y, epochs, seed):
    """The same at a temperature of 2, with a tenth of the labels' loss."""
    return distilled(X, y, epochs, seed, temperature=2.0, share=0.9)


def pruned(X, y, epochs, seed):
    """Units of 784-256-128-10 that matter little are cut off; then as many epochs more."""
    wide = network(epochs, seed, hidden_layer_sizes=(256, 128)).fit(X, y)
    W1, b1, W2, b2, W3, b3 = wide.model_.weights
    first = np.maximum(X[:5000] @ W1 + b1, 0)
    second = np.maximum(first @ W2 + b2, 0)
    # How much a unit's output changes what the next layer is given.
    kept_1 = np.sort(np.argsort(-first.std(0) * np.linalg.norm(W2, axis=1))[:128])
    kept_2 = np.sort(np.argsort(-second.std(0) * np.linalg.norm(W3, axis=1))[:64])
    small = network(1, seed).fit(X[:640], y[:640])
    W1, b1, W2, b2, W3, b3 = (np.asarray(w) for w in (W1, b1, W2, b2, W3, b3))
    cut = [W1[:, kept_1], b1[kept_1], W2[np.ix_(kept_1, kept_2)], b2[kept_2], W3[kept_2], b3]
    small.model_.set_weights(cut)
    return small.set_params(warm_start=True, epochs=epochs).fit(X, y).predict_proba


_WAYS = (plain, adam, lower_rate, higher_rate, small_batches)
_WAYS += (larger, averaged, averaged_constant, distilled, distilled_warm, pruned)
WAYS = {way.__name__: way for way in _WAYS}


def main():
    """Try what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ways", nargs="+", choices=WAYS)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    X, y, X_held_out, y_held_out = load()
    for name in arguments.ways:
        start, accuracies, losses = time.process_time(), [], []
        for seed in range(arguments.seeds):
            p = WAYS[name](X, y, arguments.epochs, seed)(X_held_out).astype(float)
            accuracies.append(100 * (p.argmax(axis=1) == y_held_out).mean())
            losses.append(log_loss(y_held_out, p / p.sum(axis=1, keepdims=True)))
        seconds = (time.process_time() - start) / arguments.seeds
        each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        figures = f"{np.mean(accuracies):.2f} % ({each}), loss {np.mean(losses):.4f}"
        print(f"{name}: {figures}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
