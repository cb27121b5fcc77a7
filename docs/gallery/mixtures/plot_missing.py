# SPDX-License-Identifier: MIT
"""
Missing values
==============

With ``missing_values="marginalize"`` a NaN stands for what was not observed, and is integrated out:
the density of a point is that of its observed coordinates. Nothing is filled in. Here half of all
second coordinates are lost, and more often where the first one is large.
"""

import matplotlib.pyplot as plt
import numpy as np

from pyvae.mixture import GaussianMixture

random = np.random.default_rng(1)
left = random.multivariate_normal((0, 0), [[1.0, 0.8], [0.8, 1.0]], size=600)
right = random.multivariate_normal((4, 3), [[1.0, -0.8], [-0.8, 1.0]], size=400)
complete = np.concatenate([left, right])
X = complete.copy()
X[random.random(1000) < 1 / (1 + np.exp(1.5 - complete[:, 0])), 1] = np.nan
print(f"{np.isnan(X[:, 1]).mean():.0%} of the second coordinates are missing")

# %%
# Three fits: of the complete points, of the points with NaN, and of points whose missing
# coordinates were replaced by the column's mean, which makes a cluster of the replaced.

filled = np.where(np.isnan(X), np.nanmean(X, 0), X)
fits = {
    "all observed": (complete, "refuse"),
    "missing, integrated out": (X, "marginalize"),
    "missing, filled with the mean": (filled, "refuse"),
}
grid = np.stack(np.meshgrid(np.linspace(-4, 8, 120), np.linspace(-4, 7, 110)), -1)

figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True, layout="constrained")
for ax, (name, (points, missing_values)) in zip(axes, fits.items(), strict=True):
    mixture = GaussianMixture(2, missing_values=missing_values, random_state=0).fit(points)
    density = np.exp(mixture.score_samples(grid.reshape(-1, 2))).reshape(grid.shape[:2])
    ax.plot(*points.T, "o", markersize=2, alpha=0.4)
    lost = np.isnan(points[:, 1])
    ax.plot(points[lost, 0], np.full(lost.sum(), -3.8), "|", color="black", markersize=8)
    ax.contour(*grid.transpose(2, 0, 1), density, levels=[0.005, 0.02, 0.05], colors="C3")
    ax.set_title(f"{name}\n{mixture.score(complete):.3f} nats a complete point", fontsize=10)
plt.show()
