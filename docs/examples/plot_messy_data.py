"""
Messy data
==========

Somebody else's data has pixels that are missing, classes that are rare, labels that are wrong and
digits that nobody can read. This page makes such a mess of MNIST, one trouble at a time, and mends
what can be mended. How much each costs on all of MNIST, from three seeds, is measured
:doc:`among the benchmarks </benchmarks/messy>`.
"""

# %%
# Pixels and scan lines that are missing
# --------------------------------------
#
# A bad scanner leaves holes: NaN for every tenth pixel and every tenth line.

import matplotlib.pyplot as plt
import numpy as np

from mnist_estimator import DigitsDisplay, fetch_mnist, make_mnist_pipeline
from mnist_estimator.datasets import blend_pairs, hide_pixels, mislabel, thin_out

X, y = (array[:10_000] for array in fetch_mnist(return_X_y=True))
X_test, y_test = fetch_mnist(subset="test", return_X_y=True)

X_holes, X_test_holes = hide_pixels(X, random_state=0), hide_pixels(X_test, random_state=1)
display = DigitsDisplay(X_holes[:10].reshape(-1, 28, 28), labels=y[:10])
display.plot()
_ = display.figure_.suptitle("What the scanner left; missing pixels are yellow")

# %%
# A network cannot calculate with NaN. :class:`~sklearn.impute.SimpleImputer` puts each pixel's mean
# in; filling in zeros for a network that has learnt from whole images is the naive way.

from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline


def network(**params):
    return make_mnist_pipeline(epochs=5, random_state=0, **params)


whole = network().fit(X, y)
imputing = make_pipeline(SimpleImputer(), network()).fit(X_holes, y)
print(f"trained and tested on whole images: {whole.score(X_test, y_test):.1%}")
print(f"the same, zeros in the holes:       {whole.score(np.nan_to_num(X_test_holes), y_test):.1%}")
print(f"imputed, in training and in use:    {imputing.score(X_test_holes, y_test):.1%}")

# %%
# Classes that are rare
# ---------------------
#
# Of the digits 5 to 9 there is one where there were twenty. ``class_weight="balanced"`` makes a
# rare row count for more; look at the recall of each class, which the accuracy hides.

from sklearn.metrics import recall_score

rows = thin_out(y, range(5, 10), ratio=20, random_state=0)
unweighted = network().fit(X[rows], y[rows])
balanced = network(class_weight="balanced").fit(X[rows], y[rows])

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for shift, (name, model) in enumerate({"as it is": unweighted, "balanced": balanced}.items()):
    recall = recall_score(y_test, model.predict(X_test), average=None)
    ax.bar(np.arange(10) + 0.4 * shift - 0.2, recall, 0.4, label=name)
ax.set(xticks=range(10), xlabel="digit (5 to 9 are rare)", ylabel="recall")
ax.set_title("Share of each digit's images that is found")
_ = ax.legend(loc="lower left")

# %%
# Labels that are wrong
# ---------------------
#
# One label in ten is wrong. A network that never saw a row in training gives its label a low
# probability if it is wrong: :func:`~mnist_estimator.evaluation.rank_label_issues` puts such rows
# first, and somebody can look at them.

from sklearn.model_selection import cross_val_predict

from mnist_estimator.evaluation import rank_ambiguous, rank_label_issues

given, is_wrong = mislabel(y, random_state=0)
probabilities = cross_val_predict(network(), X, given, cv=3, method="predict_proba")
ranked = rank_label_issues(given, probabilities, classes=np.arange(10))
print(f"wrong labels among the first 1,000 of 10,000 rows: {is_wrong[ranked[:1_000]].sum()}")

first = ranked[:12]
display = DigitsDisplay(X[first].reshape(-1, 28, 28), labels=given[first])
display.plot()
_ = display.figure_.suptitle("The most doubtful labels")

# %%
# Without the tenth that looks most doubtful the network learns from better rows, and fewer. On
# these 10,000 the one outweighs the other; on all of MNIST leaving them out brings back half of
# what the wrong labels cost.

kept = ranked[1_000:]
wrong, cleaned = network().fit(X, given), network().fit(X[kept], given[kept])
print(f"with the wrong labels: {wrong.score(X_test, y_test):.1%}")
print(f"without the doubtful:  {cleaned.score(X_test, y_test):.1%}")

# %%
# Digits between two classes
# --------------------------
#
# Here are images half-way between two digits. No answer is right; the honest one is "not sure", and
# :func:`~mnist_estimator.evaluation.rank_ambiguous` says of which two.

blends, pairs = blend_pairs(X_test, y_test, 200, random_state=0)
mixed = np.concatenate([blends, X_test[:1_800]])
rows, between = rank_ambiguous(whole.predict_proba(mixed), classes=np.arange(10))
print(f"blends among the first 200 of 2,000: {(rows[:200] < 200).sum()}")
for row, (a, b) in zip(rows[:5], between[:5], strict=True):
    made_of = "{} and {}".format(*pairs[row]) if row < 200 else f"one {y_test[row - 200]}"
    print(f"between {a} and {b}; in truth {made_of}")

# %%
# Everything in one file
# ----------------------
#
# Imputer, scaler, network and calibration leave together, in a file that takes NaN.

import tempfile
from pathlib import Path

from sklearn.calibration import CalibratedClassifierCV

from mnist_estimator import OnnxClassifier, save_onnx

mended = make_pipeline(SimpleImputer(), network(class_weight="balanced"))
mended = CalibratedClassifierCV(mended, cv=3, ensemble=False).fit(X_holes, given)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "messy.onnx"
    save_onnx(mended, path, X_test_holes)
    print(f"{OnnxClassifier(path).score(X_test_holes, y_test):.1%} from the file")
