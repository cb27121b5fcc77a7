# SPDX-License-Identifier: MIT
"""The reference itself, against scipy, quadrature and Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

from pyvae.ops import reference
from tests.ops.cases import CASES, DTYPES, OpCase, each_dtype
from tests.ops.checks import gradients

TABLE = {case.name: case for case in CASES}
SIZE = {"n": 6, "k": 4, "d": 3}


def _mixture(isotropic: bool = False) -> dict[str, Tensor]:
    case = TABLE["mixture_log_prob-isotropic" if isotropic else "mixture_log_prob"]
    return case.draw(SIZE, torch.float64)


def _scipy_log_densities(inputs: dict[str, Tensor]) -> np.ndarray:
    """log N(x_n; mu_k, sigma_k^2) from scipy's multivariate normal."""
    means, logvars = inputs["means"], inputs["logvars"].expand_as(inputs["means"])
    columns = [
        stats.multivariate_normal(mean=mean.numpy(), cov=np.diag(np.exp(logvar.numpy()))).logpdf(
            inputs["x"].numpy()
        )
        for mean, logvar in zip(means, logvars, strict=True)
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("isotropic", [False, True])
def test_log_prob_is_scipys(isotropic: bool) -> None:
    inputs = _mixture(isotropic)
    joint = _scipy_log_densities(inputs) + inputs["log_weights"].numpy()
    want = special.logsumexp(joint, axis=1)
    np.testing.assert_allclose(reference.mixture_log_prob(**inputs), want, rtol=1e-13)


@pytest.mark.parametrize("isotropic", [False, True])
def test_posterior_is_bayes_rule(isotropic: bool) -> None:
    inputs = _mixture(isotropic)
    joint = _scipy_log_densities(inputs) + inputs["log_weights"].numpy()
    log_posterior, log_prob = reference.mixture_posterior(**inputs)
    np.testing.assert_allclose(log_posterior, special.log_softmax(joint, axis=1), rtol=1e-12)
    np.testing.assert_allclose(log_prob, special.logsumexp(joint, axis=1), rtol=1e-13)


def test_density_integrates_to_the_sum_of_the_weights() -> None:
    """Never normalised: weights that sum to 3 make a density that integrates to 3."""
    log_weights = torch.tensor([1.0, 2.0], dtype=torch.float64).log()
    means = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    logvars = torch.tensor([[0.3], [-0.7]], dtype=torch.float64)

    def density(x: float) -> float:
        point = torch.tensor([[x]], dtype=torch.float64)
        return reference.mixture_log_prob(point, log_weights, means, logvars).exp().item()

    total, _ = integrate.quad(density, -20.0, 20.0, points=[-1.0, 2.0])
    assert total == pytest.approx(3.0, rel=1e-9)


def test_kl_is_the_integral_of_its_definition() -> None:
    mean_q, logvar_q, mean_p, logvar_p = 0.7, -0.4, -0.3, 0.9
    q = stats.norm(mean_q, math.exp(0.5 * logvar_q))
    p = stats.norm(mean_p, math.exp(0.5 * logvar_p))
    want, _ = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -12.0, 12.0)
    values = (mean_q, logvar_q, mean_p, logvar_p)
    arguments = [torch.tensor([value], dtype=torch.float64) for value in values]
    assert reference.gaussian_kl(*arguments).item() == pytest.approx(want, rel=1e-9)


def test_kl_is_torchs() -> None:
    inputs = TABLE["gaussian_kl"].draw({"n": 50, "d": 7}, torch.float64)
    q = torch.distributions.Normal(inputs["mean_q"], (0.5 * inputs["logvar_q"]).exp())
    p = torch.distributions.Normal(inputs["mean_p"], (0.5 * inputs["logvar_p"]).exp())
    want = torch.distributions.kl_divergence(q, p).sum(-1)
    torch.testing.assert_close(reference.gaussian_kl(**inputs), want, rtol=1e-12, atol=1e-12)
    standard = torch.distributions.Normal(torch.zeros(7).double(), torch.ones(7).double())
    want = torch.distributions.kl_divergence(q, standard).sum(-1)
    got = reference.gaussian_kl(inputs["mean_q"], inputs["logvar_q"])
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_kl_tril_is_torchs() -> None:
    inputs = TABLE["gaussian_kl_tril"].draw({"n": 50, "d": 7}, torch.float64)
    q = torch.distributions.MultivariateNormal(
        inputs["mean_q"], scale_tril=inputs["scale_tril_q"], validate_args=False
    )
    p = torch.distributions.MultivariateNormal(
        inputs["mean_p"], scale_tril=inputs["scale_tril_p"], validate_args=False
    )
    want = torch.distributions.kl_divergence(q, p)
    got = reference.gaussian_kl_tril(**inputs)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_kl_tril_by_monte_carlo() -> None:
    """The mean of log q - log p over samples of q, with scipy's densities."""
    inputs = TABLE["gaussian_kl_tril"].draw({"n": 1, "d": 3}, torch.float64)
    mean_q, tril_q, mean_p, tril_p = (tensor[0].numpy() for tensor in inputs.values())
    q = stats.multivariate_normal(mean_q, tril_q @ tril_q.T)
    p = stats.multivariate_normal(mean_p, tril_p @ tril_p.T)
    samples = q.rvs(400_000, random_state=0)
    ratio = q.logpdf(samples) - p.logpdf(samples)
    got = reference.gaussian_kl_tril(**inputs).item()
    assert abs(got - ratio.mean()) < 5 * ratio.std() / math.sqrt(len(ratio))


def test_kl_by_monte_carlo() -> None:
    inputs = TABLE["gaussian_kl"].draw({"n": 1, "d": 4}, torch.float64)
    mean_q, logvar_q, mean_p, logvar_p = (tensor[0] for tensor in inputs.values())
    noise = torch.randn(400_000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = mean_q + torch.exp(0.5 * logvar_q) * noise
    log_q = -0.5 * (noise.square() + logvar_q).sum(-1)
    log_p = -0.5 * ((w - mean_p).square() * torch.exp(-logvar_p) + logvar_p).sum(-1)
    ratio = log_q - log_p
    error = ratio.std().item() / math.sqrt(len(ratio))
    got = reference.gaussian_kl(mean_q, logvar_q, mean_p, logvar_p).item()
    assert abs(got - ratio.mean().item()) < 5 * error


@pytest.mark.parametrize("isotropic", [False, True])
def test_elbo_terms_by_their_sums(isotropic: bool) -> None:
    """Each sum over z written out with scipy, for the exact posterior and for given logits."""
    inputs = _mixture(isotropic)
    log_normal, log_weights = _scipy_log_densities(inputs), inputs["log_weights"].numpy()
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(SIZE["n"], SIZE["k"], generator=generator, dtype=torch.float64)
    mixture = (inputs["log_weights"], inputs["means"], inputs["logvars"])
    for given, scores in ((None, log_normal + log_weights), (logits, logits.numpy())):
        log_q = special.log_softmax(scores, axis=1)
        expected, kl_z = reference.mixture_elbo_terms(inputs["x"], *mixture, logits_q=given)
        np.testing.assert_allclose(expected, (np.exp(log_q) * log_normal).sum(1), rtol=1e-12)
        want = stats.entropy(np.exp(log_q), np.exp(log_weights)[None], axis=1)
        np.testing.assert_allclose(kl_z, want, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("isotropic", [False, True])
def test_closed_form_by_monte_carlo(isotropic: bool) -> None:
    """E_q(z) E_q(w|x) log N, with q(z) fixed, over samples of q(w | x)."""
    name = "mixture_elbo_terms[gaussian-logits]" + ("-isotropic" if isotropic else "")
    inputs = TABLE[name].draw({**SIZE, "n": 1}, torch.float64)
    closed, _ = reference.mixture_elbo_terms(None, **inputs)
    count = 200_000
    noise = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = inputs["mean_q"] + torch.exp(0.5 * inputs["logvar_q"]) * noise
    mixture = {key: inputs[key] for key in ("log_weights", "means", "logvars")}
    logits = inputs["logits_q"].expand(count, -1)
    sampled, _ = reference.mixture_elbo_terms(w, **mixture, logits_q=logits)
    error = sampled.std().item() / math.sqrt(count)
    assert abs(closed.item() - sampled.mean().item()) < 5 * error


@each_dtype
def test_the_variance_is_not_the_standard_deviation(dtype: torch.dtype) -> None:
    """At distance 2 with log-variance log 4: one standard deviation, by hand."""
    point, weights = torch.tensor([[2.0]], dtype=dtype), torch.zeros(1, dtype=dtype)
    mean, logvar = torch.zeros(1, 1, dtype=dtype), torch.full((1, 1), 4.0, dtype=dtype).log()
    want = -0.5 - math.log(2.0) - 0.5 * math.log(2.0 * math.pi)
    got = reference.mixture_log_prob(point, weights, mean, logvar).item()
    assert got == pytest.approx(want, rel=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mixture_log_prob", "mixture_posterior"])
def test_gradients_are_finite_where_logsumexp_gives_nan(name: str, dtype: torch.dtype) -> None:
    """torch.logsumexp of nothing but -inf has NaN gradients; the ops have zeros."""
    case: OpCase = TABLE[name]
    inputs = case.draw(SIZE, dtype)
    inputs["log_weights"].fill_(-torch.inf)
    naive = inputs["log_weights"].clone().requires_grad_()
    torch.logsumexp(naive, dim=0).backward()
    assert naive.grad is not None
    assert naive.grad.isnan().all()
    for function in (case, case.expected):
        for argument, gradient in gradients(function, inputs).items():
            assert (gradient == 0).all(), argument
