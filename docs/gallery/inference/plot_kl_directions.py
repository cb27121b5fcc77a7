# SPDX-License-Identifier: MIT
r"""
Inclusive and exclusive divergence
==================================

A Gaussian :math:`q` stands for a mixture :math:`p` of two. The least
:math:`\mathrm{KL}(p \,\|\, q)` is at the moments of :math:`p`: it *includes* all of it. The least
:math:`\mathrm{KL}(q \,\|\, p)` *excludes* what it cannot have without also having what is between
the modes, and it has a local optimum at each.
"""

import matplotlib.pyplot as plt
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from pyvae.inference import fit_gaussian

x = torch.linspace(-7, 7, 500, dtype=torch.float64)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
for ax, distance in zip(axes, (1.0, 2.5, 4.0), strict=True):
    weights = torch.tensor([0.35, 0.65], dtype=torch.float64)
    means = torch.tensor([-distance, distance], dtype=torch.float64)
    p = MixtureSameFamily(Categorical(weights), Normal(means, torch.ones_like(means)))
    ax.fill_between(x, p.log_prob(x).exp(), color="0.85", label="p")
    for direction, colour in (("inclusive", "C0"), ("exclusive", "C3")):
        best, *others = fit_gaussian(p, direction).optima
        label = f"{direction}: {best.divergence:.2f} nats"
        ax.plot(x, best.distribution.log_prob(x).exp(), color=colour, label=label)
        for other in others:
            ax.plot(x, other.distribution.log_prob(x).exp(), ":", color=colour)
    ax.set_title(f"modes {2 * distance:g} apart", fontsize=10)
    ax.legend(fontsize=8)
plt.show()

# %%
# Dotted are further local optima of the exclusive direction. Where the modes are near each other
# there are none, and the two fits are nearly the same.
