# SPDX-License-Identifier: MIT
"""Where a fit of a Gaussian mixture starts."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import lloyd
from pyvae.mixture.arrays import Array, numbers
from pyvae.mixture.covariance import Covariance, LowRank, Moments, Parameters
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.gaussian_em import m_step
from pyvae.mixture.labelled_start import Clusters, labelled_parts, nearest_centres
from pyvae.mixture.points import Points
from pyvae.mixture.seeding import seeds
from pyvae.mixture.short_em import ShortEM
from pyvae.mixture.sums import Sums
from pyvae.mixture.trimming import SINGLE_POINTS, trimmed_clusters, trimmed_kmeans

METHODS = ("short_em", "kmeans", "k-means++", "random", "random_from_data", "trimmed_kmeans")
# A start looks at all points up to so many numbers. Of more it looks at so many rows, of so many
# numbers: a mapped file need not fit in memory, and equal points start equally, however they are
# stored.
_WHOLE = 2**24
_MOST_ROWS, _MOST_NUMBERS = 2**17, 2**22
_LEAST_ROWS = 64  # for each component


class Given(NamedTuple):
    """What a fit is told to start from, as it was passed; None where nothing is said."""

    weights: Array | None
    means: Array | None
    precisions: Array | None

    def checked(
        self, kind: Covariance, num_components: int, origin: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Give the weights, means (about the origin) and covariances to start from.

        Raises
        ------
        ValueError
            If one has another shape, weights are not in [0, 1] or do not sum to one, or precisions
            are not positive definite.
        """
        if self.precisions is not None and not isinstance(kind, Moments):
            raise WrongValue(
                f"precisions_init with covariance_type={kind.name!r}: precisions do not tell "
                "factors from noise. Leave it out, or set weights_, means_, factors_ and "
                "noise_variances_ and fit with warm_start=True"
            )
        k, d = num_components, len(origin)
        shapes = (k,), (k, d), kind.shape(k, d)
        weights, means, precisions = (
            None if value is None else shaped(name, value, shape, origin.device)
            for name, value, shape in zip(self._fields, self, shapes, strict=True)
        )
        if weights is not None and not ((weights >= 0) & (weights <= 1)).all():
            raise WrongValue("The parameter 'weights' should be in the range [0, 1]")
        if weights is not None and abs(weights.sum().item() - 1.0) > 1e-6:
            raise WrongValue(
                "The parameter 'weights' should be normalized, but got sum(weights) = "
                f"{weights.sum()}"
            )
        means = None if means is None else means - origin.double()
        if precisions is None:
            return weights, means, None
        assert isinstance(kind, Moments)
        return weights, means, _covariances(kind, precisions)


def start(
    given: Given,
    kind: Covariance,
    points: Points,
    num_components: int,
    method: str,
    random: np.random.RandomState,
    reg_covar: float,
) -> Parameters:
    """Give parameters about the points' origin: those given, and for others one M step.

    That is from first responsibilities, as scikit-learn does.
    """
    told = given.checked(kind, num_components, points.origin)
    if all(value is not None for value in told):
        return Parameters(*told)  # type: ignore[arg-type]
    sums = first_sums(kind, points, num_components, method, random, reg_covar)
    found = m_step(kind, sums, reg_covar)
    pairs = zip(told, found[:3], strict=True)
    return Parameters(*(theirs if mine is None else mine for mine, theirs in pairs))


def first_sums(
    kind: Covariance,
    points: Points,
    num_components: int,
    method: str,
    random: np.random.RandomState,
    reg_covar: float,
) -> Sums:
    """Give the sums of first responsibilities, of a sample where there are very many points.

    Short runs of EM integrate out what is missing (NaN); for other methods it stands at its
    coordinate's mean. Where no run has covariances, as of copies of a few points, where labels say
    where components are, and of factors, which are none in a few steps, it is k-means.
    """
    if method == "short_em" and points.labels is None and isinstance(kind, Moments):
        runs = ShortEM.on_a_sample(kind, points, num_components, reg_covar)
        found = runs.best_sums(random)
        if found is not None:
            return found
    method = "kmeans" if method == "short_em" else method
    # One point has no factors, and a component without them would get none.
    whole = isinstance(kind, LowRank) and method in SINGLE_POINTS
    parts = _parts(points, num_components, method, random, whole)
    counts = torch.stack([share.sum() for _, share in parts])
    tiny = torch.finfo(torch.float64).tiny
    means = torch.stack([share @ x for x, share in parts]) / counts.clamp_min(tiny)[:, None]
    return kind.first_sums(parts, counts, means, random)


def _parts(
    points: Points, num_components: int, method: str, random: np.random.RandomState, whole: bool
) -> list[tuple[Tensor, Tensor]]:
    """Give the points of every component, and its shares in them; ``whole`` leaves none out."""
    most = _most_rows(len(points), points.dimension, num_components)
    if points.labels is not None:
        clusters, scattered = _CLUSTERS.get(method, nearest_centres), method == "random"
        return labelled_parts(points, num_components, most, random, clusters, scattered=scattered)
    rows, weight = points.sample(most)
    rows = rows.nan_to_num(nan=0.0) if rows.isnan().any() else rows
    weight = rows.new_ones(len(rows)) if weight is None else weight
    if method == "random":
        drawn = random.uniform(size=(len(rows), num_components))
        shares = torch.from_numpy(drawn / drawn.sum(1, keepdims=True)).to(rows.device)
        x, shares = rows.double(), shares * weight.double()[:, None]
        return [(x, share) for share in shares.T]
    labels, chosen = _labels(rows, weight, num_components, method, random)
    if whole:
        labels, chosen = torch.cdist(rows, rows[chosen]).argmin(1), slice(None)
    x, w = rows[chosen].double(), weight[chosen].double()
    order = torch.argsort(labels)
    sizes = torch.bincount(labels, minlength=num_components).tolist()
    return list(zip(x[order].split(sizes), w[order].split(sizes), strict=True))


def _most_rows(count: int, dimension: int, num_components: int) -> int:
    if count * dimension <= _WHOLE:
        return count
    return max(min(_MOST_ROWS, _MOST_NUMBERS // dimension), _LEAST_ROWS * num_components)


def shaped(name: str, value: Array, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Give a parameter in float64, if it has the shape that it should have.

    Raises
    ------
    ValueError
        If it has another, with scikit-learn's words.
    """
    found = numbers(value, device)
    if found.shape != shape:
        raise WrongValue(
            f"The parameter '{name}' should have the shape of {shape}, but got {tuple(found.shape)}"
        )
    return found


def _covariances(kind: Moments, precisions: Tensor) -> Tensor:
    message = f"The parameter '{kind.name} precision' should be positive"
    try:
        kind.precisions_cholesky(precisions)
    except IllDefined:
        raise WrongValue(f"{message} definite" * kind.has_matrices or message) from None
    if kind.has_matrices and not torch.allclose(precisions, precisions.mT):
        raise WrongValue(f"The parameter '{kind.name} precision' should be symmetric")
    return kind.from_precisions(precisions)


def _labels(
    rows: Tensor, weight: Tensor, k: int, method: str, random: np.random.RandomState
) -> tuple[Tensor, Tensor | slice]:
    """Give a component to all rows, or to those chosen as the only point of one."""
    if method == "trimmed_kmeans":
        return trimmed_kmeans(rows, weight, k, random)
    if method == "random_from_data":
        counted = np.flatnonzero(weight.cpu().numpy())
        index = random.choice(counted, size=k, replace=len(counted) < k)
        chosen = torch.from_numpy(index).long().to(rows.device)
    else:
        chosen = seeds(rows, weight, k, random)
    if method != "kmeans":
        return torch.arange(k, device=rows.device), chosen
    return _kmeans(rows, weight, rows[chosen]), slice(None)


def _kmeans(rows: Tensor, weight: Tensor, centres: Tensor) -> Tensor:
    """Give the clusters that k-means comes to from centres."""
    if not rows.is_cpu:
        return lloyd.clusters(rows, weight, centres)
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: the empty ones start again.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn's signature shows its defaults only, strings.
        kmeans = KMeans(len(centres), init=centres.numpy(), n_init=1)  # type: ignore[arg-type]
        kmeans.fit(rows.numpy(), sample_weight=weight.numpy())
    return torch.from_numpy(kmeans.labels_).long()


# Clusters about centres, of the starts that move these.
_CLUSTERS: dict[str, Clusters] = {
    "kmeans": _kmeans,
    "trimmed_kmeans": trimmed_clusters,
}
