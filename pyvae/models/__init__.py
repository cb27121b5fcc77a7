# SPDX-License-Identifier: MIT
"""Latent-variable models on the ops: the VAE, the beta-VAE and the Gaussian-mixture VAE."""

from __future__ import annotations

from pyvae.models.anchored_encoder import AnchoredEncoder
from pyvae.models.autoencoder import Autoencoder
from pyvae.models.conv_decoder import ConvDecoder
from pyvae.models.conv_encoder import ConvEncoder
from pyvae.models.elbo import Elbo
from pyvae.models.gmvae import GMVAE
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.mlp import MLP
from pyvae.models.registry import from_pretrained
from pyvae.models.vae import VAE
from pyvae.models.vamp_prior import VampPrior

__all__ = [
    "GMVAE",
    "MLP",
    "VAE",
    "AnchoredEncoder",
    "Autoencoder",
    "ConvDecoder",
    "ConvEncoder",
    "Elbo",
    "LatentVariableModel",
    "VampPrior",
    "from_pretrained",
]
