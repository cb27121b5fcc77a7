# SPDX-License-Identifier: MIT
import math

import torch
from pykeops.torch import LazyTensor

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3, requires_grad=True)
log_weights = torch.full((4,), 0.25).log()
distance = ((LazyTensor(x[:, None]) - LazyTensor(means[None])) ** 2).sum(2)  # of unit variances
score = LazyTensor(log_weights[None, :, None]) - 0.5 * distance
result = score.logsumexp(1).flatten() - 1.5 * math.log(2 * math.pi)
result.sum().backward()
