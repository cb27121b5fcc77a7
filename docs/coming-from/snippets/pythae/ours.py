# SPDX-License-Identifier: MIT
import torch

from pyvae.models import VAE
from pyvae.training import Trainer

torch.manual_seed(0)
x = torch.rand(256, 1, 8, 8)
model = VAE(64, 4, likelihood="bernoulli")
Trainer(epochs=2, batch_size=64, lr=1e-3, progress="silent").fit(model, x)
codes, _ = model.encode(x)  # the means; the log-variances beside them
restored = model.reconstruct(x[:8])
nats = model.log_likelihood(x[:8], num_samples=50)
