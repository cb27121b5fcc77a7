# SPDX-License-Identifier: MIT
"""Stepwise expectation-maximisation of a GM-VAE's mixture, as an optimizer of torch's.

By Fisher's identity the gradient of log p(w) is the expected gradient of log p(w, z) under the
responsibilities r. So backward has done the E step, and its sums can be read from the gradients:

    d/d logits_k = sum r_k - N pi_k,   d/d mu_k = sum r_k (w - mu_k) / sigma_k^2,
    d/d logvar_k = 1/2 sum r_k ((w - mu_k)^2 / sigma_k^2 - 1).

The same holds of q(z | w, x) from a network, of the closed form, and of importance weights, where r
are whatever the objective takes the expectation under. The M step is a closed form of those sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pyvae.errors import WrongType, WrongValue
from pyvae.mixture.covariance import COVARIANCES
from pyvae.mixture.sums import Sums

if TYPE_CHECKING:
    from pyvae.models import GMVAE


class StepwiseEM(torch.optim.Optimizer):
    """Move a GM-VAE's pi, mu and sigma by stepwise EM, while another optimizer moves the networks.

    Step t mixes the batch's expected statistics s into those so far, S <- (1 - gamma_t) S +
    gamma_t s, with gamma_t = ``lr`` t^(-``power``), and sets the mixture to the maximiser for S.
    What is stepped on is the gradient of a loss that is minus a mean over examples, as
    ``-model.elbo(x).weighted(beta).mean()``. Zero the mixture's gradients with the networks', by
    ``model.zero_grad()``: what is left of the last batch would count as more points.

    Parameters
    ----------
    model
        The GM-VAE, on its device and in its dtype. Where pi is not learnt its logits get a gradient
        all the same, as long as this optimizer is in use (:meth:`release` ends that): it holds the
        counts. They stay put.
    lr
        gamma, in (0, 1]: the share of a batch, whose memory is some 1 / gamma batches long.
    power
        0 keeps gamma constant, for codes that move as the encoder learns. For fixed codes a power
        in (0.5, 1] makes the mixture converge.
    beta
        What the loss weighs the prior's part by; None is ``model.beta``. Under warm-up set
        ``param_groups[0]["beta"]``. At 0 nothing is known of the mixture, and nothing is moved.

    Raises
    ------
    TypeError
        If the model has no mixture.
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from pyvae.models import GMVAE
    >>> model = GMVAE(64, 2, num_components=5)
    >>> networks = torch.optim.Adam(model.network_parameters)
    >>> mixture = StepwiseEM(model, lr=0.1)
    >>> for x in torch.rand(3, 100, 64):
    ...     model.zero_grad()
    ...     (-model.elbo(x).total.mean()).backward()
    ...     networks.step()
    ...     _ = mixture.step()

    References
    ----------
    Cappé & Moulines (2009), "On-line expectation-maximization algorithm for latent data models";
    Liang & Klein (2009), "Online EM for unsupervised models"; Xu & Jordan (1996) for EM's step as
    a gradient's.
    """

    def __init__(
        self, model: GMVAE, lr: float = 0.02, power: float = 0.0, beta: float | None = None
    ) -> None:
        if not hasattr(model, "mixture_parameters"):
            raise WrongType(f"a {type(model).__name__} has no mixture to move; pass a GMVAE")
        if not 0 < lr <= 1:
            raise WrongValue(f"lr={lr}; expected a share in (0, 1]")
        if not 0 <= power <= 1:
            raise WrongValue(f"power={power}; expected a number from 0 to 1")
        beta = model.beta if beta is None else beta
        if not 0 <= beta < math.inf:
            raise WrongValue(f"beta={beta}; expected a number >= 0")
        self._model = model
        model.weight_logits.requires_grad_(True)
        super().__init__(model.mixture_parameters, {"lr": lr, "power": power, "beta": beta})

    def release(self) -> None:
        """Leave the model as it is without this optimizer: a uniform pi has no gradient."""
        model = self._model
        if not model.weight_logits.is_leaf:  # a buffer that was moved or converted since
            model.weight_logits = model.weight_logits.detach()
        model.weight_logits.requires_grad_(model.learn_weights)

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle with the model, as its parameters are."""
        return {**super().__getstate__(), "_model": self._model}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the mixture; nothing happens where it has no gradient, as in pretraining.

        Parameters
        ----------
        closure
            Computes the loss anew, with its gradient, and returns it.

        Raises
        ------
        RuntimeError
            If the model was moved or converted since, which gives it another buffer.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        logits, means, logvars = parameters = group["params"]
        if self._model.weight_logits is not logits:
            raise RuntimeError(
                "the model was moved to another device or dtype after StepwiseEM was built; "
                "release() it, and build it anew"
            )
        if group["beta"] == 0 or any(parameter.grad is None for parameter in parameters):
            return loss
        state = self.state[logits]
        if not state:
            state["step"] = torch.zeros(())
            state["counts"] = torch.softmax(logits.double(), 0).to(logits.dtype)
        state["step"] += 1
        share = group["lr"] * state["step"].item() ** -group["power"]
        # What the loss is the mean of, and its sign.
        gradients = [parameter.grad.double() / -group["beta"] for parameter in parameters]
        weights = torch.softmax(logits.double(), 0)
        counts = weights if self._model.learn_weights else state["counts"].double()
        mixture = means.double(), logvars.double().exp()
        so_far = _own_sums(counts, *mixture) * (1.0 - share)
        moved = so_far + _sums_of_gradients(weights, *mixture, *gradients) * share
        state["counts"].copy_(moved.counts)
        if self._model.learn_weights:
            logits.copy_(moved.counts.log())
        new_means, variances = _maximiser(moved, so_far, mixture[1])
        means.copy_(new_means)
        logvars.copy_(variances.log())
        return loss


def _own_sums(counts: Tensor, means: Tensor, variances: Tensor) -> Sums:
    """Sums of points that have the mixture's own moments: what it is the maximiser of."""
    zero = counts.new_zeros(())
    second = counts[:, None] * variances * _coordinates(means, variances)
    return Sums(zero, counts.sum(), counts, torch.zeros_like(means), second, means)


def _sums_of_gradients(
    weights: Tensor,
    means: Tensor,
    variances: Tensor,
    by_logits: Tensor,
    by_means: Tensor,
    by_logvars: Tensor,
) -> Sums:
    """Sums of the batch, about the present means, where nothing cancels."""
    counts = (by_logits + weights).clamp_min(0.0)
    shared = _coordinates(means, variances)
    second = variances * (2.0 * by_logvars + shared * counts[:, None])
    return Sums(counts.new_zeros(()), counts.sum(), counts, by_means * variances, second, means)


def _maximiser(sums: Sums, so_far: Sums, variances: Tensor) -> tuple[Tensor, Tensor]:
    """M step: means and variances; a component without points, or that is one, keeps its variance.

    But for rounding, a batch can take nothing away of what the points so far vary by.
    """
    kind = COVARIANCES["spherical" if _coordinates(sums.first, variances) > 1 else "diag"]
    _, means = kind.weights_and_means(sums)
    found = kind.covariances(sums.about(means)).reshape(variances.shape)
    left = so_far.counts[:, None] * variances / sums.counts[:, None]
    found = torch.maximum(found, left.nan_to_num(nan=0.0))
    return means, torch.where(found > 0, found, variances)


def _coordinates(means: Tensor, variances: Tensor) -> int:
    """Coordinates that share a variance."""
    return means.shape[1] // variances.shape[1]
