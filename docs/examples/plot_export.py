"""
Export and deploy
=================

From a fitted pipeline to one file that runs without TensorFlow, scikit-learn or this package: in
a server, in a browser, on a telephone.
"""

# %%
# One file
# --------
#
# :func:`~mnist_estimator.save_onnx` writes the scaling, the network and the labels, and compares
# the file's answers with the pipeline's before it lands under its name.

from pathlib import Path
from tempfile import mkdtemp

from mnist_estimator import fetch_mnist, make_mnist_pipeline, save_onnx

X_train, y_train = fetch_mnist(return_X_y=True)
X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
pipe = make_mnist_pipeline(random_state=0).fit(X_train, y_train)

folder = Path(mkdtemp())
report = save_onnx(pipe, folder / "digits.onnx", X_test)
print(f"{report.n_bytes / 1000:.0f} kB; {report.agreement:.1%} of the labels agree")
print(f"largest difference of a probability: {report.max_difference:.1e}")

# %%
# What is in it
# -------------
#
# A handful of operations. The division by 255 is gone: it went into the first layer's weights.

import onnx

model = onnx.load(folder / "digits.onnx")
for node in model.graph.node:
    print(f"{node.op_type:8} {', '.join(node.input)} → {', '.join(node.output)}")

# %%
# Use it with onnxruntime alone
# -----------------------------
#
# Raw bytes in, labels and probabilities out. :doc:`/deploy` shows the same in JavaScript, C# and
# C++.

import onnxruntime

session = onnxruntime.InferenceSession(folder / "digits.onnx")
labels, probabilities = session.run(None, {"X": X_test[:5]})
print(labels, probabilities.max(axis=1).round(3))

# %%
# Use it as a scikit-learn classifier
# -----------------------------------
#
# :class:`~mnist_estimator.OnnxClassifier` is a fitted classifier over the file. The displays take
# it, scikit-learn's scorers take it, and it pickles.

from mnist_estimator import DigitsDisplay, OnnxClassifier

classifier = OnnxClassifier(folder / "digits.onnx")
print(f"{classifier.score(X_test, y_test):.2%}")
DigitsDisplay.from_estimator(classifier, X_test, y_test, n_images=15, n_cols=5)

# %%
# The file says of itself how it was made:

for name, value in classifier.metadata_["versions"].items():
    print(f"{name:16} {value}")

# %%
# Smaller: INT8
# -------------
#
# A quarter of the size, the matrix products in 8-bit integers. Some hundred training images show
# the range of the numbers in between.

from mnist_estimator.evaluation import evaluate

save_onnx(
    pipe, folder / "digits-int8.onnx", X_test, quantize="int8", calibration_data=X_train[:500]
)
for name in ("digits.onnx", "digits-int8.onnx"):
    model = OnnxClassifier(folder / name)
    answers = model.predict(X_test), model.predict_proba(X_test)
    evaluation = evaluate(y_test, *answers, classes=model.classes_)
    size = (folder / name).stat().st_size / 1000
    print(f"{name:17} {size:4.0f} kB, accuracy {evaluation.accuracy:.2%}")

# %%
# How long one answer takes
# -------------------------
#
# On the machine that built this page. A server that answers one image at a time feels the
# difference; :doc:`/benchmarks/index` has the figures of a quiet machine.

from timeit import repeat

import matplotlib.pyplot as plt

ways = {
    "Keras: model_.predict": lambda: pipe["mlp"].model_.predict(X_test[:1] / 255, verbose=0),
    "the pipeline": lambda: pipe.predict_proba(X_test[:1]),
    "OnnxClassifier": lambda: classifier.predict_proba(X_test[:1]),
    "onnxruntime alone": lambda: session.run(None, {"X": X_test[:1]}),
}
seconds = {name: min(repeat(way, number=20, repeat=5)) / 20 for name, way in ways.items()}

fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
bars = ax.barh(list(seconds), [1000 * value for value in seconds.values()], color="#0072B2")
ax.bar_label(bars, fmt="{:.3f} ms", padding=4)
ax.set(xscale="log", xlabel="Milliseconds (logarithmic)", title="Reading one image")
ax.margins(x=0.2)
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
