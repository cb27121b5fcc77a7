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
from pyvae.models import GMVAE
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
# The same training for both: twelve epochs of pretraining, eight of joint training, whose bound on
# images that were held out is drawn, in nats an image.

x, held_out = data.x[:1500], data.x[1500:]
curves = {}
for name, own in (("perceptron", None), ("convolutions", encoder)):
    torch.manual_seed(0)
    model = GMVAE(64, latent_dim, num_components=10, encoder=own)
    trainer = Trainer(epochs=8, pretrain_epochs=12, warmup_epochs=4, lr=3e-3, progress="silent")
    history = trainer.fit(model, x, held_out)
    weights = sum(p.numel() for p in model.encoder.parameters())
    curves[f"{name}, {weights:,} weights"] = history.column("val_bound")[12:]

# %%
# On the right five held-out images, and below them what the last model makes of their codes.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for label, bounds in curves.items():
    left.plot(range(1, 9), bounds, "o-", label=label)
left.set_xlabel("epoch of joint training")
left.set_ylabel("bound of held-out images, nats")
left.legend()
with torch.no_grad():
    pairs = torch.stack([held_out[:5], model.reconstruct(held_out[:5])])
right.imshow(pairs.reshape(2, 5, 8, 8).permute(0, 2, 1, 3).reshape(16, 40), cmap="Greys")
right.set_axis_off()
plt.show()
