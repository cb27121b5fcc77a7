# SPDX-License-Identifier: MIT
"""What the VAE and the GM-VAE share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.distributions import Independent

from pyvae.models import checks, heads, posterior
from pyvae.models.elbo import Elbo
from pyvae.models.importance import log_likelihood
from pyvae.models.likelihoods import make_likelihood
from pyvae.models.mlp import MLP
from pyvae.models.pretrained_model import PretrainedModel
from pyvae.ops import mixture_log_prob


class LatentVariableModel(PretrainedModel):
    """A latent w with a Gaussian-mixture prior, q(w | x) diagonal Gaussian, and p(x | w).

    A subclass sets the prior (``weight_logits``, ``component_means``, ``component_logvars``, as
    parameters or buffers) and says what the prior's part of the bound is.

    Data are ``(N, ...)`` with ``input_dim`` numbers an example, whatever their shape: the default
    networks flatten them, modules of your own see them as they are. Floating data of another
    precision are cast to the model's; everything computed has the model's dtype and device.

    Attributes
    ----------
    encoder
        ``x (N, ...)`` to a tensor ``(N, 2 latent_dim)``, means then log-variances, or a tuple
        ``(mean, logvar)`` of ``(N, latent_dim)``. The log-variances are not clamped: the ops are
        exact from -80 to 80, the entropy and the prior pull from both sides, and a clamp would hide
        a run that diverges and stop the gradient that could bring it back.
    decoder
        ``w (N, latent_dim)`` to the likelihood's numbers: logits for Bernoulli, means and raw
        scales for Gaussian (a tensor with the means in its first half, or a tuple of the two).
        More dimensions are flattened.
    beta
        Weight of everything but the reconstruction in the training objective,
        ``elbo(x).weighted(model.beta)``. ``elbo(x).total`` is the bound, whatever beta is.
    num_samples
        Monte Carlo samples of w an example that :meth:`elbo` draws where none is given.
    """

    weight_logits: Tensor
    component_means: Tensor
    component_logvars: Tensor

    def __init__(
        self,
        input_dim: int,
        latent_dim: int,
        *,
        beta: float,
        likelihood: str,
        min_scale: float,
        hidden: Sequence[int],
        encoder: nn.Module | None,
        decoder: nn.Module | None,
        num_samples: int,
    ) -> None:
        super().__init__()
        self.input_dim = checks.at_least(1, "input_dim", input_dim)
        self.latent_dim = checks.at_least(1, "latent_dim", latent_dim)
        self.beta = checks.non_negative("beta", beta)
        self.num_samples = checks.at_least(1, "num_samples", num_samples)
        self.hidden = checks.widths("hidden", hidden)
        self.min_scale = float(min_scale)
        self._likelihood = make_likelihood(likelihood, self.min_scale)
        self._decoder_width = self._likelihood.outputs_per_feature * self.input_dim
        given = {"encoder": encoder, "decoder": decoder}
        self.own_modules = tuple(name for name in given if checks.is_module(name, given[name]))
        if encoder is None:
            encoder = MLP(self.input_dim, self.hidden, 2 * self.latent_dim)
        if decoder is None:
            decoder = MLP(self.latent_dim, self.hidden[::-1], self._decoder_width)
        self.encoder = encoder
        self.decoder = decoder

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        return {
            "input_dim": self.input_dim,
            "latent_dim": self.latent_dim,
            "beta": self.beta,
            "likelihood": self._likelihood.name,
            "min_scale": self.min_scale,
            "hidden": list(self.hidden),
            "num_samples": self.num_samples,
        }

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
            not. Values are read here on the CPU only and not under ``torch.compile``: elsewhere
            reading them would stop the device or the graph. Call :meth:`check_input` once on
            such data.
        """
        x = self._prepared(x)
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            self._likelihood.check_values(x)
        if num_samples is None:
            num_samples = self.num_samples
        samples = checks.at_least(1, "num_samples", num_samples)
        mean, logvar = self._posterior(x)
        noise = posterior.draw_noise((samples, *mean.shape), mean, generator)
        w = posterior.move_noise(mean, logvar, noise)
        log_prob_w, kl_z = self._prior_terms(x, w, mean, logvar)
        return Elbo(
            reconstruction=self._log_prob_x(x, w).mean(0),
            log_prob_w=log_prob_w,
            neg_kl_z=-kl_z,
            entropy_w=posterior.entropy(logvar),
        )

    @abstractmethod
    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return E[log p(w | z)] and E[KL(q(z | w, x) || p(z))], ``(N,)`` each.

        ``w`` are samples ``(S, N, L)`` of q(w | x), which has ``mean`` and ``logvar``.
        """

    def check_input(self, x: Tensor) -> None:
        """Raise what :meth:`elbo` raises for ``x``, with its values read on every device."""
        self._likelihood.check_values(self._prepared(x))

    def encode(self, x: Tensor) -> tuple[Float[Tensor, "n l"], Float[Tensor, "n l"]]:
        """Return mean and log-variance of q(w | x), ``(N, latent_dim)`` each."""
        return self._posterior(self._prepared(x))

    def likelihood(self, w: Float[Tensor, "*batch l"]) -> Independent:
        """Return the distribution p(x | w): batch shape ``(...)``, event shape ``(input_dim,)``."""
        w = checks.floating("w", w, self.component_means, "latent vectors are real numbers")
        if w.ndim < 2 or w.shape[-1] != self.latent_dim:
            raise ValueError(
                f"w has shape {tuple(w.shape)}, expected (..., N, {self.latent_dim}): "
                f"latent_dim is {self.latent_dim}"
            )
        return self._likelihood.distribution(self._decoded(w))

    def decode(self, w: Float[Tensor, "*batch l"]) -> Float[Tensor, "*batch d"]:
        """Return the mean of p(x | w), ``(..., input_dim)``; :meth:`likelihood` has the rest."""
        return self.likelihood(w).mean

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the mean of p(x | w) at the mean of q(w | x), in the shape of ``x``."""
        return self.decode(self.encode(x)[0]).reshape(x.shape)

    @torch.no_grad()
    def sample_prior(
        self, n: int, component: int | None = None, generator: Generator | None = None
    ) -> Float[Tensor, "n l"]:
        """Draw ``n`` latent vectors from p(w), or from p(w | z = component)."""
        n = checks.at_least(0, "n", n)
        if component is None:
            # multinomial refuses to draw none.
            weights = torch.exp(self.log_weights)
            z = torch.multinomial(weights, max(n, 1), replacement=True, generator=generator)[:n]
        else:
            k = checks.index_below(len(self.component_means), "component", component)
            z = torch.full((n,), k, device=self.component_means.device)
        mean, logvar = self.component_means[z], self.component_logvars[z]
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
        self.check_input(x)
        samples = checks.at_least(1, "num_samples", num_samples)
        chunk = checks.at_least(1, "chunk_size", chunk_size)
        with torch.no_grad():
            return log_likelihood(
                self._prepared(x), self._posterior, self._log_joint, samples, chunk, generator
            )

    def _prepared(self, x: Tensor) -> Tensor:
        """Return ``x`` in the model's dtype, its shape and device checked."""
        advice = "convert it (8-bit images: x.float() / 255)"
        x = checks.floating("x", x, self.component_means, advice)
        if x.ndim < 2 or math.prod(x.shape[1:]) != self.input_dim:
            single = x.ndim < 2 and x.numel() == self.input_dim
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (N, ...) with {self.input_dim} features "
                f"an example (input_dim={self.input_dim})"
                + ("; for one example pass x.unsqueeze(0)" if single else "")
            )
        return x

    # Under autocast networks answer in half precision, too coarse for a bound: both heads go back
    # to the model's dtype.

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = heads.posterior_parts(self.encoder(x), len(x), self.latent_dim)
        return mean.to(self.component_means.dtype), logvar.to(self.component_means.dtype)

    def _decoded(self, w: Tensor) -> Tensor:
        flat, width = w.flatten(0, -2), self._decoder_width
        output = heads.decoder_output(
            self.decoder(flat), len(flat), width, self._likelihood.outputs
        )
        return output.to(self.component_means.dtype).reshape(*w.shape[:-1], width)

    def _log_prob_x(self, x: Tensor, w: Tensor) -> Tensor:
        """Return log p(x | w), ``(..., N)``, at latent vectors ``(..., N, L)``."""
        return self._likelihood.log_prob(self._decoded(w), x.flatten(1))

    def _log_joint(self, x: Tensor, w: Tensor) -> Tensor:
        """Return log p(x, w), ``(..., N)``, with z summed out."""
        return self._log_prob_x(x, w) + mixture_log_prob(w, *self.prior)
