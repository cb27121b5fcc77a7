# SPDX-License-Identifier: MIT
"""Mixtures fitted by EM and by variational Bayes, and where the training of one starts."""

from pyvae.mixture.bayesian_mixture import BayesianGaussianMixture
from pyvae.mixture.bernoulli import BernoulliMixture
from pyvae.mixture.conditionals import ConditionalMixtures
from pyvae.mixture.em import Ascent, FreeEnergyError, LatentVariableEM, ascend
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.mixture.initialization import InitialMixture, initial_mixture
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.selection import Candidate, MixtureSelection, select_mixture
from pyvae.mixture.student_t_mixture import StudentTMixture

__all__ = [
    "Ascent",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "Candidate",
    "ConditionalMixtures",
    "ConjugatePrior",
    "FreeEnergyError",
    "GaussianMixture",
    "InitialMixture",
    "LatentVariableEM",
    "MixtureSelection",
    "StudentTMixture",
    "ascend",
    "initial_mixture",
    "select_mixture",
]
