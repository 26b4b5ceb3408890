"""A search tells how far it is and what is best so far, and finds what scikit-learn's finds."""

import pickle
import re
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import sklearn.model_selection
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_score
from sklearn.tree import DecisionTreeClassifier

from mnist_estimator import make_mnist_pipeline
from mnist_estimator.model_selection import GridSearchCV

X, Y = (each[:300] for each in load_digits(return_X_y=True))
TREE = DecisionTreeClassifier(random_state=0)
DEPTHS = {"max_depth": [2, 4, 8, 5]}
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor
SECONDS = r"\(\d+ s left\)"


class Unlucky(DecisionTreeClassifier):
    """Fails at a depth of 13."""

    def fit(self, X, y, sample_weight=None, check_input=True):
        if self.max_depth == 13:
            raise RuntimeError("unlucky")
        return super().fit(X, y)


def interrupted(*args):
    raise KeyboardInterrupt


def no_score(estimator, X, y):
    return float("nan")


def score_of_deep_ones(estimator, X, y):
    return estimator.score(X, y) if estimator.max_depth > 3 else float("nan")


def two_scores(estimator, X, y):
    score = estimator.score(X, y)
    return {"up": score, "down": -score}


@pytest.fixture
def terminal(monkeypatch):
    """Let the output pass for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def without_codes(text):
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def assert_same_results(search, expected):
    """Compare all but the times, which are never the same."""
    assert list(search.cv_results_) == list(expected.cv_results_)
    for name, column in expected.cv_results_.items():
        found = search.cv_results_[name]
        assert len(found) == len(column)
        if name == "params":
            assert found == column
        elif not name.endswith("_time"):
            assert type(found) is type(column)
            assert found.dtype == column.dtype
            np.testing.assert_array_equal(found, column, err_msg=name)
    for name in ("best_index_", "best_score_", "best_params_"):
        assert repr(getattr(search, name, None)) == repr(getattr(expected, name, None))


def fit_both(estimator, grid, fit_params=None, **params):
    """Search with scikit-learn and with progress; the results are the same."""
    params = {"cv": 3, **params}
    expected = sklearn.model_selection.GridSearchCV(estimator, grid, **clone(params, safe=False))
    expected.fit(X, Y, **(fit_params or {}))
    search = GridSearchCV(estimator, grid, **params, verbose=1).fit(X, Y, **(fit_params or {}))
    assert_same_results(search, expected)
    return search


def test_plain_lines_where_there_is_no_terminal(capsys):
    search = fit_both(TREE, DEPTHS)
    *lines, last = capsys.readouterr().out.splitlines()
    best = [2, 4, 8, 8]
    scores = [search.cv_results_["mean_test_score"][[2, 4, 8].index(depth)] for depth in best]
    for i, (line, depth, score) in enumerate(zip(lines, best, scores, strict=True), start=1):
        told = f"{i}/4 candidates: best score {score:.4g} with max_depth={depth} "
        assert re.fullmatch(re.escape(told) + SECONDS, line)
    assert last == "fitting the best on all rows"


def test_silence(capsys, monkeypatch):
    for module in ("rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, module, None)  # to import it fails
    search = GridSearchCV(TREE, DEPTHS, cv=3).fit(X, Y)
    assert capsys.readouterr() == ("", "")
    assert_same_results(search, sklearn.model_selection.GridSearchCV(TREE, DEPTHS, cv=3).fit(X, Y))


def test_a_search_of_something_else_needs_no_tensorflow():
    program = (
        "import sys\n"
        "from sklearn.tree import DecisionTreeClassifier as Tree\n"
        "from mnist_estimator.model_selection import GridSearchCV\n"
        "GridSearchCV(Tree(), {}, cv=2, verbose=1).fit([[0.0], [1.0]] * 4, [0, 1] * 4)\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0].startswith("1/1 candidates: best score 1 (")


def test_a_terminal_sees_lines_above_a_bar(capsys, terminal):
    fit_both(TREE, DEPTHS)
    out = capsys.readouterr().out
    assert out.count(HIDE) == out.count(SHOW) == 1
    assert re.search(r"4/4 candidates: best score 0\.\d+ with max_depth=8\n", without_codes(out))
    assert re.search(r"4/4 candidates .* 0 s left 0:00:0\d", without_codes(out))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_epochs_within_a_search_are_lines_above_its_bar(capsys, terminal):
    pipe = make_mnist_pipeline(hidden_layer_sizes=(4,), epochs=2, random_state=0, verbose=1)
    GridSearchCV(pipe, {"mlp__dropout": [0.0]}, cv=2, verbose=1).fit(X, Y)
    out = capsys.readouterr().out
    assert out.count(HIDE) == out.count(SHOW) == 2  # the search's bar, and that of the last fit
    text = without_codes(out)
    search, last_fit = text.split("fitting the best on all rows")
    assert search.count("epoch 2/2: loss") == 2
    assert "epochs ━" not in search
    assert re.search(r"2/2 epochs ━", last_fit)


def test_verbose_2_keeps_scikit_learns_own_lines(capsys):
    GridSearchCV(TREE, DEPTHS, cv=3, verbose=2).fit(X, Y)
    out = capsys.readouterr().out
    assert out.count("Fitting 3 folds for each of 1 candidates") == 4
    assert out.count("[CV] END") == 12
    assert out.count("candidates: best score") == 4


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize(("cv", "told_at"), [(3, [2, 4]), (4, [1, 2, 3, 4])])
def test_the_fewest_candidates_that_occupy_all_workers(capsys, backend, cv, told_at):
    with joblib.parallel_config(backend, n_jobs=2):
        fit_both(TREE, DEPTHS, cv=cv)
    if not has_callbacks():
        told_at = [2, 4]
    lines = capsys.readouterr().out.splitlines()[:-1]
    assert [int(line[0]) for line in lines] == told_at


def has_callbacks():
    """Tell whether scikit-learn is 1.9 or later, which knows the folds before the search."""
    return hasattr(sklearn.model_selection.GridSearchCV, "set_callbacks")


@pytest.mark.parametrize(
    "params",
    [
        {"cv": KFold(3, shuffle=True)},
        {"cv": KFold(3, shuffle=True, random_state=np.random.RandomState(0))},
    ],
)
def test_random_folds_are_the_same_for_all_candidates(params):
    search = GridSearchCV(TREE, {"max_depth": [4] * 3}, verbose=1, **params).fit(X, Y)
    for fold in range(3):
        assert len(set(search.cv_results_[f"split{fold}_test_score"])) == 1


def test_folds_of_every_kind():
    fit_both(TREE, DEPTHS, cv=KFold(3, shuffle=True, random_state=np.random.RandomState(0)))
    fit_both(TREE, DEPTHS, {"groups": np.arange(len(X)) % 3}, cv=LeaveOneGroupOut())
    fit_both(TREE, DEPTHS, cv=list(KFold(3).split(X)))
    search = GridSearchCV(TREE, DEPTHS, cv=KFold(3).split(X), verbose=1).fit(X, Y)
    assert_same_results(search, fit_both(TREE, DEPTHS, cv=KFold(3)))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"scoring": ["f1_macro", "accuracy"], "refit": "accuracy"}, "best accuracy 0."),
        ({"scoring": ["f1_macro", "accuracy"], "refit": False}, "best f1_macro 0."),
        ({"scoring": ["f1_macro", "accuracy"], "refit": lambda _: 1}, "best f1_macro 0."),
        ({"scoring": two_scores, "refit": "down"}, "best down -0."),
        ({"return_train_score": True}, "best score 0."),
    ],
)
def test_the_best_by_several_scores(capsys, params, told):
    fit_both(TREE, [DEPTHS, {"min_samples_leaf": [2, 5]}], **params)
    assert f"6/6 candidates: {told}" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_scores_that_are_nan_are_not_the_best(capsys):
    fit_both(TREE, {"max_depth": [2, 4]}, scoring=score_of_deep_ones)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1/2 candidates: none has a score yet (")
    assert re.match(r"2/2 candidates: best score 0\.\d+ with max_depth=4", lines[1])
    fit_both(TREE, {"max_depth": [2, 4]}, scoring=no_score)
    assert "2/2 candidates: none has a score yet (" in capsys.readouterr().out


def test_scores_that_are_nan_are_warned_of_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GridSearchCV(TREE, DEPTHS, cv=3, scoring=no_score, verbose=1).fit(X, Y)
    assert len([each for each in caught if "non-finite" in str(each.message)]) == 1


# scikit-learn refuses a call in which every fit fails, as that of a single candidate is.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the (test|train) scores:UserWarning")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "depths",
    [[13, 2, 3], [2, 13, 3], [2, 3, 13], [13, 13, 13, 2], [5, 2, 13, 13, 13], [13, 5, 13, 2, 13]],
    ids=str,
)
def test_candidates_that_fail_leave_the_others_be(depths, n_jobs):
    grid = {"max_depth": depths}
    unlucky = Unlucky(random_state=0)
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        fit_both(unlucky, grid)
    fit_both(unlucky, grid, scoring=two_scores, refit="down", return_train_score=True)
    fit_both(unlucky, grid, error_score=-1.0)


def test_a_search_where_all_fits_fail_says_what_scikit_learn_says(capsys):
    unlucky, grid = Unlucky(random_state=0), {"max_depth": [13, 13]}
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        GridSearchCV(unlucky, grid, cv=3, verbose=1).fit(X, Y)
    with pytest.raises(RuntimeError, match="unlucky"):
        GridSearchCV(unlucky, grid, cv=3, verbose=1, error_score="raise").fit(X, Y)
    with pytest.raises(ValueError, match="No fits were performed"):
        GridSearchCV(unlucky, [], cv=3, verbose=1).fit(X, Y)


@pytest.mark.parametrize("error", ["unlucky", "interrupted"])
def test_an_error_takes_the_bar_away_and_leaves_the_parameters(capsys, terminal, error):
    params = {"error_score": "raise"} if error == "unlucky" else {"scoring": interrupted}
    search = GridSearchCV(Unlucky(), {"max_depth": [13]}, cv=3, verbose=1, **params)
    if error == "interrupted":
        search.set_params(param_grid=DEPTHS)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        search.fit(X, Y)
    assert search.verbose == 1
    out = capsys.readouterr().out
    assert out.count(HIDE) == out.count(SHOW) == 1


def test_it_is_an_estimator_like_scikit_learns(capsys):
    search = GridSearchCV(TREE, DEPTHS, cv=3, verbose=1)
    plain = sklearn.model_selection.GridSearchCV(TREE, DEPTHS, cv=3, verbose=1)
    assert list(search.get_params()) == list(plain.get_params())
    assert clone(search).get_params()["verbose"] == 1
    fitted = pickle.loads(pickle.dumps(search.fit(X, Y)))
    assert (fitted.predict(X) == search.predict(X)).all()
    capsys.readouterr()
    assert len(cross_val_score(search, X, Y, cv=2, n_jobs=2)) == 2  # in processes of their own
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not has_callbacks(), reason="needs the callbacks of scikit-learn 1.9")
@pytest.mark.filterwarnings("ignore:The estimator .* does not support callbacks")
@pytest.mark.parametrize("verbose", [0, 1])
def test_callbacks_of_scikit_learn(capsys, verbose):
    from sklearn.callback import ProgressBar

    search = GridSearchCV(TREE, DEPTHS, cv=3, verbose=verbose).set_callbacks(ProgressBar())
    search.fit(X, Y)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert ("GridSearchCV - search" in out) == (verbose == 0)
    assert ("4/4 candidates: best score" in out) == (verbose == 1)


def test_a_notebook_gets_a_bar_or_plain_lines(capsys, monkeypatch):
    import rich.console

    from mnist_estimator import _progress

    class NotebookConsole(rich.console.Console):
        def __init__(self, **params):
            super().__init__(force_jupyter=True, **params)

    monkeypatch.setattr(rich.console, "Console", NotebookConsole)
    monkeypatch.setattr(_progress, "find_spec", {}.get)  # no ipywidgets
    GridSearchCV(TREE, DEPTHS, cv=3, verbose=1).fit(X, Y)
    out = capsys.readouterr().out
    assert "4/4 candidates: best score" in out
    assert "\x1b" not in out
