# SPDX-License-Identifier: MIT
r"""
Types of covariance
===================

A mixture of two components on two stretched clouds, with each ``covariance_type``. *Spherical* has
one variance a component, *diag* one a coordinate, *full* a matrix each; *low_rank* has a factor and
noise beside it, which in two dimensions can say all that a matrix can. Of the *tied* types, below,
all components share one. What a type cannot say is found as something else.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from pyvae.mixture import GaussianMixture

random = np.random.default_rng(0)
stretched = random.normal(size=(300, 2)) @ np.array([[1.6, 1.4], [0.0, 0.5]])
upright = random.normal(size=(200, 2)) * (0.4, 1.3) + (5.0, 0.0)
X = np.concatenate([stretched, upright])

# %%
# ``covariance_matrices_`` has matrices, whatever the type. An ellipse at two standard deviations
# holds 86 % of its component. The log-likelihood, in nats a point, always favours the richer type;
# the Bayesian information criterion charges for its parameters, and lower is better.

figure, axes = plt.subplots(2, 4, figsize=(13, 6.6), sharex=True, sharey=True, layout="constrained")
kinds = ("spherical", "diag", "full", "low_rank", "tied_spherical", "tied_diag", "tied")
axes[1, 3].axis("off")
for ax, kind in zip(axes.flat, kinds, strict=False):
    mixture = GaussianMixture(2, covariance_type=kind, rank=1, n_init=3, random_state=0).fit(X)
    ax.scatter(*X.T, c=mixture.predict(X), cmap="coolwarm", s=6, alpha=0.6)
    for mean, covariance in zip(mixture.means_, mixture.covariance_matrices_, strict=True):
        (small, large), vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
        axis_lengths = 4 * large**0.5, 4 * small**0.5
        ax.add_patch(Ellipse(mean, *axis_lengths, angle=angle, fill=False, linewidth=2))
    ax.set_title(f"{kind}: {mixture.score(X):.2f} nats, BIC {mixture.bic(X):.0f}", fontsize=10)
plt.show()
