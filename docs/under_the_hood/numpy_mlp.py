"""A multilayer perceptron in NumPy alone: what KerasMLPClassifier computes, written out.

The page beside this file derives the formulas; the names are the same. All weights are one list,
``theta = [W1, b1, W2, b2, W3, b3]``, in the order of Keras' `Model.get_weights`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Activation(NamedTuple):
    """A function of each sum by itself, and its derivative."""

    phi: Callable
    derivative: Callable


RELU = Activation(
    phi=lambda z: np.maximum(z, 0),
    derivative=lambda z: z > 0,
)
SOFTPLUS = Activation(
    phi=lambda z: np.logaddexp(0, z),
    derivative=lambda z: np.exp(-np.logaddexp(0, -z)),
)


def start_weights(sizes, rng):
    """Draw weights uniformly, as Glorot and Bengio (2010) do; biases are 0.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, inputs first.
    rng : numpy.random.Generator
        What draws them.

    Returns
    -------
    theta : list of ndarray of float64
        Of each layer its weights, `(n_in, n_out)`, and its biases, `(n_out,)`.

    Examples
    --------
    >>> theta = start_weights((784, 128, 64, 10), np.random.default_rng(0))
    >>> sum(weights.size for weights in theta)
    109386
    """
    theta = []
    for n_in, n_out in pairwise(sizes):
        limit = np.sqrt(6 / (n_in + n_out))
        theta += [rng.uniform(-limit, limit, (n_in, n_out)), np.zeros(n_out)]
    return theta


def softmax(z):
    """Turn each row of sums, of any size, into probabilities.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, y):
    """Average the rows' -log p of the true class `y`, from the sums `z` before the softmax.

    Examples
    --------
    >>> round(float(cross_entropy(np.zeros((1, 10)), np.array([3]))), 3)
    2.303
    """
    z = z - z.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(z).sum(axis=1))
    return np.mean(log_sums - z[np.arange(len(y)), y])


def draw_masks(theta, n_rows, dropout, rng):
    """Draw which hidden units stay: inverted dropout.

    Returns
    -------
    D : list of ndarray, shape (n_rows, n_units)
        For each hidden layer 0 with probability `dropout`, else 1 / (1 - dropout).
    """
    D = []
    for b in theta[1:-2:2]:
        stays = rng.random((n_rows, b.size), np.float32) >= dropout
        D.append(stays.astype(b.dtype) / (1 - dropout))
    return D


def forward(theta, X, D=None, activation=RELU):
    """Compute the sums of every layer.

    Parameters
    ----------
    theta : list of ndarray
        The weights.
    X : ndarray of shape (n_rows, n_features)
        Pixels between 0 and 1.
    D : list of ndarray, default=None
        Dropout masks of the hidden layers; None drops nothing.
    activation : Activation, default=RELU
        Of the hidden layers.

    Returns
    -------
    h, z : list of ndarray, shape (n_rows, n_in) and (n_rows, n_out)
        For each layer, what goes in and the sums that come out: ``[X, h1, h2], [z1, z2, z3]``.
    """
    W, b = theta[::2], theta[1::2]
    h, z = [X], [X @ W[0] + b[0]]
    for k in range(1, len(W)):
        units = activation.phi(z[-1])
        h.append(units if D is None else units * D[k - 1])
        z.append(h[-1] @ W[k] + b[k])
    return h, z


def backward(theta, h, z, y, D=None, activation=RELU):
    """Compute the gradient of the cross-entropy by backpropagation.

    Parameters
    ----------
    theta, D, activation
        As given to `forward`.
    h, z : list of ndarray
        What it returned.
    y : ndarray of int, shape (n_rows,)
        The true classes, from 0.

    Returns
    -------
    gradients : list of ndarray
        Of the shapes of `theta`.
    """
    W = theta[::2]
    delta = softmax(z[-1])
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    gradients = []
    for k in reversed(range(len(W))):
        gradients = [h[k].T @ delta, delta.sum(axis=0), *gradients]
        if k > 0:
            delta = delta @ W[k].T * activation.derivative(z[k - 1])
            if D is not None:
                delta *= D[k - 1]
    return gradients


class Adam:
    """Kingma and Ba's (2015) Algorithm 1, with its names and its defaults."""

    def __init__(self, theta, alpha=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.alpha, self.beta1, self.beta2, self.epsilon = alpha, beta1, beta2, epsilon
        self.m = [np.zeros_like(weights) for weights in theta]
        self.v = [np.zeros_like(weights) for weights in theta]
        self.t = 0

    def step(self, theta, gradients):
        """Change the weights in place, given the gradient at them."""
        alpha, beta1, beta2, epsilon = self.alpha, self.beta1, self.beta2, self.epsilon
        self.t += 1
        for k, g in enumerate(gradients):
            m, v = self.m[k], self.v[k]
            m[:] = beta1 * m + (1 - beta1) * g
            v[:] = beta2 * v + (1 - beta2) * g**2
            m_hat = m / (1 - beta1**self.t)
            v_hat = v / (1 - beta2**self.t)
            theta[k] -= alpha * m_hat / (np.sqrt(v_hat) + epsilon)


def train(theta, X, y, rng, *, activation=RELU, dropout=0.2, batch_size=32, epochs=10):
    """Train by minibatches.

    Parameters
    ----------
    theta : list of ndarray
        The start weights; they stay as they are.
    X, y : ndarray of shape (n_rows, n_features) and (n_rows,)
        Pixels between 0 and 1, of the dtype of `theta`; classes, from 0.
    rng : numpy.random.Generator
        What shuffles the rows and draws the dropout masks.
    activation, dropout
        As `forward` and `draw_masks` take them.
    batch_size, epochs : int
        Rows of a step, and how often to go through all rows.

    Returns
    -------
    theta : list of ndarray
        The trained weights.
    losses : list of float
        The mean cross-entropy of each epoch, dropout on, as Keras reports it.

    Examples
    --------
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> rng = np.random.default_rng(0)
    >>> theta, losses = train(start_weights((2, 32, 2), rng), X, y, rng, epochs=300)
    >>> losses[-1] < losses[0] / 5
    True
    """
    theta = [weights.copy() for weights in theta]
    optimizer, losses = Adam(theta), []
    for _ in range(epochs):
        order, total = rng.permutation(len(X)), 0.0
        for first in range(0, len(X), batch_size):
            rows = order[first : first + batch_size]
            D = draw_masks(theta, len(rows), dropout, rng)
            h, z = forward(theta, X[rows], D, activation)
            total += len(rows) * float(cross_entropy(z[-1], y[rows]))
            g = backward(theta, h, z, y[rows], D, activation)
            optimizer.step(theta, g)
        losses.append(total / len(X))
    return theta, losses
