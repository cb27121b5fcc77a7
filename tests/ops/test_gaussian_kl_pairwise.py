# SPDX-License-Identifier: MIT
"""What only the KL divergences between two sets of Gaussians promise."""

from __future__ import annotations

import pytest
import torch

from pyvae import ops
from tests.ops.cases import CASES, each_dtype
from tests.ops.checks import check_case

CASE = next(case for case in CASES if case.name == "gaussian_kl_pairwise")
SIZES = ({"n": 9, "k": 9, "d": 3}, {"n": 70, "k": 70, "d": 65})
PER_COORDINATE = {torch.float32: 4e-7, torch.float64: 8e-16}


@each_dtype
def test_pairs_are_the_rows_of_gaussian_kl(dtype: torch.dtype) -> None:
    for size in ({"n": 5, "k": 37, "d": 7}, {"n": 70, "k": 4, "d": 33}):
        inputs = CASE.draw(size, dtype)
        mean_q, logvar_q = (inputs[name].unsqueeze(-2) for name in ("mean_q", "logvar_q"))
        want = ops.gaussian_kl(mean_q, logvar_q, inputs["mean_p"], inputs["logvar_p"])
        rtol = 2 * CASE.rtol[dtype]
        torch.testing.assert_close(CASE(**inputs)[0], want, rtol=rtol, atol=rtol)


@each_dtype
@pytest.mark.parametrize("shift", [-80.0, 0.0, 80.0])
def test_equals_are_zero_within_the_stated_bound(dtype: torch.dtype, shift: float) -> None:
    """The diagonal of a set against itself, whatever the scale and the offset."""
    for size in SIZES:
        inputs = CASE.draw(size, dtype)
        mean, logvar = 1e4 + inputs["mean_q"], shift + inputs["logvar_q"]
        kl = ops.gaussian_kl_pairwise(mean, logvar, mean, logvar)
        assert (kl >= 0).all()
        assert kl.diagonal().max() <= PER_COORDINATE[dtype] * size["d"]


@each_dtype
@pytest.mark.parametrize("gap", [1e-6, 1e-3, 1e-1])
def test_near_equals(dtype: torch.dtype, gap: float) -> None:
    """Never negative, and within the bound of the exact divergence of the same numbers."""
    for size in SIZES:
        inputs = CASE.draw(size, dtype)
        noise = gap * torch.randn_like(inputs["logvar_q"])
        inputs["mean_p"], inputs["logvar_p"] = inputs["mean_q"], inputs["logvar_q"] + noise
        kl = CASE(**inputs)[0].diagonal()
        exact = ops.gaussian_kl(*(tensor.double() for tensor in inputs.values()))
        assert (kl >= 0).all()
        assert (kl - exact).abs().max() <= PER_COORDINATE[dtype] * size["d"]


@each_dtype
@pytest.mark.parametrize("logvar_q", [-80.0, 80.0])
@pytest.mark.parametrize("logvar_p", [-80.0, 80.0])
def test_log_variances_of_both_signs(dtype: torch.dtype, logvar_q: float, logvar_p: float) -> None:
    if dtype == torch.float32 and logvar_q > logvar_p:
        pytest.skip("the value, e^160, is above the largest float32")
    inputs = CASE.draw({"n": 20, "k": 40, "d": 9}, dtype)
    inputs["logvar_q"] = inputs["logvar_q"] + logvar_q
    inputs["logvar_p"] = inputs["logvar_p"] + logvar_p
    if logvar_p < 0:  # the gap in units of p, or the gradient itself is out of range
        inputs["mean_q"], inputs["mean_p"] = inputs["mean_q"] * 0, inputs["mean_p"] * 0
    units = {"logvar_q": 1e2, "logvar_p": 1e2}
    check_case(CASE, inputs, f"{logvar_q} {logvar_p}", rtol=CASE.hard_rtol, units=units)


@each_dtype
def test_a_point_is_infinitely_far(dtype: torch.dtype) -> None:
    """A variance of zero or infinity in q, or an infinite mean, gives +inf and not NaN."""
    zero, one = torch.zeros(3, 2, dtype=dtype), torch.zeros(4, 2, dtype=dtype)
    for mean, logvar in ((0.0, -torch.inf), (0.0, torch.inf), (0.0, 800.0), (torch.inf, 0.0)):
        assert (ops.gaussian_kl_pairwise(zero + mean, zero + logvar, one, one) == torch.inf).all()


@each_dtype
@pytest.mark.parametrize("name", ["mean_q", "logvar_q", "mean_p", "logvar_p"])
def test_nan_stays_in_its_row_or_column(dtype: torch.dtype, name: str) -> None:
    inputs = CASE.draw({"n": 21, "k": 35, "d": 9}, dtype)
    clean = CASE(**inputs)[0]
    inputs[name][4, 3] = torch.nan
    got = CASE(**inputs)[0]
    if name.endswith("p"):
        got, clean = got.T, clean.T
    rows = torch.arange(len(got)) == 4
    assert got[rows].isnan().all()
    rtol = CASE.rtol[dtype]  # a NaN mean leaves another centre
    torch.testing.assert_close(got[~rows], clean[~rows], rtol=rtol, atol=rtol)
