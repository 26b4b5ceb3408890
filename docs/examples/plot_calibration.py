"""
Calibration, and saying "not sure"
==================================

A network that says "99 %" ought to be right 99 times in 100. Then its probabilities are good for
something: for leaving the doubtful images to a human being.
"""

# %%
# Sure of itself
# --------------
#
# Training on and on drives the loss of the training images to nothing, which is only possible
# with ever larger weights and ever surer answers, on the wrong ones too. To see it, a network
# without dropout, on 5,000 images, forty times.

from mnist_estimator import fetch_mnist, make_mnist_pipeline
from mnist_estimator.evaluation import evaluate

X, y = fetch_mnist(return_X_y=True)
X_train, y_train = X[:5_000], y[:5_000]
X_held_out, y_held_out = X[5_000:10_000], y[5_000:10_000]
X_test, y_test = fetch_mnist(subset="test", return_X_y=True)

overtrained = make_mnist_pipeline(dropout=0.0, epochs=40, validation_split=0.0, random_state=0)
overtrained.fit(X_train, y_train)

# %%
# Calibrated
# ----------
#
# :class:`~sklearn.calibration.CalibratedClassifierCV` learns from images that the network has not
# seen how its probabilities have to be bent. :class:`~sklearn.frozen.FrozenEstimator` keeps the
# network as it is.

from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

calibrated = CalibratedClassifierCV(FrozenEstimator(overtrained), method="isotonic")
calibrated.fit(X_held_out, y_held_out)

models = {"overtrained": overtrained, "calibrated": calibrated}
for name, model in models.items():
    answers = model.predict(X_test), model.predict_proba(X_test)
    print(f"{name}:\n{evaluate(y_test, *answers, classes=model.classes_)}\n")

# %%
# The calibration curve
# ---------------------
#
# scikit-learn's :class:`~sklearn.calibration.CalibrationDisplay` is made for two classes, so the
# question is put as one of two: how sure was the network, and was it right? Below the diagonal it
# promises too much.

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay

fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
for (name, model), marker in zip(models.items(), "os", strict=True):
    confidence = model.predict_proba(X_test).max(axis=1)
    right = model.predict(X_test) == y_test
    CalibrationDisplay.from_predictions(
        right, confidence, n_bins=12, strategy="quantile", name=name, ax=ax, marker=marker
    )
ax.set(xlabel="Confidence", ylabel="Share read rightly", title="Says it, and is right")

# %%
# "Not sure"
# ----------
#
# Now a threshold means something. Whoever answers only where the confidence is high reads fewer
# images, and those better. The threshold is chosen on held-out images and checked on the test
# images.

import numpy as np


def coverage_and_accuracy(model, X, y, threshold):
    """Return the share of images that are answered, and the share of these read rightly."""
    answered = model.predict_proba(X).max(axis=1) >= threshold
    return answered.mean(), (model.predict(X[answered]) == y[answered]).mean()


model = make_mnist_pipeline(random_state=0).fit(X[10_000:], y[10_000:])
thresholds = np.linspace(0.1, 0.999, 60)
curve = np.array(
    [coverage_and_accuracy(model, X_held_out, y_held_out, threshold) for threshold in thresholds]
)
wanted = 0.997
chosen = thresholds[np.argmax(curve[:, 1] >= wanted)]
coverage, accuracy = coverage_and_accuracy(model, X_test, y_test, chosen)
print(f"all test images:                  {model.score(X_test, y_test):.2%} right")
print(f"confidence of {chosen:.2f} or more: {coverage:.1%} of them, {accuracy:.2%} right")

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(curve[:, 0], curve[:, 1], color="#0072B2", label="held-out images, by threshold")
ax.plot(coverage, accuracy, "D", color="#D55E00", label=f"test images at {chosen:.2f}")
ax.set(
    xlabel="Share of images answered", ylabel="Accuracy of the answers", title="Fewer and better"
)
ax.xaxis.set_major_formatter("{x:.0%}")
ax.yaxis.set_major_formatter("{x:.1%}")
ax.grid(alpha=0.3)
ax.legend()

# %%
# These it would hand to a human being first:

from mnist_estimator import DigitsDisplay

least_sure = np.argsort(model.predict_proba(X_test).max(axis=1))[:20]
DigitsDisplay.from_estimator(model, X_test[least_sure], y_test[least_sure], n_images=20, n_cols=5)

# %%
# A warning: confidence is only as good as the images are like those of the training. Shown a
# letter, or a digit that was not centred, the network is often sure, and wrong.
