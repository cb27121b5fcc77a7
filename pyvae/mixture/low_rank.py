# SPDX-License-Identifier: MIT
"""Covariances of a few factors and independent noise: mixtures of factor analysers.

The component z and the factors f are hidden. Their posterior is q(z) q(f | x, z), where the factors
are N(B' (x - mu), M^-1) with the mean mu at which F is asked for: whatever B and M^-1 are, F is
then a function of the sums about mu (:class:`FactorSums`), and its only mu is the mean of the
points, beside any covariance. So both E and M step are those of Ghahramani & Hinton, with the
factors of a component's points about their new mean in place of the earlier one: F is larger.

Source: Ghahramani & Hinton (1996), "The EM algorithm for mixtures of factor analyzers"; Meng &
van Dyk (1997), section 4, for steps that each have a posterior of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pyvae.distributions.factor_analysis import (
    FactorPosterior,
    factor_posterior,
    squared_distance,
)
from pyvae.errors import WrongValue
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.kind import LOG_2PI, TINY, Covariance, Parameters
from pyvae.mixture.principal import principal_factors
from pyvae.mixture.sums import FactorSums, Sums

_NAMES = ("factors", "noise_variances")
_REASON = (
    "they hold too few points for so many factors, or a coordinate that these tell exactly. Take "
    "fewer components, a lower rank, or increase reg_covar"
)
# Elements of a block of points: what is computed of one stays in the cache of a processor.
_BLOCK = {"cpu": 2**18, "cuda": 2**24}


class LowRank(Covariance):
    """Loadings and the noise's variances ``(K, D, r + 1)``, the latter in the last column."""

    name = "low_rank"
    has_matrices = True
    pooled = False

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def require_dimension(self, d: int) -> None:
        """Refuse points of too few coordinates to have so many factors.

        Raises
        ------
        ValueError
            If there are as many factors as coordinates, or more.
        """
        if self.rank >= d:
            raise WrongValue(
                f"rank={self.rank} and points of {d} coordinates; expected fewer factors than "
                "coordinates: lower the rank, or take covariance_type='full' ('diag' of one "
                "coordinate)"
            )

    def sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> FactorSums:
        factors, means = factors_of(p.covariances), p.means.to(x.dtype)
        joint = self._joint(x, p, factors)
        log_prob = torch.logsumexp(joint, 1)
        shares = (joint - log_prob[:, None]).exp()
        if weight is not None:
            counted = (weight > 0)[:, None]
            shares = torch.where(counted, shares * weight.double()[:, None], 0.0)
            log_prob = torch.where(weight > 0, log_prob * weight.double(), 0.0)
        total = shares.new_tensor(len(x)) if weight is None else weight.double().sum()
        rounded = factors.to(x.dtype)
        found = [
            _second_sums(x, share, mean, rounded.directions[k])
            for k, (share, mean) in enumerate(zip(shares.T, means, strict=True))
        ]
        first, second, cross = (torch.stack(same) for same in zip(*found, strict=True))
        factors = factors._replace(directions=rounded.directions.double())
        counts, reference = shares.sum(0), means.double()
        return FactorSums(log_prob.sum(), total, counts, first, second, reference, cross, factors)

    def together(self, parts: Sequence[Sums]) -> FactorSums:
        found, own = super().together(parts), [_of_factors(part) for part in parts]
        factors = (torch.cat(same) for same in zip(*(part.factors for part in own), strict=True))
        cross = torch.cat([part.cross for part in own])
        return FactorSums(**vars(found), cross=cross, factors=FactorPosterior(*factors))

    def expected_log_density(self, centred: Sums, covariances: Tensor) -> Tensor:
        sums = _of_factors(centred)
        loadings, noise = split(covariances)
        of_factors, q = sums.of_factors(), sums.factors
        left = _residuals(sums.second, sums.cross, of_factors, loadings)
        spread = noise.log().sum(1) + noise.shape[1] * LOG_2PI - self.rank
        log_precision = q.log_determinant - q.noise.log().sum(1)  # of q(f | x, z)
        squares = torch.diagonal(of_factors, dim1=1, dim2=2).sum() + (left / noise).sum()
        return -0.5 * ((sums.counts * (spread + log_precision)).sum() + squares)

    def covariances(self, sums: Sums, reg_covar: float = 0.0) -> Tensor:
        sums = _of_factors(sums)
        share = 1.0 / sums.counts.clamp_min(TINY)[:, None]
        second, cross = share * sums.second, share[:, :, None] * sums.cross
        some = replace(sums, counts=torch.ones_like(sums.counts), cross=cross)
        of_factors = some.of_factors()
        loadings = torch.linalg.solve(of_factors, cross.mT).mT
        noise = _residuals(second, cross, of_factors, loadings) + reg_covar
        return torch.cat([loadings, noise[:, :, None]], 2)

    def require(self, covariances: Tensor) -> None:
        loadings, noise = split(covariances)
        right = (noise > 0) & noise.isfinite() & loadings.isfinite().all(2)
        wrong = ~right.all(1)
        if wrong.any():
            raise IllDefined(wrong.nonzero()[:, 0], _REASON)

    def first_sums(
        self,
        parts: list[tuple[Tensor, Tensor]],
        counts: Tensor,
        means: Tensor,
        random: np.random.RandomState,
    ) -> FactorSums:
        second, loadings, noise, cross = [], [], [], []
        for (x, share), mean in zip(parts, means, strict=True):
            squares = share @ (x - mean).square()
            found = principal_factors(x - mean, share, squares, self.rank, random)
            for values, value in zip((second, loadings, noise), (squares, *found), strict=True):
                values.append(value)
        factors = factor_posterior(torch.stack(loadings), torch.stack(noise))
        for k, ((x, share), mean) in enumerate(zip(parts, means, strict=True)):
            gaps = x - mean
            cross.append(gaps.mT @ (share[:, None] * (gaps @ factors.directions[k])))
        zero = means.new_zeros(())
        return FactorSums(
            zero, counts.sum(), counts, torch.zeros_like(means), torch.stack(second), means,
            torch.stack(cross), factors,
        )  # fmt: skip

    def sums_behind(self, p: Parameters, total: float, reg_covar: float) -> FactorSums:
        """As of every kind: at S = N Sigma is S B = N Lambda, as B = Sigma^-1 Lambda."""
        counts, zero = p.weights / p.weights.sum() * total, p.means.new_zeros(())
        loadings, noise = split(p.covariances)
        second = counts[:, None] * (loadings.square().sum(2) + noise - reg_covar)
        cross = counts[:, None, None] * loadings
        return FactorSums(
            zero, zero + total, counts, torch.zeros_like(p.means), second, p.means,
            cross, factors_of(p.covariances),
        )  # fmt: skip

    def spread_out(self, sums: Sums, components: Tensor, second: Tensor) -> FactorSums:
        """As of every kind: with the directions of the largest of the others.

        Those of a component that has lost its points may be none, and it would have no factors.
        """
        sums = _of_factors(sums)
        others = sums.counts.index_fill(0, components, -1.0)
        largest = int(others.argmax())
        parts = {name: getattr(sums.factors, name).clone() for name in sums.factors._fields}
        for part in parts.values():
            part[components] = part[largest].clone()
        factors, squares, cross = FactorPosterior(**parts), sums.second.clone(), sums.cross.clone()
        squares[components] = second
        cross[components] = second[:, None] * factors.directions[components]
        return replace(sums, second=squares, cross=cross, factors=factors)

    def log_prob(self, x: Tensor, p: Parameters) -> Tensor:
        return self.posterior(x, p)[1]

    def posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        joint = self._joint(x, p, factors_of(p.covariances))
        log_prob = torch.logsumexp(joint, 1)
        return (joint - log_prob[:, None]).to(x.dtype), log_prob.to(x.dtype)

    def predict(self, x: Tensor, p: Parameters) -> Tensor:
        return self._joint(x, p, factors_of(p.covariances)).argmax(1)

    def draw(self, p: Parameters, counts: np.ndarray, random: np.random.RandomState) -> Tensor:
        loadings, noise = split(p.covariances)
        d = noise.shape[1]

        def normal(count: int, size: int) -> Tensor:
            return torch.from_numpy(random.standard_normal((count, size))).to(p.means)

        return torch.cat(
            [
                mean + normal(n, self.rank) @ one.mT + normal(n, d) * scale
                for n, mean, one, scale in zip(
                    counts.tolist(), p.means, loadings, noise.sqrt(), strict=True
                )
            ]
        )

    def parts(self, covariances: Tensor) -> dict[str, Tensor]:
        return dict(zip(_NAMES, split(covariances), strict=True))

    def part_shapes(self, k: int, d: int) -> dict[str, tuple[int, ...]]:
        return dict(zip(_NAMES, ((k, d, self.rank), (k, d)), strict=True))

    def of_parts(self, parts: dict[str, Tensor]) -> Tensor:
        loadings, noise = (parts[name] for name in _NAMES)
        return torch.cat([loadings, noise[:, :, None]], 2)

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, d, self.rank + 1

    def diagonals(self, covariances: Tensor) -> tuple[Tensor, Tensor]:
        """As of every kind: the noise's precisions are above those of Sigma."""
        loadings, noise = split(covariances)
        return loadings.square().sum(2) + noise, noise.reciprocal()

    def block(self, covariances: Tensor, columns: Tensor | list[int]) -> Tensor:
        return covariances[:, columns]

    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        loadings, noise = split(covariances)
        return loadings @ loadings.mT + torch.diag_embed(noise)

    def parameters(self, k: int, d: int) -> int:
        """As of every kind: a rotation of the factors is none, and there are no more than full."""
        r = self.rank
        return k * min(d * r + d - r * (r - 1) // 2, d * (d + 1) // 2)

    def _spread(self, centred: Sums) -> Tensor:
        return centred.second.mean(1) / centred.counts.clamp_min(TINY)

    def _joint(self, x: Tensor, p: Parameters, factors: FactorPosterior) -> Tensor:
        """Logarithms of p(x, z), ``(N, K)``, in float64."""
        means, rounded = p.means.to(x.dtype), factors.to(x.dtype)
        distances = torch.empty(len(x), len(means), dtype=torch.float64, device=x.device)
        for rows in _blocks(len(x), x):
            for k, mean in enumerate(means):
                distances[rows, k] = squared_distance(x[rows] - mean, rounded.component(k)).double()
        spread = factors.log_determinant + x.shape[1] * LOG_2PI
        return p.log_weights - 0.5 * (distances + spread)


def split(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Give the loadings ``(K, D, r)`` and the noise's variances ``(K, D)``."""
    return covariances[..., :-1], covariances[..., -1]


def factors_of(covariances: Tensor) -> FactorPosterior:
    """Give what is known of the factors given a point."""
    return factor_posterior(*split(covariances))


def _of_factors(sums: Sums) -> FactorSums:
    assert isinstance(sums, FactorSums)
    return sums


def _residuals(second: Tensor, cross: Tensor, of_factors: Tensor, loadings: Tensor) -> Tensor:
    """Sums of E[(x - mu - Lambda f)^2], ``(K, D)``."""
    explained = (loadings * (2.0 * cross - loadings @ of_factors)).sum(2)
    return second - explained


def _second_sums(
    x: Tensor, share: Tensor, mean: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """First sums of one component, squares, and outer products times the directions, in float64.

    Of the points that count beside its nearest, by shares relative to that one's: what is left out
    is beyond the rounding of what is added.
    """
    d, r = directions.shape
    second, cross = share.new_zeros(d), share.new_zeros(d, r + 1)  # the last column: first sums
    most = share.max() if len(share) else share.sum()
    kept = (share > most * torch.finfo(x.dtype).eps ** 2).nonzero()[:, 0]
    for rows in _blocks(len(kept), x):
        index = kept[rows] if len(kept) < len(x) else rows
        gaps, weight = x[index] - mean, (share[index] / most).to(x.dtype)
        factors = weight[:, None] * (gaps @ directions)
        cross += gaps.mT @ torch.cat([factors, weight[:, None]], 1)
        second += weight @ gaps.square_()
    return most * cross[:, -1], most * second, most * cross[:, :-1]


def _blocks(count: int, x: Tensor) -> Iterator[slice]:
    step = max(1, _BLOCK.get(x.device.type, _BLOCK["cuda"]) // max(1, x.shape[1]))
    for at in range(0, count, step):
        yield slice(at, at + step)
