# SPDX-License-Identifier: MIT
"""The categorical KL: exact values, tiny probabilities, and its joint convexity."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from pyvae.distributions import categorical_kl

SIZES = st.integers(1, 8)


@st.composite
def distributions(draw: st.DrawFn, count: int) -> np.ndarray:
    """Probabilities of as many distributions, some of them tiny or zero."""
    k = draw(SIZES)
    exponents = st.one_of(st.floats(-3, 3), st.floats(-700, 0), st.just(-math.inf))
    logs = draw(arrays(np.float64, (count, k), elements=exponents))
    logs[:, 0] = np.where(np.isfinite(logs).any(1), logs[:, 0], 0.0)
    weights = np.exp(logs - logs.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return categorical_kl(torch.from_numpy(np.log(p)), torch.from_numpy(np.log(q))).item()


@settings(deadline=None)
@given(distributions(2))
def test_values(pair: np.ndarray) -> None:
    p, q = pair
    got, want = kl(p, q), rel_entr(p, q).sum()
    assert got >= 0
    if math.isinf(want):
        assert math.isinf(got)
    else:
        assert got == pytest.approx(want, rel=1e-9, abs=1e-13)
    assert kl(p, p) == 0.0


@settings(deadline=None)
@given(distributions(4), st.floats(0, 1))
def test_joint_convexity(four: np.ndarray, share: float) -> None:
    """KL(sp + (1-s)p' || sq + (1-s)q') <= s KL(p || q) + (1-s) KL(p' || q')."""
    p, p_other, q, q_other = four
    mixed = kl(share * p + (1 - share) * p_other, share * q + (1 - share) * q_other)
    parts = [w * kl(a, b) if w else 0.0 for w, a, b in
             ((share, p, q), (1 - share, p_other, q_other))]  # fmt: skip
    assert mixed <= sum(parts) * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beside_torch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    log_p, log_q = (torch.randn(5, 1, 4, dtype=dtype).log_softmax(-1) for _ in range(2))
    log_q = log_q.expand(5, 3, 4)
    want = kl_divergence(Categorical(logits=log_p.double()), Categorical(logits=log_q.double()))
    got = categorical_kl(log_p, log_q)
    torch.testing.assert_close(got.double(), want, atol=2e-6, rtol=2e-6)
    assert got.shape == (5, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_near_equality_it_keeps_its_digits(dtype: torch.dtype) -> None:
    """KL is half the squared relative change there, below the rounding of the usual sum."""
    log_p = torch.full((4,), 0.25, dtype=dtype).log()
    change = 1e-4 * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=dtype)
    exact_p, exact_q = log_p.double(), (log_p + change).double()
    want = (exact_p.exp() * (torch.expm1(exact_q - exact_p) + exact_p - exact_q)).sum()
    torch.testing.assert_close(
        categorical_kl(log_p, log_p + change).double(), want, rtol=2e-3, atol=0.0
    )


def test_gradients_where_probabilities_are_zero() -> None:
    log_p = torch.tensor([0.5, 0.5, 0.0, 0.0]).double().log().requires_grad_()
    log_q = torch.tensor([0.25, 0.5, 0.25, 0.0]).double().log().requires_grad_()
    value = categorical_kl(log_p, log_q)
    assert value.item() == pytest.approx(0.5 * math.log(2.0))
    by_p, by_q = torch.autograd.grad(value, (log_p, log_q))
    assert by_p.isfinite().all()
    assert by_q.isfinite().all()
    torch.testing.assert_close(by_p[2:], torch.zeros(2).double())


def test_gradcheck_and_equality() -> None:
    def through_logits(a: Tensor, b: Tensor) -> Tensor:
        return categorical_kl(a.log_softmax(-1), b.log_softmax(-1))

    torch.manual_seed(0)
    logits = [torch.randn(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(through_logits, logits)
    same = torch.randn(5, requires_grad=True)
    value = through_logits(same, same.detach())
    (gradient,) = torch.autograd.grad(value, same)
    assert value.item() == 0.0
    assert (gradient == 0).all()


def test_other_numbers_of_categories() -> None:
    with pytest.raises(ValueError, match="log_p has 2 categories and log_q 3"):
        categorical_kl(torch.zeros(2), torch.zeros(3))
