# SPDX-License-Identifier: MIT
"""Kullback-Leibler divergences between Gaussians and mixtures of them, in nats.

There is no closed form to a mixture. ``kl_divergence`` of torch gives a Monte Carlo estimate;
:func:`kl_mixture` gives the others by name.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl
from torch.distributions.kl import register_kl

from pyvae import ops
from pyvae.distributions.gaussian_mixture import GaussianMixture

METHODS = ("monte-carlo", "upper", "variational")
_SAMPLES = 10_000
_ROUNDS = 200  # of the upper bound's updates, at most


def kl_mixture(
    p: Distribution,
    q: Distribution,
    *,
    method: str = "monte-carlo",
    num_samples: int = _SAMPLES,
) -> Tensor:
    """KL(p || q) of Gaussians and mixtures of Gaussians.

    Parameters
    ----------
    p, q
        A :class:`GaussianMixture`, ``MultivariateNormal`` or ``Independent(Normal(...), 1)``, with
        batch shapes that broadcast.
    method
        ``"monte-carlo"``: the mean of log p - log q over samples of p: unbiased, differentiable,
        and possibly negative. ``"upper"``: the upper bound of Hershey & Olsen, their section 8; of
        a single Gaussian p it is -log sum_b omega_b e^(-KL(p || q_b)). ``"variational"``: their
        approximation, section 7, neither a bound from above nor from below, which is zero at p = q.
    num_samples
        Of the Monte Carlo estimate.

    Returns
    -------
    The divergence in nats, of the broadcast batch shape.

    Raises
    ------
    ValueError
        If the method is unknown, or the event shapes differ.
    TypeError
        If p or q is none of these distributions.

    References
    ----------
    Hershey & Olsen (2007), "Approximating the Kullback Leibler divergence between Gaussian mixture
    models".

    Examples
    --------
    >>> p = GaussianMixture(torch.zeros(1), torch.zeros(1, 1), torch.zeros(1, 1))
    >>> q = GaussianMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1))
    >>> kl_mixture(p, q, method="upper"), kl_mixture(q, q, method="variational")
    (tensor(0.5000), tensor(0.))
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    first, second = _as_mixture(p, "p"), _as_mixture(q, "q")
    if first.event_shape != second.event_shape:
        raise ValueError(
            f"kl_mixture: p has the event shape {tuple(first.event_shape)} and q "
            f"{tuple(second.event_shape)}; expected the same"
        )
    if method == "monte-carlo":
        return _monte_carlo(first, second, num_samples)
    across = _pairwise(first, second)
    log_p, log_q = first.log_weights, second.log_weights
    if method == "upper":
        return _upper(log_p, log_q, across)
    within = torch.logsumexp(log_p.unsqueeze(-2) - _pairwise(first, first), -1)
    between = torch.logsumexp(log_q.unsqueeze(-2) - across, -1)
    return (log_p.exp() * (within - between)).sum(-1)


def _monte_carlo(p: GaussianMixture, q: GaussianMixture, num_samples: int) -> Tensor:
    batch = torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    p, q = p.expand(batch), q.expand(batch)
    tensors = (*p.arguments(), *q.arguments())
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    x = p.rsample((num_samples,)) if wanted else p.sample((num_samples,))
    return (p.log_prob(x) - q.log_prob(x)).mean(0)


def _upper(log_p: Tensor, log_q: Tensor, divergences: Tensor) -> Tensor:
    """Alternate the two updates of section 8 until the bound falls no more; both are in logs."""
    phi = log_p.unsqueeze(-1) + log_q.unsqueeze(-2)
    phi, _ = torch.broadcast_tensors(phi, divergences)
    before = bound = torch.full_like(log_p[..., 0], torch.inf)
    for _ in range(_ROUNDS):
        psi = log_q.unsqueeze(-2) + phi - torch.logsumexp(phi, -2, keepdim=True)
        scored = torch.where(psi.isnan(), -torch.inf, psi - divergences)
        total = torch.logsumexp(scored, -1)
        phi = log_p.unsqueeze(-1) + scored - total.unsqueeze(-1)
        phi = torch.where(phi.isnan(), -torch.inf, phi)
        # At these phi and psi it is sum_a pi_a (log pi_a - total_a).
        bound = torch.where(log_p == -torch.inf, 0.0, log_p.exp() * (log_p - total)).sum(-1)
        if ((before - bound).abs() <= 1e-7 * bound.abs()).all():
            break
        before = bound
    return bound


def _pairwise(p: GaussianMixture, q: GaussianMixture) -> Tensor:
    """KL(p_a || q_b) of all components, ``(*batch, A, B)``."""
    if not p.has_matrices and not q.has_matrices:
        wide = [m.logvars.expand(m.means.shape) for m in (p, q)]
        return ops.gaussian_kl_pairwise(p.means, wide[0], q.means, wide[1])
    first, second = (_factors(m) for m in (p, q))
    return ops.gaussian_kl_tril(
        p.means.unsqueeze(-2), first.unsqueeze(-3), q.means.unsqueeze(-3), second.unsqueeze(-4)
    )


def _factors(mixture: GaussianMixture) -> Tensor:
    k, d = mixture.means.shape[-2:]
    if mixture.has_matrices:
        return mixture.scale_tril.expand(*mixture.batch_shape, k, d, d)
    logvars = mixture.logvars.expand(mixture.means.shape)
    return torch.diag_embed(torch.exp(0.5 * logvars))


def _as_mixture(distribution: Distribution, name: str) -> GaussianMixture:
    """See a Gaussian as a mixture of one."""
    if isinstance(distribution, GaussianMixture):
        return distribution
    if isinstance(distribution, MultivariateNormal):
        loc, factor = distribution.loc, distribution.scale_tril
        one = loc.new_zeros(*loc.shape[:-1], 1)
        return GaussianMixture(
            one, loc.unsqueeze(-2), scale_tril=factor.unsqueeze(-3), validate_args=False
        )
    if _is_diagonal(distribution):
        base = distribution.base_dist  # type: ignore[attr-defined]
        one = base.loc.new_zeros(*base.loc.shape[:-1], 1)
        logvars = 2.0 * base.scale.log()
        return GaussianMixture(
            one, base.loc.unsqueeze(-2), logvars.unsqueeze(-2), validate_args=False
        )
    raise TypeError(
        f"kl_mixture: {name} is {type(distribution).__name__}; expected GaussianMixture, "
        "MultivariateNormal or Independent(Normal(...), 1)"
    )


def _is_diagonal(distribution: Distribution) -> bool:
    return (
        isinstance(distribution, Independent)
        and isinstance(distribution.base_dist, Normal)
        and distribution.reinterpreted_batch_ndims == 1
    )


@register_kl(GaussianMixture, GaussianMixture)
@register_kl(MultivariateNormal, GaussianMixture)
@register_kl(GaussianMixture, MultivariateNormal)
@register_kl(Independent, GaussianMixture)
@register_kl(GaussianMixture, Independent)
def _kl_mixture(p: Distribution, q: Distribution) -> Tensor:
    try:
        return kl_mixture(p, q)
    except TypeError as error:
        raise NotImplementedError(str(error)) from None


def register_gaussian_kl() -> None:
    """Let torch's ``kl_divergence`` of two Gaussians run on the ops, in the whole process.

    Of two ``MultivariateNormal`` and of two ``Independent(Normal(...), 1)``; other ``Independent``
    distributions keep torch's. Not done at import: it changes what other code calls.

    Examples
    --------
    >>> from torch.distributions import MultivariateNormal, kl_divergence
    >>> register_gaussian_kl()
    >>> p = MultivariateNormal(torch.zeros(3), torch.eye(3))
    >>> kl_divergence(p, p)
    tensor(0.)
    """
    of_independent = kl._kl_independent_independent

    def full(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
        if p.event_shape != q.event_shape:
            raise ValueError("KL divergence of Gaussians with different event shapes is undefined")
        return ops.gaussian_kl_tril(p.loc, p.scale_tril, q.loc, q.scale_tril)

    def diagonal(p: Independent, q: Independent) -> Tensor:
        if not (_is_diagonal(p) and _is_diagonal(q)):
            return of_independent(p, q)
        logvars = (2.0 * d.base_dist.scale.log() for d in (p, q))  # type: ignore[attr-defined]
        first, second = logvars
        return ops.gaussian_kl(p.base_dist.loc, first, q.base_dist.loc, second)  # type: ignore[attr-defined]

    register_kl(MultivariateNormal, MultivariateNormal)(full)
    register_kl(Independent, Independent)(diagonal)
