# SPDX-License-Identifier: MIT
"""Mixtures by other libraries: scikit-learn, and JAX and KeOps, which may be missing."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module
from typing import Any

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from benchmarks.peers.mixtures import LOG_2PI, by_products, elbo_terms
from benchmarks.variants import (
    SCIKIT,
    STUDENT_T,
    Call,
    Inputs,
    Unavailable,
    Variant,
    torch_call,
)
from tests.ops.draws import Size

_NEVER = 1e-300  # of a tolerance that has to be above zero


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


def student_t(size: Size) -> Variant:
    """Make the variant by studenttmixture, which keeps a fit only where it has converged."""

    def prepare(inputs: Inputs, _: bool) -> Call:
        library, x = import_module("studenttmixture"), inputs["x"].double().numpy()

        def call() -> tuple[float]:
            mixture = library.EMStudentMixture(
                size["k"], tol=_NEVER, max_iter=size["i"], fixed_df=False, init_type="kmeans"
            )
            return (float(mixture.fitting_restart(x, 0)[0]),)

        return call

    return Variant(
        STUDENT_T, prepare, backward=False, runtime="numpy", package="studenttmixture",
        devices=("cpu",),
    )  # fmt: skip


def by_jax(form: str, formula: Callable[[Any], Callable], *letters: str) -> Variant:
    """Make the variant under ``jax.jit`` of the function that ``formula`` gives for JAX."""

    def prepare(inputs: Inputs, backward: bool) -> Call:
        on_cpu = all(tensor.is_cpu for tensor in inputs.values())
        if on_cpu and torch.get_num_threads() != os.cpu_count():
            raise Unavailable("JAX takes every core, and this run does not")
        jax, device = _jax("cpu" if on_cpu else "gpu")
        function = formula(jax)
        if backward:
            positions = tuple(range(len(inputs)))
            function = jax.value_and_grad(partial(_total, function), argnums=positions)
        compiled = jax.jit(function)
        arrays = [jax.device_put(tensor.cpu().numpy(), device) for tensor in inputs.values()]

        def call() -> tuple[Any, ...]:
            results = jax.block_until_ready(compiled(*arrays))
            return results[1] if backward else _as_tuple(results)

        return call

    return Variant(
        f"jax.jit, {form}", prepare, (letters[0], letters[-1]), compiles=True, runtime="jax",
        package="jax",
    )  # fmt: skip


def _jax(platform: str) -> tuple[Any, Any]:
    """Give JAX and its device; on a GPU it leaves torch the memory that it does not need."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # read when it is imported
    jax = import_module("jax")
    try:
        return jax, jax.devices(platform)[0]
    except RuntimeError:
        raise Unavailable(f"jax is installed without a {platform.upper()}'s kernels") from None


def _total(function: Callable, *arguments: Any) -> Any:
    return sum(result.sum() for result in _as_tuple(function(*arguments)))


def _as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _jax_log_prob(jax: Any) -> Callable:
    def log_prob(*mixture: Any) -> Any:
        with jax.default_matmul_precision("highest"):  # a GPU's products are TF32 otherwise
            joint = by_products(*mixture, exp=jax.numpy.exp)
        return jax.scipy.special.logsumexp(joint, axis=-1)

    return log_prob


def _jax_elbo_terms(jax: Any) -> Callable:
    return partial(elbo_terms, exp=jax.numpy.exp, log_softmax=jax.nn.log_softmax)


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
JAX_LOG_PROB = by_jax("GEMM form", _jax_log_prob, "nk")
JAX_ELBO_TERMS = by_jax("formula", _jax_elbo_terms, "nk", "nkd")
KEOPS = Variant("KeOps", _keops_log_prob, compiles=True, package="pykeops")
