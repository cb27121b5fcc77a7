# SPDX-License-Identifier: MIT
"""Low-rank covariances of the distribution, beside the same ones as Cholesky factors."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MixtureSameFamily, kl_divergence

from pyvae.distributions import GaussianMixture, kl_mixture

K, D, R = 3, 5, 2


def leaves(
    batch: tuple[int, ...] = (), dtype: torch.dtype = torch.float64, r: int = R
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    parts = normal(K), normal(K, D), normal(K, D, r), torch.exp(normal(K, D))
    return tuple(part.to(dtype).requires_grad_() for part in parts)


def low_rank(weights: Tensor, means: Tensor, factor: Tensor, diagonal: Tensor) -> GaussianMixture:
    return GaussianMixture(weights, means, cov_factor=factor, cov_diag=diagonal)


def dense(weights: Tensor, means: Tensor, factor: Tensor, diagonal: Tensor) -> GaussianMixture:
    covariances = factor @ factor.mT + torch.diag_embed(diagonal)
    return GaussianMixture(weights, means, scale_tril=torch.linalg.cholesky(covariances))


def points(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 2.0 * torch.randn(*shape, D, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("batch", [(), (4,), (2, 1)])
@pytest.mark.parametrize("r", [1, 2, 4, 7])
def test_it_is_the_dense_one(batch: tuple[int, ...], r: int) -> None:
    given = leaves(batch, r=r)
    ours, theirs, x = low_rank(*given), dense(*given), points(6, *batch)
    for name in ("mean", "variance", "covariance_matrix", "scale_tril"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(ours.posterior(x), theirs.posterior(x))
    columns, rest = [3, 0], [1, 2, 4]
    torch.testing.assert_close(
        ours.marginal(columns).log_prob(x[..., columns]),
        theirs.marginal(columns).log_prob(x[..., columns]),
    )
    found, wanted = (each.condition(columns, x[..., columns]) for each in (ours, theirs))
    assert found.has_factors
    torch.testing.assert_close(found.log_prob(x[..., rest]), wanted.log_prob(x[..., rest]))
    torch.testing.assert_close(found.covariance_matrix, wanted.covariance_matrix)


def test_gradients_of_both_orders() -> None:
    given, x = leaves(), points(3).requires_grad_()

    def log_prob(*arguments: Tensor) -> Tensor:
        return low_rank(*arguments[:4]).log_prob(arguments[4])

    assert torch.autograd.gradcheck(log_prob, (*given, x))
    assert torch.autograd.gradgradcheck(log_prob, (*given, x))
    for ours, theirs in zip(
        torch.autograd.grad(low_rank(*given).log_prob(x).sum(), (*given, x)),
        torch.autograd.grad(dense(*given).log_prob(x).sum(), (*given, x)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_transforms() -> None:
    given, x = leaves((3,)), points(3, 4)
    mapped = torch.vmap(lambda *parts: low_rank(*parts[:4]).log_prob(parts[4]))(*given, x)
    torch.testing.assert_close(mapped, low_rank(*given).log_prob(x.movedim(1, 0)).T)


def test_samples() -> None:
    torch.manual_seed(0)
    mixture = low_rank(*leaves())
    x = mixture.sample((100_000,))
    torch.testing.assert_close(x.mean(0), mixture.mean.detach(), atol=0.05, rtol=0)
    gaps = torch.cov(x.T) - mixture.covariance_matrix
    assert gaps.abs().max() < 0.2
    assert low_rank(*leaves((4,))).expand((2, 4)).sample((3,)).shape == (3, 2, 4, D)
    assert mixture.sample((0,)).shape == (0, D)


def test_samples_pass_gradients() -> None:
    """Those of the same points under the factors: E[x^2] moves with the noise by its weight."""
    torch.manual_seed(0)
    weights, means, factor, diagonal = leaves()
    x = low_rank(weights, means, factor, diagonal).rsample((40_000,))
    (found,) = torch.autograd.grad(x.square().sum(1).mean(), diagonal)
    wanted = weights.detach().softmax(0)[:, None].expand(K, D)
    torch.testing.assert_close(found, wanted, atol=0.06, rtol=0.1)


def test_contract() -> None:
    """A component without weight counts for nothing, a point at infinity or too far has none."""
    weights, means, factor, diagonal = (part.detach() for part in leaves())
    weights[1], means[1], factor[1], diagonal[1] = -torch.inf, torch.nan, torch.nan, torch.nan
    given = [part.requires_grad_() for part in (weights, means, factor, diagonal)]
    mixture = GaussianMixture(
        *given[:2], cov_factor=given[2], cov_diag=given[3], validate_args=False
    )
    alive = [0, 2]
    whole = low_rank(*(part.detach()[alive] for part in given))
    x = points(5)
    torch.testing.assert_close(mixture.log_prob(x), whole.log_prob(x))
    for gradient in torch.autograd.grad(mixture.log_prob(x).sum(), given[1:]):
        assert gradient[1].eq(0).all()
        assert gradient.isfinite().all()
    far = torch.stack([torch.full((D,), value, dtype=x.dtype) for value in (torch.inf, 1e200)])
    far.requires_grad_()
    assert mixture.log_prob(far).tolist() == [-torch.inf, -torch.inf]
    assert (mixture.posterior(far) == -torch.inf).all()
    (gradient,) = torch.autograd.grad(mixture.log_prob(far).sum(), far)
    assert gradient.eq(0).all()
    spoilt = x.clone()
    spoilt[2, 0] = torch.nan
    assert mixture.log_prob(spoilt).isnan().tolist() == [False, False, True, False, False]
    near = whole.condition([0, 1], far.detach()[1, :2])
    assert near.log_weights.isfinite().sum() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes(dtype: torch.dtype) -> None:
    given, x = leaves(dtype=dtype), points(4, dtype=dtype)
    found = low_rank(*given).log_prob(x)
    assert found.dtype == dtype
    wanted = low_rank(*(part.double() for part in given)).log_prob(x.double())
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)


def test_with_torchs() -> None:
    given = tuple(part.detach() for part in leaves())
    mixture, x = low_rank(*given), points(4)
    torchs = mixture.to_mixture()
    assert isinstance(torchs.component_distribution, LowRankMultivariateNormal)
    torch.testing.assert_close(torchs.log_prob(x), mixture.log_prob(x))
    again = GaussianMixture.from_mixture(torchs)
    assert again.has_factors
    assert repr(again) == repr(mixture)
    one = LowRankMultivariateNormal(*(part[0] for part in given[1:]))
    other = dense(*given)
    for method in ("upper", "variational"):
        torch.testing.assert_close(
            kl_mixture(mixture, other, method=method), torch.zeros((), dtype=x.dtype)
        )
    assert isinstance(torchs, MixtureSameFamily)
    wanted = kl_mixture(one, dense(*(part[:1] for part in given)))
    torch.testing.assert_close(wanted, torch.zeros_like(wanted), atol=1e-10, rtol=0)
    assert kl_divergence(one, mixture).shape == ()
    for same in (copy.deepcopy(mixture), pickle.loads(pickle.dumps(mixture))):
        torch.testing.assert_close(same.log_prob(x), mixture.log_prob(x))


def test_what_is_refused() -> None:
    weights, means, factor, diagonal = leaves()
    for given in (
        {"cov_factor": factor},
        {"cov_diag": diagonal},
        {"cov_factor": factor, "cov_diag": diagonal, "logvars": diagonal},
        {},
    ):
        with pytest.raises(ValueError, match="expected one of logvars and scale_tril"):
            GaussianMixture(weights, means, **given)
    with pytest.raises(ValueError, match=r"cov_factor \(5, 2\)"):
        GaussianMixture(weights, means, cov_factor=factor[0], cov_diag=diagonal)
    with pytest.raises(ValueError, match=r"cov_diag \(3, 4\) do not fit"):
        GaussianMixture(weights, means, cov_factor=factor, cov_diag=diagonal[:, 1:])
    with pytest.raises(ValueError, match="cov_diag"):
        GaussianMixture(weights, means, cov_factor=factor, cov_diag=-diagonal, validate_args=True)
    with pytest.raises(AttributeError, match="was given no logvars"):
        _ = low_rank(weights, means, factor, diagonal).logvars
