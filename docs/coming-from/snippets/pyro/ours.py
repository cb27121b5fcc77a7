# SPDX-License-Identifier: MIT
import pyro
import torch

from pyvae.distributions import GaussianMixture

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3)


def model():
    mixture = GaussianMixture(torch.zeros(4), means, torch.zeros(4, 3))
    with pyro.plate("points", 100):
        pyro.sample("x", mixture, obs=x)


result = pyro.poutine.trace(model).get_trace().log_prob_sum()
