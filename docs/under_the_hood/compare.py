"""The network in NumPy beside the one in Keras: their gradients, their steps, their training.

    MNIST_ESTIMATOR_DATA=... OPENBLAS_NUM_THREADS=1 python docs/under_the_hood/compare.py

writes `comparison.txt` and `losses.svg` beside this file, which the page shows. It takes about a
minute. MNIST is fetched as by `fetch_mnist`.
"""

import time
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy_mlp import RELU, SOFTPLUS, Adam, backward, cross_entropy, forward, softmax, train

FOLDER = Path(__file__).parent
WEIGHTS = ["W1", "b1", "W2", "b2", "W3", "b3"]


def numerical_gradients(theta, X, y, D=None, activation=RELU, step=1e-6):
    """Compute the gradient by central differences, one weight at a time: slow, but simple.

    Parameters
    ----------
    theta : list of ndarray of float64
        The weights; each is moved by `step` to either side and put back.
    X, y, D, activation
        As `forward` and `backward` take them.
    step : float, default=1e-6
        How far.

    Returns
    -------
    gradients : list of ndarray
        Of the shapes of `theta`.
    """

    def loss():
        _, z = forward(theta, X, D, activation)
        return cross_entropy(z[-1], y)

    gradients = [np.zeros_like(weights) for weights in theta]
    for weights, gradient in zip(theta, gradients, strict=True):
        for i in np.ndindex(weights.shape):
            here = weights[i]
            weights[i] = here + step
            above = loss()
            weights[i] = here - step
            gradient[i] = (above - loss()) / (2 * step)
            weights[i] = here
    return gradients


@contextmanager
def double_precision():
    """Let Keras build float64 layers inside the block."""
    import keras

    inputs, layers = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(inputs)
        keras.config.set_dtype_policy(layers)


def tensorflow_gradients(model, X, y):
    """Differentiate the loss of a Keras network by TensorFlow, Dropout layers on.

    Parameters
    ----------
    model : keras.Model
        What `build_mlp` returned.
    X, y : ndarray of shape (n_rows, n_features) and (n_rows,)
        Pixels and classes.

    Returns
    -------
    gradients : list of ndarray
        In the order of `model.get_weights()`.
    D : list of ndarray or None
        The masks that the Dropout layers drew, of 0 and 1 / (1 - rate); None without such layers.
    """
    import keras
    import tensorflow as tf

    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    watched = {layer.name: layer.output for layer in (*dropouts, model.layers[-1])}
    with tf.GradientTape() as tape:
        units = keras.Model(model.input, watched)(X, training=True)
        loss = keras.losses.SparseCategoricalCrossentropy()(y, units["probabilities"])
    gradients = tape.gradient(loss, model.trainable_variables)
    # A unit that is 0 without being dropped, by ReLU, has no gradient either way.
    D = [(units[layer.name].numpy() != 0) / (1 - layer.rate) for layer in dropouts]
    return [gradient.numpy() for gradient in gradients], D or None


def relative_errors(ours, theirs):
    """Return |ours - theirs| / |theirs| for each weight, 0 where both are 0.

    Parameters
    ----------
    ours, theirs : ndarray
        Two gradients of the same shape.

    Returns
    -------
    errors : ndarray
        Of that shape; infinite where only `theirs` is 0.
    """
    difference = np.abs(ours - theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0, difference / np.abs(theirs))


def gradient_errors(model, X, y, activation):
    """Compare both gradients of one Keras network.

    Parameters
    ----------
    model : keras.Model
        Of float64 layers.
    X, y : ndarray of shape (n_rows, n_features) and (n_rows,)
        Pixels and classes.
    activation : Activation
        The model's.

    Returns
    -------
    errors : list of float
        The largest relative error in each array of weights.
    """
    theta = model.get_weights()
    theirs, D = tensorflow_gradients(model, X, y)
    h, z = forward(theta, X, D, activation)
    ours = backward(theta, h, z, y, D, activation)
    return [float(relative_errors(*pair).max()) for pair in zip(ours, theirs, strict=True)]


def steps_apart(model, batches):
    """Train both networks on the same batches, without dropout, by Adam.

    Parameters
    ----------
    model : keras.Model
        Of float64 layers and no Dropout layers; trained in place.
    batches : iterable of (X, y)
        One a step.

    Returns
    -------
    apart : float
        The largest difference between two weights after the last step.
    """
    import keras

    # Keras rounds these to float32, which has sums of few powers of two exactly.
    alpha, beta1, beta2, epsilon = 2**-10, 1 - 2**-3, 1 - 2**-10, 2**-23
    theta = model.get_weights()
    ours = Adam(theta, alpha, beta1, beta2)
    theirs = keras.optimizers.Adam(alpha, beta1, beta2, epsilon)
    for t, (X, y) in enumerate(batches, start=1):
        gradients, _ = tensorflow_gradients(model, X, y)
        theirs.apply(gradients, model.trainable_variables)
        h, z = forward(theta, X)
        ours.epsilon = epsilon / np.sqrt(1 - beta2**t)  # where Keras adds it
        ours.step(theta, backward(theta, h, z, y))
    pairs = zip(theta, model.get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def fit_keras(X, y, epochs):
    """Train `KerasMLPClassifier`, and note its start weights.

    Parameters
    ----------
    X, y : ndarray of float32, shape (n_rows, n_features), and of int, shape (n_rows,)
        Pixels between 0 and 1; digits.
    epochs : int
        How often to go through the rows.

    Returns
    -------
    mlp : KerasMLPClassifier
        Fitted.
    theta : list of ndarray of float32
        The weights that it started from.
    """
    import keras

    from mnist_estimator import KerasMLPClassifier

    class Start(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.weights = self.model.get_weights()

    start = Start()
    mlp = KerasMLPClassifier(epochs=epochs, callbacks=start, random_state=0).fit(X, y)
    return mlp, start.weights


def draw_losses(theirs, ours):
    """Draw the losses of both networks over each other.

    Parameters
    ----------
    theirs, ours : list of float
        The training loss of each epoch, of Keras and of NumPy.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The picture.
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    epochs = range(1, len(ours) + 1)
    axes.plot(epochs, theirs, color="#e69f00", linewidth=6, alpha=0.6, label="KerasMLPClassifier")
    axes.plot(epochs, ours, "o--", color="#0072b2", label="NumPy")
    axes.set(
        title="Two programs, one start: 784-128-64-10, dropout 0.2",
        xlabel="epoch",
        ylabel="training loss (cross-entropy)",
        xticks=epochs,
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main():
    """Compare, and write what the page shows."""
    from mnist_estimator import fetch_mnist
    from mnist_estimator.neural_network import build_mlp

    # Letters as letters, and the same file from the same figures.
    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "numpy_mlp"}
    X, y = fetch_mnist(return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    X, X_test = X / np.float32(255), X_test / np.float32(255)
    batches = np.random.default_rng(0).permutation(len(X)).reshape(-1, 1000)
    rows = batches[0]
    report = ["Largest relative error of a derivative: float64, 1,000 images, dropout 0.2", ""]
    report.append(f"{'':28}" + "".join(f"{name:>9}" for name in WEIGHTS))
    with double_precision():
        for name, activation in (("relu", RELU), ("softplus", SOFTPLUS)):
            model = build_mlp(784, 10, activation=name, seed=0)
            start = model.get_weights()
            for epochs in (0, 1):
                rng = np.random.default_rng(0)
                model.set_weights(train(start, X, y, rng, activation=activation, epochs=epochs)[0])
                errors = gradient_errors(model, X[rows], y[rows], activation)
                row = f"{name}, epochs trained: {epochs}"
                report.append(f"{row:28}" + "".join(f"{error:9.0e}" for error in errors))
        model = build_mlp(784, 10, dropout=0.0, seed=0)
        steps = np.concatenate(batches).reshape(-1, 32)[:200]
        apart = steps_apart(model, ((X[rows], y[rows]) for rows in steps))
    report += [
        "",
        f"After 200 steps on the same batches no two weights differ by more than {apart:.0e}",
    ]

    mlp, start = fit_keras(X, y, epochs=10)
    began = time.process_time()
    theta, losses = train(start, X, y, np.random.default_rng(0))
    seconds = time.process_time() - began
    p = softmax(forward(theta, X_test)[1][-1])
    report += [
        "",
        "After 10 epochs of 60,000 images, from the same start weights",
        f"    test accuracy {np.mean(p.argmax(axis=1) == y_test):.2%} (NumPy),"
        f" {mlp.score(X_test, y_test):.2%} (KerasMLPClassifier)",
        f"    training loss {losses[-1]:.4f} (NumPy), {mlp.history_['loss'][-1]:.4f}"
        " (KerasMLPClassifier)",
        f"    processor time of NumPy {seconds:.0f} s",
    ]
    (FOLDER / "comparison.txt").write_text("\n".join(report) + "\n", encoding="utf-8")
    figure = draw_losses(mlp.history_["loss"], losses)
    figure.savefig(FOLDER / "losses.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
