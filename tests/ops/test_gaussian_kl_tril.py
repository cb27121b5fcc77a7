# SPDX-License-Identifier: MIT
"""What only the KL divergence of Gaussians with full covariances promises."""

from __future__ import annotations

import mpmath
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from pyvae import ops
from tests.ops.cases import CASES, TAIL_SIZES, each_dtype
from tests.ops.checks import check_case

CASE = next(case for case in CASES if case.name == "gaussian_kl_tril")
EPSILON = {torch.float32: 6e-8, torch.float64: 1.2e-16}


def _arguments(n: int, d: int, dtype: torch.dtype) -> list[Tensor]:
    return list(CASE.draw({"n": n, "d": d}, dtype).values())


@each_dtype
def test_zero_between_equals(dtype: torch.dtype) -> None:
    """Exactly zero, with gradients of exactly zero, at any scale and offset."""
    for size in TAIL_SIZES:
        for scale in (1.0, 1e-12, 1e12):
            mean, tril = _arguments(21, size, dtype)[:2]
            mean, tril = 1e4 + mean, scale * tril
            arguments = [t.clone().requires_grad_() for t in (mean, tril, mean, tril)]
            kl = ops.gaussian_kl_tril(*arguments)
            assert (kl == 0).all(), (size, scale)
            for gradient in torch.autograd.grad(kl.sum(), arguments):
                assert (gradient == 0).all(), (size, scale)


@each_dtype
@pytest.mark.parametrize("gap", [0.5, 0.3, 1e-1, 1e-3, 1e-5, -0.25, -1e-1, -1e-3, -0.9, 50.0])
def test_digits_of_the_scales(dtype: torch.dtype, gap: float) -> None:
    """(m^2 - 1)/2 - log m keeps its relative accuracy near m = 1 and far from it."""
    scale_q = torch.tensor([[[1.0 + gap]]], dtype=dtype)
    one, zero = torch.ones(1, 1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype)
    got = ops.gaussian_kl_tril(zero, scale_q, zero, one).item()
    with mpmath.workdps(50):
        m = mpmath.mpf(scale_q.item())
        want = float((m**2 - 1) / 2 - mpmath.log(m))
    assert got == pytest.approx(want, rel=(16 if abs(gap) < 0.29 else 32) * EPSILON[dtype])


@each_dtype
def test_never_negative(dtype: torch.dtype) -> None:
    for gap in (1e-7, 1e-4, 1e-2, 1.0):
        for size in (1, 3, 20):
            mean, tril = _arguments(500, size, dtype)[:2]
            noise = gap * torch.randn(500, size, size, dtype=dtype).tril()
            moved = torch.where(torch.eye(size, dtype=torch.bool), tril * (1 + noise).abs(), tril)
            assert (ops.gaussian_kl_tril(mean, moved, mean, tril) >= 0).all(), (gap, size)


@each_dtype
@pytest.mark.parametrize("scale_q", [-80.0, 0.0, 80.0])
@pytest.mark.parametrize("scale_p", [-80.0, 0.0, 80.0])
def test_log_variances_of_eighty(dtype: torch.dtype, scale_q: float, scale_p: float) -> None:
    if dtype == torch.float32 and scale_p < scale_q - 40.0 and scale_p < 0.0:
        pytest.skip("the value, e^160, or a gradient is above the largest float32")
    for size in (5, 40):
        inputs = CASE.draw({"n": 20, "d": size}, dtype)
        inputs["scale_tril_q"] *= torch.exp(torch.tensor(0.5 * scale_q)).to(dtype)
        inputs["scale_tril_p"] *= torch.exp(torch.tensor(0.5 * scale_p)).to(dtype)
        if scale_p < 0:  # the gap in units of p, or the gradient itself is out of range
            inputs["mean_q"] = inputs["mean_p"].clone()
        check_case(CASE, inputs, f"{scale_q} {scale_p} {size}", rtol=CASE.hard_rtol)


@each_dtype
@pytest.mark.parametrize("size", [3, 8, 17, 40])
def test_nothing_above_the_diagonal_counts(dtype: torch.dtype, size: int) -> None:
    clean = _arguments(9, size, dtype)
    above = torch.ones(size, size).triu(1).bool()
    spoilt = [torch.where(above, torch.nan, t) if t.ndim == 3 else t.clone() for t in clean]
    clean = [t.requires_grad_() for t in clean]
    spoilt = [t.requires_grad_() for t in spoilt]
    want, got = ops.gaussian_kl_tril(*clean), ops.gaussian_kl_tril(*spoilt)
    assert torch.equal(got, want)
    pairs = zip(
        torch.autograd.grad(got.sum(), spoilt), torch.autograd.grad(want.sum(), clean), strict=True
    )
    for have, truth in pairs:
        assert torch.equal(have, truth)
        assert have.ndim < 3 or (have[:, above] == 0).all()


@each_dtype
@pytest.mark.parametrize("size", [3, 17, 33])
@pytest.mark.parametrize("value", [0.0, -1.0, torch.nan])
@pytest.mark.parametrize("index", [1, 3])
def test_bad_diagonals_spoil_their_entry_alone(
    dtype: torch.dtype, index: int, value: float, size: int
) -> None:
    clean = [t.requires_grad_() for t in _arguments(37, size, dtype)]
    bad = [t.detach().clone() for t in clean]
    rows = torch.arange(37) % 9 == 4
    bad[index][rows, 2, 2] = value
    bad = [t.requires_grad_() for t in bad]
    want, got = ops.gaussian_kl_tril(*clean), ops.gaussian_kl_tril(*bad)
    assert got[rows].isnan().all()
    assert torch.equal(got[~rows], want[~rows])
    lower = torch.ones(size, size).tril().bool()
    pairs = zip(
        torch.autograd.grad(got.sum(), bad), torch.autograd.grad(want.sum(), clean), strict=True
    )
    for have, truth in pairs:
        assert torch.equal(have[~rows], truth[~rows])
        assert (have[rows] if have.ndim < 3 else have[rows][:, lower]).isnan().all()


@each_dtype
@pytest.mark.parametrize("index", range(4))
def test_nan_stays_in_its_entry(dtype: torch.dtype, index: int) -> None:
    for size in (1, 2, 3, 8, 17):
        arguments = _arguments(41, size, dtype)
        clean = ops.gaussian_kl_tril(*arguments)
        arguments[index][4].fill_(torch.nan)
        got = ops.gaussian_kl_tril(*(t.requires_grad_() for t in arguments))
        rows = torch.arange(41) == 4
        assert got[rows].isnan().all()
        assert torch.equal(got[~rows], clean[~rows])
        by_tril_q = torch.autograd.grad(got.sum(), arguments)[1]
        assert by_tril_q.isnan().any() == (index in (1, 3)), size  # means do not reach it


@each_dtype
def test_diagonal_factors_are_the_diagonal_op(dtype: torch.dtype) -> None:
    for size in (1, 8, 20):
        mean_q, logvar_q, mean_p, logvar_p = torch.randn(4, 30, size, dtype=dtype)
        factors = [torch.diag_embed((0.5 * logvar).exp()) for logvar in (logvar_q, logvar_p)]
        got = ops.gaussian_kl_tril(mean_q, factors[0], mean_p, factors[1])
        want = ops.gaussian_kl(mean_q, logvar_q, mean_p, logvar_p)
        torch.testing.assert_close(got, want, rtol=20 * EPSILON[dtype], atol=20 * EPSILON[dtype])


@pytest.mark.parametrize("size", [3, 20])
def test_invariant_under_affine_maps(size: int) -> None:
    """KL does not change when x -> A x + b, A lower triangular, maps both distributions."""
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        mean_q, tril_q, mean_p, tril_p = _arguments(30, size, dtype)
        shift, map_ = _arguments(1, size, dtype)[:2]
        moved = [(map_ @ m.unsqueeze(-1)).squeeze(-1) + shift for m in (mean_q, mean_p)]
        got = ops.gaussian_kl_tril(moved[0], map_ @ tril_q, moved[1], map_ @ tril_p)
        want = ops.gaussian_kl_tril(mean_q, tril_q, mean_p, tril_p)
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_textbooks_formula_in_fifty_digits(size: int) -> None:
    """1/2 (tr(S_p^-1 S_q) + gap' S_p^-1 gap - D + log |S_p| / |S_q|), of the very same numbers."""
    arguments = _arguments(4, size, torch.float64)
    got = ops.gaussian_kl_tril(*arguments)
    with mpmath.workdps(50):
        for row, value in enumerate(got.tolist()):
            mean_q, tril_q, mean_p, tril_p = (mpmath.matrix(a[row].tolist()) for a in arguments)
            cov_q, cov_p = tril_q * tril_q.T, tril_p * tril_p.T
            inverse, gap = cov_p**-1, mean_p - mean_q
            trace = mpmath.fsum((inverse * cov_q)[i, i] for i in range(size))
            volume = mpmath.log(mpmath.det(cov_p) / mpmath.det(cov_q))
            want = (trace + (gap.T * inverse * gap)[0] - size + volume) / 2
            assert abs(value - want) < 1e-13 * max(1, abs(want)), (size, row)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_mean_log_ratio_of_scipys_densities(size: int) -> None:
    """Monte Carlo: KL(q || p) = E_q[log q - log p]."""
    mean_q, tril_q, mean_p, tril_p = (a[0] for a in _arguments(1, size, torch.float64))
    noise = torch.randn(200_000, size, dtype=torch.float64)
    x = mean_q + noise @ tril_q.T
    q, p = (
        multivariate_normal(mean.numpy(), (tril @ tril.T).numpy())
        for mean, tril in ((mean_q, tril_q), (mean_p, tril_p))
    )
    ratio = torch.from_numpy(q.logpdf(x) - p.logpdf(x))
    error = ratio.std() / len(ratio) ** 0.5
    got = ops.gaussian_kl_tril(mean_q, tril_q, mean_p, tril_p)
    assert abs(got - ratio.mean()) < 5 * error
