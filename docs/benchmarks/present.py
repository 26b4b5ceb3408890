"""Tables and plots of what `run.py` measured."""

import statistics

import matplotlib as mpl
from measure import summarise

mpl.use("Agg")
import matplotlib.pyplot as plt

NAMES = {
    "ours": "mnist_estimator",
    "keras": "Keras, Sequential.fit",
    "scikeras": "stock SciKeras",
    "sklearn": "scikit-learn MLPClassifier",
    "skorch": "PyTorch with skorch",
    "search_ours_1": "mnist_estimator, n_jobs=1",
    "search_ours_2": "mnist_estimator, n_jobs=2",
    "search_scikeras": "stock SciKeras, n_jobs=1",
}
# Colours that a colour-blind reader can tell apart (Okabe and Ito 2008).
OURS, PEER = "#0072B2", "#999999"


def tabulate(results):
    """Return Markdown tables of all sections that were measured."""
    parts = [_describe(results["machine"])]
    for name, table in _TABLES.items():
        if name in results:
            parts.append(table(results[name]))
    return "\n\n".join(parts) + "\n"


def _describe(machine):
    versions = ", ".join(f"{name} {v or 'absent'}" for name, v in machine["versions"].items())
    kernels = ", ".join(machine["kernels"])
    return (
        f"Measured on {machine['cpu']}, Python {machine['python']}; {versions}. The matrix "
        f"products alone are NumPy's, by OpenBLAS' kernels for {kernels}."
    )


def _seconds(value):
    unit, factor = ("s", 1) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    return f"{value * factor:.3g} {unit}"


def _spread(summary):
    low, high = _seconds(summary["min"]), _seconds(summary["max"])
    return f"{_seconds(summary['median'])} ({low} – {high})"


def _rows(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _training(section):
    base = statistics.median(run["seconds"] for run in section["ours"])
    rows = []
    for name, runs in section.items():
        if "missing" in runs[0]:
            rows.append([NAMES[name], f"{runs[0]['missing']} is not installed", "", "", "", "", ""])
            continue
        seconds = [run["seconds"] for run in runs]
        rows.append(
            [
                NAMES[name],
                _spread(summarise(seconds)),
                f"{statistics.median(seconds) / base:.1f}",
                _deviation([run["accuracy"] for run in runs]),
                _deviation([run["loss"] for run in runs]),
                f"{statistics.median(run['peak_mb'] for run in runs):.0f} MB",
                str(len(runs)),
            ]
        )
    header = ["a fit: 60,000 rows, 10 epochs", "median time (range)", "times ours", "test accuracy"]
    return _rows([*header, "test loss", "peak memory", "seeds"], rows)


def _deviation(values):
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def _epoch(section):
    ratio = section["epoch"]["median"] / section["matrix products"]["median"]
    rows = [[name, _spread(summary)] for name, summary in section.items()]
    return _rows(["an epoch of 48,000 rows", "time"], [*rows, ["ratio", f"{ratio:.2f}"]])


def _searches(section):
    base = section["search_ours_1"]["median"]
    rows = [
        [NAMES[name], _spread(summary), f"{summary['median'] / base:.2f}"]
        for name, summary in section.items()
    ]
    return _rows(["12 candidates × 3 folds, 10,000 rows, 3 epochs", "time", "times ours"], rows)


def _prediction(section):
    rows = [[name, *(_spread(section[n][name]) for n in section)] for name in section["1"]]
    return _rows(["probabilities of", *(f"{int(n):,} row(s)" for n in section)], rows)


def _start_up(section):
    rows = [[name, _spread(summary)] for name, summary in section.items()]
    return _rows(["a whole process", "time"], rows)


def _growth(section):
    tables = []
    for what, values in section.items():
        rows = [[f"{int(n):,}", _seconds(value)] for n, value in values.items()]
        label = "a prediction" if what == "prediction batch" else "an epoch"
        tables.append(_rows([what, label], rows))
    return "\n\n".join(tables)


_TABLES = {
    "training": _training,
    "epoch": _epoch,
    "searches": _searches,
    "prediction": _prediction,
    "start_up": _start_up,
    "growth": _growth,
}


def draw(results, folder):
    """Write bar charts of fits and predictions, and curves of the growth, as SVG."""
    if "training" in results:
        figures = {
            name: summarise([run["seconds"] for run in runs])
            for name, runs in results["training"].items()
            if "missing" not in runs[0]
        }
        _bars(figures, "A fit on MNIST: 60,000 rows, 10 epochs", "seconds", folder / "training.svg")
    if "searches" in results:
        title = "A grid search: 12 candidates × 3 folds"
        _bars(results["searches"], title, "seconds", folder / "searches.svg")
    if "prediction" in results:
        for n, figures in results["prediction"].items():
            title = f"Probabilities of {int(n):,} row(s)"
            path = folder / f"prediction_{n}.svg"
            _bars(figures, title, "seconds (logarithmic)", path, log=True)
    if "growth" in results:
        _curves(results["growth"], folder / "growth.svg")


def _bars(figures, title, label, path, log=False):
    figure, ax = plt.subplots(figsize=(7, 0.5 + 0.45 * len(figures)), layout="constrained")
    names = list(figures)
    medians = [figures[name]["median"] for name in names]
    errors = [
        [figures[name]["median"] - figures[name]["min"] for name in names],
        [figures[name]["max"] - figures[name]["median"] for name in names],
    ]
    ours = ("ours", "search_ours", "KerasMLP", "OnnxClassifier")
    colours = [OURS if name.startswith(ours) else PEER for name in names]
    ax.barh([NAMES.get(n, n) for n in names], medians, xerr=errors, color=colours, log=log)
    ax.invert_yaxis()
    ax.set(title=title, xlabel=label)
    _save(figure, path)


def _curves(section, path):
    figure, axes = plt.subplots(1, len(section), figsize=(10, 3.2), layout="constrained")
    for ax, (what, values) in zip(axes, section.items(), strict=True):
        ax.loglog([int(n) for n in values], list(values.values()), "o-", color=OURS)
        work = "a prediction" if what == "prediction batch" else "an epoch"
        ax.set(xlabel=what, ylabel=f"seconds of {work}", title=f"By {what}")
        ax.grid(alpha=0.3)
    _save(figure, path)


def _save(figure, path):
    # No date and fixed identifiers: the same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "mnist_estimator", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
