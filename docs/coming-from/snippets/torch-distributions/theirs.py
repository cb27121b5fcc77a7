# SPDX-License-Identifier: MIT
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3, requires_grad=True)
components = Independent(Normal(means, torch.ones(4, 3)), 1)
mixture = MixtureSameFamily(Categorical(logits=torch.zeros(4)), components)
samples = mixture.sample((10,))  # rsample is not implemented
result = mixture.log_prob(x)  # writes (100, 4, 3)
result.sum().backward()
