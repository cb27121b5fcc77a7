# SPDX-License-Identifier: MIT
"""The two networks of a model and what their outputs mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Independent
from torch.utils.data import Dataset

from pyvae.errors import WrongValue
from pyvae.examples import batches_of, holds_images
from pyvae.models import checks, heads
from pyvae.models.likelihoods import make_likelihood
from pyvae.models.networks import make_decoder, make_encoder
from pyvae.models.pretrained_model import PretrainedModel
from pyvae.models.standardization import Standardization, measure
from pyvae.ops.modes import HALF, readable
from pyvae.settings import NetworkOptions, earlier, recorded, takes

if TYPE_CHECKING:
    from typing_extensions import Self


_NETWORKS = ("encoder", "decoder")


class Autoencoder(PretrainedModel):
    """An encoder that gives q(w | x), a diagonal Gaussian, and a decoder that gives p(x | w).

    Data are ``(N, ...)`` with ``input_dim`` numbers an example, whatever their shape: the built-in
    networks bring them into theirs, modules of your own see them as they come. A model with an
    ``image_shape`` takes flat rows and images of that shape. Floating data of another precision
    are cast to the model's; everything computed has the model's dtype and device.

    With the Gaussian likelihood the networks work in standard units (``standardize``), and what
    goes in and comes out is in the user's: data, :meth:`decode`, :meth:`likelihood`, densities.
    What is decoded is float64 where the data's offset leaves the model's dtype no digits.

    Attributes
    ----------
    standardization
        The map to those units, which the Trainer or :meth:`fit_standardization` takes from the
        training data; None where the model has none.
    encoder
        ``x (N, ...)`` to a tensor ``(N, 2 latent_dim)``, means then log-variances, or a tuple
        ``(mean, logvar)`` of ``(N, latent_dim)``. The log-variances are not clamped: the ops are
        exact from -80 to 80, the entropy and the prior pull from both sides, and a clamp would hide
        a run that diverges and stop the gradient that could bring it back.
    decoder
        ``w (N, latent_dim)`` to the likelihood's numbers: logits for Bernoulli, means and raw
        scales for Gaussian (a tensor with the means in its first half, or a tuple of the two), in
        standard units. More dimensions are flattened.
    built_in
        The words for those of the two that are no modules of your own, ``"mlp"`` or ``"conv"``.
    """

    encoder: nn.Module
    decoder: nn.Module

    @takes(NetworkOptions)
    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.input_dim, self.latent_dim = options.input_dim, options.latent_dim
        self.hidden = tuple(options.hidden)
        self.min_scale = options.min_scale
        self._likelihood = make_likelihood(options.likelihood, self.min_scale)
        self._decoder_width = self._likelihood.outputs_per_feature * self.input_dim
        standardize = options.standardize and self._likelihood.has_units
        self.standardization = Standardization(self.input_dim) if standardize else None
        self.image_shape, self.channels = options.image_shape, tuple(options.channels)
        given = {name: checks.network(name, getattr(options, name)) for name in _NETWORKS}
        self.built_in = {name: kind for name, kind in given.items() if isinstance(kind, str)}
        self.own_modules = tuple(name for name in given if name not in self.built_in)
        encoder, decoder = given.values()
        common = {"hidden": self.hidden, "channels": self.channels, "image_shape": self.image_shape}
        if isinstance(encoder, str):
            encoder = make_encoder(encoder, self.input_dim, outputs=2 * self.latent_dim, **common)
        if isinstance(decoder, str):
            decoder = make_decoder(decoder, self.latent_dim, outputs=self._decoder_width, **common)
        self.encoder = encoder
        self.decoder = decoder

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        likelihood = {"likelihood": self._likelihood.name}
        return recorded(self, NetworkOptions) | likelihood | self.built_in

    @property
    def standardize(self) -> bool:
        """Whether the networks work in standard units."""
        return self.standardization is not None

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor that has the model's dtype and device."""

    def fit_standardization(
        self, data: Tensor | Dataset | Iterable[Any], *, image: bool | None = None
    ) -> Self:
        """Take location and scale of the features from the training data, and return the model.

        The Trainer does it; a training loop of your own calls this first. Without standardisation
        nothing is done.

        Parameters
        ----------
        data
            Training data: a tensor ``(N, ...)``, a ``pyvae.data.Data`` or other map-style Dataset,
            or an iterable of batches, as a DataLoader is: tensors, or tuples that begin with one.
            They are gone through once.
        image
            Whether an example is a picture, whose pixels get one range in place of each its own
            mean and standard deviation; None goes by the model's ``image_shape``, by what a
            ``Data`` says, else by the shape. Without these nothing tells of pixels in rows,
            ``(N, H * W)``: pass True.

        Raises
        ------
        TypeError, ValueError
            If the data are no finite floating numbers, or do not fit the model.

        Examples
        --------
        >>> x = 1e6 * torch.randn(100, 4)
        >>> from pyvae.models import VAE
        >>> model = VAE(4, 2, likelihood="gaussian").fit_standardization(x)
        >>> model.elbo(x).total.shape
        torch.Size([100])
        """
        if self.standardization is not None:
            if image is None:
                image = self.image_shape is not None or holds_images(data)
            self.set_standardization(*measure(batches_of(data), self.input_dim, image=image))
        return self

    @torch.no_grad()
    def set_standardization(self, location: Float[Tensor, "d"], scale: Float[Tensor, "d"]) -> None:
        """Set the features' location and scale, in units of the data.

        Raises
        ------
        TypeError
            If one holds no numbers; tensors, arrays and lists do.
        ValueError
            If a shape does not fit, a number is not finite, a scale is not above zero, or the model
            does not standardise.
        """
        if self.standardization is None:
            raise WrongValue(
                "the model does not standardise its data; build it with likelihood='gaussian' and "
                "standardize=True"
            )
        self.standardization.set(location, scale)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Saved whole before there were these options.
        before = earlier(NetworkOptions)
        own = state.get("own_modules", ())
        built_in = {name: before[name] for name in _NETWORKS if name not in own}
        common = {name: before[name] for name in ("image_shape", "channels")}
        super().__setstate__(common | {"built_in": built_in} | state)
        if not hasattr(self, "standardization"):  # saved whole before there was the option
            self.drop_standardization()

    def drop_standardization(self) -> None:
        """Take data as they are, as all models did before there was ``standardize``."""
        self.standardization = None

    def check_input(self, x: Tensor) -> None:
        """Refuse what :meth:`pyvae.models.LatentVariableModel.elbo` refuses.

        Values are read on every device.
        """
        self._checked(x, everywhere=True)

    def encode(self, x: Tensor) -> tuple[Float[Tensor, "n l"], Float[Tensor, "n l"]]:
        """Return mean and log-variance of q(w | x), ``(N, latent_dim)`` each."""
        return self._posterior(self._prepared(x))

    def likelihood(self, w: Float[Tensor, "*batch l"]) -> Independent:
        """Return the distribution p(x | w): batch shape ``(...)``, event shape ``(input_dim,)``."""
        w = checks.floating("w", w, self.like, "latent vectors are real numbers")
        checks.vectors("w", w, self.latent_dim, "latent_dim")
        found = self._likelihood.distribution(self._decoded(w.to(self.like.dtype)))
        if self.standardization is None:
            return found
        return self.standardization.restored_distribution(found)

    def decode(self, w: Float[Tensor, "*batch l"]) -> Float[Tensor, "*batch d"]:
        """Return the mean of p(x | w), ``(..., input_dim)``; :meth:`likelihood` has the rest."""
        return self.likelihood(w).mean

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the mean of p(x | w) at the mean of q(w | x), in the shape of ``x``."""
        return self.decode(self.encode(x)[0]).reshape(x.shape)

    def _prepared(self, x: Tensor) -> Tensor:
        """Return ``x`` in standard units and the model's dtype, its shape and device checked."""
        x = checks.floating("x", x, self.like, checks.CONVERT)
        x = checks.examples("x", x, self.input_dim, self.image_shape)
        if self.standardization is None:
            return x.to(self.like.dtype)
        return self.standardization.standardized(x, self.like.dtype)

    def _checked(self, x: Tensor, *, everywhere: bool = False) -> Tensor:
        """Return ``x`` prepared, with its values checked: on the CPU, where that stops nothing."""
        x = self._prepared(x)
        values = readable(x) if everywhere or x.device.type == "cpu" else None
        if values is not None:
            self._likelihood.check_values(values)
        return x

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Copy a state into the model, as every module does.

        The whole state of a model without standardisation, as older ones are, makes one that knows
        no data yet into another such. A model that knows its data has its location and scale among
        the keys that must be there.
        """
        units = self.standardization
        if units is not None and not units.is_fitted and self._is_of_one_without(state_dict):
            self.drop_standardization()
        try:
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        except BaseException:
            self.standardization = units
            raise

    def _is_of_one_without(self, state: Mapping[str, Any]) -> bool:
        """Whether a state is the whole of a model without standardisation.

        A state says what modules it was taken from. A mere mapping of some tensors does not, as
        ``dict(model.named_parameters())``, which is short of all buffers.
        """
        modules = getattr(state, "_metadata", None) or {}
        return "" in modules and "standardization" not in modules

    # Under autocast networks answer in half precision, too coarse for a bound: both heads go back
    # to the model's dtype.

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = heads.posterior_parts(self._encoded(x), x.shape[0], self.latent_dim)
        return mean.to(self.like.dtype), logvar.to(self.like.dtype)

    def _encoded(self, x: Tensor) -> Any:
        """Return what the encoder makes of prepared ``x``."""
        return self.encoder(x)

    def _decoded(self, w: Tensor) -> Tensor:
        flat, width = w.flatten(0, -2), self._decoder_width
        output = heads.decoder_output(
            self.decoder(flat), flat.shape[0], width, self._likelihood.outputs
        )
        return output.to(self.like.dtype).reshape(*w.shape[:-1], width)

    def _log_prob_x(self, x: Tensor, w: Tensor) -> Tensor:
        """Return log p(x | w), ``(..., N)``, of prepared ``x`` at latent vectors ``(..., N, L)``.

        The density of the user's data: that of the standard ones times the Jacobian.
        """
        output, x = self._decoded(w), x.flatten(1)
        if self.standardization is None:
            return self._likelihood.log_prob(output, x)
        if output.dtype in HALF:  # which has no range for the logarithms of a thousand scales
            output = output.float()
        return self._likelihood.log_prob(output, x) - self.standardization.log_scale
