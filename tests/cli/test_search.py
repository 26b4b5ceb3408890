import csv
import os
import re
import signal
import threading

import joblib
import numpy as np
import pytest

from mnist_estimator import datasets

GRID = ["search", "--data", "digits", "--layers", "8", "--layers", "none", "--dropout", "0.2"]
SMALL = [*GRID, "--epochs", "2", "--cv", "2", "--rows", "300"]


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """The environment's settings of threads, put back after each test."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


def test_table_and_csv(invoke, tmp_path):
    path = tmp_path / "search.csv"
    result = invoke(*SMALL, "--csv", path)
    assert result.code == 0
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0].startswith("2 networks × 2 folds on 300 images")
    assert re.match(r"1/2 layers (8|none), dropout 0\.2: ", lines[1])
    assert re.search(r"2/2 .*\(best [\d.]+%, 0 s left\)", lines[2])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert {row["layers"] for row in rows} == {"8", "none"}
    assert float(rows[0]["accuracy"]) >= float(rows[1]["accuracy"])
    for row in rows:
        folds = [float(row["fold_1"]), float(row["fold_2"])]
        assert float(row["accuracy"]) == pytest.approx(np.mean(folds), abs=2e-6)
        assert float(row["spread"]) == pytest.approx(np.std(folds), abs=2e-6)
        assert re.search(rf"{row['layers']} +0\.2 +{float(row['accuracy']):.2%}", result.out)
    best = rows[0]["layers"]
    assert lines[-1].endswith(f"train --data digits --layers {best} --dropout 0.2 --epochs 2")


def test_workers_change_nothing_in_the_result(invoke, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    accuracies = []
    for n_jobs in (1, 2, -1):
        result = invoke(*SMALL, "--n-jobs", n_jobs)
        assert f"{1 if n_jobs == 1 else 2} at once" in result.out
        accuracies.append(sorted(re.findall(r"(\S+) +0\.2 +([\d.]+%)", result.out)))
    assert accuracies[0] == accuracies[1] == accuracies[2]
    assert threading.active_count() < 20


def test_finished_fits_are_not_run_again(invoke, tmp_path, monkeypatch):
    from mnist_estimator.training import EpochGraph

    trained, train = [], EpochGraph.train
    monkeypatch.setattr(EpochGraph, "train", lambda *args: trained.append(1) or train(*args))
    tables = []
    for more, n_epochs in ((), 8), (("--dropout", "0"), 8), (("--dropout", "0"), 0):
        trained.clear()
        result = invoke(*SMALL, *more, "--checkpoint", tmp_path, "--n-jobs", 2)
        assert result.code == 0
        assert len(trained) == n_epochs
        tables.append(re.findall(r"(\S+ +0(?:\.2)? +[\d.]+% +[\d.]+%)", result.out))
    assert len(tables[0]) == 2
    assert set(tables[0]) < set(tables[1])
    assert tables[1] == tables[2]
    assert invoke(*SMALL, "--dropout", "0").out.count("%") == result.out.count("%")


@pytest.mark.parametrize(
    ("n_jobs", "n_processors", "n_workers", "n_threads"),
    [(1, 8, 1, "8"), (2, 8, 2, "4"), (3, 8, 3, "2"), (16, 4, 4, "1"), (-2, 4, 3, "1")],
)
def test_workers_times_threads_fit_the_processors(
    invoke, monkeypatch, n_jobs, n_processors, n_workers, n_threads
):
    from mnist_estimator.cli import _grid_search

    asked = {}

    def grid_search(candidates, *args, n_workers, **options):
        asked["workers"] = n_workers
        for candidate in candidates:
            candidate.accuracies[1] = 0.5
            candidate.seconds.append(1.0)

    monkeypatch.setattr(joblib, "cpu_count", lambda: n_processors)
    monkeypatch.setattr(_grid_search, "grid_search", grid_search)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS")
    assert invoke(*SMALL, "--n-jobs", n_jobs).code == 0
    assert asked["workers"] == n_workers
    assert os.environ.pop("TF_NUM_INTRAOP_THREADS") == n_threads
    assert os.environ.pop("TF_NUM_INTEROP_THREADS") == str(n_workers)
    assert os.environ["OMP_NUM_THREADS"] == "1"  # the user's own setting stays


def test_a_terminal_sees_a_bar(invoke):
    out = invoke(*SMALL, "--rows", 1437, terminal=True).out
    assert "4/4 fits" in out
    assert "on 1,437 images" in out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--n-jobs", "0"], "--n-jobs is a number of fits"),
        (["--cv", "1"], "'--cv'"),
        (["--csv", "nowhere/table.csv"], "'--csv': there is no folder nowhere"),
        (["--layers", "8,,8"], "'--layers'"),
        (["--dropout", "2"], "'--dropout'"),
        (["--rows", "0"], "'--rows'"),
    ],
)
def test_mistakes_are_found_before_anything_is_loaded(refuse, monkeypatch, args, expected):
    loaded = []
    monkeypatch.setattr(datasets, "load_image_data", loaded.append)
    assert expected in refuse("search", *args)
    assert loaded == []


def test_more_rows_than_there_are(refuse):
    assert "--rows 5000: there are only 1,437" in refuse(*GRID, "--rows", "5000")


def test_a_failing_fit_ends_the_search(refuse):
    message = refuse(*SMALL, "--rows", "20", "--cv", "15")
    assert "n_splits=15" in message


def test_interrupted(start, tmp_path):
    args = [*GRID, "--epochs", "100000", "--n-jobs", "2", "--csv", "table.csv"]
    search = start(*args, cwd=tmp_path)
    assert search.stdout.readline().startswith("2 networks")
    search.send_signal(signal.SIGINT)
    _, err = search.communicate(timeout=60)
    assert search.returncode == 130
    assert err == "mnist-estimator: interrupted; no unfinished file is left.\n"
    assert list(tmp_path.iterdir()) == []
