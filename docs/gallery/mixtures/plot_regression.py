# SPDX-License-Identifier: MIT
"""
Regression by a mixture
=======================

A mixture of the joint points (x, y) has every conditional distribution. ``regress`` gives the mean
and the variance of y at any x, so the curve bends where the points do and its band is wide where
they scatter; ``condition`` gives the whole distribution, which may have two ends where a mean says
little.
"""

import matplotlib.pyplot as plt
import numpy as np

from pyvae.mixture import GaussianMixture

random = np.random.default_rng(0)
x = random.uniform(-4, 4, size=1500)
y = np.sin(1.5 * x) + random.normal(scale=0.08 + 0.4 * (x > 1))
branch = x < -1.5
y[branch] += 2.2 * random.integers(2, size=branch.sum())
X = np.stack([x, y], 1)
mixture = GaussianMixture(14, n_init=5, random_state=0).fit(X)

# %%
# Mean and two standard deviations of y given x, and the density of y at two places.

at = np.linspace(-4, 4, 300)
mean, variance = mixture.regress([0], at[:, None])
mean, spread = mean[:, 0], 2.0 * np.sqrt(variance[:, 0])
figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.5), width_ratios=(2, 1), layout="constrained"
)
left.plot(x, y, "o", markersize=2, alpha=0.25, color="grey")
left.plot(at, mean, color="C0", label="mean of y given x")
left.fill_between(at, mean - spread, mean + spread, alpha=0.2, label="two standard deviations")
values = np.linspace(-2.5, 4.5, 400)
for place, colour in ((-2.6, "C1"), (2.6, "C2")):
    given = mixture.condition([0], [place])
    density = np.exp(given.score_samples(values[:, None]))
    left.axvline(place, color=colour, linewidth=1)
    right.plot(density, values, color=colour, label=f"y at x = {place}")
left.set_ylim(values[0], values[-1])
left.set_xlabel("x")
left.set_ylabel("y")
left.legend(loc="upper right")
right.set_xlabel("density")
right.legend()
plt.show()
