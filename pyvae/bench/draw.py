# SPDX-License-Identifier: MIT
"""Ordinary inputs for every op, in float32, equal in every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pyvae.bench.sizes import Size

Inputs = dict[str, Tensor]
Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]


def _normal(scale: float = 1.0) -> Draw:
    return lambda shape, generator: scale * torch.randn(shape, generator=generator)


def _log_weights(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator).log_softmax(-1)


def _scale_tril(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Well-conditioned Cholesky factors: diagonals about one, the rest small beside them."""
    factors = torch.randn(shape, generator=generator).tril(-1).mul_(0.3 / shape[-1] ** 0.5)
    diagonal = torch.exp(0.2 * torch.randn(shape[:-1], generator=generator))
    return factors + torch.diag_embed(diagonal)


def _clusters(count: int) -> Draw:
    """Clusters that overlap, about so many centres."""

    def values(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        centres = 2.0 * torch.randn(count, shape[-1], generator=generator)
        spread = 0.5 + torch.rand(shape[-1], generator=generator)
        chosen = torch.randint(count, shape[:1], generator=generator)
        return centres[chosen] + spread * torch.randn(shape, generator=generator)

    return values


_PAIR = {
    "mean_q": ("nd", _normal()),
    "logvar_q": ("nd", _normal(0.5)),
    "mean_p": ("nd", _normal()),
    "logvar_p": ("nd", _normal(0.5)),
}
_MIXTURE = {
    "x": ("nd", _normal()),
    "log_weights": ("k", _log_weights),
    "means": ("kd", _normal()),
    "logvars": ("kd", _normal(0.5)),
}
_MIXTURE_TRIL = {
    "x": ("nd", _normal()),
    "log_weights": ("k", _log_weights),
    "means": ("kd", _normal()),
    "scale_trils": ("kdd", _scale_tril),
}
# The arguments of every op and fit, in order: dimensions and values.
ARGUMENTS: Mapping[str, Mapping[str, tuple[str, Draw]]] = {
    "gaussian_kl": _PAIR,
    "gaussian_kl_tril": {
        "mean_q": ("nd", _normal()),
        "scale_tril_q": ("ndd", _scale_tril),
        "mean_p": ("nd", _normal()),
        "scale_tril_p": ("ndd", _scale_tril),
    },
    "gaussian_kl_pairwise": {
        **_PAIR,
        "mean_p": ("kd", _normal()),
        "logvar_p": ("kd", _normal(0.5)),
    },
    "mixture_log_prob": _MIXTURE,
    "mixture_log_prob_tril": _MIXTURE_TRIL,
    "mixture_posterior": _MIXTURE,
    "mixture_elbo_terms": _MIXTURE,
    "mixture_statistics": _MIXTURE,
    "mixture_statistics_tril": _MIXTURE_TRIL,
    "fit_diag": {"x": ("nd", _clusters(256))},
    "fit_full": {"x": ("nd", _clusters(16))},
}


def draw(op: str, size: Size, device: str = "cpu") -> Inputs:
    """Draw the arguments of an op at one size, the same numbers for every device."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: values(tuple(size[letter] for letter in dims), generator).to(device)
        for name, (dims, values) in ARGUMENTS[op].items()
    }


def point_arguments(op: str) -> tuple[bool, ...]:
    """Tell of every argument whether it has a row per point."""
    return tuple(dims.startswith("n") for dims, _ in ARGUMENTS[op].values())
