# SPDX-License-Identifier: MIT
"""ONNX files of what a model answers, for onnxruntime and others that know nothing of torch."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.integrations.export import ANSWERS, plain_program
from pyvae.models import Autoencoder

__all__ = ["save_onnx"]

_NEEDED = ("onnx", "onnxscript")  # by torch's exporter


def save_onnx(
    model: Autoencoder, answer: str, example: Tensor, path: str | os.PathLike[str]
) -> None:
    """Write one of a model's answers as an ONNX file, for batches of any size.

    Parameters
    ----------
    model, answer, example
        As of :func:`pyvae.integrations.export.plain_program`, and so are its errors.
    path
        Of the file, which holds the weights too: up to two gigabytes, as ONNX allows.

    Raises
    ------
    ValueError
        If ``onnx`` or ``onnxscript``, by which torch writes such files, is not installed.

    Notes
    -----
    The input is called ``x``, or ``w`` of ``decode``; the outputs are ``mean`` and ``logvar`` of
    ``encode``, ``x_mean`` of ``decode``, ``component`` of ``predict`` and ``probabilities`` of
    ``predict_proba``. Not every runtime has every operation in float64: onnxruntime has no
    convolution there, so convert such a model with ``.float()`` first.

    Examples
    --------
    >>> import onnxruntime, tempfile
    >>> from pyvae.models import GMVAE
    >>> model = GMVAE(16, 2, num_components=3, hidden=(8,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_onnx(model, "predict_proba", torch.rand(2, 16), f"{folder}/model.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    >>> session.run(["probabilities"], {"x": torch.rand(7, 16).numpy()})[0].shape
    (7, 3)
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WrongValue(
            f"save_onnx: {' and '.join(missing)} not installed; pip install 'pyvae[onnx]'"
        )
    program = plain_program(model, answer, example)
    torch.onnx.export(
        program,
        f=path,
        input_names=["w" if answer == "decode" else "x"],
        output_names=list(ANSWERS[answer]),
        external_data=False,
        verbose=False,
    )
