# SPDX-License-Identifier: MIT
"""A mixture to start from, fitted to points: encoded data, as a rule."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor

from pyvae.errors import WrongValue

# A component's variance is at least this share of the data's: where a cluster holds one point, or
# copies of one, its own variance is zero and its density without bound.
_LEAST_VARIANCE_SHARE = 1e-3
_METHODS = ("kmeans++", "kmeans", "em")
_COVARIANCES = ("isotropic", "diagonal")


class InitialMixture(NamedTuple):
    """Weights (K,), means (K, L) and log-variances (K, 1) or (K, L), in float64 on the CPU.

    Attributes
    ----------
    weights
        ``(K,)``; they sum to one.
    means
        ``(K, L)``.
    logvars
        Natural logarithms of the variances, ``(K, 1)`` or ``(K, L)``.
    """

    weights: Tensor
    means: Tensor
    logvars: Tensor


def initial_mixture(
    points: Float[Tensor, "n l"],
    num_components: int,
    *,
    covariance: str = "isotropic",
    method: str = "em",
    restarts: int = 10,
    seed: int = 0,
) -> InitialMixture:
    """Fit a mixture to points, in float64 through scikit-learn.

    Parameters
    ----------
    points
        ``(N, L)`` finite numbers.
    num_components
        K, at most N.
    covariance
        ``"isotropic"``, one variance a component, or ``"diagonal"``.
    method
        ``"kmeans++"`` seeds the means only (Arthur & Vassilvitskii, 2007), ``"kmeans"`` moves them
        to the least sum of squares as well; either takes weights and variances from the clusters.
        ``"em"`` fits Gaussians of full covariance to the likelihood's maximum and takes the moments
        of its responsibilities: clusters are oblong before the encoder is trained to make them
        round, and round components would cut them up.
    restarts
        Starts, of which the best is kept. ``"kmeans++"`` ignores it.
    seed
        The same points and seed give the same bits, whatever the number of threads.

    Returns
    -------
    The mixture to start from, in float64 on the CPU.

    Raises
    ------
    ValueError
        If there are fewer points than components, a point is not finite, or an option is unknown.

    Examples
    --------
    >>> points = torch.tensor([[0.0], [0.2], [5.0], [5.2]])
    >>> mixture = initial_mixture(points, 2, method="kmeans")
    >>> mixture.means.sort(0).values.squeeze(), mixture.weights
    (tensor([0.1000, 5.1000], dtype=torch.float64), tensor([0.5000, 0.5000], dtype=torch.float64))
    """
    array = _checked(points, num_components, covariance, method, restarts)
    # scikit-learn's threads add in the order in which they finish: one thread repeats itself.
    with threadpool_limits(limits=1):
        if method == "em":
            shares = _responsibilities(array, num_components, restarts, seed)
        elif method == "kmeans":
            shares = _nearest(array, _kmeans(array, num_components, restarts, seed))
        else:
            centres, _ = kmeans_plusplus(array, num_components, random_state=seed)
            shares = _nearest(array, centres)
    fitted = _moments(array, shares, covariance)
    weights, means, variances = (torch.from_numpy(np.ascontiguousarray(a)) for a in fitted)
    return InitialMixture(weights, means, variances.log())


def _moments(
    array: np.ndarray, shares: np.ndarray, covariance: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and variances of clusters; ``shares (N, K)`` say how far a point is theirs."""
    # Copies of one point leave clusters empty: those stand in the middle of all.
    shares = np.maximum(shares, 1e-12)
    counts = shares.sum(0)
    means = shares.T @ array / counts[:, None]
    squares = [s @ (array - mean) ** 2 for s, mean in zip(shares.T, means, strict=True)]
    variances = np.stack(squares) / counts[:, None]
    if covariance == "isotropic":
        variances = variances.mean(1, keepdims=True)
    return counts / counts.sum(), means, np.maximum(variances, _least_variance(array))


def _nearest(array: np.ndarray, centres: np.ndarray) -> np.ndarray:
    squares = np.stack([((array - centre) ** 2).sum(1) for centre in centres], axis=1)
    return np.eye(len(centres))[squares.argmin(1)]


def _kmeans(array: np.ndarray, num_components: int, restarts: int, seed: int) -> np.ndarray:
    # scikit-learn's signature shows n_init's default only, a string.
    kmeans = KMeans(num_components, n_init=restarts, random_state=seed)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: _moments deals with the empty ones.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kmeans.fit(array).cluster_centers_


def _responsibilities(
    array: np.ndarray, num_components: int, restarts: int, seed: int
) -> np.ndarray:
    # Centred: far from the origin scikit-learn's second moments cancel.
    array = array - array.mean(0)
    mixture = GaussianMixture(
        num_components,
        covariance_type="full",
        reg_covar=_least_variance(array),
        n_init=restarts,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # Where it stops is as good a start as its limit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(array).predict_proba(array)


def _least_variance(array: np.ndarray) -> float:
    return max(_LEAST_VARIANCE_SHARE * float(array.var(0).mean()), 1e-12)


def _checked(
    points: Tensor, num_components: int, covariance: str, method: str, restarts: int
) -> np.ndarray:
    for name, value, options in (
        ("covariance", covariance, _COVARIANCES),
        ("method", method, _METHODS),
    ):
        if value not in options:
            raise WrongValue(f"{name} is {value!r}; expected one of {', '.join(options)}")
    if points.ndim != 2 or points.shape[1] == 0:
        raise WrongValue(f"points have shape {tuple(points.shape)}; expected (N, L)")
    if num_components < 1 or restarts < 1:
        raise WrongValue(
            f"num_components={num_components} and restarts={restarts}; both must be at least 1"
        )
    if len(points) < num_components:
        raise WrongValue(
            f"{len(points)} points are too few for {num_components} components; "
            "pass more points or a smaller num_components"
        )
    array = points.detach().double().cpu().numpy()
    if not np.isfinite(array).all():
        row = int(np.argmax(~np.isfinite(array).all(1)))
        raise WrongValue(f"point {row} (counted from 0) is not finite: the encoder has diverged")
    return array
