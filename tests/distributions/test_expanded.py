# SPDX-License-Identifier: MIT
"""An expanded mixture is the same mixture for more points: equal results, at the same cost."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent

from pyvae.distributions import GaussianMixture, gaussian_mixture
from tests.distributions.mixtures import FORMS, D, K, leaves, mixture_of
from tests.ops.recording import MixturesSeen

each_form = pytest.mark.parametrize("form", FORMS)
# The batch that the mixture has, the one it is expanded to, and how many mixtures that is.
EXPANSIONS = [
    ((), (7,), 1),
    ((), (2, 7), 1),
    ((3,), (7, 3), 3),
    ((3, 1), (3, 7), 3),
    ((2, 1, 3), (2, 7, 3), 6),
]
each_expansion = pytest.mark.parametrize(("own", "batch", "count"), EXPANSIONS)


@each_expansion
@each_form
def test_densities(form: str, own: tuple[int, ...], batch: tuple[int, ...], count: int) -> None:
    given = leaves(form, own)
    wide = mixture_of(form, *given).expand(batch)
    copied = [t.expand(*batch, *t.shape[len(own) :]).contiguous() for t in given]
    assert wide.means.shape == (*batch, K, D)
    assert wide.mean.shape == (*batch, D)
    x = torch.randn(4, *batch, D, dtype=torch.float64, requires_grad=True)
    with MixturesSeen() as seen:
        got = wide.log_prob(x)
        found = torch.autograd.grad(got.cos().sum(), (*given, x))
    assert set(seen.counts) == {count}
    want = mixture_of(form, *copied).log_prob(x)
    torch.testing.assert_close(got, want)
    for have, truth in zip(found, torch.autograd.grad(want.cos().sum(), (*given, x)), strict=True):
        torch.testing.assert_close(have, truth)
    torch.testing.assert_close(wide.posterior(x), mixture_of(form, *copied).posterior(x))


@each_expansion
@each_form
def test_samples(
    form: str,
    own: tuple[int, ...],
    batch: tuple[int, ...],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Samples, and their gradients beside those of mixtures that are copies."""
    seen: list[int] = []
    whole = gaussian_mixture.reparameterized

    def recorded(drawn: Tensor, weights: Tensor, *rest: Tensor) -> Tensor:
        seen.append(weights.shape[:-1].numel())
        return whole(drawn, weights, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(gaussian_mixture, "reparameterized", recorded)
    given = leaves(form, own)
    wide = mixture_of(form, *given).expand(batch)
    x = wide.rsample((4,))
    assert x.shape == (4, *batch, D)
    assert seen == [count]
    assert len(x.detach().reshape(-1, D).unique(dim=0)) == 4 * torch.Size(batch).numel()
    upstream = torch.randn_like(x)
    found = torch.autograd.grad(x, given, upstream)

    copied = [t.expand(*batch, *t.shape[len(own) :]).contiguous() for t in given]
    same = mixture_of(form, *copied)
    monkeypatch.setattr(same, "sample", lambda shape: x.detach())
    want = torch.autograd.grad(same.rsample((4,)), given, upstream)
    for have, truth in zip(found, want, strict=True):
        torch.testing.assert_close(have, truth)


@each_form
def test_moments_of_samples(form: str) -> None:
    mixture = mixture_of(form, *leaves(form, (3, 1)))
    x = mixture.expand((3, 20_000)).sample((2,))
    torch.testing.assert_close(x.mean((0, 2)), mixture.mean[:, 0], atol=0.05, rtol=0.0)
    torch.testing.assert_close(x.var((0, 2)), mixture.variance[:, 0], atol=0.15, rtol=0.05)


def test_arguments_that_were_expanded_before() -> None:
    """They have gradients of their own shape where they are leaves, and no cost without."""
    weights, means, logvars = (t.detach() for t in leaves("diagonal"))
    wide = [t.expand(7, *t.shape) for t in (weights, means, logvars)]
    x = torch.randn(7, D, dtype=torch.float64)
    with MixturesSeen() as seen:
        got = GaussianMixture(*wide).log_prob(x)
    assert seen.counts == [1]
    torch.testing.assert_close(got, GaussianMixture(weights, means, logvars).log_prob(x))
    own = wide[1].detach().requires_grad_()
    (found,) = torch.autograd.grad(GaussianMixture(weights, own, logvars).log_prob(x).sum(), own)
    alone = means.clone().requires_grad_()
    mixture = GaussianMixture(weights, alone, logvars)
    for row, point in zip(found, x, strict=True):
        torch.testing.assert_close(row, torch.autograd.grad(mixture.log_prob(point), alone)[0])


def test_within_independent_and_again() -> None:
    given = leaves("full", (3,))
    mixture = mixture_of("full", *given)
    wide = Independent(mixture.expand((2, 3)).expand((5, 2, 3)), 1)
    x = wide.rsample()
    with MixturesSeen() as seen:
        got = wide.log_prob(x)
    assert seen.counts == [3]
    torch.testing.assert_close(got, mixture.log_prob(x).sum(-1))


def test_values_smaller_than_the_batch() -> None:
    wide = mixture_of("tied", *leaves("tied")).expand((5, 4))
    x = torch.zeros(4, D, dtype=torch.float64)
    assert wide.log_prob(x).shape == (5, 4)
    assert wide.posterior(x[0]).shape == (5, 4, K)


def test_what_does_not_fit() -> None:
    mixture = mixture_of("diagonal", *leaves("diagonal", (3,)))
    with pytest.raises(RuntimeError, match="expanded size"):
        mixture.expand((2, 4))
