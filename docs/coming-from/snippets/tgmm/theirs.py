# SPDX-License-Identifier: MIT
import torch
from tgmm import GaussianMixture

torch.manual_seed(0)
x = torch.cat([torch.randn(300, 2), torch.randn(200, 2) + 6.0])
mixture = GaussianMixture(n_components=2, n_features=2, random_state=0)
mixture.fit(x)
labels = mixture.predict(x)
result = mixture.score_samples(x).mean()
