"""GridSearchCV: scikit-learn's, which says while it runs how far it is and what is best so far."""

import time
import warnings
from math import gcd

import numpy as np
import sklearn.model_selection
from joblib import effective_n_jobs
from sklearn.model_selection import ParameterGrid

from mnist_estimator._progress import live_bar


class GridSearchCV(sklearn.model_selection.GridSearchCV):
    """Grid search by cross-validation that shows the candidates done and the best so far.

    With ``verbose=1`` it prints how many candidates are done, the best mean score so far with its
    parameters, and the seconds left: above a live bar on a terminal and in notebooks that have
    ipywidgets, in plain lines elsewhere. ``verbose=0`` prints nothing. The results are those of
    `sklearn.model_selection.GridSearchCV` either way.

    Parameters
    ----------
    estimator : estimator object
        What to fit for each candidate.
    param_grid : dict or list of dict
        Names of parameters and the values to try.
    scoring : str, callable, list, tuple or dict, default=None
        The scores; None for the estimator's own. Of several, "best" is by the one that `refit`
        names, else by the first.
    n_jobs : int, default=None
        Fits at once, as joblib counts them; None for 1, or what `joblib.parallel_config` says.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows, and by which score or function it is chosen.
    cv : int, cross-validation generator or iterable, default=None
        The folds; None for 5.
    verbose : int, default=0
        0 for silence, 1 for the progress, 2 and more for scikit-learn's own lines as well.
    pre_dispatch : int or str, default="2*n_jobs"
        How many fits are handed to the workers ahead.
    error_score : "raise" or float, default=np.nan
        The score of a fit that fails.
    return_train_score : bool, default=False
        Whether to compute the scores on the training rows too.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Describes the parameters and attributes in full.

    Notes
    -----
    With ``verbose`` the candidates are evaluated in groups, the smallest that occupy all workers;
    where fits differ much in length, workers wait for the longest one of each group, and on a Dask
    cluster the data travels once for each. A group of which every fit fails is fitted again
    together with another. Callbacks of scikit-learn 1.9 (`set_callbacks`) then see the search and
    the last fit, not the candidates, as with every search that goes step by step.

    Examples
    --------
    >>> from mnist_estimator.model_selection import GridSearchCV
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> tree = DecisionTreeClassifier(random_state=0)
    >>> search = GridSearchCV(tree, {"max_depth": [1, 2]}, verbose=1)
    >>> search = search.fit(*load_iris(return_X_y=True))
    1/2 candidates: best score 0.6667 with max_depth=1 (0 s left)
    2/2 candidates: best score 0.9333 with max_depth=2 (0 s left)
    fitting the best on all rows
    """

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        if not self.verbose:
            # scikit-learn before 1.9 has no callbacks.
            context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
            super()._run_search(evaluate_candidates, **context)
            return
        candidates = list(ParameterGrid(self.param_grid))
        # The folds are asked for at each call; random ones would differ from group to group.
        folds = _SameFolds(self.cv) if hasattr(self.cv, "split") else None
        # The fewest candidates whose fits are a multiple of n_jobs: no worker idles if all fits
        # take the same time. Before scikit-learn 1.9 the number of folds is not known here (or is
        # that of the fit before); n_jobs candidates are such a multiple whatever it is.
        n_jobs = max(1, effective_n_jobs(self.n_jobs))
        size = n_jobs // gcd(n_jobs, getattr(self, "n_splits_", 1))
        verbose, start = self.verbose, time.perf_counter()
        if verbose == 1:
            self.verbose = 0  # or scikit-learn announces each group as a search of its own
        try:
            with live_bar("candidates") as bar:
                if bar is not None:
                    task = bar.add_task("", total=len(candidates), state="")
                for results in _evaluate_in_groups(evaluate_candidates, candidates, folds, size):
                    done = len(results["params"])
                    pace = (time.perf_counter() - start) / done
                    state = f"{pace * (len(candidates) - done):.0f} s left"
                    line = f"{done}/{len(candidates)} candidates: {_best(results, self.refit)}"
                    if bar is None:
                        print(f"{line} ({state})", flush=True)
                    else:
                        bar.console.print(line, soft_wrap=True)
                        bar.update(task, completed=done, state=state)
        finally:
            self.verbose = verbose
        if self.refit:
            print("fitting the best on all rows", flush=True)


class _SameFolds:
    """A splitter that asks another one once."""

    def __init__(self, splitter):
        self._splitter = splitter
        self._folds = None

    def split(self, *args, **params):
        if self._folds is None:
            self._folds = list(self._splitter.split(*args, **params))
        return self._folds


def _evaluate_in_groups(evaluate_candidates, candidates, folds, n_at_once):
    """Yield the results so far after each group of candidates."""
    start, size, group, last = 0, n_at_once, [], False
    while not last:
        before, group = group, candidates[start : start + size]
        last = start + size >= len(candidates)
        try:
            results = _evaluate(evaluate_candidates, group, folds, last)
        except ValueError as error:
            # scikit-learn stops a search where every fit fails, and keeps none of a group of which
            # every fit fails. It does keep the failures beside a success.
            if "fits failed" not in str(error) or (last and not before):
                raise
            if not last:
                size, group = 2 * size, before
                continue
            results = _evaluate(evaluate_candidates, before + group, folds, last)
            _leave_out(results, start, start + len(before))
        start, size = start + size, n_at_once
        yield results


def _evaluate(evaluate_candidates, group, folds, last):
    with warnings.catch_warnings():
        if not last:  # says it of all results so far at every call
            warnings.filterwarnings("ignore", "One or more of the (test|train) scores", UserWarning)
        return evaluate_candidates(group, cv=folds)


def _leave_out(results, start, stop):
    """Take rows out of the results, in place: scikit-learn keeps this very dict."""
    kept = np.ones(len(results["params"]), dtype=bool)
    kept[start:stop] = False
    for name, column in results.items():
        if name == "params":
            results[name] = column[:start] + column[stop:]
        elif name.startswith("rank_test_"):
            better = (column[start:stop] < column[kept, np.newaxis]).sum(axis=1)
            results[name] = (column[kept] - better).astype(column.dtype)
        else:
            results[name] = column[kept]


def _best(results, refit):
    """Describe the best candidate so far."""
    metrics = [name[10:] for name in results if name.startswith("mean_test_")]
    metric = refit if refit in metrics else metrics[0]
    scores = results[f"mean_test_{metric}"]
    if np.isnan(scores).all():
        return "none has a score yet"
    best = np.nanargmax(scores)
    params = results["params"][best].items()
    values = ", ".join(f"{name}={' '.join(str(value).split())}" for name, value in params)
    return f"best {metric} {scores[best]:.4g}" + (f" with {values}" if values else "")
