# SPDX-License-Identifier: MIT
"""Gaussian mixtures: where their training starts."""

from pyvae.mixture.initialization import InitialMixture, initial_mixture

__all__ = ["InitialMixture", "initial_mixture"]
