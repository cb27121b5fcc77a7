# SPDX-License-Identifier: MIT
"""
Choosing the number of components
=================================

The log-likelihood of the training points grows with every component. Two figures that do not: the
Bayesian information criterion, and the log-likelihood of points that the fit has not seen. Here the
points are of four components, two of which overlap.
"""

import matplotlib.pyplot as plt
import numpy as np

from pyvae.mixture import GaussianMixture

random = np.random.default_rng(3)
means = np.array([[0.0, 0.0], [2.2, 0.0], [8.0, 1.0], [4.0, 6.0]])


def draw(n):
    """Points of the four components."""
    return random.normal(means[random.integers(4, size=n)], (0.8, 0.8))


X, new = draw(600), draw(600)
counts = range(1, 9)
fits = [GaussianMixture(k, covariance_type="diag", n_init=5, random_state=0).fit(X) for k in counts]
criterion = [mixture.bic(X) for mixture in fits]
chosen = fits[int(np.argmin(criterion))]

# %%
# ``pyvae fit-mixture points.csv -k 1-8`` does the same from the command line.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
left.plot(counts, criterion, "o-")
left.plot(chosen.n_components, min(criterion), "o", color="C3", markersize=9)
left.set_title("BIC: lower is better", fontsize=10)
middle.plot(counts, [mixture.score(X) for mixture in fits], "o-", label="training points")
middle.plot(counts, [mixture.score(new) for mixture in fits], "s-", label="new points")
middle.set_title("nats a point: higher is better", fontsize=10)
middle.legend()
right.scatter(*X.T, c=chosen.predict(X), cmap="tab10", vmax=9, s=8)
right.set_title(f"{chosen.n_components} components", fontsize=10)
for ax in (left, middle):
    ax.set_xlabel("components")
plt.show()
