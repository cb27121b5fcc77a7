# SPDX-License-Identifier: MIT
"""What the VAE and the GM-VAE share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.models import checks, posterior
from pyvae.models.autoencoder import Autoencoder
from pyvae.models.elbo import Elbo
from pyvae.models.importance import log_likelihood
from pyvae.ops import mixture_log_prob
from pyvae.settings import ModelOptions, NetworkOptions, recorded, takes


class LatentVariableModel(Autoencoder):
    """An autoencoder with a Gaussian-mixture prior p(w), and its bound.

    A subclass sets the prior (``weight_logits``, ``component_means``, ``component_logvars``, as
    parameters or buffers, or :attr:`prior` and :attr:`like` themselves) and says what the prior's
    part of the bound is.

    Attributes
    ----------
    beta
        Weight of everything but the reconstruction in the training objective,
        ``elbo(x).weighted(model.beta)``. ``elbo(x).total`` is the bound, whatever beta is.
    num_samples
        Monte Carlo samples of w an example that :meth:`elbo` draws where none is given.
    """

    weight_logits: Tensor
    component_means: Tensor
    component_logvars: Tensor

    @takes(ModelOptions)
    def __init__(self, options: ModelOptions) -> None:
        super().__init__(**options.of(NetworkOptions))
        self.beta, self.num_samples = options.beta, options.num_samples

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        return super().config | recorded(self, ModelOptions)

    @property
    def like(self) -> Tensor:
        """A tensor that has the model's dtype and device."""
        return self.component_means

    @property
    def log_weights(self) -> Float[Tensor, "k"]:
        """Log-weights of the prior's components; their exponentials sum to one."""
        return torch.log_softmax(self.weight_logits, dim=0)

    @property
    def prior(self) -> tuple[Tensor, Tensor, Tensor]:
        """The prior of w as the ops take it: log-weights, means and log-variances."""
        return self.log_weights, self.component_means, self.component_logvars

    def forward(self, x: Tensor) -> Elbo:
        """Return :meth:`elbo`, so that wrappers of modules (Fabric, DDP, compile) apply."""
        return self.elbo(x)

    def elbo(
        self, x: Tensor, num_samples: int | None = None, generator: Generator | None = None
    ) -> Elbo:
        """Evidence lower bound of each example, in nats.

        Parameters
        ----------
        x
            Data, ``(N, ...)`` with ``input_dim`` numbers an example.
        num_samples
            Samples of w an example, whose bounds are averaged; None is the model's ``num_samples``.
        generator
            Source of the noise, on the model's device; None is torch's default.

        Returns
        -------
        The bound by its parts, ``(N,)`` each. The samples are reparameterised (Kingma & Welling,
        2014), so every part has its gradient with respect to the encoder.

        Raises
        ------
        TypeError
            If ``x`` is no floating tensor.
        ValueError
            If ``x`` has another number of features or device, or values that the likelihood has
            not. Values are read here on the CPU only, and not where a graph is compiled, exported
            or traced: reading them would stop the device or the graph. Call :meth:`check_input`
            once on such data.
        """
        x = self._checked(x)
        mean, logvar, w = self._sampled(x, num_samples, generator)
        return self._bound(x, w, logvar, *self._prior_terms(x, w, mean, logvar))

    def pretraining_elbo(
        self,
        x: Tensor,
        seen: Tensor | None = None,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> Elbo:
        """Return the bound of the same networks under p(w) = N(0, I): the prior stays out of it.

        For training the networks before the prior's components have a place in the data, when
        they would only pull w to where they happened to start.

        Parameters
        ----------
        x
            Data, as in :meth:`elbo`.
        seen
            What the encoder gets in place of ``x``: with features hidden it is a denoising
            autoencoder (Vincent et al., 2010). None is ``x``.
        num_samples, generator
            As in :meth:`elbo`, and so are the errors.
        """
        x = self._checked(x)
        seen = x if seen is None else self._prepared(seen)
        mean, logvar, w = self._sampled(seen, num_samples, generator)
        return self._bound(x, w, logvar, *posterior.standard_prior_terms(mean, logvar))

    @abstractmethod
    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return E[log p(w | z)] and E[KL(q(z | w, x) || p(z))], ``(N,)`` each.

        ``w`` are samples ``(S, N, L)`` of q(w | x), which has ``mean`` and ``logvar``.
        """

    @torch.no_grad()
    def sample_prior(
        self, n: int, component: int | None = None, generator: Generator | None = None
    ) -> Float[Tensor, "n l"]:
        """Draw ``n`` latent vectors from p(w), or from p(w | z = component)."""
        n = checks.at_least(0, "n", n)
        log_weights, means, logvars = self.prior
        if component is None:
            # multinomial refuses to draw none.
            weights = torch.exp(log_weights)
            z = torch.multinomial(weights, max(n, 1), replacement=True, generator=generator)[:n]
        else:
            k = checks.index_below(len(means), "component", component)
            z = torch.full((n,), k, device=means.device)
        mean, logvar = means[z], logvars[z]
        return posterior.move_noise(mean, logvar, posterior.draw_noise(mean.shape, mean, generator))

    @torch.no_grad()
    def sample(
        self, n: int, component: int | None = None, generator: Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Return the means of p(x | w) for ``n`` draws of w from the prior, ``(n, input_dim)``.

        Means, not draws of x: independent noise on every feature only blurs a picture. For draws
        of x take ``model.likelihood(model.sample_prior(n)).sample()``.

        Parameters
        ----------
        n
            How many.
        component
            Draw from this component of the prior; None draws the component as well.
        generator
            Source of randomness, on the model's device; None is torch's default.

        Raises
        ------
        ValueError
            If ``n`` is negative or there is no such component.
        """
        return self.decode(self.sample_prior(n, component, generator))

    def log_likelihood(
        self,
        x: Tensor,
        num_samples: int = 128,
        chunk_size: int = 4096,
        generator: Generator | None = None,
    ) -> Float[Tensor, "n"]:
        """Estimate log p(x) by importance sampling from q(w | x), with z summed out.

        ``log 1/S sum_s p(x | w_s) p(w_s) / q(w_s | x)``, with the mixture density p(w). Its
        expectation is at most log p(x) and at least that of the ELBO, and rises to log p(x) with S.

        Parameters
        ----------
        x
            Data, ``(N, ...)``.
        num_samples
            S, samples of w an example.
        chunk_size
            Examples times samples that are decoded at a time: less takes less memory. The noise
            does not depend on it, so neither does the result, up to rounding.
        generator
            Source of the noise, on the model's device; None is torch's default.

        Returns
        -------
        Estimates in nats, ``(N,)``, without gradient.

        References
        ----------
        Burda, Grosse & Salakhutdinov (2016), equation 8.
        """
        x = self._checked(x, everywhere=True)
        samples = checks.at_least(1, "num_samples", num_samples)
        chunk = checks.at_least(1, "chunk_size", chunk_size)
        with torch.no_grad():
            prior = self.prior  # once: it may be a pass of the encoder

            def log_joint(rows: Tensor, w: Tensor) -> Tensor:
                return self._log_prob_x(rows, w) + mixture_log_prob(w, *prior)

            return log_likelihood(x, self._posterior, log_joint, samples, chunk, generator)

    def log_joint(self, x: Tensor, w: Float[Tensor, "*samples n l"]) -> Float[Tensor, "*samples n"]:
        """Log-density log p(x, w), with z summed out, in nats.

        Parameters
        ----------
        x
            Data, ``(N, ...)``.
        w
            Latent vectors of each example, ``(..., N, latent_dim)``.
        """
        return self._log_prob_x(self._checked(x), w) + mixture_log_prob(w, *self.prior)

    def _sampled(
        self, x: Tensor, num_samples: int | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and log-variance of q(w | x), and samples ``(S, N, L)`` of it."""
        if num_samples is None:
            num_samples = self.num_samples
        samples = checks.at_least(1, "num_samples", num_samples)
        mean, logvar = self._posterior(x)
        noise = posterior.draw_noise((samples, *mean.shape), mean, generator)
        return mean, logvar, posterior.move_noise(mean, logvar, noise)

    def _bound(
        self, x: Tensor, w: Tensor, logvar: Tensor, log_prob_w: Tensor, kl_z: Tensor
    ) -> Elbo:
        reconstruction = self._log_prob_x(x, w).mean(0)
        return Elbo(reconstruction, log_prob_w, -kl_z, posterior.entropy(logvar))
