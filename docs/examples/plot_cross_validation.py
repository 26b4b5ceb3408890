"""
Cross-validation, and what more data would bring
================================================

One accuracy is one draw of a lottery. How far apart the draws lie, and whether it is worth while
to label more images.
"""

# %%
# Five folds
# ----------
#
# Each image is read by a network that has not seen it. Because the pipeline is a classifier in
# scikit-learn's eyes, each fold holds every digit in proportion.

from sklearn.model_selection import cross_val_score

from mnist_estimator import fetch_mnist, make_mnist_pipeline

X, y = fetch_mnist(return_X_y=True)
few = slice(5_000)
pipe = make_mnist_pipeline(validation_split=0.0, random_state=0)
scores = cross_val_score(pipe, X[few], y[few], cv=5)
print(" ".join(f"{score:.2%}" for score in scores))
print(f"mean {scores.mean():.2%}, standard deviation {scores.std():.2%}")

# %%
# What chance does
# ----------------
#
# Other start weights, another order of the rows, another dropout: ``random_state`` decides over
# all of them. Differences of this size between two networks mean nothing.

import numpy as np

X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
seeds = np.array(
    [
        pipe.set_params(mlp__random_state=seed).fit(X[few], y[few]).score(X_test, y_test)
        for seed in range(5)
    ]
)
print(" ".join(f"{score:.2%}" for score in seeds))
print(f"mean {seeds.mean():.2%}, standard deviation {seeds.std():.2%}")

# %%
# The learning curve
# ------------------
#
# scikit-learn's :class:`~sklearn.model_selection.LearningCurveDisplay` fits on more and more of
# the rows. A network without hidden layers, which is logistic regression, is drawn beside ours.

import matplotlib.pyplot as plt
from sklearn.model_selection import LearningCurveDisplay

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
networks = {"128-64": (128, 64), "no hidden layer": ()}
for (name, sizes), colour in zip(networks.items(), ("#0072B2", "#D55E00"), strict=True):
    display = LearningCurveDisplay.from_estimator(
        make_mnist_pipeline(hidden_layer_sizes=sizes, validation_split=0.0, random_state=0),
        X[:30_000],
        y[:30_000],
        train_sizes=[300, 1_000, 3_000, 10_000, 20_000],
        cv=3,
        score_name="Accuracy",
        score_type="both",
        line_kw={"marker": "o", "color": colour},
        fill_between_kw={"color": colour, "alpha": 0.2},
        ax=ax,
    )
    training, validation = display.lines_[-2:] if len(display.lines_) > 2 else display.lines_
    training.set(linestyle=":", label=f"{name}, training images")
    validation.set(label=f"{name}, held-out images")
ax.set(xscale="log", xlabel="Images trained on", title="Learning curves")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.grid(alpha=0.3)
ax.legend()

# %%
# Where the two curves of a network are far apart, it has learnt by heart what more images would
# correct: collect them. Where they have nearly met, as those of logistic regression have, more of
# the same brings little: take a larger network.
