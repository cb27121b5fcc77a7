# SPDX-License-Identifier: MIT
"""Kullback-Leibler divergences between Gaussians and mixtures of them, in nats.

There is no closed form to a mixture. ``kl_divergence`` of torch gives a Monte Carlo estimate
(``registry``); :func:`kl_mixture` gives the others by name.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MixtureSameFamily, Normal

from pyvae import ops
from pyvae.distributions.arguments import CORES
from pyvae.distributions.components import gaussian_parameters, log_weights_of
from pyvae.distributions.gaussian_mixture import GaussianMixture
from pyvae.distributions.monte_carlo import estimated_kl, kl_samples
from pyvae.errors import WrongType, WrongValue

METHODS = ("monte-carlo", "upper", "variational")
_ROUNDS = 200  # of the upper bound's updates, at most


def kl_mixture(
    p: Distribution,
    q: Distribution,
    *,
    method: str = "monte-carlo",
    num_samples: int | None = None,
) -> Tensor:
    """KL(p || q) of Gaussians and mixtures of Gaussians.

    Parameters
    ----------
    p, q
        Any of :class:`GaussianMixture`, ``MultivariateNormal``, ``Independent(Normal(...), 1)``,
        ``Normal`` and ``MixtureSameFamily`` of the latter three, with batch shapes that broadcast.
        A ``Normal`` is one coordinate; beside a distribution over vectors of as many coordinates as
        its last batch dimension has, it is these coordinates, independent of each other.
    method
        Of two Gaussians, or mixtures of one component, the divergence has a closed form, which any
        method gives. ``"monte-carlo"``: the mean of log p - log q over samples of p. ``"upper"``:
        the upper bound of Hershey & Olsen, their section 8; of a single Gaussian p it is
        -log sum_b omega_b e^(-KL(p || q_b)). ``"variational"``: their approximation, section 7,
        neither a bound from above nor from below, which is zero at p = q.
    num_samples
        Of the Monte Carlo estimate, for every entry of p's batch; None is what
        :func:`set_kl_samples` set.

    Returns
    -------
    The divergence in nats, of the broadcast batch shape.

    Raises
    ------
    ValueError
        If the method is unknown, the event shapes differ, or ``num_samples`` is below 1.
    TypeError
        If p or q is none of these distributions.

    Notes
    -----
    The Monte Carlo estimate is unbiased, with its gradients, and so may be negative. Its variance
    is that of log p - log q under p, over ``num_samples``: none where p = q, where every sample
    gives 0. A loss that averages over a batch needs few samples, a figure to read many. The noise
    is torch's, of the device's default generator: ``torch.manual_seed`` fixes it. Entries of q that
    broadcast against one p share its samples. A Gaussian p is reparameterised, so that the gradient
    of its entropy has no noise; a mixture p by :meth:`GaussianMixture.rsample`.

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
        raise WrongValue(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    first, second = _as_mixtures(p, q)
    if first.means.shape[-2] == second.means.shape[-2] == 1:
        return _pairwise(first, second)[..., 0, 0]
    if method == "monte-carlo":
        return estimated_kl(first, second, kl_samples(first, num_samples))
    across = _pairwise(first, second)
    log_p, log_q = first.arguments()[0], second.arguments()[0]
    if method == "upper":
        return _upper(log_p, log_q, across)
    within = torch.logsumexp(log_p.unsqueeze(-2) - _pairwise(first, first), -1)
    between = torch.logsumexp(log_q.unsqueeze(-2) - across, -1)
    return (log_p.exp() * (within - between)).sum(-1)


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
    (_, means_p, spread_p), (_, means_q, spread_q) = p.arguments(), q.arguments()
    if not p.has_matrices and not q.has_matrices:
        logvars_p, logvars_q = _wide(spread_p, means_p), _wide(spread_q, means_q)
        found = ops.gaussian_kl_pairwise(means_p, logvars_p, means_q, logvars_q)
    else:
        first, second = _factors(p), _factors(q)
        found = ops.gaussian_kl_tril(
            means_p.unsqueeze(-2), first.unsqueeze(-3), means_q.unsqueeze(-3), second.unsqueeze(-4)
        )
    batch = torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    return found.expand(batch + found.shape[-2:])


def _wide(logvars: Tensor, means: Tensor) -> Tensor:
    return logvars.expand(torch.broadcast_shapes(logvars.shape, means.shape))


def _factors(mixture: GaussianMixture) -> Tensor:
    _, means, spread = mixture.arguments()
    if mixture.has_matrices:
        return spread
    return torch.diag_embed(torch.exp(0.5 * _wide(spread, means)))


def _as_mixtures(p: Distribution, q: Distribution) -> tuple[GaussianMixture, GaussianMixture]:
    """See Gaussians as mixtures of one, and a batch of numbers as the vectors of the other side."""
    p, q = _as_vectors(p, q), _as_vectors(q, p)
    first, second = _as_mixture(p, "p"), _as_mixture(q, "q")
    if first.event_shape != second.event_shape:
        raise WrongValue(
            f"kl_mixture: p has the event shape {tuple(p.event_shape)} and q "
            f"{tuple(q.event_shape)}; expected the same"
        )
    return first, second


def _as_vectors(distribution: Distribution, other: Distribution) -> Distribution:
    if not isinstance(distribution, Normal) or not other.event_shape:
        return distribution
    if distribution.batch_shape[-1:] == other.event_shape:
        return Independent(distribution, 1, validate_args=False)
    return distribution


def _as_mixture(distribution: Distribution, name: str) -> GaussianMixture:
    if isinstance(distribution, GaussianMixture):
        return distribution
    if isinstance(distribution, MixtureSameFamily):
        found = gaussian_parameters(distribution.component_distribution)
        log_weights = log_weights_of(distribution.mixture_distribution)
    else:
        found = gaussian_parameters(distribution)
        log_weights = None
    if found is None:
        raise WrongType(
            f"kl_mixture: {name} is {_described(distribution)}; expected GaussianMixture, "
            "MultivariateNormal, LowRankMultivariateNormal, Normal, Independent(Normal(...), 1) or "
            "MixtureSameFamily of these"
        )
    if log_weights is None:
        log_weights = found["means"].new_zeros(1)
        found = {key: tensor.unsqueeze(-CORES[key]) for key, tensor in found.items()}
    return GaussianMixture(log_weights, **found, validate_args=False)


def _described(distribution: Distribution) -> str:
    inner = getattr(
        distribution, "base_dist", getattr(distribution, "_component_distribution", None)
    )
    name = type(distribution).__name__
    return name if inner is None else f"{name} of {_described(inner)}"
