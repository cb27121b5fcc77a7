# SPDX-License-Identifier: MIT
"""Exported programs in plain torch, which run where pyvae is not installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from pyvae.errors import WrongValue
from pyvae.models import Autoencoder
from pyvae.ops.compiled import CompiledOp, Tensors, as_tuple, single
from pyvae.ops.registration import REGISTERED

__all__ = ["ANSWERS", "decompositions", "plain_program"]

# What a model answers in service, and what the results are called; the noise of a bound is not.
ANSWERS = {
    "encode": ("mean", "logvar"),
    "decode": ("x_mean",),
    "predict": ("component",),
    "predict_proba": ("probabilities",),
}


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Every op of ours in operations of torch's.

    A table for ``ExportedProgram.run_decompositions``, ``make_fx`` and whatever else takes one. The
    formulas are those that the ops are tested against; they write the ``(N, K, D)`` tensor that the
    kernels avoid. A decomposed program has its gradients by torch's own rules.

    Returns
    -------
    Functions by the registered ops, ``torch.ops.pyvae.*.default``.

    Examples
    --------
    >>> import torch
    >>> from pyvae import mixture_log_prob
    >>> class Density(torch.nn.Module):
    ...     def forward(self, x):
    ...         return mixture_log_prob(x, torch.zeros(1), torch.zeros(1, 2), torch.zeros(1, 2))
    >>> program = torch.export.export(Density(), (torch.zeros(3, 2),))
    >>> program.run_decompositions(decompositions()).module()(torch.zeros(3, 2))
    tensor([-1.8379, -1.8379, -1.8379])
    """
    return {op.kernel: partial(_in_plain_torch, op) for op in REGISTERED.values()}


def plain_program(model: Autoencoder, answer: str, example: Tensor) -> ExportedProgram:
    """Export one of a model's answers, for batches of any size, without our ops.

    Parameters
    ----------
    model
        As it is to be in service: call ``eval()`` first where a network of yours has a use for it.
    answer
        ``"encode"``, ``"decode"``, ``"predict"`` or ``"predict_proba"``.
    example
        Two or more rows of what the answer takes, in their dtype.

    Returns
    -------
    A program of one input; of its results, ``ANSWERS`` has the names. Saved by
    ``torch.export.save``, it is loaded and run by torch alone.

    Raises
    ------
    ValueError
        If the model has no such answer, or the example has less than two rows.

    Examples
    --------
    >>> import torch
    >>> from pyvae.models import VAE
    >>> program = plain_program(VAE(16, 2, hidden=(8,)), "encode", torch.rand(2, 16))
    >>> mean, logvar = program.module()(torch.rand(7, 16))
    >>> mean.shape
    torch.Size([7, 2])
    """
    known = [name for name in ANSWERS if hasattr(model, name)]
    if answer not in known:
        raise WrongValue(
            f"plain_program: answer is {answer!r}; a {type(model).__name__} has {', '.join(known)}"
        )
    if len(example) < 2:
        raise WrongValue(
            f"plain_program: the example has {len(example)} rows, and export takes the number of "
            "rows for fixed below two; pass two or more"
        )
    with torch.no_grad():
        program = export(_Answer(model, answer), (example,), dynamic_shapes=({0: Dim("n")},))
        return program.run_decompositions(decompositions())


class _Answer(nn.Module):
    def __init__(self, model: Autoencoder, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x: Tensor) -> Any:
        return getattr(self.model, self.name)(x)


def _in_plain_torch(op: CompiledOp, *tensors: Tensor) -> Tensor | Tensors:
    """All results of an op; those that are kept for its backward kernel, which is left out, NaN."""
    dtype = tensors[0].dtype
    if torch.float64 in op.result_dtypes:  # sums, which the kernels take in it
        results = as_tuple(op.reference(*(t.double() for t in tensors)))
    else:
        results = as_tuple(op.reference(*tensors))
    shaped = op.signature.fake_results(tensors, op.result_dtypes)[op.returned :]
    kept = [torch.full_like(empty, torch.nan) for empty in shaped]
    dtypes = (own or dtype for own in op.result_dtypes)
    return single(tuple(r.to(d) for r, d in zip((*results, *kept), dtypes, strict=True)))
