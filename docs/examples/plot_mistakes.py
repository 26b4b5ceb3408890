"""
Where it fails, and why
=======================

98 % sounds like a solved problem. The other 2 % say what the network has understood, and what
not.
"""

# %%
# In words
# --------
#
# :func:`~mnist_estimator.evaluation.evaluate` says which digit is read best and worst, and which
# are taken for each other. The figure alone means little: simple methods show what it is worth.

from mnist_estimator import fetch_mnist, make_mnist_pipeline
from mnist_estimator.evaluation import baseline_accuracies, evaluate

X_train, y_train = fetch_mnist(return_X_y=True)
X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
pipe = make_mnist_pipeline(random_state=0).fit(X_train, y_train)

predicted, probabilities = pipe.predict(X_test), pipe.predict_proba(X_test)
print(evaluate(y_test, predicted, probabilities, classes=pipe.classes_))

baselines = baseline_accuracies(X_train[:10_000], y_train[:10_000], X_test, y_test)
for method, accuracy in baselines.items():
    print(f"{method}: {accuracy:.1%}")

# %%
# The confusion matrix
# --------------------
#
# scikit-learn's :class:`~sklearn.metrics.ConfusionMatrixDisplay` takes our estimators like any
# other. The diagonal, a thousand each, would drown everything else, so it is left out: what
# remains are the mistakes. Rows are the truth, columns what was read.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

mistakes = confusion_matrix(y_test, predicted)
np.fill_diagonal(mistakes, 0)
fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
ConfusionMatrixDisplay(mistakes).plot(ax=ax, cmap="Blues")
ax.set_title(f"{mistakes.sum()} mistakes in {len(y_test):,} images")

# %%
# The images themselves
# ---------------------
#
# :class:`~mnist_estimator.MisclassifiedDisplay` shows the most confident mistakes first. Some are
# slips of the pen that nobody would read, some have a label one may doubt; what is left is the
# network's own fault.

from mnist_estimator import MisclassifiedDisplay

MisclassifiedDisplay.from_estimator(pipe, X_test, y_test, n_images=20, n_cols=5)

# %%
# Between two digits
# ------------------
#
# Where it hesitates is as telling. :func:`~mnist_estimator.evaluation.rank_ambiguous` finds the
# images that lie most evenly between two digits.

from mnist_estimator import DigitsDisplay
from mnist_estimator.evaluation import rank_ambiguous

rows, pairs = rank_ambiguous(probabilities, classes=pipe.classes_)
captions = [f"{first} or {second}" for first, second in pairs[:20]]
DigitsDisplay.from_predictions(X_test[rows], captions, n_images=20, n_cols=5)

# %%
# What the network does not know
# ------------------------------
#
# That pixels have neighbours. To us a 4 moved by three pixels is the same 4; to a perceptron it
# is another row of numbers, and nothing like the centred images that it was trained on.

shifts = range(7)
images = X_test.reshape(-1, 28, 28)
accuracies = [pipe.score(np.roll(images, shift, axis=2), y_test) for shift in shifts]

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(shifts, accuracies, "o-", color="#0072B2")
ax.axhline(0.1, color="0.4", linestyle="--", label="guessing")
ax.set(xlabel="Moved to the right by so many pixels", ylabel="Accuracy", ylim=(0, 1.02))
ax.set_title("The same digits, moved")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend(frameon=False)

# %%
# Two ways out: show the network images that are moved, turned and bent as it learns, or centre
# what it is to read. The second is what :func:`~mnist_estimator.prepare_digits` does.
