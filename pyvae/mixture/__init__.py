# SPDX-License-Identifier: MIT
"""Mixtures fitted by EM and by variational Bayes, and where the training of one starts."""

from pyvae.mixture.bayesian_mixture import BayesianGaussianMixture
from pyvae.mixture.bernoulli_mixture import BernoulliMixture
from pyvae.mixture.categorical_mixture import CategoricalMixture
from pyvae.mixture.conditionals import ConditionalMixtures
from pyvae.mixture.em import Ascent, FreeEnergyError, LatentVariableEM, ascend
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.mixture.initialization import InitialMixture, initial_mixture
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.selection import Candidate, MixtureSelection, select_mixture
from pyvae.mixture.student_t_mixture import StudentTMixture
from pyvae.mixture.table_mixture import TableMixture

__all__ = [
    "Ascent",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "Candidate",
    "CategoricalMixture",
    "ConditionalMixtures",
    "ConjugatePrior",
    "FreeEnergyError",
    "GaussianMixture",
    "InitialMixture",
    "LatentVariableEM",
    "MixtureSelection",
    "StudentTMixture",
    "TableMixture",
    "ascend",
    "initial_mixture",
    "select_mixture",
]
