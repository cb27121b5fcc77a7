# SPDX-License-Identifier: MIT
"""The distribution beside torch's own, its samples, and their gradients."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from pyvae.distributions import GaussianMixture
from pyvae.distributions.implicit import distribution_functions

FORMS = ("diagonal", "isotropic", "full", "tied")
BATCHES = ((), (4,), (2, 3))
each_form = pytest.mark.parametrize("form", FORMS)
K, D = 3, 2


def arguments(form: str, batch: tuple[int, ...] = (), seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    found = {"log_weights": normal(K), "means": 2.0 * normal(K, D)}
    if form in ("diagonal", "isotropic"):
        return {**found, "logvars": 0.5 * normal(K, D if form == "diagonal" else 1)}
    count = K if form == "full" else 1
    diagonal = torch.diag_embed(torch.exp(0.3 * normal(count, D)))
    return {**found, "scale_tril": (0.5 * normal(count, D, D)).tril(-1) + diagonal}


def torchs(log_weights: Tensor, means: Tensor, **spread: Tensor) -> Distribution:
    """The same by torch's own classes."""
    if "logvars" in spread:
        scale = torch.exp(0.5 * spread["logvars"]).expand(means.shape)
        parts: Distribution = Independent(Normal(means, scale), 1)
    else:
        factors = spread["scale_tril"].expand(*means.shape, D)
        parts = MultivariateNormal(means, scale_tril=factors)
    return MixtureSameFamily(Categorical(logits=log_weights), parts)


@each_form
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("sample", [(), (5,), (2, 3), (0,)])
def test_equal_to_torchs(form: str, batch: tuple[int, ...], sample: tuple[int, ...]) -> None:
    given = arguments(form, batch)
    ours, theirs = GaussianMixture(**given), torchs(**given)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    x = torch.randn((*sample, *batch, D), dtype=torch.float64)
    assert ours.sample(sample).shape == x.shape
    assert ours.log_prob(x).shape == (*sample, *batch)
    if x.numel():  # torch's fails where there is nothing
        torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(ours.mean, theirs.mean)
    torch.testing.assert_close(ours.variance, theirs.variance)
    diagonal = torch.diagonal(ours.covariance_matrix, dim1=-2, dim2=-1)
    torch.testing.assert_close(diagonal, theirs.variance)
    shares = ours.posterior(x).exp()
    assert shares.shape == (*sample, *batch, K)
    torch.testing.assert_close(shares.sum(-1), torch.ones((*sample, *batch), dtype=torch.float64))


@each_form
def test_expand(form: str) -> None:
    mixture = GaussianMixture(**arguments(form, (3,)))
    wide = mixture.expand((2, 3))
    assert wide.batch_shape == (2, 3)
    x = wide.sample((4,))
    assert x.shape == (4, 2, 3, D)
    torch.testing.assert_close(wide.log_prob(x), mixture.log_prob(x))
    torch.testing.assert_close(wide.mean[1], mixture.mean)


def test_values_broadcast_against_the_batch() -> None:
    mixture = GaussianMixture(**arguments("diagonal", (4,)))
    assert mixture.log_prob(torch.zeros(D, dtype=torch.float64)).shape == (4,)
    assert mixture.log_prob(torch.zeros(5, 1, D, dtype=torch.float64)).shape == (5, 4)


@each_form
def test_samples_have_the_moments(form: str) -> None:
    torch.manual_seed(0)
    mixture = GaussianMixture(**arguments(form, (2,)))
    x = mixture.sample((100_000,))
    torch.testing.assert_close(x.mean(0), mixture.mean, atol=0.03, rtol=0.0)
    gaps = x - x.mean(0)
    covariance = torch.einsum("nbi,nbj->bij", gaps, gaps) / len(x)
    torch.testing.assert_close(covariance, mixture.covariance_matrix, atol=0.15, rtol=0.0)


def test_a_component_of_no_weight_is_not_drawn() -> None:
    log_weights = torch.tensor([0.0, -torch.inf])
    mixture = GaussianMixture(log_weights, torch.tensor([[0.0], [1e6]]), torch.zeros(2, 1))
    assert mixture.sample((1000,)).abs().max() < 100
    assert mixture.mean.item() == 0.0


@each_form
def test_distribution_functions_are_uniform(form: str) -> None:
    torch.manual_seed(0)
    given = arguments(form)
    mixture = GaussianMixture(**given)
    spread = given.get("logvars", given.get("scale_tril"))
    assert spread is not None
    x = mixture.sample((20_000,))
    values = distribution_functions(
        x, mixture.log_weights, mixture.means, spread, "scale_tril" in given
    )
    for column in values.unbind(-1):
        grid = torch.linspace(0, 1, len(column) + 2, dtype=torch.float64)[1:-1]
        assert (column.sort().values - grid).abs().max() < 1.63 / len(column) ** 0.5  # 1 %
    assert torch.corrcoef(values.T)[0, 1].abs() < 0.03


@each_form
def test_the_gradient_of_an_expectation(form: str) -> None:
    """By samples, and by differentiating E[f(x)] = integral of p f over a grid."""
    torch.manual_seed(0)
    leaves = {name: tensor.requires_grad_() for name, tensor in arguments(form).items()}

    def f(x: Tensor) -> Tensor:
        return torch.sin(x[..., 0]) * x[..., 1] + 0.1 * x.square().sum(-1)

    axis = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    cell = (axis[1] - axis[0]) ** 2
    exact = (GaussianMixture(**leaves).log_prob(grid).exp() * f(grid)).sum() * cell
    want = torch.autograd.grad(exact, list(leaves.values()))
    estimate = f(GaussianMixture(**leaves).rsample((200_000,))).mean()
    got = torch.autograd.grad(estimate, list(leaves.values()))
    assert abs(estimate.item() - exact.item()) < 0.02
    for have, truth in zip(got, want, strict=True):
        truth = truth.tril() if truth.ndim == 3 else truth
        have = have.tril() if have.ndim == 3 else have
        torch.testing.assert_close(have, truth, atol=0.03, rtol=0.03)


@each_form
@pytest.mark.parametrize("batch", [(), (2,)])
def test_samples_of_both_kinds_are_the_same(form: str, batch: tuple[int, ...]) -> None:
    mixture = GaussianMixture(**arguments(form, batch))
    torch.manual_seed(3)
    first = mixture.sample((7,))
    torch.manual_seed(3)
    assert torch.equal(mixture.rsample((7,)), first)


def test_one_component_is_the_usual_reparameterisation() -> None:
    mean = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    logvar = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    x = GaussianMixture(torch.zeros(1).double(), mean, logvar).rsample((5,))
    weights = torch.randn(5, 3, dtype=torch.float64)
    by_mean, by_logvar = torch.autograd.grad((x * weights).sum(), (mean, logvar))
    torch.testing.assert_close(by_mean[0], weights.sum(0))
    torch.testing.assert_close(by_logvar[0], (0.5 * x.detach() * weights).sum(0))


@each_form
def test_it_is_pickled_copied_and_shown(form: str) -> None:
    mixture = GaussianMixture(**arguments(form, (2,)))
    for again in (pickle.loads(pickle.dumps(mixture)), copy.deepcopy(mixture)):
        x = mixture.sample()
        torch.testing.assert_close(again.log_prob(x), mixture.log_prob(x))
    assert repr(mixture).startswith("GaussianMixture(log_weights: torch.Size([2, 3]), means: ")
    assert set(mixture.arg_constraints) == set(arguments(form))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"logvars": None}, "expected one of logvars and scale_tril"),
        ({"scale_tril": torch.eye(2)[None]}, "expected one of logvars and scale_tril"),
        ({"logvars": torch.zeros(3, 4)}, r"do not fit means \(3, 2\)"),
        ({"log_weights": torch.zeros(4)}, r"do not fit means \(3, 2\), which have K = 3"),
        ({"means": torch.zeros(3)}, r"means \(3,\) .*; expected \(\.\.\., K\)"),
        ({"means": torch.full((3, 2), torch.nan)}, "parameter means"),
        ({"log_weights": torch.full((3,), -torch.inf)}, "every log_weight of a mixture is -inf"),
    ],
)
def test_bad_arguments(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianMixture(**{**arguments("diagonal"), **change})


def test_bad_factors_and_values() -> None:
    given = arguments("full")
    with pytest.raises(ValueError, match="scale_tril"):
        GaussianMixture(**{**given, "scale_tril": -given["scale_tril"]})
    with pytest.raises(ValueError, match="within the support"):
        GaussianMixture(**given).log_prob(torch.full((D,), torch.nan))
    with pytest.raises(ValueError, match="The right-most size of value"):
        GaussianMixture(**given).log_prob(torch.zeros(5))
