# SPDX-License-Identifier: MIT
"""The variational autoencoder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pyvae.errors import WrongType, WrongValue
from pyvae.models import checks, posterior
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.vamp_prior import VampPrior
from pyvae.ops import mixture_log_prob
from pyvae.settings import ModelOptions, VAEOptions, documented, recorded, takes


@documented(VAEOptions)
class VAE(LatentVariableModel):
    """Variational autoencoder; ``beta`` makes it the beta-VAE.

    w ~ N(0, I), x | w ~ p(x | w). It is the GM-VAE with one fixed component, and its bound takes
    the KL divergence of q(w | x) from the prior in closed form. With a VampPrior it takes the
    prior's log-density at samples.

    Parameters
    ----------
    Those of :class:`pyvae.settings.VAEOptions`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of a wrong type.

    Examples
    --------
    >>> import torch
    >>> model = VAE(64, 2, likelihood="bernoulli", beta=4.0)
    >>> x = torch.rand(5, 64)
    >>> bound = model.elbo(x)
    >>> bound.total.shape
    torch.Size([5])
    >>> loss = -bound.weighted(model.beta).mean()
    >>> model.sample(3).shape
    torch.Size([3, 64])

    References
    ----------
    Kingma & Welling (2014); Higgins et al. (2017).
    """

    @takes(VAEOptions)
    def __init__(self, options: VAEOptions) -> None:
        super().__init__(**options.of(ModelOptions))
        prior = options.prior
        if isinstance(prior, Mapping):
            prior = VampPrior.from_config(prior)
        if prior is not None:
            if not isinstance(prior, VampPrior):
                raise WrongType(f"prior must be a VampPrior or None, got {type(prior).__name__}")
            given = prior.pseudo_inputs
            given = checks.examples("pseudo_inputs", given, self.input_dim, self.image_shape)
            self._given_inputs = given.detach().clone()  # with all the digits they have
            # A model of its own scales it, and trains it.
            prior = copy.deepcopy(prior).to(torch.get_default_dtype())  # as all else in a new model
        self.vamp_prior = prior
        if prior is None:
            self.register_buffer("weight_logits", torch.zeros(1))
            self.register_buffer("component_means", torch.zeros(1, self.latent_dim))
            self.register_buffer("component_logvars", torch.zeros(1, 1))

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        prior = {} if self.vamp_prior is None else {"prior": self.vamp_prior.config}
        return super().config | recorded(self, VAEOptions) | prior

    @property
    def like(self) -> Tensor:
        """A tensor that has the model's dtype and device."""
        prior = self.vamp_prior
        return self.component_means if prior is None else prior.pseudo_inputs

    @property
    def prior(self) -> tuple[Tensor, Tensor, Tensor]:
        """The prior of w as the ops take it: log-weights, means and log-variances."""
        if self.vamp_prior is None:
            return self.log_weights, self.component_means, self.component_logvars
        if self.standardization is not None:
            self.standardization.check_fitted()
        log_weights = torch.log_softmax(self.vamp_prior.weight_logits, dim=0)
        return log_weights, *self._posterior(self.vamp_prior.pseudo_inputs)

    @torch.no_grad()
    def set_standardization(self, location: Float[Tensor, "d"], scale: Float[Tensor, "d"]) -> None:
        """Set the features' location and scale; a VampPrior's inputs go to standard units.

        Parameters and errors are those of :meth:`pyvae.models.Autoencoder.set_standardization`.
        """
        has_inputs = self.vamp_prior is not None and self.standardization is not None
        inputs = self._pseudo_inputs() if has_inputs else None
        super().set_standardization(location, scale)
        if self.vamp_prior is not None and self.standardization is not None and inputs is not None:
            own = self.vamp_prior.pseudo_inputs
            own.copy_(self.standardization.standardized(inputs.to(own.device), own.dtype))

    def save_pretrained(self, path: str | Path) -> None:
        """Save as every model is; see :meth:`pyvae.models.Autoencoder.save_pretrained`.

        Raises
        ------
        ValueError
            If the model does not know its data yet and its type has no digits for the differences
            of a VampPrior's inputs, which are kept in the units of the data until then.
        """
        unfitted = self.standardization is not None and not self.standardization.is_fitted
        if self.vamp_prior is not None and unfitted:
            own, given = self.vamp_prior.pseudo_inputs, self._pseudo_inputs()
            if len(own.unique(dim=0)) < len(given.unique(dim=0)):
                raise WrongValue(
                    f"the model does not know its data yet, and {own.dtype} has no digits for the "
                    "differences of its pseudo-inputs; call model.fit_standardization(x) with the "
                    "training data before you save it"
                )
        super().save_pretrained(path)

    def _pseudo_inputs(self) -> Tensor:
        """Return a VampPrior's pseudo-inputs in units of the data."""
        assert self.vamp_prior is not None
        own, given = self.vamp_prior.pseudo_inputs, self._given_inputs
        if self.standardization is not None and self.standardization.is_fitted:
            return self.standardization.restored(own.double().flatten(1)).reshape(own.shape)
        return given if torch.equal(given.to(own), own) else own

    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.vamp_prior is None:
            return posterior.standard_prior_terms(mean, logvar)
        # z is summed out, so it costs nothing. In one flat batch the prior is packed once.
        log_prob_w = mixture_log_prob(w.flatten(0, 1), *self.prior).reshape(w.shape[:2]).mean(0)
        return log_prob_w, torch.zeros_like(log_prob_w)
