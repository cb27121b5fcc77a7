# SPDX-License-Identifier: MIT
"""Mixtures with full covariances: scipy, their diagonal and tied forms, and hard factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from pyvae import ops
from tests.ops.cases import DTYPES, MIXTURE_CASES, OpCase, each_dtype
from tests.ops.checks import check_case, gradients

SIZE = {"n": 70, "k": 9, "d": 7}
FULL = tuple(case for case in MIXTURE_CASES if case.spread == "scale_trils")
each_full = pytest.mark.parametrize("case", FULL, ids=lambda case: case.name)
RTOL = {torch.float32: 1e-5, torch.float64: 1e-12}


def _draw(dtype: torch.dtype, *, tied: bool = False) -> dict[str, Tensor]:
    case = FULL[1 if tied else 0]
    return case.draw(SIZE, dtype)


@pytest.mark.parametrize("tied", [False, True])
def test_density_is_scipys(tied: bool) -> None:
    inputs = _draw(torch.float64, tied=tied)
    factors = inputs["scale_trils"].expand(SIZE["k"], -1, -1)
    columns = [
        stats.multivariate_normal(mean.numpy(), (factor @ factor.mT).numpy()).logpdf(inputs["x"])
        for mean, factor in zip(inputs["means"], factors, strict=True)
    ]
    joint = np.stack(columns, axis=1) + inputs["log_weights"].numpy()
    log_posterior, log_prob = ops.mixture_posterior_tril(**inputs)
    np.testing.assert_allclose(log_prob, special.logsumexp(joint, axis=1), rtol=1e-12)
    np.testing.assert_allclose(log_posterior, special.log_softmax(joint, axis=1), atol=1e-11)
    np.testing.assert_allclose(ops.mixture_log_prob_tril(**inputs), log_prob, rtol=1e-14)


@each_dtype
def test_diagonal_factors_are_the_diagonal_op(dtype: torch.dtype) -> None:
    inputs = _draw(dtype)
    scales = torch.diagonal(inputs.pop("scale_trils"), dim1=-2, dim2=-1)
    got = ops.mixture_posterior_tril(**inputs, scale_trils=torch.diag_embed(scales))
    want = ops.mixture_posterior(**inputs, logvars=2.0 * scales.log())
    for have, truth in zip(got, want, strict=True):
        torch.testing.assert_close(have, truth, rtol=RTOL[dtype], atol=10 * RTOL[dtype])
    sums = ops.mixture_statistics_tril(**inputs, scale_trils=torch.diag_embed(scales))
    want = ops.mixture_statistics(**inputs, logvars=2.0 * scales.log())
    torch.testing.assert_close(sums.sum_dx, want.sum_dx, rtol=1e-4, atol=1e2 * RTOL[dtype])
    squares = torch.diagonal(sums.sum_dx2, dim1=-2, dim2=-1)
    torch.testing.assert_close(squares, want.sum_dx2, rtol=1e-4, atol=1e2 * RTOL[dtype])


@each_dtype
def test_tied_is_every_component_with_the_same_factor(dtype: torch.dtype) -> None:
    """Values are the same, the gradient of the factor is the sum of theirs."""
    inputs = _draw(dtype, tied=True)
    spread = {**inputs, "scale_trils": inputs["scale_trils"].expand(SIZE["k"], -1, -1)}
    for tied in (FULL[1], FULL[3]):
        for have, truth in zip(tied(**inputs), tied(**spread), strict=True):
            torch.testing.assert_close(have, truth, rtol=RTOL[dtype], atol=10 * RTOL[dtype])
        got, want = gradients(tied, inputs), gradients(tied, spread)
        want["scale_trils"] = want["scale_trils"].sum(0, keepdim=True)
        for name, have in got.items():
            torch.testing.assert_close(have, want[name], rtol=1e-4, atol=1e2 * RTOL[dtype])
    sums, want = (ops.mixture_statistics_tril(**i) for i in (inputs, spread))
    torch.testing.assert_close(
        sums.sum_dx2, want.sum_dx2.sum(0, keepdim=True), rtol=1e-4, atol=1e2 * RTOL[dtype]
    )


@each_dtype
def test_a_change_of_coordinates_changes_nothing_but_the_volume(dtype: torch.dtype) -> None:
    """p(Ax) = p(x) / det A, with A triangular so that A L is a Cholesky factor again."""
    inputs = _draw(dtype)
    change = FULL[1].draw(SIZE, dtype, seed=3)["scale_trils"][0]
    moved = {
        "x": inputs["x"] @ change.mT,
        "log_weights": inputs["log_weights"],
        "means": inputs["means"] @ change.mT,
        "scale_trils": change @ inputs["scale_trils"],
    }
    want = ops.mixture_log_prob_tril(**inputs) - change.diagonal().log().sum()
    got = ops.mixture_log_prob_tril(**moved)
    torch.testing.assert_close(got, want, rtol=10 * RTOL[dtype], atol=10 * RTOL[dtype])


@each_dtype
@each_full
def test_scales_far_from_one(case: OpCase, dtype: torch.dtype) -> None:
    """Standard deviations of 1e-12 and 1e12: nothing is squared before it is scaled."""
    for scale in (1e-12, 1e12):
        inputs = case.draw(SIZE, torch.float64)
        for name in ("x", "means", "scale_trils"):
            inputs[name] = scale * inputs[name]
        units = {"x": 1.0 / scale, "means": 1.0 / scale, "scale_trils": 1.0 / scale}
        inputs = {name: tensor.to(dtype) for name, tensor in inputs.items()}
        check_case(case, inputs, f"scale {scale}", rtol=case.hard_rtol, units=units)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_negative_diagonal_gives_nan(dtype: torch.dtype) -> None:
    inputs = _draw(dtype)
    inputs["scale_trils"][3, 2, 2] = -1.0
    assert ops.mixture_log_prob_tril(**inputs).isnan().all()
    inputs["log_weights"][3] = -torch.inf
    assert ops.mixture_log_prob_tril(**inputs).isfinite().all()


@each_dtype
@each_full
def test_many_points_in_large_dimensions(case: OpCase, dtype: torch.dtype) -> None:
    """More than one slab of points, at dimensions where a slab is a few groups wide."""
    for size in ({"n": 700, "k": 2, "d": 130}, {"n": 2100, "k": 3, "d": 5}):
        check_case(case, case.draw(size, dtype), size)
