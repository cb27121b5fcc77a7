# SPDX-License-Identifier: MIT
"""Peers that need a package of their own: JAX and KeOps."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.mixtures import LOG_2PI, by_products
from benchmarks.variants import Inputs, Unavailable, Variant


def _jax_log_prob(inputs: Inputs, backward: bool) -> Any:
    """Prepare the GEMM form of the log-density under ``jax.jit``."""
    if torch.get_num_threads() != os.cpu_count():
        raise Unavailable("JAX takes every core, and this run does not")
    jax = import_module("jax")

    def log_prob(*mixture: Any) -> Any:
        joint = by_products(*mixture, exp=jax.numpy.exp)
        return jax.scipy.special.logsumexp(joint, axis=-1)

    function: Any = log_prob
    if backward:
        function = jax.value_and_grad(lambda *a: log_prob(*a).sum(), argnums=(0, 1, 2, 3))
    compiled = jax.jit(function)
    arrays = [jax.device_put(tensor.numpy(), jax.devices("cpu")[0]) for tensor in inputs.values()]

    def call() -> tuple[Any, ...]:
        results = jax.block_until_ready(compiled(*arrays))
        return results[1] if backward else (results,)

    return call


def _keops_log_prob(inputs: Inputs, backward: bool) -> Any:
    """Prepare the log-density as a KeOps reduction over symbolic (N, K) and (N, K, D) tensors."""
    with redirect_stdout(io.StringIO()):  # it greets every machine without a GPU
        import_module("pykeops").set_verbose(False)
    lazy = import_module("pykeops.torch").LazyTensor
    leaves = [tensor.clone().requires_grad_(backward) for tensor in inputs.values()]

    def log_prob(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
        constant = log_weights - 0.5 * (logvars.sum(-1) + x.shape[-1] * LOG_2PI)
        points, centres = lazy(x[:, None, :]), lazy(means[None])
        precision = lazy(torch.exp(-logvars)[None])
        distance = ((points - centres) ** 2 * precision).sum(-1)
        joint = lazy(constant[None, :, None]) - 0.5 * distance
        return joint.logsumexp(dim=1).squeeze(-1)

    def call() -> tuple[Any, ...]:
        if not backward:
            return (log_prob(*leaves),)
        return torch.autograd.grad(log_prob(*leaves).sum(), leaves)

    return call


JAX = Variant(
    "jax.jit, GEMM form",
    _jax_log_prob,
    ("nk", "nk"),
    compiles=True,
    runtime="jax",
    package="jax",
    devices=("cpu",),
)
KEOPS = Variant("KeOps", _keops_log_prob, compiles=True, package="pykeops")
