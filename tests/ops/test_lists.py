# SPDX-License-Identifier: MIT
"""Lists of the components that count: what the forward pass keeps for the backward pass."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyvae import mixture_log_prob
from pyvae.ops import reference
from tests.ops.cases import TABLE, each_dtype

CASE = next(case for case in TABLE if case.name == "mixture_log_prob")
MANY = {"n": 200, "k": 150, "d": 19}  # several chunks of components
EVERY = 0b1111
NONE, END = -2, -1
listed = torch.ops.pyvae.mixture_log_prob_listed
listed_backward = torch.ops.pyvae.mixture_log_prob_listed_backward
plain_backward = torch.ops.pyvae.mixture_log_prob_backward


def among_clusters(dtype: torch.dtype, apart: float = 8.0) -> list[Tensor]:
    """Points of components that are apart, but for some amid forty that are not."""
    inputs = list(CASE.among_clusters(CASE.draw(MANY, dtype), apart).values())
    inputs[2][:40] *= 0.02  # and these are not
    inputs[0][70:80] = inputs[2][:40].mean(0)
    return inputs


def both(inputs: list[Tensor], upstream: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients with lists, and those without."""
    log_prob, score, component = listed(*inputs)
    with_lists = listed_backward(upstream, *inputs, log_prob, score, component, EVERY)
    return with_lists, plain_backward(upstream, *inputs, log_prob, EVERY)


@each_dtype
def test_lists_hold_what_counts(dtype: torch.dtype) -> None:
    inputs = among_clusters(dtype)
    log_prob, scores, components = listed(*inputs)
    assert torch.equal(log_prob, torch.ops.pyvae.mixture_log_prob(*inputs))
    log_posterior, exact = reference.mixture_posterior(*(tensor.double() for tensor in inputs))
    width = inputs[3].amax(0) - inputs[3].amin(0)
    cut = (-43 if dtype is torch.float32 else -87) * math.log(2) - 0.5 * float(width.max())
    assert (components[:, 0] != NONE).sum() > 100
    assert (components[:, 0] == NONE).sum() > 5
    for n in range(len(components)):
        counting = (log_posterior[n] > cut + 0.01).nonzero()[:, 0]
        if components[n, 0] == NONE:  # which may be for scores that count no more at the end
            continue
        found = components[n][components[n] != END].long()
        assert set(counting.tolist()) <= set(found.tolist())
        assert torch.equal(found, found.sort().values)
        torch.testing.assert_close(
            scores[n, : len(found)].double() - exact[n],
            log_posterior[n][found],
            atol=1e-3 if dtype is torch.float32 else 1e-11,
            rtol=0.0,
        )


@each_dtype
def test_a_point_has_the_bits_that_it_has_without(dtype: torch.dtype) -> None:
    inputs = among_clusters(dtype)
    inputs[0][130, 3] = math.nan
    inputs[0][131, 3] = math.inf
    upstream = torch.randn(MANY["n"], dtype=dtype, generator=torch.Generator().manual_seed(1))
    upstream[5] = 0.0
    got, want = both(inputs, upstream)
    assert torch.equal(got[0].nan_to_num(7.0), want[0].nan_to_num(7.0))
    for gradient in got[1:]:
        assert gradient.isnan().all()


@each_dtype
def test_gradients(dtype: torch.dtype) -> None:
    inputs = among_clusters(dtype)
    upstream = torch.randn(MANY["n"], dtype=dtype, generator=torch.Generator().manual_seed(1))
    tolerance = 1e-5 if dtype is torch.float32 else 1e-13
    for with_lists, without in zip(*both(inputs, upstream), strict=True):
        scale = float(without.abs().max())
        torch.testing.assert_close(with_lists, without, rtol=0.0, atol=tolerance * scale)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_upstream_gradients_that_are_no_numbers(odd: float) -> None:
    """They reach the sums of every component, listed or not."""
    inputs = among_clusters(torch.float32)
    upstream = torch.ones(MANY["n"])
    upstream[3] = odd
    for with_lists, without in zip(*both(inputs, upstream), strict=True):
        assert torch.equal(with_lists.isnan(), without.isnan())


@each_dtype
def test_a_far_component_finds_its_way(dtype: torch.dtype) -> None:
    """No list has it, and what it has is all that there is to divide by its count."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(127, 8, generator=generator, dtype=torch.float64)
    means = 40.0 * torch.arange(128.0)[:, None]
    x = (means[:127] + noise).reshape(-1, 1)
    means[127] = 14.0
    inputs = [x, torch.full((128,), 1 / 128).log(), means, torch.zeros(128, 1)]
    given = [each.detach().to(dtype).requires_grad_() for each in inputs]
    exact = [each.detach().double().clone().requires_grad_() for each in given]
    components = listed(*given)[2]
    assert (components[:, 0] != NONE).all()
    assert not (components == 127).any()
    got = torch.autograd.grad(mixture_log_prob(*given).sum(), given)
    want = torch.autograd.grad(reference.mixture_log_prob(*exact).sum(), exact)
    for ours, theirs in zip(got, want, strict=True):
        torch.testing.assert_close(ours, theirs.to(dtype), rtol=1e-4, atol=1e-4)
    assert 0 < float(want[2][127].abs()) < 1e-15
    torch.testing.assert_close(got[2][127], want[2][127].to(dtype), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda components: components[:, 0].fill_(1e9),
        lambda components: components[:, 0].fill_(-7.0),
        lambda components: components[:, 0].fill_(math.nan),
        lambda components: components.fill_(3.0),  # twice the same
    ],
    ids=["beyond", "negative", "nan", "twice"],
)
def test_lists_that_cannot_be_are_none(spoil) -> None:
    inputs = among_clusters(torch.float32)
    log_prob, score, component = listed(*inputs)
    spoil(component)
    upstream = torch.ones(MANY["n"])
    got = listed_backward(upstream, *inputs, log_prob, score, component, EVERY)
    want = plain_backward(upstream, *inputs, log_prob, EVERY)
    for with_lists, without in zip(got, want, strict=True):
        torch.testing.assert_close(with_lists, without)


def test_second_gradients() -> None:
    inputs = [each.double().requires_grad_() for each in among_clusters(torch.float64)]

    def second(op) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(op(*inputs).sum(), inputs, create_graph=True)
        return torch.autograd.grad([g.square().sum() for g in first], inputs)

    pairs = zip(second(mixture_log_prob), second(reference.mixture_log_prob), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.abs().max()))


def test_plain_calls_that_want_a_gradient_of_many_components_list() -> None:
    def saved(components: int) -> int:
        x, means = torch.zeros(2, 3, requires_grad=True), torch.zeros(components, 3)
        log_prob = mixture_log_prob(x, torch.zeros(components), means, torch.zeros(components, 3))
        return len(log_prob.grad_fn.saved_tensors)  # type: ignore[union-attr]

    assert saved(128) == saved(127) + 2
