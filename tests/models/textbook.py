# SPDX-License-Identifier: MIT
"""The bound as a textbook writes it, in torch.distributions, for given noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)
from torch.nn.functional import softplus

from pyvae.models import GMVAE, Elbo
from pyvae.models.latent_variable_model import LatentVariableModel


def in_standard_units(model: LatentVariableModel, x: Tensor) -> Tensor:
    """Return what the networks see."""
    units = model.standardization
    return x if units is None else ((x - units.location) / units.scale).to(x)


def posterior_of_w(model: LatentVariableModel, x: Tensor) -> Normal:
    """Return q(w | x)."""
    mean, logvar = model.encoder(in_standard_units(model, x)).chunk(2, dim=-1)
    return Normal(mean, torch.exp(logvar / 2))


def components(model: LatentVariableModel) -> Normal:
    """Return p(w | z), of batch shape (K, L)."""
    means, logvars = model.component_means, model.component_logvars
    return Normal(means, torch.exp(logvars / 2).expand_as(means))


def prior(model: LatentVariableModel) -> MixtureSameFamily:
    """Return p(w)."""
    weights = Categorical(logits=model.weight_logits)
    return MixtureSameFamily(weights, Independent(components(model), 1))


def log_prob_x(model: LatentVariableModel, x: Tensor, w: Tensor) -> Tensor:
    """Return log p(x | w)."""
    output = model.decoder(w.flatten(0, -2)).unflatten(0, w.shape[:-1])
    if model.config["likelihood"] == "bernoulli":
        return -torch.nn.functional.binary_cross_entropy(
            torch.sigmoid(output), x.expand_as(output), reduction="none"
        ).sum(-1)
    mean, raw = output.chunk(2, dim=-1)
    scale = model.min_scale + softplus(raw)
    if model.standardization is not None:
        location, unit = (part.to(x) for part in model.standardization.buffers())
        mean, scale = location + unit * mean, unit * scale
    return Normal(mean, scale).log_prob(x).sum(-1)


def posterior_of_z(model: GMVAE, x: Tensor, w: Tensor, expected_log_normal: Tensor) -> Categorical:
    """Return q(z | w, x), or the q(z | x) that is best for a mean-field bound."""
    if model.posterior == "amortized":
        seen = in_standard_units(model, x)
        inputs = torch.cat([w, seen.expand(*w.shape[:-1], -1)], dim=-1)
        return Categorical(logits=model.categorical(inputs.flatten(0, 1)).unflatten(0, w.shape[:2]))
    log_weights = Categorical(logits=model.weight_logits).logits
    if model.closed_form:
        return Categorical(logits=log_weights + expected_log_normal)
    log_joint = log_weights + components(model).log_prob(w.unsqueeze(-2)).sum(-1)
    return Categorical(probs=torch.exp(log_joint - prior(model).log_prob(w).unsqueeze(-1)))


def elbo(model: GMVAE, x: Tensor, noise: Tensor) -> Elbo:
    """Return the bound at the samples that ``noise (S, N, L)`` becomes."""
    q = posterior_of_w(model, x)
    w = q.mean + q.stddev * noise
    if model.closed_form:
        # E_q[log N] = -H[q] - KL(q || N), for every component.
        row = Normal(q.mean.unsqueeze(-2), q.stddev.unsqueeze(-2))
        log_normal = -(row.entropy() + kl_divergence(row, components(model))).sum(-1)
    else:
        log_normal = components(model).log_prob(w.unsqueeze(-2)).sum(-1)
    q_z = posterior_of_z(model, x, w, log_normal)
    kl_z = kl_divergence(q_z, Categorical(logits=model.weight_logits))
    per_sample = torch.zeros_like(w[..., 0])
    return Elbo(
        reconstruction=log_prob_x(model, x, w).mean(0),
        log_prob_w=((q_z.probs * log_normal).sum(-1) + per_sample).mean(0),
        neg_kl_z=-(kl_z + per_sample).mean(0),
        entropy_w=q.entropy().sum(-1),
    )
