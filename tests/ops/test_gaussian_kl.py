# SPDX-License-Identifier: MIT
"""What only the KL divergence of Gaussians promises."""

from __future__ import annotations

import mpmath
import pytest
import torch

from pyvae import ops
from tests.ops.cases import TAIL_SIZES, each_dtype

EPSILON = {torch.float32: 6e-8, torch.float64: 1.2e-16}


@each_dtype
def test_zero_between_equals(dtype: torch.dtype) -> None:
    """Exactly zero, with gradients of exactly zero, at any scale and offset."""
    for size in TAIL_SIZES:
        for shift in (0.0, -80.0, 80.0):
            mean = 1e4 + torch.randn(5, size, dtype=dtype)
            logvar = shift + torch.randn(5, size, dtype=dtype)
            arguments = [t.clone().requires_grad_() for t in (mean, logvar, mean, logvar)]
            kl = ops.gaussian_kl(*arguments)
            assert (kl == 0).all(), (size, shift)
            for gradient in torch.autograd.grad(kl.sum(), arguments):
                assert (gradient == 0).all(), (size, shift)


@each_dtype
@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-3, 1e-4])
def test_digits_are_kept_near_zero(dtype: torch.dtype, gap: float) -> None:
    """e^r - 1 - r of a small r keeps its relative accuracy; exp(r) - 1 - r would lose it."""
    logvar_q = torch.tensor([[gap], [-gap]], dtype=dtype)
    zero = torch.zeros(1, 1, dtype=dtype)
    got = ops.gaussian_kl(zero, logvar_q, zero, zero).double()
    with mpmath.workdps(50):
        gaps = [mpmath.mpf(value) for value in logvar_q.double().flatten().tolist()]
        exact = [float((mpmath.expm1(r) - r) / 2) for r in gaps]
    want = torch.tensor(exact, dtype=torch.float64)
    tolerance = 10 * EPSILON[dtype]
    torch.testing.assert_close(got, want, rtol=tolerance, atol=0.0)


@each_dtype
def test_never_negative(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for gap in (1e-7, 1e-4, 1e-2, 1.0, 10.0):
        mean = torch.randn(2000, 3, generator=generator, dtype=dtype)
        logvar = torch.randn(2000, 3, generator=generator, dtype=dtype)
        noise = gap * torch.randn(2000, 3, generator=generator, dtype=dtype)
        assert (ops.gaussian_kl(mean, logvar + noise, mean, logvar) >= 0).all(), gap


@each_dtype
def test_a_point_is_infinitely_far(dtype: torch.dtype) -> None:
    """A variance of zero or infinity in q, or a true overflow, gives +inf and not NaN."""
    zero = torch.zeros(3, 2, dtype=dtype)
    assert (ops.gaussian_kl(zero, zero - torch.inf) == torch.inf).all()
    assert (ops.gaussian_kl(zero, zero + torch.inf) == torch.inf).all()
    assert (ops.gaussian_kl(zero, zero + 800.0) == torch.inf).all()
    assert (ops.gaussian_kl(zero + torch.inf, zero) == torch.inf).all()


@each_dtype
def test_nan_stays_in_its_row(dtype: torch.dtype) -> None:
    for index in range(4):
        arguments = [torch.randn(9, 17, dtype=dtype) for _ in range(4)]
        clean = ops.gaussian_kl(*arguments)
        arguments[index][4, 3] = torch.nan
        got = ops.gaussian_kl(*arguments)
        rows = torch.arange(9) == 4
        assert got[rows].isnan().all()
        assert torch.equal(got[~rows], clean[~rows])


@each_dtype
def test_defaults_are_the_standard_normal(dtype: torch.dtype) -> None:
    mean, logvar = torch.randn(2, 4, 6, dtype=dtype), torch.randn(2, 4, 6, dtype=dtype)
    zero = torch.zeros_like(mean)
    want = ops.gaussian_kl(mean, logvar, zero, zero)
    assert torch.equal(ops.gaussian_kl(mean, logvar), want)
    assert torch.equal(ops.gaussian_kl(mean_q=mean, logvar_q=logvar, mean_p=None), want)
