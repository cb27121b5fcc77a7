# SPDX-License-Identifier: MIT
"""The variational mixture of posteriors as a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pyvae.errors import WrongType, WrongValue

_KEYS = {"pseudo_inputs", "learn_weights"}


class VampPrior(nn.Module):
    """Prior p(w) = sum_k pi_k q(w | u_k) of a VAE, whose pseudo-inputs u_k are trained.

    Of all priors the best for a given encoder is the mean of q(w | x) over the data; this is that
    mean over K inputs that stand in for them. As it moves with the encoder, it does not pull codes
    to where the data have none. An encoder with batch statistics sees the pseudo-inputs as a batch
    of their own, in training and in sampling: take LayerNorm or GroupNorm in place of BatchNorm.

    Parameters
    ----------
    pseudo_inputs
        Where they start, ``(K, ...)`` in the shape of the data: some of the examples, as a rule.
        They are copied, and so is the prior by a VAE, which then has its own. Training may take
        them out of the data's range; q(w | u) has none. A model that standardises has them in
        standard units once it knows the data's.
    learn_weights
        Train pi, as the softmax of ``weight_logits``; False keeps it uniform.

    Raises
    ------
    TypeError, ValueError
        If ``pseudo_inputs`` is no floating tensor of at least one finite example.

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> x = torch.rand(100, 64)
    >>> model = VAE(64, 2, prior=VampPrior(x[:20]))
    >>> model.elbo(x).total.shape, model.vamp_prior.num_components
    (torch.Size([100]), 20)

    References
    ----------
    Tomczak & Welling (2018), "VAE with a VampPrior".
    """

    def __init__(self, pseudo_inputs: Float[Tensor, "k ..."], learn_weights: bool = False) -> None:
        super().__init__()
        if not isinstance(pseudo_inputs, Tensor) or not pseudo_inputs.is_floating_point():
            is_tensor = isinstance(pseudo_inputs, Tensor)
            kind = pseudo_inputs.dtype if is_tensor else type(pseudo_inputs).__name__
            raise WrongType(
                f"pseudo_inputs must be a floating torch.Tensor (K, ...), got {kind}; "
                "use torch.as_tensor and .float()"
            )
        if pseudo_inputs.ndim < 2 or len(pseudo_inputs) == 0:
            raise WrongValue(
                f"pseudo_inputs has shape {tuple(pseudo_inputs.shape)}, expected (K, ...) with "
                "K >= 1 in the shape of the data; pass some of the examples"
            )
        if not pseudo_inputs.is_meta and not torch.isfinite(pseudo_inputs).all():
            raise WrongValue("pseudo_inputs must be finite numbers, got NaN or infinity")
        self.learn_weights = bool(learn_weights)
        self.pseudo_inputs = nn.Parameter(pseudo_inputs.detach().clone())
        logits = torch.zeros(len(pseudo_inputs)).to(self.pseudo_inputs)
        if self.learn_weights:
            self.weight_logits = nn.Parameter(logits)
        else:
            self.register_buffer("weight_logits", logits)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> VampPrior:
        """Build what :attr:`config` describes, with pseudo-inputs of zero.

        Raises
        ------
        ValueError
            If the config is of something else.
        """
        if set(config) != _KEYS or type(config["learn_weights"]) is not bool:
            raise WrongValue(
                f"prior must be a VampPrior or the config of one ({', '.join(sorted(_KEYS))}), "
                f"got {dict(config)!r}"
            )
        shape = config["pseudo_inputs"]
        sizes = isinstance(shape, Sequence) and all(type(n) is int and n > 0 for n in shape)
        if not sizes or len(shape) < 2:
            raise WrongValue(
                f"the prior's pseudo_inputs must be their shape, as [500, 784], got {shape!r}"
            )
        return cls(torch.zeros(*shape), config["learn_weights"])

    @property
    def config(self) -> dict[str, Any]:
        """The shape of the pseudo-inputs and whether the weights are learnt, ready for JSON."""
        return {
            "pseudo_inputs": list(self.pseudo_inputs.shape),
            "learn_weights": self.learn_weights,
        }

    @property
    def num_components(self) -> int:
        """K, pseudo-inputs."""
        return len(self.pseudo_inputs)
