# SPDX-License-Identifier: MIT
"""The table of fits, its criteria, and the folder in which finished fits are kept."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from scipy.special import entr
from sklearn.exceptions import ConvergenceWarning

from pyvae.mixture import (
    Candidate,
    ConjugatePrior,
    GaussianMixture,
    MixtureSelection,
    select_mixture,
    selection,
)
from tests.mixture.drawing import KINDS, clusters

X = clusters(60, d=2)
each_kind = pytest.mark.parametrize("kind", KINDS)


def without_time(found: MixtureSelection) -> list[Candidate]:
    return [row._replace(seconds=0.0) for row in found.table]


@each_kind
def test_the_criteria_by_their_definitions(kind: str) -> None:
    """Schwarz's, Akaike's, and Biernacki, Celeux & Govaert's times -2."""
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    likelihood, n = mixture.score_samples(X).sum(), len(X)
    spread = {"full": 6, "tied": 3, "diag": 4, "spherical": 2, "tied_diag": 2, "tied_spherical": 1}
    free = 1 + 4 + spread[kind]
    assert mixture.n_parameters_ == free
    entropy = entr(mixture.predict_proba(X)).sum()
    theirs = likelihood - entropy - 0.5 * free * math.log(n)  # equation (9), which is maximised
    assert entropy > 0.01
    assert mixture.icl(X) == pytest.approx(-2.0 * theirs, rel=1e-12)
    assert mixture.bic(X) == pytest.approx(-2.0 * (theirs + entropy), rel=1e-12)
    assert mixture.aic(X) == pytest.approx(-2.0 * likelihood + 2.0 * free, rel=1e-12)
    one = GaussianMixture(1, covariance_type=kind).fit(X)
    assert one.icl(X) == one.bic(X)
    assert mixture.icl(torch.from_numpy(X)) == pytest.approx(mixture.icl(X))


def test_every_row_is_a_fit() -> None:
    found = select_mixture(X, [3, 1, 3], KINDS, "icl", random_state=0, tol=1e-4)
    assert [row[:2] for row in found.table] == [(kind, k) for kind in KINDS for k in (3, 1)]
    for row, value in zip(found.table, found.values, strict=True):
        fitted = GaussianMixture(
            row.n_components, covariance_type=row.covariance_type, random_state=0, tol=1e-4
        ).fit(X)
        assert row.bic == pytest.approx(fitted.bic(X), rel=1e-10)
        assert row.aic == pytest.approx(fitted.aic(X), rel=1e-10)
        assert value == row.icl == pytest.approx(fitted.icl(X), rel=1e-10)
        assert row.log_likelihood == pytest.approx(fitted.score(X) * len(X))
        assert row.n_parameters == fitted.n_parameters_
        assert row.converged
        assert row.seconds > 0
        assert row.problem is None
    best = found.table[found.best_index_]
    assert best.icl == min(found.values)
    assert best.n_components == len(found.best_.weights_) == 3
    assert best.covariance_type == found.best_.covariance_type == "spherical"
    assert found.best_.icl(X) == pytest.approx(best.icl, rel=1e-10)


def test_the_result_does_not_depend_on_the_number_of_jobs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    alone = select_mixture(X, range(1, 4), ("full", "diag"), random_state=0)
    several = select_mixture(X, range(1, 4), ("full", "diag"), n_jobs=2, random_state=0)
    with joblib.parallel_config("threading", n_jobs=3):
        threads = select_mixture(X, range(1, 4), ("full", "diag"), random_state=0)
    for other in (several, threads):
        assert without_time(other) == without_time(alone)
        np.testing.assert_array_equal(other.best_.covariances_, alone.best_.covariances_)
    generator = np.random.RandomState(0)
    drawn = [select_mixture(X, 3, random_state=generator) for _ in range(2)]
    assert drawn[0].best_.random_state != drawn[1].best_.random_state
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_missing_values_tensors_and_priors(tmp_path: Path) -> None:
    x = torch.from_numpy(X.copy())
    x[::7, 1] = torch.nan
    prior = ConjugatePrior(scatter=0.1)
    options: dict[str, Any] = {"missing_values": "marginalize", "prior": prior}
    for _ in range(2):  # the second time as they are kept
        found = select_mixture(x, 2, "all", random_state=0, folder=tmp_path / "fits", **options)
        assert isinstance(found.best_.means_, torch.Tensor)
        assert found.best_.prior == prior
        assert [row.covariance_type for row in found.table] == list(KINDS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_fails_is_a_row() -> None:
    copies = np.repeat([[0.0, 0.0], [1.0, 2.0]], 10, axis=0)
    found = select_mixture(copies, [1, 2], ("full", "spherical"), random_state=0, reg_covar=0.0)
    failed = [row for row in found.table if row.problem]
    assert failed
    assert all("ill-defined" in str(row.problem) and math.isnan(row.bic) for row in failed)
    with pytest.raises(ValueError, match="no fit has a finite BIC: ill-defined"):
        select_mixture(copies, 2, "full", random_state=0, reg_covar=0.0)
    with pytest.warns(ConvergenceWarning, match=r"best fit \(full, 3 components\) did not conv"):
        select_mixture(X, 3, random_state=0, max_iter=1, tol=0.0)


class Counted:
    """Fits that are made, and after how many the power goes."""

    def __init__(self, patch: pytest.MonkeyPatch, most: int = 1000) -> None:
        self.count, whole = 0, GaussianMixture.fit

        def fit(mixture: GaussianMixture, *given: Any) -> GaussianMixture:
            if self.count == most:
                raise KeyboardInterrupt
            self.count += 1
            return whole(mixture, *given)

        patch.setattr(GaussianMixture, "fit", fit)


def test_a_selection_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    given: dict[str, Any] = {"random_state": 0, "tol": 1e-4, "prior": ConjugatePrior(scatter=0.1)}
    grid: dict[str, Any] = {"n_components": range(1, 4), "covariance_types": ("full", "diag")}
    whole = select_mixture(X, **grid, **given)
    folder = tmp_path / "fits"
    with pytest.MonkeyPatch.context() as patch:
        Counted(patch, most=2)
        with pytest.raises(KeyboardInterrupt):
            select_mixture(X, **grid, **given, folder=folder)
    (folder / "full-2.json").unlink()  # killed between the mixture and its row
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        found = select_mixture(X, **grid, **given, folder=folder)
        assert counted.count == 5
        again = select_mixture(X.tolist(), range(2, 5), "full", "icl", **given, folder=str(folder))
        assert counted.count == 6  # only four components are new
    assert without_time(found) == without_time(whole)
    assert again.table[0] == found.table[1]
    np.testing.assert_array_equal(found.best_.covariances_, whole.best_.covariances_)
    np.testing.assert_array_equal(found.best_.predict(X), whole.best_.predict(X))


def test_folders_that_are_refused(tmp_path: Path) -> None:
    folder, given = tmp_path / "fits", {"random_state": 0, "n_components": 2}
    select_mixture(X, folder=folder, **given)
    other = X.copy()
    other[0, 0] += 1e-12
    for x in (other, X[:-1], X.astype(np.float32)):
        with pytest.raises(ValueError, match="holds fits to other points"):
            select_mixture(x, folder=folder, **given)
    for changed, words in (
        ({"tol": 0.1}, "tol=0.001 there, 0.1 here"),
        ({"random_state": 1}, "random_state=0 there, 1 here"),
        ({"prior": ConjugatePrior()}, "prior=None there"),
    ):
        with pytest.raises(ValueError, match=f"other settings .*{words}"):
            select_mixture(X, folder=folder, **{**given, **changed})
    with pytest.raises(ValueError, match="random_state=None with a folder; give a number"):
        select_mixture(X, 2, folder=folder)
    with pytest.raises(ValueError, match="means_init cannot be kept in a folder"):
        select_mixture(X, folder=tmp_path / "new", means_init=X[:2], **given)
    with pytest.raises(ValueError, match="holds other files; name a new or an empty one"):
        select_mixture(X, folder=tmp_path, **given)
    row = json.loads((folder / "full-2.json").read_text())
    for change, words in (
        ({"bic": "low"}, "bic is 'low'; expected a number"),
        ({"n_components": 3}, "of another fit than its name says"),
        ({"more": 1}, "more has no place there"),
    ):
        (folder / "full-2.json").write_text(json.dumps({**row, **change}))
        with pytest.raises(ValueError, match=words):
            select_mixture(X, folder=folder, **given)
    (folder / "full-2.json").write_text(json.dumps(row))
    (folder / "full-2.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"full-2.safetensors is damaged"):
        select_mixture(X, folder=folder, **given)
    (folder / "selection.json").write_text("[]")
    with pytest.raises(ValueError, match=r"selection.json: .*expected names with values"):
        select_mixture(X, folder=folder, **given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": [0, 1]}, "n_components: 0; expected whole numbers from 1 on"),
        ({"n_components": [2.0]}, "n_components: 2.0; expected whole"),
        ({"n_components": 1000}, "n_components: 1000 are more than the 180 points"),
        ({"covariance_types": "round"}, r"covariance_types=\['round'\]; expected some of full"),
        ({"covariance_types": ()}, r"covariance_types=\[\]"),
        ({"criterion": "wic"}, "criterion='wic'; expected one of bic, aic, icl"),
        ({"tol": -1.0}, "'tol' parameter .* must be a float in the range"),
    ],
)
def test_mistakes(changed: dict[str, Any], words: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ValueError, match=words):
        select_mixture(X, **{"n_components": 2, **changed})
    assert set(selection.CRITERIA) == {"bic", "aic", "icl"}
