# SPDX-License-Identifier: MIT
"""Loading a saved model without naming its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from pyvae.errors import WrongValue
from pyvae.models import files, hub
from pyvae.models.gmvae import GMVAE
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.vae import VAE

_MODELS: dict[str, type[LatentVariableModel]] = {model.__name__: model for model in (VAE, GMVAE)}


def from_pretrained(
    path: str | Path,
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    classifier: Any = None,
    revision: str | None = None,
) -> LatentVariableModel:
    """Load the VAE or GMVAE saved in the folder ``path``, or that of the run there.

    Parameters, result and errors are those of
    :meth:`~pyvae.models.LatentVariableModel.from_pretrained`; a class of your own has that method
    too, and is not known here.

    Parameters
    ----------
    path
        The folder that ``save_pretrained`` wrote, or that of a finished run; or ``"user/model"`` of
        the Hugging Face Hub.
    encoder, decoder, classifier
        What of your own the model was built with.
    revision
        Branch, tag or commit on the Hub.

    Returns
    -------
    The model, on the CPU and in eval mode.

    Examples
    --------
    >>> import tempfile
    >>> from pyvae.models import GMVAE, from_pretrained
    >>> model = GMVAE(64, 2, num_components=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save_pretrained(folder)
    ...     from_pretrained(folder).config == model.config
    True
    """
    folder = files.model_folder(hub.local(path, revision))
    name = files.read_config(folder)["model"]
    if name not in _MODELS:
        raise WrongValue(
            f"{folder} holds a {name}, which is none of {', '.join(_MODELS)}; "
            f"load it with {name}.from_pretrained"
        )
    return _MODELS[name].from_pretrained(
        folder, encoder=encoder, decoder=decoder, classifier=classifier
    )
