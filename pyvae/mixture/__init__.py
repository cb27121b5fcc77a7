# SPDX-License-Identifier: MIT
"""Mixtures fitted by EM and by variational Bayes, and where the training of one starts."""

from pyvae.mixture.bayesian_mixture import BayesianGaussianMixture
from pyvae.mixture.bernoulli import BernoulliMixture
from pyvae.mixture.em import Ascent, FreeEnergyError, LatentVariableEM, ascend
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.mixture.initialization import InitialMixture, initial_mixture
from pyvae.mixture.prior import ConjugatePrior

__all__ = [
    "Ascent",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "ConjugatePrior",
    "FreeEnergyError",
    "GaussianMixture",
    "InitialMixture",
    "LatentVariableEM",
    "ascend",
    "initial_mixture",
]
