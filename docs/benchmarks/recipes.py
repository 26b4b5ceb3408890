"""What the recipes reach on real MNIST, and how long they take against plain Keras.

``python docs/benchmarks/recipes.py`` fits each recipe from several seeds on the 60,000 training
images, the graphs traced anew in each fit, and writes ``results/recipes.json`` and
``results/recipes.md``. It takes two hours, most of them for the larger network; ``--only fast
--seeds 3`` measures one recipe again.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from measure import run_contestant
from scipy import ndimage

RESULTS = Path(__file__).parent / "results"
RECIPES = {
    "reference": {"recipe": "reference"},
    "fast": {"recipe": "fast"},
    "accurate, 88 epochs": {"recipe": "accurate", "epochs": 88},
    "accurate": {"recipe": "accurate"},
    "accurate, 1536-1024-512": {
        "recipe": "accurate",
        "hidden_layer_sizes": (1536, 1024, 512),
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "epochs": 150,
    },
}


def distorted(images):
    """Yield the name of each distortion and the images by it, ink staying ink.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 28, 28)
        Grey levels.
    """
    for y in range(-2, 3):
        for x in range(-2, 3):
            yield "5 × 5 shifts", ndimage.shift(images, (0, y, x), order=0)
    for angle in (-15, 15):
        yield "rotated by ±15°", ndimage.rotate(images, angle, (1, 2), reshape=False, order=1)
    for scale in (0.85, 1.15):
        middle = np.array([0, 13.5, 13.5])
        factors = np.array([1, 1 / scale, 1 / scale])
        yield (
            "scaled by ±15 %",
            ndimage.affine_transform(images, factors, middle - factors * middle, order=1),
        )


def robustness(predict, images, y):
    """Return the accuracies on images distorted in each way, and `undistorted`.

    Parameters
    ----------
    predict : callable
        Rows of grey levels to labels.
    images : ndarray of uint8, shape (n, 28, 28)
        Grey levels.
    y : ndarray of shape (n,)
        Labels.
    """
    found = {"undistorted": [float((predict(images.reshape(-1, 784)) == y).mean())]}
    for name, moved in distorted(images):
        found.setdefault(name, []).append(float((predict(moved.reshape(-1, 784)) == y).mean()))
    return found


def fit(params, seed, folder):
    """Fit one recipe; return seconds, accuracy and robustness on the test images."""
    from mnist_estimator import fetch_mnist, make_mnist_pipeline, save_onnx, training

    X, y = fetch_mnist(return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    pipe = make_mnist_pipeline(random_state=seed, **params)
    training._graphs.clear()  # tracing is part of a fit
    start = time.perf_counter()
    pipe.fit(X, y)
    seconds = time.perf_counter() - start
    if folder is not None:
        save_onnx(pipe, folder / f"{params['recipe']}_{pipe['mlp'].epochs}_{seed}.onnx", X_test)
    return {
        "seconds": seconds,
        "parameters": pipe["mlp"].model_.count_params(),
        "robustness": robustness(pipe.predict, X_test.reshape(-1, 28, 28), y_test),
    }


def tabulate(results):
    """Return the tables of the docs' page."""
    keras = statistics.median(run["seconds"] for run in results["keras"])
    lines = [
        f"Plain Keras took {keras:.1f} s for the reference's ten epochs.",
        "",
        "| recipe | parameters | test accuracy, mean (each seed) | seconds | of Keras' time |",
        "|---|---|---|---|---|",
    ]
    names = [name for name in RECIPES if name in results]
    for name in names:
        runs = results[name]
        accuracies = [run["robustness"]["undistorted"][0] for run in runs]
        seconds = statistics.median(run["seconds"] for run in runs)
        each = ", ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies)
        lines.append(
            f"| {name} | {runs[0]['parameters']:,} | {statistics.mean(accuracies):.2%} ({each}) "
            f"| {seconds:.1f} | {seconds / keras:.3g} |"
        )
    lines += [
        "",
        "| recipe | 5 × 5 shifts: mean, worst | ±15°: worse side | ±15 %: worse side |",
        "|---|---|---|---|",
    ]
    for name in names:
        runs = [run["robustness"] for run in results[name]]

        def loss(kind, choose, runs=runs):
            losses = [run["undistorted"][0] - choose(run[kind]) for run in runs]
            return f"−{100 * statistics.mean(losses):.2f}"

        lines.append(
            f"| {name} | {loss('5 × 5 shifts', statistics.mean)}, {loss('5 × 5 shifts', min)} "
            f"| {loss('rotated by ±15°', min)} | {loss('scaled by ±15 %', min)} |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measure what the command line asks for, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=["keras", *RECIPES], default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", type=Path, help="a folder to write the models to")
    arguments = parser.parse_args()

    path = RESULTS / "recipes.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in arguments.only or ["keras", *RECIPES]:
        seeds = range(arguments.seeds)
        if name == "keras":
            results[name] = [run_contestant("keras", "--seed", seed) for seed in seeds]
        else:
            results[name] = [fit(RECIPES[name], seed, arguments.models) for seed in seeds]
        path.write_text(json.dumps(results, indent=1) + "\n")
        if "keras" in results:
            (RESULTS / "recipes.md").write_text(tabulate(results))
        print(name, results[name], flush=True)


if __name__ == "__main__":
    main()
