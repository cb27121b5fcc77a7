# SPDX-License-Identifier: MIT
import numpy as np
import torch

from pyvae.models import GMVAE
from pyvae.training import Trainer

counts = np.random.default_rng(0).poisson(2.0, size=(200, 50)).astype("f")
shares = 50.0 * counts / counts.sum(1, keepdims=True)
x = torch.tensor(np.log1p(shares))
model = GMVAE(50, 4, num_components=3, likelihood="gaussian", hidden=(32,))
Trainer(epochs=2, pretrain_epochs=2, progress="silent").fit(model, x)
codes, _ = model.encode(x)
clusters = model.predict(x)
