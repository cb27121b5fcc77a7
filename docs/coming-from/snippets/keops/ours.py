# SPDX-License-Identifier: MIT
import torch

from pyvae import mixture_log_prob

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3, requires_grad=True)
log_weights = torch.full((4,), 0.25).log()
result = mixture_log_prob(x, log_weights, means, logvars=torch.zeros(4, 1))
result.sum().backward()
