# SPDX-License-Identifier: MIT
"""Mixtures by other libraries: scikit-learn, and JAX and KeOps, which may be missing."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from benchmarks.peers.mixtures import LOG_2PI, by_products
from benchmarks.variants import SCIKIT, Call, Inputs, Unavailable, Variant, torch_call


def by_scikit(prepare: Callable[[Inputs], Call], comparable: bool = True) -> Variant:
    """Make the variant by scikit-learn, which has no gradients."""
    return Variant(
        SCIKIT, lambda inputs, _: prepare(inputs), ("nk", "nk"), backward=False,
        comparable=comparable, runtime="numpy", devices=("cpu",),
    )  # fmt: skip


def _mixture(inputs: Inputs) -> tuple[Any, Any]:
    """Give a fitted mixture with these parameters, and the points."""
    means = inputs["means"].numpy()
    full = "scale_trils" in inputs
    estimator: Any = GaussianMixture(len(means), covariance_type="full" if full else "diag")
    estimator.weights_ = inputs["log_weights"].exp().numpy()
    estimator.means_ = means
    estimator.n_features_in_ = means.shape[1]
    if full:
        inverse = torch.linalg.inv(inputs["scale_trils"].double())
        estimator.precisions_cholesky_ = inverse.mT.float().contiguous().numpy()
        estimator.covariances_ = inputs["scale_trils"] @ inputs["scale_trils"].mT
    else:
        estimator.precisions_cholesky_ = torch.exp(-0.5 * inputs["logvars"]).numpy()
        estimator.covariances_ = inputs["logvars"].exp().numpy()
    return estimator, inputs["x"].numpy()


def _score(inputs: Inputs) -> Call:
    estimator, x = _mixture(inputs)
    return lambda: (estimator.score_samples(x),)


def _step(inputs: Inputs) -> Call:
    """Prepare one E step and one M step; the parameters are set back after each."""
    estimator, x = _mixture(inputs)
    start = dict(vars(estimator))

    def call() -> tuple[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mean_log_prob, log_responsibilities = estimator._e_step(x)
            estimator._m_step(x, log_responsibilities)
        vars(estimator).update(start)
        return (mean_log_prob,)

    return call


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


def _keops_log_prob(inputs: Inputs, backward: bool) -> Call:
    """Prepare the log-density as a KeOps reduction over symbolic (N, K) and (N, K, D) tensors."""
    with redirect_stdout(io.StringIO()):  # it greets every machine without a GPU
        import_module("pykeops").set_verbose(False)
    lazy = import_module("pykeops.torch").LazyTensor

    def log_prob(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
        constant = log_weights - 0.5 * (logvars.sum(-1) + x.shape[-1] * LOG_2PI)
        points, centres = lazy(x[:, None, :]), lazy(means[None])
        precision = lazy(torch.exp(-logvars)[None])
        distance = ((points - centres) ** 2 * precision).sum(-1)
        joint = lazy(constant[None, :, None]) - 0.5 * distance
        return joint.logsumexp(dim=1).squeeze(-1)

    return torch_call(log_prob, inputs, backward)


SCORE, STEP = by_scikit(_score), by_scikit(_step, comparable=False)
JAX = Variant(
    "jax.jit, GEMM form", _jax_log_prob, ("nk", "nk"), compiles=True, runtime="jax",
    package="jax", devices=("cpu",),
)  # fmt: skip
KEOPS = Variant("KeOps", _keops_log_prob, compiles=True, package="pykeops")
