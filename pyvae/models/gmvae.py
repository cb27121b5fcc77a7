# SPDX-License-Identifier: MIT
"""The Gaussian-mixture variational autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pyvae.errors import WrongValue
from pyvae.models import checks
from pyvae.models.anchored_encoder import (
    SEPARATION,
    AnchoredEncoder,
    as_classifier,
    built_in_config,
    check_sizes,
)
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.mlp import MLP
from pyvae.models.networks import make_encoder
from pyvae.ops import mixture_elbo_terms, mixture_posterior, mixture_predict
from pyvae.settings import GMVAEOptions, ModelOptions, documented, recorded, takes


@documented(GMVAEOptions)
class GMVAE(LatentVariableModel):
    """Variational autoencoder whose prior is a trained mixture of Gaussians.

    z ~ Categorical(pi), w | z = k ~ N(mu_k, sigma_k^2), x | w ~ p(x | w), with the variational
    posterior q(w | x) q(z | w, x).

    Parameters
    ----------
    Those of :class:`pyvae.settings.GMVAEOptions`.

    Attributes
    ----------
    component_means
        ``(K, latent_dim)``. They start as draws of N(0, I), with unit variances: identical
        components would get identical gradients and never part. :meth:`set_mixture` sets them
        from encoded data, as the trainer does.
    component_logvars
        Natural logarithms of the variances, ``(K, 1)`` or ``(K, latent_dim)``.
    weight_logits
        ``(K,)``; a parameter if ``learn_weights``.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of a wrong type.

    Examples
    --------
    >>> import torch
    >>> model = GMVAE(64, 2, num_components=5, likelihood="bernoulli")
    >>> x = torch.rand(8, 64)
    >>> bound = model.elbo(x)
    >>> bound._fields
    ('reconstruction', 'log_prob_w', 'neg_kl_z', 'entropy_w')
    >>> loss = -bound.weighted(model.beta).mean()
    >>> model.predict(x).shape, model.sample(3, component=4).shape
    (torch.Size([8]), torch.Size([3, 64]))

    References
    ----------
    Jiang et al. (2017), "Variational deep embedding"; Dilokthanakul et al. (2016).
    """

    @takes(GMVAEOptions)
    def __init__(self, options: GMVAEOptions) -> None:
        super().__init__(**options.of(ModelOptions))
        self.covariance, self.posterior = options.covariance, options.posterior
        self.learn_weights, self.closed_form = options.learn_weights, options.closed_form
        k = options.num_components
        if self.learn_weights:
            self.weight_logits = nn.Parameter(torch.zeros(k))
        else:
            self.register_buffer("weight_logits", torch.zeros(k))
        self.component_means = nn.Parameter(torch.randn(k, self.latent_dim))
        variances = 1 if self.covariance == "isotropic" else self.latent_dim
        self.component_logvars = nn.Parameter(torch.zeros(k, variances))
        if self.posterior == "amortized":
            self.categorical = MLP(self.latent_dim + self.input_dim, self.hidden, k)
        if options.classifier is not None:
            self.anchor(options.classifier)

    @property
    def num_components(self) -> int:
        """K, values of z."""
        return len(self.component_means)

    @property
    def mixture_parameters(self) -> list[Tensor]:
        """``weight_logits``, ``component_means`` and ``component_logvars``."""
        return [self.weight_logits, self.component_means, self.component_logvars]

    @property
    def network_parameters(self) -> list[nn.Parameter]:
        """All the others, which Adam moves where :class:`pyvae.optim.StepwiseEM` has those."""
        mixture = {id(parameter) for parameter in self.mixture_parameters}
        return [parameter for parameter in self.parameters() if id(parameter) not in mixture]

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        own = None if self.classifier is None else built_in_config(self.classifier)
        known = {} if own is None or "encoder" in self.own_modules else {"classifier": own}
        return super().config | recorded(self, GMVAEOptions) | known

    @property
    def classifier(self) -> nn.Module | None:
        """The clusters that the components began at, a module; None where none were known."""
        return self.encoder.classifier if isinstance(self.encoder, AnchoredEncoder) else None

    @torch.no_grad()
    def anchor(self, classifier: Any, separation: float = SEPARATION) -> GMVAE:
        """Begin at clusters that are known, and return the model.

        The encoder becomes an :class:`AnchoredEncoder` of the classifier, untrained, and every
        component stands at its cluster's anchor, with unit variances and the same weight. The
        generative model and the bound are what they were. The classifier is part of the model from
        here on, frozen, and saved with it.

        Parameters
        ----------
        classifier
            What the option of that name may be.
        separation
            s: anchors are s sqrt(2) apart or more.

        Raises
        ------
        TypeError, ValueError
            If it is something else, not fitted, or to examples of another size, gives another
            number of clusters than there are components, or the model has an encoder of its own.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.models import GMVAE
        >>> from sklearn.mixture import GaussianMixture
        >>> x = np.repeat([[0.1, 0.1], [0.9, 0.9]], 5, 0) + 0.01 * np.random.rand(10, 2)
        >>> model = GMVAE(2, 2, num_components=2).anchor(GaussianMixture(2).fit(x))
        >>> model.predict(torch.tensor(x).float()).bincount()
        tensor([5, 5])
        """
        if "encoder" in self.own_modules:
            raise WrongValue(
                "the model has an encoder of its own, whose mean is not around anchors; give it "
                "an AnchoredEncoder as encoder, or leave out one of encoder and classifier"
            )
        found = as_classifier(classifier)
        k = self.num_components
        check_sizes(found, self.input_dim, k)
        network = make_encoder(
            self.built_in["encoder"], self.input_dim, self.image_shape, self.hidden,
            2 * self.latent_dim, extra=k, channels=self.channels,
        )  # fmt: skip
        encoder = AnchoredEncoder(
            found, self.input_dim, k, self.latent_dim, self.hidden, separation, network
        ).to(self.like)
        self.encoder = encoder
        self.own_modules = tuple(name for name in self.own_modules if name != "classifier")
        if built_in_config(found) is None:
            self.own_modules += ("classifier",)
        self.component_means.copy_(encoder.anchors)
        self.component_logvars.zero_()
        self.weight_logits.zero_()
        return self

    @torch.no_grad()
    def set_mixture(
        self,
        weights: Float[Tensor, "k"] | None,
        means: Float[Tensor, "k l"],
        logvars: Float[Tensor, "k v"],
    ) -> None:
        """Set the prior's components, as an initialisation from encoded data does.

        Parameters
        ----------
        weights
            pi, non-negative; normalised here. A component of weight 0 stays out for good. None
            makes pi uniform, and is all there is where the weights are not learnt.
        means
            ``(K, latent_dim)``.
        logvars
            Natural logarithms of the variances, in the shape of ``component_logvars``.

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite, or ``weights`` are given to a model
            without ``learn_weights``.
        """
        if weights is not None and not self.learn_weights:
            raise WrongValue(
                "weights were given but pi is uniform; pass weights=None or build the model with "
                "learn_weights=True"
            )
        if weights is None:
            weights = torch.ones_like(self.weight_logits)
        new = {"weights": weights, "means": means, "logvars": logvars}
        old = self.mixture_parameters
        meaning = f"num_components={self.num_components}, covariance={self.covariance!r}"
        for (name, value), parameter in zip(new.items(), old, strict=True):
            checks.shaped(name, value, parameter.shape, meaning)
            if not torch.isfinite(value).all():
                raise WrongValue(f"{name} must be finite numbers, got {value.tolist()}")
        if (weights < 0).any() or not (weights > 0).any():
            raise WrongValue(
                f"weights must be >= 0 with a sum above 0, got {weights.tolist()}; pass "
                "probabilities, not their logarithms"
            )
        for parameter, value in zip(old, (weights.log(), means, logvars), strict=True):
            parameter.copy_(value)

    @torch.no_grad()
    def predict_proba(self, x: Tensor) -> Float[Tensor, "n k"]:
        """Return q(z | w, x) at the mean w of q(w | x): rows that sum to one."""
        x = self._prepared(x)
        return torch.exp(self._log_posterior(x, self._posterior(x)[0]))

    def log_posterior(
        self, x: Tensor, w: Float[Tensor, "*samples n l"]
    ) -> Float[Tensor, "*samples n k"]:
        """Return log q(z | w, x), in nats, at latent vectors of each example.

        Parameters
        ----------
        x
            Data, ``(N, ...)``, of which the exact posterior is independent given w.
        w
            Latent vectors of each example, ``(..., N, latent_dim)``.

        Raises
        ------
        TypeError, ValueError
            If ``w`` is no floating tensor, or has another number of dimensions; of ``x``, as
            :meth:`encode`.
        """
        w = checks.floating("w", w, self.like, "latent vectors are real numbers")
        checks.vectors("w", w, self.latent_dim, "latent_dim")
        return self._log_posterior(self._prepared(x), w.to(self.like.dtype))

    def _log_posterior(self, x: Tensor, w: Tensor) -> Tensor:
        if self.posterior == "amortized":
            return torch.log_softmax(self._logits(x, w), dim=-1)
        return mixture_posterior(w, *self.prior).log_posterior

    @torch.no_grad()
    def predict(self, x: Tensor) -> Int[Tensor, "n"]:
        """Return the most probable component of each example, int64; see :meth:`predict_proba`."""
        x = self._prepared(x)
        w, _ = self._posterior(x)
        if self.posterior == "amortized":
            return self._logits(x, w).argmax(-1)
        return mixture_predict(w, *self.prior).component

    def _encoded(self, x: Tensor) -> Any:
        if self.classifier is None or self.standardization is None:
            return super()._encoded(x)
        return self.encoder(x, self.standardization.restored(x.flatten(1)).reshape(x.shape))

    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits = self._logits(x, w) if self.posterior == "amortized" else None
        if not self.closed_form:
            # A sample is a point like any other: in one flat batch the prior is packed once.
            flat_logits = None if logits is None else logits.flatten(0, 1)
            terms = mixture_elbo_terms(w.flatten(0, 1), *self.prior, logits_q=flat_logits)
            log_prob_w, kl_z = (term.reshape(w.shape[:2]).mean(0) for term in terms)
            return log_prob_w, kl_z
        # Without w the op takes the q(z | x) that maximises the mean-field bound.
        log_prob_w, kl_z = mixture_elbo_terms(None, *self.prior, mean, logvar, logits)
        return (log_prob_w, kl_z) if logits is None else (log_prob_w.mean(0), kl_z.mean(0))

    def _logits(self, x: Tensor, w: Tensor) -> Tensor:
        """Return the amortized posterior's logits ``(..., N, K)`` at ``w (..., N, L)``."""
        flat = x.flatten(1).expand(*w.shape[:-1], -1)
        inputs = torch.cat([w, flat], dim=-1).flatten(0, -2)
        return self.categorical(inputs).to(w.dtype).reshape(*w.shape[:-1], self.num_components)
