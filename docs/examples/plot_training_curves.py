"""
Train, and read the curves
==========================

What a training run looks like when all is well, and how to see from two curves that the step size
is wrong or that the network learns by heart.
"""

# %%
# All is well
# -----------
#
# :func:`~mnist_estimator.make_mnist_pipeline` is the reference network: two hidden layers,
# dropout, ten epochs, a fifth of the rows held out. ``verbose=1`` shows how far it is.

from mnist_estimator import TrainingHistoryDisplay, fetch_mnist, make_mnist_pipeline

X, y = fetch_mnist(return_X_y=True)
pipe = make_mnist_pipeline(random_state=0, verbose=1).fit(X, y)

# %%
# Both losses fall, fast at first. The validation curve lies *better* than the training curve in
# the first epochs, which puzzles everybody once. Two reasons: while training, dropout leaves out
# a fifth of the hidden units, in validation none; and the training figure is a mean over the
# epoch, taken while the weights still change.

TrainingHistoryDisplay.from_estimator(pipe)

# %%
# The step size
# -------------
#
# The first thing to look at when a network does not learn. Too small: the curve falls, but it
# would take a day. Too large: it jumps about, or stays where it started, at 2.3 (the loss of ten
# equal guesses). For Adam 0.001 is a good first try, and most networks forgive a factor of three.

rows = slice(10_000)  # a sixth of MNIST will do from here on
runs = {
    f"step {rate}": make_mnist_pipeline(learning_rate=float(rate), random_state=0)
    for rate in ("0.00001", "0.001", "0.03")
}
TrainingHistoryDisplay.from_estimator(
    {name: pipe.fit(X[rows], y[rows]) for name, pipe in runs.items()}
)

# %%
# Learning by heart
# -----------------
#
# A thousand images for 109,386 weights: the network can remember them one by one. The training
# loss goes to nothing, the validation loss turns and rises. That turn is the sign to look for.
# Dropout puts it off.

few = slice(1_000)
runs = {
    f"dropout={dropout}": make_mnist_pipeline(dropout=dropout, epochs=60, random_state=0)
    for dropout in (0.0, 0.5)
}
TrainingHistoryDisplay.from_estimator(
    {name: pipe.fit(X[few], y[few]) for name, pipe in runs.items()}
)

# %%
# Stop in time
# ------------
#
# ``early_stopping`` ends the training when the validation loss has not improved for
# ``n_iter_no_change`` epochs, and takes the weights of the best epoch back. Then ``epochs`` is
# only an upper limit, and need not be guessed.

pipe = make_mnist_pipeline(epochs=200, early_stopping=True, random_state=0)
pipe.fit(X[rows], y[rows])
mlp = pipe["mlp"]
print(f"stopped after {mlp.n_iter_} of {mlp.epochs} epochs")
display = TrainingHistoryDisplay.from_estimator(pipe)
print(f"the weights are those of epoch {display.best_epochs_['network']}")

# %%
# More rows beat all of this
# --------------------------
#
# The same network, the same number of steps (rows times epochs), judged on the same test images.

X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
for n_rows, epochs in ((1_250, 160), (5_000, 40), (20_000, 10)):
    pipe = make_mnist_pipeline(epochs=epochs, random_state=0).fit(X[:n_rows], y[:n_rows])
    print(f"{n_rows:6,} rows, {epochs:3} epochs: {pipe.score(X_test, y_test):.2%}")
