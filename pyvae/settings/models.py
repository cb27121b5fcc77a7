# SPDX-License-Identifier: MIT
"""The home of the models' options: of their networks, of both models, and of each one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pyvae.errors import WrongValue
from pyvae.settings.kinds import (
    ANYTHING,
    Count,
    Flag,
    ImageShape,
    Number,
    OneOf,
    OneOfOrModule,
    Widths,
    Wording,
)
from pyvae.settings.setting import Home, required, setting

if TYPE_CHECKING:
    from torch import nn

_NETWORKS = ("mlp", "conv")


_OR_OWN = "or a module of your own, see :class:`~pyvae.models.Autoencoder`."


@dataclass
class NetworkOptions(Home):
    """Of the two networks."""

    WORDING: ClassVar = Wording(
        "{name} must be {expected}, got {value!r}",
        "{name} must be {expected}, got {value!r} ({kind})",
        "{!r}",
    )
    PANEL: ClassVar = "Model"

    input_dim: int = field(metadata=required(Count(1), "Numbers an example.", option=None))
    latent_dim: int = field(metadata=required(Count(1), "Dimensions of w."))
    _: KW_ONLY
    hidden: Sequence[int] = setting(
        (256, 256),
        Widths(),
        "Widths of the encoder's hidden layers.",
        doc="Widths of the encoder's hidden layers, and of an amortized posterior's; the decoder "
        "has them in reverse. Of convolutional networks they are the layers between convolutions "
        "and codes.",
    )
    channels: Sequence[int] = setting(
        (32, 64),
        Widths(narrowest=4),  # over so few or more an example is normalised
        "Widths of the convolutions of the encoder; each halves the sides of the images.",
        doc="Widths of a convolutional encoder's convolutions, each of which halves the sides of "
        "the images; the decoder has them in reverse.",
        before=(32, 64),
    )
    # make_likelihood knows which there are.
    likelihood: str = setting(
        "bernoulli",
        ANYTHING,
        "Of x.",
        doc='``"bernoulli"`` for data in [0, 1], ``"gaussian"`` for real data (means and scales '
        "trained).",
        recorded=False,
    )
    min_scale: float = setting(
        0.05,
        Number("a positive number", above=0),
        "Floor of the Gaussian likelihood's standard deviation.",
        doc="Floor of the Gaussian likelihood's standard deviation; with ``standardize`` it is a "
        "share of the feature's own (for images, of the range of all pixels). The "
        "components of a GM-VAE need none: in expectation their part of the bound is at most zero.",
        option=None,
    )
    standardize: bool = setting(
        True,
        Flag(),
        "Train the Gaussian likelihood in standard units.",
        doc="With the Gaussian likelihood, compute in standard units: of a table every feature's "
        "mean and standard deviation, of images the range of all pixels. They are taken from the "
        "training data, by the Trainer or by :meth:`fit_standardization`, and saved with the "
        "model. Data go in and come out in their own units, and so do bounds. False takes data as "
        "they are; a Bernoulli likelihood does always.",
        before=False,
    )
    encoder: nn.Module | str | None = setting(
        "mlp",
        OneOfOrModule(_NETWORKS),
        "mlp, or conv for images.",
        doc='``"mlp"``, ``"conv"``, which are convolutions over images of ``image_shape``, '
        f"{_OR_OWN} None is the MLP.",
        option_kind=OneOf(_NETWORKS),
        metavar="NAME",
        before="mlp",
        recorded=False,
    )
    decoder: nn.Module | str | None = setting(
        "mlp",
        OneOfOrModule(_NETWORKS),
        "mlp, or conv for images.",
        doc='``"mlp"``, ``"conv"``, which are transposed convolutions to images of '
        f"``image_shape``, {_OR_OWN} None is the MLP.",
        option_kind=OneOf(_NETWORKS),
        metavar="NAME",
        before="mlp",
        recorded=False,
    )
    image_shape: Sequence[int] | None = setting(
        None,
        ImageShape(),
        "Channels, height and width of an example.",
        doc="``(C, H, W)``, of examples that are images; ``(H, W)`` is of one channel. "
        "Convolutional networks need it. Data may come in that shape, without the channel where "
        "it is one, or flattened from it.",
        option=None,
        before=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_shape is not None and math.prod(self.image_shape) != self.input_dim:
            raise WrongValue(
                f"image_shape {tuple(self.image_shape)} is {math.prod(self.image_shape)} numbers "
                f"an example, and input_dim is {self.input_dim}; they must agree"
            )


@dataclass(kw_only=True)
class ModelOptions(NetworkOptions):
    """Of both models."""

    beta: float = setting(
        1.0,
        Number("a finite number >= 0", least=0),
        "Weight of all but the reconstruction.",
        doc="Weight of everything but the reconstruction in the training objective; of a VAE that "
        "is the KL divergence.",
    )
    num_samples: int = setting(1, Count(1), "Monte Carlo samples of w an example.")


@dataclass(kw_only=True)
class VAEOptions(ModelOptions):
    """Of the VAE."""

    MODEL: ClassVar = "vae"

    prior: nn.Module | Mapping[str, Any] | None = setting(
        None,
        ANYTHING,
        "None is N(0, I); otherwise a :class:`~pyvae.models.VampPrior`, or the ``config`` of one.",
        option="pseudo_inputs",
        recorded=False,
    )


@dataclass(kw_only=True)
class GMVAEOptions(ModelOptions):
    """Of the GM-VAE."""

    MODEL: ClassVar = "gmvae"

    num_components: int = setting(
        10, Count(1), "K, components of the mixture.", option="components", doc="K, values of z."
    )
    covariance: str = setting(
        "isotropic",
        OneOf(("isotropic", "diagonal")),
        "Of the components.",
        doc='``"isotropic"``, one variance a component, or ``"diagonal"``, one for each dimension.',
    )
    posterior: str = setting(
        "exact",
        OneOf(("exact", "amortized")),
        "q(z|w,x): p(z|w) itself, or a network.",
        doc='q(z | w, x): ``"exact"`` is p(z | w), which maximises the bound for a given w; '
        '``"amortized"`` is a network that sees w and x.',
    )
    closed_form: bool = setting(
        False,
        Flag(),
        "Expect log p(w|z) in closed form, as VaDE does.",
        doc="Take the expectation of log p(w | z) under q(w | x) in closed form (VaDE) and not at "
        "samples. The bound is then mean-field, with a q(z | x), and lower. With the exact "
        "posterior q(z | x) is the maximiser softmax_k(log pi_k + E_q(w|x) log N(w; mu_k, "
        "sigma_k^2)); VaDE's own choice, p(z | w) at a sample, is no better for any x and noisier.",
    )
    classifier: nn.Module | Mapping[str, Any] | None = setting(
        None,
        ANYTHING,
        "Clusters that are known, which the components begin at.",
        doc="Clusters that are known, which the components begin at, one for each: a module from "
        "examples, in their own units, to probabilities ``(N, K)``, a fitted estimator with "
        "``predict_proba``, as :class:`pyvae.clustering.InvariantClustering`, or the ``config`` of "
        "a built-in classifier; see :meth:`~pyvae.models.GMVAE.anchor`.",
        option=None,
        before=None,
        recorded=False,
    )
    learn_weights: bool = setting(
        False,
        Flag(),
        "Train the components' weights.",
        doc="Train pi, as the softmax of ``weight_logits``; False keeps it uniform.",
    )
