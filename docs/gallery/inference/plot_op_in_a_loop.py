# SPDX-License-Identifier: MIT
"""
An op in a training loop, with its gradient
===========================================

:func:`pyvae.mixture_log_prob` is an ordinary function of torch's: it has a gradient to each of its
arguments. Here Adam moves a mixture's parameters, and beside it the points: each follows the
gradient of the log-density, which leads it to a mode.
"""

import matplotlib.pyplot as plt
import torch

from pyvae import mixture_log_prob

centres = torch.tensor([[-2.0, 0.0], [2.0, 1.5], [1.0, -2.0]])
data = centres[torch.randint(3, (900,))] + 0.6 * torch.randn(900, 2)
weight_logits = torch.zeros(3, requires_grad=True)
means = torch.randn(3, 2, requires_grad=True)
logvars = torch.zeros(3, 2, requires_grad=True)

# %%
# The loss is the mean negative log-likelihood, in nats a point.

optimizer = torch.optim.Adam([weight_logits, means, logvars], lr=0.05)
losses, paths = [], []
for _ in range(200):
    optimizer.zero_grad()
    log_weights = weight_logits.log_softmax(0)
    loss = -mixture_log_prob(data, log_weights, means, logvars).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    paths.append(means.detach().clone())

# %%
# The gradient to the points is the score, :math:`\nabla_x \log p(x)`.

axis = torch.linspace(-4, 4, 18)
grid = torch.cartesian_prod(axis, axis).requires_grad_()
parameters = weight_logits.log_softmax(0).detach(), means.detach(), logvars.detach()
(score,) = torch.autograd.grad(mixture_log_prob(grid, *parameters).sum(), grid)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
left.plot(losses)
left.set_xlabel("step")
left.set_ylabel("nats a point")
right.plot(*data.T, "o", color="0.75", markersize=2)
right.quiver(*grid.detach().T, *score.T, color="C0", width=0.003)
for k in range(3):
    right.plot(*torch.stack(paths)[:, k].T, color="C3", linewidth=2)
right.plot(*means.detach().T, "o", color="C3", markersize=9)
right.set_title("means on their way, and the score", fontsize=10)
right.set_aspect("equal")
plt.show()
