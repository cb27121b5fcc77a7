# SPDX-License-Identifier: MIT
import numpy as np
import torch

from pyvae import mixture_log_prob

random = np.random.default_rng(0)
x, means = torch.tensor(random.normal(size=(2, 100, 3)).astype("f"))
x, means = x, means[:4].clone().requires_grad_()
log_weights = torch.zeros(4).log_softmax(0)

result = mixture_log_prob(x, log_weights, means, torch.zeros(4, 1))
(gradient,) = torch.autograd.grad(result.sum(), means)
