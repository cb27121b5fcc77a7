# SPDX-License-Identifier: MIT
import torch

from pyvae.mixture import GaussianMixture

torch.manual_seed(0)
x = torch.cat([torch.randn(300, 2), torch.randn(200, 2) + 6.0])
mixture = GaussianMixture(2, random_state=0).fit(x)  # on x's device
labels = mixture.predict(x)
result = mixture.score_samples(x).mean()
