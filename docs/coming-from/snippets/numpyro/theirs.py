# SPDX-License-Identifier: MIT
import jax
import numpy as np
import numpyro.distributions as dist

random = np.random.default_rng(0)
x, means = random.normal(size=(2, 100, 3)).astype("f")
x, means = x, means[:4]


def log_prob(means):
    components = dist.Normal(means, 1.0).to_event(1)
    return dist.MixtureSameFamily(dist.Categorical(logits=np.zeros(4)), components).log_prob(x)


result = np.asarray(log_prob(means))
gradient = jax.grad(lambda means: log_prob(means).sum())(means)
