# SPDX-License-Identifier: MIT
"""
A robust fit
============

A tenth of these points is anywhere. A Gaussian's mean and covariance follow them, and k-means, from
which the fit starts, gives them clusters of their own. Two remedies: a component of noise, uniform
in the box of the data, and Student t distributions, in whose fit far points count next to nothing.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from pyvae.mixture import GaussianMixture, StudentTMixture

random = np.random.default_rng(0)
places = (((0, 0), [[1.0, 0.7], [0.7, 1.0]]), ((5, 0), [[0.6, 0.0], [0.0, 1.8]]),
          ((2.5, 5), [[1.6, 0.0], [0.0, 0.3]]))  # fmt: skip
clusters = [random.multivariate_normal(mean, matrix, size=180) for mean, matrix in places]
X = np.concatenate([*clusters, random.uniform(-25, 30, size=(60, 2))])
truth = np.repeat([0, 1, 2], 180)

# %%
# Ellipses hold nine tenths of a Gaussian; those of a t have the same Mahalanobis radius. Grey
# points are noise to the fit, or count for less than a third of a point.

fits = {
    "Gaussians": GaussianMixture(3, random_state=0),
    'Gaussians and noise="uniform"': GaussianMixture(3, noise="uniform", random_state=0),
    "Student t": StudentTMixture(3, degrees_of_freedom="tied", random_state=0),
}
angle = np.linspace(0, 2 * np.pi, 100)
circle = np.sqrt(2 * np.log(10)) * np.stack([np.cos(angle), np.sin(angle)])

figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True, layout="constrained")
for ax, (name, mixture) in zip(axes, fits.items(), strict=True):
    found = mixture.fit_predict(X)
    matrices = mixture.covariance_matrices_
    if isinstance(mixture, StudentTMixture):
        matrices, degrees = mixture.scales_, mixture.degrees_of_freedom_[found]
        gaps = X - mixture.means_[found]
        distance = np.einsum("nd,nde,ne->n", gaps, np.linalg.inv(matrices)[found], gaps)
        faint = (degrees + 2) / (degrees + distance) < 1 / 3
    else:
        faint = found == -1
    ax.scatter(*X[~faint].T, c=[f"C{k}" for k in found[~faint]], s=4)
    ax.scatter(*X[faint].T, c="0.6", s=4)
    for mean, matrix in zip(mixture.means_, matrices, strict=True):
        ax.plot(*(mean[:, None] + np.linalg.cholesky(matrix) @ circle), color="black", linewidth=1)
    score = adjusted_rand_score(truth, found[: len(truth)])
    ax.set_title(f"{name}\nadjusted Rand index of the clusters {score:.2f}", fontsize=10)
    ax.set(xlim=(-12, 18), ylim=(-10, 15))
plt.show()

# %%
# The noise has a weight of its own, and what is left of one is the clusters'. Of the t, the degrees
# of freedom say how far the tails reach.

noisy = fits['Gaussians and noise="uniform"']
print(f"weight of the noise {noisy.noise_weight_:.3f}")
print(f"degrees of freedom {fits['Student t'].degrees_of_freedom_[0]:.2f}")
