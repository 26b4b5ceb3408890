"""
How many units, how much dropout?
=================================

Two numbers that no gradient finds. A grid search tries some of each, and a heat map shows whether
it matters.
"""

# %%
# The search
# ----------
#
# Each of the 20 networks is trained three times, on two thirds of the rows, and judged on the
# other third. The folds are stratified, because the pipeline says of itself that it is a
# classifier. One fit takes one processor, and threads share what is compiled for the first of
# them; see :doc:`/training`. This ``GridSearchCV`` is scikit-learn's, which with ``verbose=1``
# says how far it is and what is best so far: here in lines, on a terminal and in notebooks with a
# bar as well.

import joblib

from mnist_estimator import fetch_mnist, make_mnist_pipeline
from mnist_estimator.model_selection import GridSearchCV

X, y = fetch_mnist(return_X_y=True)
X, y = X[:4_500], y[:4_500]

layers = [(16,), (64,), (256,), (64, 32), (256, 128)]
dropouts = [0.0, 0.2, 0.4, 0.6]
search = GridSearchCV(
    make_mnist_pipeline(epochs=12, validation_split=0.0, random_state=0),
    {"mlp__hidden_layer_sizes": layers, "mlp__dropout": dropouts},
    cv=3,
    verbose=1,
)
with joblib.parallel_config("threading", n_jobs=2):
    search.fit(X, y)
print(f"{search.best_score_:.2%} with {search.best_params_}")

# %%
# The heat map
# ------------
#
# ``cv_results_`` holds a row a network, the last parameter of the grid (in the order of the
# alphabet, ``mlp__hidden_layer_sizes``) running fastest.

import matplotlib.pyplot as plt

shape = len(dropouts), len(layers)
scores = search.cv_results_["mean_test_score"].reshape(shape)
spread = search.cv_results_["std_test_score"].reshape(shape)

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
image = ax.imshow(scores, cmap="cividis", aspect="auto")
for (i, j), score in [((i, j), scores[i, j]) for i in range(shape[0]) for j in range(shape[1])]:
    colour = "black" if image.norm(score) > 0.5 else "white"
    weight = "bold" if score == scores.max() else "normal"
    text = f"{score:.1%}\n±{spread[i, j]:.1%}"
    ax.text(j, i, text, ha="center", va="center", color=colour, weight=weight)
ax.set_xticks(range(len(layers)), ["-".join(map(str, sizes)) for sizes in layers])
ax.set_yticks(range(len(dropouts)), dropouts)
ax.set(xlabel="Hidden layers", ylabel="Dropout", title="Accuracy on held-out images")
fig.colorbar(image, label="Mean of three folds", format="{x:.0%}")

# %%
# How to read it
# --------------
#
# Width pays, down to the last column. Dropout takes away what a narrow network needs, and hardly
# touches a wide one. Below each figure stands the spread between the three folds: it is larger
# than the difference between most neighbours, so which of them is "best" is luck. (The folds
# differ so much because MNIST's rows come writer by writer, and each fold holds other writers.)
# Take the cheapest network that is about as good, and train it on all the data.
#
# From the shell, with the same progress:
#
# .. code-block:: console
#
#    $ mnist-estimator search --layers 64 --layers 256,128 --dropout 0 --dropout 0.2
