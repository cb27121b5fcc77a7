# SPDX-License-Identifier: MIT
"""From torch's own mixtures and back: the same densities, and gradients through both."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Exponential,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from pyvae.distributions import GaussianMixture
from tests.distributions.mixtures import FORMS, D, K, leaves, mixture_of

each_form = pytest.mark.parametrize("form", FORMS)


@each_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_to_torch_and_back(form: str, batch: tuple[int, ...], dtype: torch.dtype) -> None:
    given = leaves(form, batch, dtype)
    ours = mixture_of(form, *given)
    theirs = ours.to_mixture()
    again = GaussianMixture.from_mixture(theirs)
    assert theirs.batch_shape == again.batch_shape == batch
    assert again.has_matrices == ours.has_matrices
    x = torch.randn(5, *batch, D, dtype=dtype)
    want = ours.log_prob(x)
    for other in (theirs, again):
        torch.testing.assert_close(other.log_prob(x), want)
        torch.testing.assert_close(other.mean, ours.mean)
        found = torch.autograd.grad(other.log_prob(x).sum(), given, retain_graph=True)
        expected = torch.autograd.grad(ours.log_prob(x).sum(), given, retain_graph=True)
        for have, truth in zip(found, expected, strict=True):
            torch.testing.assert_close(have, truth, rtol=1e-4, atol=1e-5)


@each_form
def test_of_expanded_mixtures(form: str) -> None:
    ours = mixture_of(form, *leaves(form))
    theirs = ours.expand((5,)).to_mixture()
    assert theirs.batch_shape == (5,)
    wide = GaussianMixture.from_mixture(ours.to_mixture().expand((5,)))
    x = torch.randn(5, D, dtype=torch.float64)
    for other in (theirs, wide):
        torch.testing.assert_close(other.log_prob(x), ours.log_prob(x))


def test_probabilities() -> None:
    """Of zero as they are; a logit so low that its probability underflows stays a logit."""
    parts = Independent(Normal(torch.zeros(3, 1), 1.0), 1)
    probs = torch.tensor([0.25, 0.0, 0.75])
    mixture = GaussianMixture.from_mixture(MixtureSameFamily(Categorical(probs), parts))
    torch.testing.assert_close(mixture.log_weights.exp(), probs, rtol=1e-6, atol=0.0)
    assert mixture.log_weights[1] == -torch.inf
    logits = torch.tensor([0.0, -200.0, 0.0])
    categorical = Categorical(logits=logits)
    assert (categorical.probs[1] == 0).all()
    mixture = GaussianMixture.from_mixture(MixtureSameFamily(categorical, parts))
    torch.testing.assert_close(mixture.log_weights, logits.log_softmax(-1))


def test_a_covariance_or_a_precision_serves() -> None:
    loc = torch.randn(K, D)
    covariance = 2.0 * torch.eye(D)
    for parts in (
        MultivariateNormal(loc, covariance),
        MultivariateNormal(loc, precision_matrix=0.5 * torch.eye(D)),
    ):
        theirs = MixtureSameFamily(Categorical(torch.ones(K)), parts)
        x = torch.randn(4, D)
        got = GaussianMixture.from_mixture(theirs).log_prob(x)
        torch.testing.assert_close(got, theirs.log_prob(x))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Normal(0.0, 1.0), "got Normal of Normal; expected MixtureSameFamily of Multi"),
        (MixtureSameFamily(Categorical(torch.ones(2)), Exponential(torch.ones(2))), "Exponential"),
        (MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.ones(2), 1.0)), "of Normal"),
    ],
)
def test_what_is_refused(other: Tensor, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        GaussianMixture.from_mixture(other)  # type: ignore[arg-type]
