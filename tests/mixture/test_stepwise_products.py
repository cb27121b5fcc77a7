# SPDX-License-Identifier: MIT
"""`partial_fit` of mixtures of products: its step, what it reaches, and what it refuses."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from pyvae.mixture import BernoulliMixture, CategoricalMixture, TableMixture
from pyvae.mixture.products.discrete import Binary, Categories
from pyvae.mixture.products.gaussian import Gaussians
from pyvae.mixture.products.product import Product, ProductParameters
from tests.mixture.tables import FAMILIES, K, fitted, table

PRIORS: dict[str, float] = {"weight_prior": 2.0, "probability_prior": 1.5, "variance_prior": 0.3}


def product(concentration: float, points: float) -> tuple[Product, ProductParameters]:
    """A product of all families, and parameters to which a prior of so much may have led."""
    random = np.random.default_rng(0)
    p = [random.dirichlet([9.0] * size, K) for size in (2, 2, 3, 4)]
    binary, categorical = (torch.from_numpy(np.concatenate(c, 1)) for c in (p[:2], p[2:]))
    means = torch.from_numpy(random.normal(size=(K, 2)))
    blocks = [
        (Gaussians("ab", points, torch.tensor([0.5, 0.2], dtype=torch.float64)), [0, 1]),
        (Binary(2, concentration), [2, 3]),
        (Categories([3, 4], concentration), [4, 5]),
    ]
    weights = torch.from_numpy(random.dirichlet([9.0] * K))
    parameters = ProductParameters(
        weights, ((means, means.square() + 0.4), (binary,), (categorical,))
    )
    return Product(blocks, concentration, incomplete=False), parameters


@pytest.mark.parametrize(("concentration", "points"), [(1.0, 0.0), (1.7, 2.5)])
def test_an_m_step_of_the_sums_behind_parameters_is_the_parameters(
    concentration: float, points: float
) -> None:
    model, p = product(concentration, points)
    again = model.m_step(model.sums_behind(p, 500.0))
    for one, other in zip(again.tensors(), p.tensors(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0.0)


def test_one_component_that_is_all_of_a_mixture() -> None:
    """Its moments are those of what is drawn from the mixture."""
    model, p = product(1.0, 0.0)
    whole = model.whole(p, 500.0)
    x, _ = model.drawn(p, 200_000, np.random.RandomState(0))
    mean, variance = whole.blocks[0]
    torch.testing.assert_close(mean[0], x[:, :2].mean(0), rtol=0.0, atol=0.02)
    torch.testing.assert_close(variance[0], x[:, :2].var(0), rtol=0.03, atol=0.0)
    torch.testing.assert_close(whole.blocks[1][0][0, 1], x[:, 2].mean(), rtol=0.02, atol=0.0)
    shares = torch.bincount(x[:, 5].long()).double() / len(x)
    torch.testing.assert_close(whole.blocks[2][0][0, 3:], shares, rtol=0.03, atol=0.0)


def test_the_variance_of_all_data_is_read_off_a_fit_with_a_prior_on_it() -> None:
    x = table()
    mixture = fitted(x, missing_values="refuse", tol=1e-14, variance_prior=40.0)
    model = mixture._product(mixture._layout())
    variance = model.whole(mixture._parameters(), len(x)).blocks[0][1]
    np.testing.assert_allclose(variance[0], x[:, [0, 4]].var(0), rtol=1e-4)


def test_a_strong_prior_does_not_feed_on_itself() -> None:
    random = np.random.default_rng(0)
    x = random.normal(np.where(random.random(4000) < 0.5, 0.0, 10.0))[:, None]
    mixture = TableMixture(2, variance_prior=200.0, random_state=0)
    for at in range(0, 4000, 20):
        mixture.partial_fit(x[at : at + 20])
    whole = clone(mixture).fit(x)
    np.testing.assert_allclose(mixture.variances_.mean(), whole.variances_.mean(), rtol=0.2)


def test_frames_may_come_in_batches() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": np.arange(60.0) % 7, "kind": ["a", "b", "c"] * 20})
    one, parts = TableMixture(2, random_state=0), [frame[:30], frame[30:]]
    for part in parts:
        one.partial_fit(part)
    other = TableMixture(2, random_state=0).partial_fit(part for part in parts)
    np.testing.assert_array_equal(one.means_, other.means_)
    assert other.columns_ == {"size": "gaussian", "kind": "categorical"}
    with pytest.raises(ValueError, match="feature names"):
        other.partial_fit([frame[["kind", "size"]]])


def test_no_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="X is a generator without batches"):
        BernoulliMixture(2).partial_fit(part for part in ())


def test_a_step_from_a_fit_on_its_own_points_stays() -> None:
    """Behind a maximum of the likelihood are the sums of its points."""
    x = table()
    mixture = fitted(x, missing_values="refuse", tol=1e-14, variance_prior=0.0)
    before = deepcopy(mixture)
    assert mixture.n_samples_seen_ == len(x)
    mixture.partial_fit(x)
    assert mixture.n_samples_seen_ == 2 * len(x)
    assert mixture.n_iter_ == before.n_iter_ + 1
    np.testing.assert_allclose(mixture.means_, before.means_, rtol=1e-5)
    np.testing.assert_allclose(mixture.weights_, before.weights_, atol=1e-5)
    assert mixture.lower_bound_ == pytest.approx(before.score(x), abs=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_batch_by_batch_it_comes_near_the_fit(missing: float) -> None:
    x = table(3000, missing)
    options: dict[str, Any] = {"random_state": 0, "missing_values": "marginalize", **PRIORS}
    stepwise = TableMixture(K, columns=FAMILIES, **options)
    for _ in range(3):
        for at in range(0, len(x), 200):
            stepwise.partial_fit(x[at : at + 200])
    assert stepwise.n_samples_seen_ == 9000
    whole = fitted(x, **PRIORS)
    assert stepwise.score(x) > whole.score(x) - 0.02


def test_batches_of_an_iterable_are_steps_and_weights_are_of_one() -> None:
    x = np.random.default_rng(0).random((300, 5)) < 0.5
    parts = [torch.from_numpy(part).double() for part in np.split(x, 3)]
    one = BernoulliMixture(2, random_state=0)
    for part in parts:
        one.partial_fit(part)
    other = BernoulliMixture(2, random_state=0).partial_fit(part for part in parts)
    assert isinstance(other.probabilities_, torch.Tensor)
    torch.testing.assert_close(one.probabilities_, other.probabilities_, rtol=0.0, atol=0.0)
    assert other.n_iter_ == 3
    with pytest.raises(ValueError, match="sample_weight is for one batch; call partial_fit for"):
        other.partial_fit(parts, sample_weight=np.ones(300))


def test_weights_are_repetitions() -> None:
    x = table(60)
    counts = np.random.default_rng(0).integers(0, 3, 60)
    start = fitted(table(200, seed=1), missing_values="refuse", **PRIORS)
    weighed = deepcopy(start).partial_fit(x, sample_weight=counts)
    repeated = deepcopy(start).partial_fit(x.repeat(counts, 0))
    np.testing.assert_allclose(weighed.means_, repeated.means_, rtol=1e-12)
    np.testing.assert_allclose(weighed.variances_, repeated.variances_, rtol=1e-10)
    assert weighed.n_samples_seen_ == repeated.n_samples_seen_


def test_a_value_that_no_component_had_becomes_possible() -> None:
    """By the flat prior too; its point counts for every component by their weights."""
    x = np.zeros((100, 3))
    x[:50, 0] = 1.0
    mixture = BernoulliMixture(2, random_state=0).partial_fit(x)
    new = np.array([[0.0, 1.0, 1.0]] * 10)
    assert np.isneginf(mixture.score_samples(new)).all()
    mixture.partial_fit(new)
    assert mixture.lower_bound_ == -np.inf
    assert np.isfinite(mixture.score_samples(new)).all()


def test_categories_are_those_of_the_first_batch() -> None:
    mixture = CategoricalMixture(2, random_state=0)
    mixture.partial_fit([["a", "x"], ["b", "y"], ["a", "y"], ["b", "x"]])
    before = deepcopy(vars(mixture))
    with pytest.raises(ValueError, match=r"holds 'c' in row 0 .* a category of the fit: 'a', 'b'"):
        mixture.partial_fit([["c", "x"]])
    assert vars(mixture).keys() == before.keys()
    np.testing.assert_array_equal(mixture.weights_, before["weights_"])
    assert mixture.partial_fit([["a", "x"]]).n_samples_seen_ == 5.0


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (np.ones((4, 2)), "X has 2 features, but BernoulliMixture is expecting 3"),
        (np.full((4, 3), 0.5), "holds 0.5 in row 0"),
        (np.full((4, 3), np.nan), "NaN"),
    ],
)
def test_what_is_refused_leaves_the_mixture_as_it_was(batch: np.ndarray, words: str) -> None:
    mixture = BernoulliMixture(2, random_state=0).partial_fit(np.eye(3))
    before = mixture.probabilities_.copy()
    with pytest.raises(ValueError, match=words):
        mixture.partial_fit(batch)
    np.testing.assert_array_equal(mixture.probabilities_, before)
    assert mixture.n_iter_ == 1
    with pytest.raises(ValueError, match="the mixture that partial_fit goes on from has 2"):
        clone(mixture).partial_fit(np.eye(3)).set_params(n_components=3).partial_fit(np.eye(3))


def test_what_it_comes_from_is_saved(tmp_path: Path) -> None:
    x = table()
    mixture = fitted(x, missing_values="refuse", random_state=0)
    mixture.save(tmp_path / "mixture")
    again = TableMixture.load(tmp_path / "mixture")
    assert again.n_samples_seen_ == 200.0
    again.partial_fit(x[:50])
    np.testing.assert_array_equal(mixture.partial_fit(x[:50]).means_, again.means_)
