# SPDX-License-Identifier: MIT
"""
An encoder of one's own
=======================

Any module can be the encoder: it gives means and log-variances of the latent dimensions. Here a
small convolutional one takes the place of the default, two hidden layers of 256.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

from pyvae.data import digits
from pyvae.models import VAE
from pyvae.training import Trainer

data = digits()
latent_dim = 8
encoder = nn.Sequential(
    nn.Unflatten(1, (1, 8, 8)),
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * 4 * 4, 2 * latent_dim),  # means, then log-variances
)

# %%
# The same training for both. The bound of images that were held out is in nats an image.

x, held_out = data.x[:1500], data.x[1500:]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name, own in (("perceptron", None), ("convolutions", encoder)):
    torch.manual_seed(0)
    model = VAE(64, latent_dim, encoder=own)
    history = Trainer(epochs=15, warmup_epochs=3, progress="silent").fit(model, x, held_out)
    weights = sum(p.numel() for p in model.encoder.parameters())
    bounds = history.column("validation_bound")
    left.plot(range(1, 16), bounds, "o-", label=f"{name}, {weights:,} weights")
left.set_xlabel("epoch")
left.set_ylabel("bound of held-out images, nats")
left.legend()

# %%
# Five held-out images, and below them what the model makes of their codes.

with torch.no_grad():
    pairs = torch.stack([held_out[:5], model.reconstruct(held_out[:5])])
right.imshow(pairs.reshape(2, 5, 8, 8).permute(0, 2, 1, 3).reshape(16, 40), cmap="Greys")
right.set_axis_off()
plt.show()
