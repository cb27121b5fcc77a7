# SPDX-License-Identifier: MIT
import torch

from pyvae.distributions import GaussianMixture

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3, requires_grad=True)
mixture = GaussianMixture(torch.zeros(4), means, logvars=torch.zeros(4, 3))
samples = mixture.rsample((10,))  # with a gradient to the means
result = mixture.log_prob(x)  # writes (100,)
result.sum().backward()
