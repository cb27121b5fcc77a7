# SPDX-License-Identifier: MIT
import pyro
import pyro.distributions as dist
import torch

torch.manual_seed(0)
x, means = torch.randn(100, 3), torch.randn(4, 3)


def model():
    components = dist.Normal(means, 1.0).to_event(1)
    mixture = dist.MixtureSameFamily(dist.Categorical(logits=torch.zeros(4)), components)
    with pyro.plate("points", 100):
        pyro.sample("x", mixture, obs=x)


result = pyro.poutine.trace(model).get_trace().log_prob_sum()
