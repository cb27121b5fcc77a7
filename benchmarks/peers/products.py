# SPDX-License-Identifier: MIT
"""Mixtures of products elsewhere: StepMix, which may be missing, and EM in plain torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from benchmarks.fit_points import families
from benchmarks.peers.textbook import e_step, textbook
from benchmarks.variants import STEPMIX, Call, Inputs, Variant
from tests.ops.draws import Size

_MODELS = {"gaussian": "gaussian_diag", "bernoulli": "binary", "categorical": "categorical"}


def by_stepmix(measurement: str | Mapping[str, Any], size: Size) -> Variant:
    """Make the variant by StepMix; its measurement names the families of columns."""

    def prepare(inputs: Inputs, _: bool) -> Call:
        library, x = import_module("stepmix"), inputs["x"].double().numpy()

        def call() -> tuple[Any, ...]:
            found = library.StepMix(
                size["k"], measurement=measurement, max_iter=size["i"], abs_tol=0.0, rel_tol=0.0,
                init_params="random", random_state=0, progress_bar=0,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that so few iterations did not converge
                found.fit(x)
            return (float(found.lower_bound_),)

        return call

    return Variant(
        STEPMIX, prepare, backward=False, runtime="numpy", package="stepmix", devices=("cpu",)
    )


def binary(size: Size) -> tuple[Variant, ...]:
    """Give who fits a mixture of Bernoulli distributions."""
    return by_stepmix("binary", size), textbook(_of_ones, size)


def categorical(size: Size) -> tuple[Variant, ...]:
    """Give who fits a mixture of distributions over categories."""
    return by_stepmix("categorical", size), textbook(_of_codes, size)


def mixed(size: Size) -> tuple[Variant, ...]:
    """Give who fits a mixture to tables of columns of several families."""
    columns, models = families(size["d"]), _MODELS.items()
    parts = {
        family: {"model": model, "n_columns": columns.count(family)} for family, model in models
    }
    return (by_stepmix(parts, size),)


def _of_ones(inputs: Inputs, size: Size) -> float:
    """Fit Bernoulli distributions (Bishop 2006, section 9.3.3)."""
    x = inputs["x"]
    return _latent_classes(torch.stack([1.0 - x, x], 2), size)


def _of_codes(inputs: Inputs, size: Size) -> float:
    """Fit distributions over categories (Goodman 1974)."""
    return _latent_classes(torch.nn.functional.one_hot(inputs["x"].long()).float(), size)


def _latent_classes(hot: Tensor, size: Size) -> float:
    """Fit probabilities of indicators ``(N, D, C)``, of which a column of a point has one."""
    n, k = len(hot), size["k"]
    hot = hot.flatten(1)
    shares = torch.rand(n, k, generator=torch.Generator().manual_seed(0))
    shares /= shares.sum(1, keepdim=True)
    reached = math.nan
    for _ in range(size["i"]):
        counts = shares.sum(0)
        p = (shares.T @ hot / counts[:, None]).clamp_min(1e-15)
        shares, reached = e_step(hot @ p.log().T + (counts / n).log())
    return reached
