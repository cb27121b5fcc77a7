# SPDX-License-Identifier: MIT
r"""
What a posterior is
===================

The encoder of a VAE gives a Gaussian :math:`q(w \mid x)`. The posterior :math:`p(w \mid x)` of the
decoder is another density. With two latent dimensions a grid can hold it, and what the bound falls
short of :math:`\log p(x)` is exactly :math:`\mathrm{KL}(q \,\|\, p(w \mid x))`.
"""

import matplotlib.pyplot as plt
import torch

from pyvae.data import digits
from pyvae.inference import posterior_on_grid
from pyvae.models import VAE
from pyvae.training import Trainer

x = digits().x
model = VAE(64, 2, hidden=(64,))
Trainer(epochs=40, lr=3e-3, progress="silent").fit(model, x)
grid = posterior_on_grid(model, x[:60], [(-5, 5), (-5, 5)], points=201)

# %%
# Shaded: the posterior. Line: two standard deviations of the encoder's Gaussian. The examples are
# those at which the two are nearest, in the middle and farthest from each other, of sixty.

order = grid.kl.argsort()
mean, logvar = (part.detach() for part in model.encode(x[:60]))
circle = torch.linspace(0, 2 * torch.pi, 100)
circle = torch.stack([circle.cos(), circle.sin()], 1)
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, n in zip(axes, order[[0, 30, 59]], strict=True):
    density = grid.log_density[n].exp().reshape(201, 201).T
    ax.contourf(*grid.points.reshape(201, 201, 2).permute(2, 1, 0), density, 8, cmap="Greys")
    ellipse = mean[n] + 2 * (0.5 * logvar[n]).exp() * circle
    ax.plot(*ellipse.T, color="C3")
    ax.set_xlim(mean[n, 0] - 1.2, mean[n, 0] + 1.2)
    ax.set_ylim(mean[n, 1] - 1.2, mean[n, 1] + 1.2)
    ax.set_title(f"KL(q‖p(w|x)) = {grid.kl[n]:.3f} nats", fontsize=10)
plt.show()
