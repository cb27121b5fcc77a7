# SPDX-License-Identifier: MIT
"""
A mixture that does without components
======================================

A Bayesian mixture has a prior on its weights. A Dirichlet process, which expects few components,
takes the weight of those that the points do not need; maximum likelihood gives every component its
share. Both are given twelve, for points of three groups.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture

random = np.random.default_rng(0)
X = np.concatenate(
    [
        random.multivariate_normal((-4, 0), [[1.0, 0.7], [0.7, 1.0]], size=250),
        random.multivariate_normal((3, 3), [[2.0, 0.0], [0.0, 0.3]], size=150),
        random.multivariate_normal((3, -3), [[0.5, 0.0], [0.0, 0.5]], size=100),
    ]
)
common = {"n_components": 12, "max_iter": 1000, "random_state": 0}
fits = {
    "maximum likelihood": GaussianMixture(**common),
    "concentration 100": BayesianGaussianMixture(weight_concentration_prior=100.0, **common),
    "concentration 0.01": BayesianGaussianMixture(weight_concentration_prior=0.01, **common),
}


def draw(ax, mixture):
    """Two standard deviations of each component, the fainter the less it weighs."""
    ax.plot(*X.T, "o", markersize=2, alpha=0.3, color="grey")
    parts = (mixture.weights_, mixture.means_, mixture.covariances_)
    for weight, mean, covariance in zip(*parts, strict=True):
        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        small, large = 4.0 * np.sqrt(variances)
        shape = Ellipse(mean, large, small, angle=angle, alpha=min(1.0, 2.0 * weight), color="C0")
        ax.add_patch(shape)


# %%
# The weights of the twelve components, largest first. One that has no points keeps the prior's
# weight, a point's or less, and its covariance, the faint ellipse.

figure, (above, below) = plt.subplots(2, 3, figsize=(12, 6.5), layout="constrained")
for top, bottom, (name, mixture) in zip(above, below, fits.items(), strict=True):
    draw(top, mixture.fit(X))
    top.set_title(name, fontsize=11)
    bottom.bar(np.arange(1, 13), np.sort(mixture.weights_)[::-1])
    bottom.axhline(1.0 / len(X), color="C3", linewidth=1, label="one point")
    bottom.set_yscale("log")
    bottom.set_ylim(1e-5, 1.0)
    bottom.set_xlabel("component")
below[0].set_ylabel("weight")
below[0].legend(loc="lower left")
plt.show()
