"""What messy data costs, and what the remedies bring back: ``python docs/benchmarks/messy.py``.

The reference network learns from MNIST's training images made messy, without and with remedies, and
is judged on the test images; every figure is the mean of three seeds, of the mess and of the
network. MNIST is fetched as by `fetch_mnist`; the tables are written to
docs/benchmarks/results/messy.md. It takes about half an hour on one core, and scikit-learn 1.8, the
first that calibrates by temperature. All settings were chosen on training images, most of them
with ``--choose``, which trains on 20,000 and judges on 10,000 others; the test images only judge.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from mnist_estimator import fetch_mnist, make_mnist_pipeline
from mnist_estimator.datasets import blend_pairs, hide_pixels, mislabel, thin_out
from mnist_estimator.evaluation import evaluate, rank_ambiguous, rank_label_issues

RESULTS = Path(__file__).parent / "results" / "messy.md"
CLASSES = np.arange(10)
RARE = (5, 6, 7, 8, 9)
SHARE = 0.1  # of the pixels, of the scan lines, of the labels, of the images, and left out


def network(seed, **params):
    """Return the reference pipeline, not fitted."""
    return make_mnist_pipeline(random_state=seed, **params)


def filling(seed, **params):
    """Return the reference pipeline behind an imputer, not fitted."""
    return make_pipeline(SimpleImputer(), network(seed, **params))


def calibrated(pipeline):
    """Return the pipeline with its probabilities calibrated on rows that it did not learn from."""
    return CalibratedClassifierCV(pipeline, method="temperature", cv=5, ensemble=False)


def out_of_fold(pipeline, X, y):
    """Return the probabilities of every row by a network that did not learn from it."""
    return cross_val_predict(pipeline, X, y, cv=5, method="predict_proba")


def without_doubtful(probabilities, y):
    """Return all rows but the tenth whose labels look most doubtful."""
    return np.sort(rank_label_issues(y, probabilities, classes=CLASSES)[round(SHARE * len(y)) :])


def with_blends(X, y, seed):
    """Replace a tenth of the rows by blends of two digits, labelled as one of the two."""
    n_blends = round(SHARE * len(y))
    blends, pairs = blend_pairs(X, y, n_blends, random_state=seed)
    return np.concatenate([blends, X[n_blends:]]), np.concatenate([pairs[:, 0], y[n_blends:]])


def judge(classifier, X, y, *, set_aside=0.0):
    """Return the evaluation, with a share of the images, the most ambiguous ones, set aside."""
    probabilities = classifier.predict_proba(X)
    rows = rank_ambiguous(probabilities, classes=CLASSES)[0][round(set_aside * len(y)) :]
    answers = CLASSES[probabilities[rows].argmax(axis=1)]
    return evaluate(y[rows], answers, probabilities[rows], classes=CLASSES)


def clean(X, y, X_test, y_test, seed):
    """Yield for each remedy what it comes to: without any mess."""
    yield "–", judge(network(seed).fit(X, y), X_test, y_test)
    yield "calibrated", judge(calibrated(network(seed)).fit(X, y), X_test, y_test)


def missing(X, y, X_test, y_test, seed):
    """Yield the same: a tenth of the pixels and a tenth of the scan lines missing."""
    hidden, hidden_test = (
        hide_pixels(images, pixels=SHARE, lines=SHARE, random_state=seed + i)
        for i, images in enumerate((X, X_test))
    )
    as_paper = np.nan_to_num(hidden_test)
    yield (
        "none: trained on whole images, 0 where missing",
        judge(network(seed).fit(X, y), as_paper, y_test),
    )
    yield "`SimpleImputer()`", judge(filling(seed).fit(hidden, y), hidden_test, y_test)
    yield (
        "the same, calibrated",
        judge(calibrated(filling(seed)).fit(hidden, y), hidden_test, y_test),
    )


def imbalanced(X, y, X_test, y_test, seed):
    """Yield the same: of the digits 5 to 9 one in twenty is left."""
    rows = thin_out(y, RARE, ratio=20, random_state=seed)
    X, y = X[rows], y[rows]
    yield "none", judge(network(seed).fit(X, y), X_test, y_test)
    balanced = network(seed, class_weight="balanced")
    yield '`class_weight="balanced"`', judge(balanced.fit(X, y), X_test, y_test)
    yield "the same, calibrated", judge(calibrated(balanced).fit(X, y), X_test, y_test)


def mislabelled(X, y, X_test, y_test, seed):
    """Yield the same: a tenth of the labels wrong."""
    y, _ = mislabel(y, share=SHARE, random_state=seed)
    yield "none", judge(network(seed).fit(X, y), X_test, y_test)
    probabilities = out_of_fold(network(seed), X, y)
    rows = without_doubtful(probabilities, y)
    yield (
        "the tenth first in `rank_label_issues` left out",
        judge(network(seed).fit(X[rows], y[rows]), X_test, y_test),
    )
    weights = probabilities[np.arange(len(y)), y]
    weighted = network(seed).fit(X, y, mlp__sample_weight=weights)
    yield (
        "each row weighted by its label's out-of-fold probability",
        judge(weighted, X_test, y_test),
    )


def ambiguous(X, y, X_test, y_test, seed):
    """Yield the same: a tenth of the images, to learn and to read, blends of two digits."""
    X_test, y_test = with_blends(X_test, y_test, seed)
    unaware = network(seed).fit(X, y)
    yield "none: trained without blends", judge(unaware, X_test, y_test)
    yield (
        "the tenth first in `rank_ambiguous` not read",
        judge(unaware, X_test, y_test, set_aside=SHARE),
    )
    aware = network(seed).fit(*with_blends(X, y, seed + 1))
    yield "trained with blends", judge(aware, X_test, y_test)
    yield "the same, that tenth not read", judge(aware, X_test, y_test, set_aside=SHARE)


def all_at_once(X, y, X_test, y_test, seed):
    """Yield the same: all of the above in the training images, missing pixels in the others."""
    X, y = with_blends(X, y, seed)
    rows = thin_out(y, RARE, ratio=20, random_state=seed)
    y, _ = mislabel(y[rows], share=SHARE, random_state=seed)
    X, X_test = (
        hide_pixels(images, pixels=SHARE, lines=SHARE, random_state=seed + i)
        for i, images in enumerate((X[rows], X_test))
    )
    zero = make_pipeline(SimpleImputer(strategy="constant", fill_value=0), network(seed))
    yield "none: 0 where missing", judge(zero.fit(X, y), X_test, y_test)
    yield "`SimpleImputer()`", judge(filling(seed).fit(X, y), X_test, y_test)
    balanced = filling(seed, class_weight="balanced")
    yield 'and `class_weight="balanced"`', judge(balanced.fit(X, y), X_test, y_test)
    rows = without_doubtful(out_of_fold(balanced, X, y), y)
    X, y = X[rows], y[rows]
    yield "and the doubtful tenth left out", judge(balanced.fit(X, y), X_test, y_test)
    yield "and calibrated", judge(calibrated(balanced).fit(X, y), X_test, y_test)


MESSES = {
    "clean": clean,
    "pixels and scan lines missing": missing,
    "5 to 9 rare, 1 to 20": imbalanced,
    "10 % of the labels wrong": mislabelled,
    "10 % of the images ambiguous": ambiguous,
    "all at once": all_at_once,
}


def tables(evaluations):
    """Return the lines of two tables: the figures, and the recall of each class.

    Parameters
    ----------
    evaluations : dict of (str, str) to list of Evaluation
        For each mess and remedy one a seed.
    """
    yield "| mess | remedy | accuracy | log-loss | calibration error | worst recall |"
    yield "|---|---|---:|---:|---:|---:|"
    for (mess, remedy), found in evaluations.items():
        accuracy, loss, error, worst = np.mean(
            [(e.accuracy, e.log_loss, e.calibration_error, e.worst.accuracy) for e in found], axis=0
        )
        yield f"| {mess} | {remedy} | {accuracy:.2%} | {loss:.4f} | {error:.2%} | {worst:.1%} |"
    yield ""
    yield "Recall of each digit, in %:"
    yield ""
    yield f"| mess | remedy | {' | '.join(map(str, CLASSES))} |"
    yield f"|---|---|{'---:|' * len(CLASSES)}"
    for (mess, remedy), found in evaluations.items():
        recalls = np.mean([[each.accuracy for each in e.per_class] for e in found], axis=0)
        yield f"| {mess} | {remedy} | {' | '.join(f'{100 * recall:.1f}' for recall in recalls)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=[f.__name__ for f in MESSES.values()])
    parser.add_argument("--choose", action="store_true", help="judge on training images")
    arguments = parser.parse_args()

    X, y = fetch_mnist(return_X_y=True)
    if arguments.choose:
        parts = X[:20_000], y[:20_000], X[-10_000:], y[-10_000:]
    else:
        parts = X, y, *fetch_mnist(subset="test", return_X_y=True)
    evaluations = {}
    for mess, make in MESSES.items():
        if arguments.only and make.__name__ not in arguments.only:
            continue
        for seed in arguments.seeds:
            for remedy, evaluation in make(*parts, seed):
                evaluations.setdefault((mess, remedy), []).append(evaluation)
        print(
            *tables({key: found for key, found in evaluations.items() if key[0] == mess}), sep="\n"
        )
    if not arguments.choose and not arguments.only:
        RESULTS.write_text("\n".join([*tables(evaluations), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
