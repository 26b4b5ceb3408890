import json

import numpy as np
import pytest

from mnist_estimator.cli._grid_search import Candidate, grid_search
from mnist_estimator.cli._options import Layers

PARAMS = {"cv": 3, "random_state": 0, "batch_size": 64}


def test_every_candidate_is_fitted_on_every_fold(digits):
    X, y = digits
    candidates = [Candidate(Layers((8,)), 0.0), Candidate(Layers(), 0.1)]
    reported = []
    grid_search(candidates, X[:300], y[:300], reported.append, n_workers=2, epochs=2, **PARAMS)
    for candidate in candidates:
        assert reported.count(candidate) == 3
        assert sorted(candidate.accuracies) == [1, 2, 3]
        assert 0.1 < candidate.score < 1
        assert candidate.spread > 0
        assert len(candidate.seconds) == 3
    assert str(candidates[0]) == "layers 8, dropout 0"


def test_an_interrupt_ends_the_fits_under_way(digits, tmp_path):
    """Without that, the first fits of the others would take minutes."""
    X, y = digits
    quick, endless = Candidate(Layers(), 0.0), Candidate(Layers((8,)), 0.0)

    def interrupt(candidate):
        raise KeyboardInterrupt

    import mnist_estimator.cli._grid_search as module

    make, epochs_of = module.make_mnist_pipeline, {(): 1, (8,): 10**6}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            module,
            "make_mnist_pipeline",
            lambda **params: make(**{**params, "epochs": epochs_of[params["hidden_layer_sizes"]]}),
        )
        with pytest.raises(KeyboardInterrupt):
            grid_search(
                [endless, quick], X, y, interrupt, n_workers=4, checkpoint=tmp_path, **PARAMS
            )
    assert not endless.accuracies
    # They can go on: none counts as finished.
    for path in tmp_path.glob(f"*-{10**6}.npz"):
        with np.load(path) as file:
            assert not json.loads(file["about"].tobytes())["stopped"]
