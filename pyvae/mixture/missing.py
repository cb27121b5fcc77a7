# SPDX-License-Identifier: MIT
"""Points with coordinates that were not observed (NaN), integrated out exactly.

What is missing is hidden, like the component: the E step completes the sums by its mean and
covariance given the component and what was observed, which :mod:`pyvae.distributions.conditional`
has the formulas of.

Source: Ghahramani & Jordan (1994), "Supervised learning from incomplete data via an EM approach".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import add

import torch
from torch import Tensor

from pyvae.distributions.conditional import Conditional, conditional
from pyvae.errors import WrongValue
from pyvae.mixture.covariance import LOG_2PI, Covariance, LowRank, Moments, Parameters
from pyvae.mixture.factors import Factors
from pyvae.mixture.low_rank import factors_of, split
from pyvae.mixture.sums import FactorSums, Sums

_ELEMENTS, _ELEMENTS_ON_GPU = 2**22, 2**26  # of a tensor of points, components and coordinates


def sums(kind: Covariance, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
    """E step over points of which some coordinates are NaN."""
    weight = x.new_ones(len(x)) if weight is None else weight
    p = p._replace(means=p.means.to(x.dtype).double())
    return reduce(add, _sums(kind, x, weight, p))


def _sums(kind: Covariance, x: Tensor, weight: Tensor, p: Parameters) -> Iterator[Sums]:
    groups = _groups(kind, x, p)
    if isinstance(kind, LowRank):
        for rows, seen in groups:
            yield _completed_by_factors(kind, x[rows][:, seen], weight[rows], p, seen)
        return
    assert isinstance(kind, Moments)
    factors = scale_tril(p) if kind.has_matrices else None
    for rows, seen in groups:
        yield (
            _masked_sums(kind, x[rows], weight[rows].double(), p)
            if factors is None
            else _completed(kind, x[rows][:, seen], weight[rows], p, seen, factors)
        )


def posterior(kind: Covariance, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """Logarithms of the responsibilities ``(N, K)``, and of what is seen the density ``(N,)``."""
    log_shares = x.new_empty(len(x), len(p.weights))
    log_prob = x.new_empty(len(x))
    for rows, seen in _groups(kind, x, p):
        if not kind.has_matrices:
            joint = _masked_scores(x[rows], p, _variances(kind, p))[0]
            density = torch.logsumexp(joint, 1)
            found = joint - density[:, None], density
        elif seen.any():
            found = kind.posterior(x[rows][:, seen], _seen(kind, p, seen))
        else:
            found = p.shares.log().expand(len(rows), -1), p.log_total
        log_shares[rows], log_prob[rows] = found[0].to(x.dtype), found[1].to(x.dtype)
    return log_shares, log_prob


def entropy(kind: Covariance, x: Tensor, shares: Tensor, p: Parameters) -> Tensor:
    """Entropy of what is missing given the component and the rest, ``()``.

    Summed over points ``(N, D)``, of which the components have shares ``(N, K)``.
    """
    found = shares.new_zeros(())
    log_scales = _unseen_scales(kind, p)
    for rows, seen in patterns(x):
        if not seen.all():
            terms = log_scales(seen) + 0.5 * int((~seen).sum()) * (LOG_2PI + 1.0)
            found = found + (shares[rows].sum(0) * terms).sum()
    return found


def require_observed(observed: Tensor) -> None:
    """Refuse coordinates of which no point says anything, by how often each was observed.

    Raises
    ------
    ValueError
        If there are any: the data have no likelihood to fit their variances to.
    """
    never = (observed == 0).nonzero()[:, 0].tolist()
    if never:
        listed = ", ".join(map(str, never[:8])) + ", ..." * (len(never) > 8)
        raise WrongValue(
            f"X holds nothing but NaN in column(s) {listed} (counted from 0), or only in rows of "
            "weight zero anything else: nothing is known of them. Leave them out"
        )


def scale_tril(p: Parameters) -> Tensor:
    """Cholesky factors of matrices, ``(K, D, D)``, or ``(1, D, D)`` of one for all."""
    return Factors().of(p.covariances)


def unseen(factors: Tensor, seen: Tensor) -> Conditional:
    """Give what is missing given what is seen, by a mask ``(D,)``."""
    here, there = (part.nonzero()[:, 0].tolist() for part in (seen, ~seen))
    return conditional(factors, here, there)


def _unseen_scales(kind: Covariance, p: Parameters) -> Callable[[Tensor], Tensor]:
    """Give what leads from a mask to ``(K,)`` logarithms of roots of determinants."""
    if isinstance(kind, LowRank):
        whole = factors_of(p.covariances).log_determinant
        return lambda seen: 0.5 * (whole - factors_of(p.covariances[:, seen]).log_determinant)
    if not kind.has_matrices:
        return lambda seen: 0.5 * _variances(kind, p)[:, ~seen].log().sum(1)
    factors = scale_tril(p)
    return lambda seen: torch.diagonal(unseen(factors, seen).rest, dim1=1, dim2=2).log().sum(1)


def _completed_by_factors(
    kind: LowRank, x: Tensor, weight: Tensor, p: Parameters, seen: Tensor
) -> FactorSums:
    """Sums of points of one pattern: with f their factors' mean given what is seen, and b the rest.

    x_b is N(mu_b + Lambda_b f, Lambda_b V Lambda_b' + Psi_b), V the factors' covariance, and
    E[B' (x - mu)] given what is seen is f.
    """
    found = kind.sums(x, weight, _seen(kind, p, seen))
    (loadings, noise), whole = split(p.covariances[:, ~seen]), factors_of(p.covariances)
    counts, here = found.counts[:, None], found.factors
    first, second = torch.zeros_like(p.means), torch.zeros_like(p.means)
    cross = torch.zeros_like(whole.directions)
    first[:, seen], second[:, seen], cross[:, seen] = found.first, found.second, found.cross
    means = here.directions.mT @ found.first[:, :, None]
    first[:, ~seen] = (loadings @ means).squeeze(2)
    second[:, ~seen] = (loadings @ found.of_factors() * loadings).sum(2) + counts * noise
    rest = whole.directions[:, ~seen]
    along = here.covariance @ (loadings.mT @ rest)
    among = here.directions.mT @ found.cross + counts[:, :, None] * along
    cross[:, ~seen] = loadings @ among + (counts * noise)[:, :, None] * rest
    return FactorSums(
        found.log_likelihood, found.total, found.counts, first, second, p.means, cross, whole
    )


def _completed(
    kind: Moments, x: Tensor, weight: Tensor, p: Parameters, seen: Tensor, factors: Tensor
) -> Sums:
    """Sums of points of one pattern: the op's of what is seen, and what follows of the rest."""
    k, d = p.means.shape
    if seen.all():
        return kind.sums(x, weight, p)
    if seen.any():
        found = kind.sums(x, weight, _seen(kind, p, seen))
    else:
        total = weight.double().sum()
        counts, nothing = total * p.shares, p.means.new_zeros(k, 0)
        second = p.means.new_zeros(1 if kind.pooled else k, 0, 0)
        found = Sums(total * p.log_total, total, counts, nothing, second, nothing)
    _, regression, rest = unseen(factors, seen)
    rest = rest @ rest.mT * kind.divisor(found.counts, d)[:, None, None]
    first = p.means.new_zeros(k, d)
    first[:, seen] = found.first
    first[:, ~seen] = (regression @ found.first[:, :, None]).squeeze(2)
    second = p.means.new_zeros(len(found.second), d, d)
    here, there = seen.nonzero()[:, 0], (~seen).nonzero()[:, 0]
    cross = regression @ found.second
    second[:, here[:, None], here] = found.second
    second[:, there[:, None], here] = cross
    second[:, here[:, None], there] = cross.mT
    second[:, there[:, None], there] = cross @ regression.mT + rest
    return Sums(found.log_likelihood, found.total, found.counts, first, second, p.means)


def _seen(kind: Covariance, p: Parameters, seen: Tensor) -> Parameters:
    return p._replace(means=p.means[:, seen], covariances=kind.block(p.covariances, seen))


def _masked_sums(kind: Moments, x: Tensor, weight: Tensor, p: Parameters) -> Sums:
    """Sums of a mixture with variances: a coordinate is independent of the others there."""
    variances = _variances(kind, p)
    joint, gaps, seen = _masked_scores(x, p, variances)
    log_prob = torch.logsumexp(joint, 1)
    shares = (joint - log_prob[:, None]).exp() * weight[:, None]
    shares = torch.where((weight > 0)[:, None], shares, 0.0)
    unseen = shares.T @ (~seen).double() * variances
    first = torch.einsum("nk,nkd->kd", shares, gaps)
    second = torch.einsum("nk,nkd->kd", shares, gaps.square()) + unseen
    second = second.sum_to_size(kind.aligned(p.covariances).shape)
    return Sums((weight * log_prob).sum(), weight.sum(), shares.sum(0), first, second, p.means)


def _masked_scores(x: Tensor, p: Parameters, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give log p(x_seen, z) ``(n, K)``; x - mu ``(n, K, D)``, 0 where unseen; and the mask."""
    seen = ~x.isnan()
    gaps = torch.where(seen[:, None], x.double()[:, None] - p.means, 0.0)
    spread = seen.double() @ (variances.log() + LOG_2PI).T
    score = -0.5 * ((gaps.square() / variances).sum(2) + spread)
    return p.log_weights + score, gaps, seen


def _variances(kind: Covariance, p: Parameters) -> Tensor:
    return torch.diagonal(kind.matrices(p.covariances, *p.means.shape), dim1=1, dim2=2)


def _groups(kind: Covariance, x: Tensor, p: Parameters) -> Iterator[tuple[Tensor, Tensor]]:
    """Give what is computed at once: the rows, and what is seen of all of them."""
    if kind.has_matrices:
        yield from patterns(x)
        return
    elements = _ELEMENTS if x.is_cpu else _ELEMENTS_ON_GPU
    step = max(1, elements // max(1, p.means.numel()))
    everything = torch.ones(x.shape[1], dtype=torch.bool, device=x.device)
    for rows in torch.arange(len(x), device=x.device).split(step):
        yield rows, everything


def patterns(x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the numbers of the rows of each pattern of observed coordinates, and the pattern."""
    found, which, counts = torch.unique(~x.isnan(), dim=0, return_inverse=True, return_counts=True)
    rows = torch.argsort(which, stable=True).split(counts.tolist())
    yield from zip(rows, found, strict=True)
