# SPDX-License-Identifier: MIT
"""An estimator's parameters as a distribution, or as scikit-learn's, and back."""

from __future__ import annotations

import inspect
from typing import Any

import sklearn.mixture
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.distributions import MixtureSameFamily

from pyvae.distributions import GaussianMixture as Distribution
from pyvae.errors import WrongType, WrongValue
from pyvae.mixture.arrays import numbers
from pyvae.mixture.covariance import COVARIANCES, Covariance, LowRank, Moments, Parameters
from pyvae.mixture.factors import Factors, IllDefined
from pyvae.mixture.low_rank import split

_MIXTURE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
_FACTS = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")
_NAMES = "feature_names_in_"
_STARTS = ("kmeans", "k-means++", "random", "random_from_data")  # that scikit-learn has
# As scikit-learn has these.
_THEIRS = {"tied_diag": "diag", "tied_spherical": "spherical", LowRank.name: "full"}


def as_distribution(
    kind: Covariance, p: Parameters, dtype: torch.dtype = torch.float64
) -> Distribution:
    """Give the distribution of parameters, with an integral of one."""
    if isinstance(kind, Moments) and not kind.has_matrices:
        logvars = kind.aligned(p.covariances).log()
        spread = {"logvars": logvars.expand(len(p.means), -1)}
    elif isinstance(kind, Moments):
        spread = {"scale_tril": Factors().of(p.covariances)}
    else:
        loadings, noise = split(p.covariances)
        spread = {"cov_factor": loadings, "cov_diag": noise}
    given = {"log_weights": p.log_weights, "means": p.means, **spread}
    given = {name: part.to(dtype) for name, part in given.items()}
    return Distribution(**given, validate_args=True)


def of_distribution(kind: Covariance, mixture: Distribution) -> Parameters:
    """Give the parameters of one mixture, or of a batch that has its covariances in common."""
    log_weights, means, *spread = mixture.given.values()
    if isinstance(kind, Moments):
        aligned = spread[0] @ spread[0].mT if kind.has_matrices else spread[0].exp()
        covariances = kind.compact(aligned[:1] if kind.pooled else aligned)
    else:
        covariances = torch.cat([spread[0], spread[1].unsqueeze(-1)], -1)
    return Parameters(log_weights.exp(), means, covariances)


def read_distribution(mixture: Any, caller: str) -> tuple[Covariance, Parameters]:
    """Give the type of covariance and the parameters, in float64, of a distribution.

    Raises
    ------
    TypeError
        If it is neither ours nor a ``MixtureSameFamily`` of Gaussians.
    ValueError
        If it is a batch of mixtures, or a covariance is not positive definite in float64.
    """
    if isinstance(mixture, MixtureSameFamily):
        mixture = Distribution.from_mixture(mixture)
    if not isinstance(mixture, Distribution):
        raise WrongType(
            f"{caller}: got {type(mixture).__name__}; expected pyvae.distributions.GaussianMixture "
            "or torch's MixtureSameFamily of Gaussians"
        )
    if mixture.batch_shape:
        raise WrongValue(
            f"{caller}: a batch of mixtures, {tuple(mixture.batch_shape)}; expected one"
        )
    given = {name: part.detach().double() for name, part in mixture.given.items()}
    whole = Distribution(**given, validate_args=True)
    k, d = given["means"].shape
    if mixture.has_factors:
        kind = LowRank(given["cov_factor"].shape[-1])
    elif mixture.has_matrices:
        kind = COVARIANCES["tied" if len(given["scale_tril"]) == 1 < k else "full"]
    else:
        kind = COVARIANCES["spherical" if given["logvars"].shape[-1] == 1 < d else "diag"]
    p = of_distribution(kind, whole)
    try:
        kind.require(p.covariances)
    except IllDefined as error:
        raise WrongValue(f"{caller}: {error}") from None
    return kind, p._replace(weights=p.weights / p.weights.sum())


def as_sklearn(estimator: Any, p: Parameters) -> sklearn.mixture.GaussianMixture:
    """Give scikit-learn's fitted estimator, with arrays and what settings both have."""
    kind: Any = sklearn.mixture.GaussianMixture
    name: str = estimator.covariance_type
    k, held = len(p.weights), vars(estimator)
    covariance, covariances = COVARIANCES[_THEIRS.get(name, name)], p.covariances
    settings = _shared(estimator, kind) | {"n_components": k, "covariance_type": covariance.name}
    if settings["init_params"] not in _STARTS:
        settings["init_params"] = "kmeans"
    if name == LowRank.name:
        covariances = LowRank(estimator.rank).matrices(covariances, *p.means.shape)
    elif name in _THEIRS:
        own = COVARIANCES[name]
        covariances, start = _repeated(own, covariances, k), settings["precisions_init"]
        if start is not None:
            settings["precisions_init"] = _repeated(own, numbers(start), k).cpu().numpy()
    theirs = kind(**settings)
    cholesky = covariance.precisions_cholesky(covariances)
    spreads = covariances, covariance.precisions(cholesky), cholesky
    for name, part in zip(_MIXTURE, (p.weights, p.means, *spreads), strict=True):
        setattr(theirs, name, part.cpu().numpy())
    theirs.n_features_in_ = p.means.shape[1]
    vars(theirs).update({name: held[name] for name in (*_FACTS, _NAMES) if name in held})
    return theirs


def _repeated(kind: Moments, variances: Tensor, k: int) -> Tensor:
    """Give the variances, or precisions, that components share once for each of them."""
    return COVARIANCES[_THEIRS[kind.name]].compact(kind.aligned(variances).repeat(k, 1))


def of_sklearn(kind: type, theirs: Any, caller: str) -> Any:
    """Give our estimator of scikit-learn's fitted one, whose attributes are copied.

    Raises
    ------
    TypeError
        If it is no ``sklearn.mixture.GaussianMixture``.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not isinstance(theirs, sklearn.mixture.GaussianMixture):
        raise WrongType(
            f"{caller}: got {type(theirs).__name__}; expected sklearn.mixture.GaussianMixture"
        )
    check_is_fitted(theirs)
    held = vars(theirs)
    ours = kind(**_shared(theirs, kind))
    for name in _MIXTURE:
        if name in held:
            setattr(ours, name, numbers(held[name]).clone().numpy())
    vars(ours).update({name: held[name] for name in (*_FACTS, _NAMES) if name in held})
    return ours


def _shared(estimator: Any, kind: type) -> dict[str, Any]:
    """Give the settings that a class of estimator has too."""
    known = inspect.signature(kind).parameters
    return {name: value for name, value in estimator.get_params().items() if name in known}
