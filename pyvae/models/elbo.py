# SPDX-License-Identifier: MIT
"""The evidence lower bound, by its parts."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from pyvae.ops.exporting import exportable


@exportable
class Elbo(NamedTuple):
    """Evidence lower bound of each example in nats, split into its four parts.

    With q(w, z | x) = q(w | x) q(z | w, x), the bound on log p(x) is

    ``E[log p(x | w)] + E[log p(w | z)] - E[KL(q(z | w, x) || p(z))] + H[q(w | x)]``.

    Every field has the shape ``(N,)``: summed over features and latent dimensions, averaged over
    the Monte Carlo samples, and not averaged over the batch.

    Attributes
    ----------
    reconstruction
        E[log p(x | w)].
    log_prob_w
        E[log p(w | z)].
    neg_kl_z
        -E[KL(q(z | w, x) || p(z))], zero where there is one component.
    entropy_w
        H[q(w | x)], the differential entropy: it may be negative.

    Notes
    -----
    Programs of ``torch.export`` that return it may be saved. Before one is loaded in another
    process, ``import pyvae.models`` there: torch then knows the ops and this class.

    Examples
    --------
    >>> import torch
    >>> bound = Elbo(*torch.tensor([[-9.0], [-4.0], [-0.5], [2.5]]))
    >>> bound.total
    tensor([-11.])
    >>> bound.weighted(beta=2.0), bound.kl
    (tensor([-13.]), tensor([2.]))

    References
    ----------
    Kingma & Welling (2014); Jiang et al. (2017), equation 11.
    """

    reconstruction: Float[Tensor, "n"]
    log_prob_w: Float[Tensor, "n"]
    neg_kl_z: Float[Tensor, "n"]
    entropy_w: Float[Tensor, "n"]

    @property
    def total(self) -> Float[Tensor, "n"]:
        """The bound: the sum of the four parts, at most log p(x) in expectation."""
        return self.reconstruction + self._regulariser

    def weighted(self, beta: float | Tensor) -> Float[Tensor, "n"]:
        """Return the objective with everything but the reconstruction scaled by ``beta``.

        ``beta=1`` is the bound itself. Warm-up raises ``beta`` from 0; above 1 it is the beta-VAE
        of Higgins et al. (2017).
        """
        return self.reconstruction + beta * self._regulariser

    @property
    def kl(self) -> Float[Tensor, "n"]:
        """KL(q(w, z | x) || p(w, z)): all but the reconstruction, with its sign turned.

        Where parts of it are taken at samples, so is this, and it may fall below zero.
        """
        return -self._regulariser

    @property
    def _regulariser(self) -> Tensor:
        # E[log p(w | z)] and the entropy nearly cancel where q is close to its prior: add them
        # first, so that their rounding stays small beside the reconstruction.
        return (self.log_prob_w + self.entropy_w) + self.neg_kl_z
