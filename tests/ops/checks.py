# SPDX-License-Identifier: MIT
"""What the property tests share: upstream gradients, gradients by name, and the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tests.ops.cases import OpCase

Inputs = Mapping[str, Tensor]


def doubled(inputs: Inputs) -> dict[str, Tensor]:
    """The same values in float64: what the reference computes the truth from."""
    return {name: tensor.detach().double() for name, tensor in inputs.items()}


def upstream_of(outputs: Sequence[Tensor], seed: int = 1) -> tuple[Tensor, ...]:
    """Upstream gradients that are not ones, different for every element."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype)
        for output in outputs
    )


def gradients(
    function: Callable[..., tuple[Tensor, ...]],
    inputs: Inputs,
    upstream: Sequence[Tensor] | None = None,
    wanted: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """First gradients by argument; an argument that the results do not use gets zeros."""
    wanted = list(inputs if wanted is None else wanted)
    leaves = {
        name: tensor.detach().requires_grad_(name in wanted) for name, tensor in inputs.items()
    }
    outputs = function(**leaves)
    grads = torch.autograd.grad(
        outputs,
        [leaves[name] for name in wanted],
        upstream_of(outputs) if upstream is None else upstream,
        allow_unused=True,
        materialize_grads=True,
    )
    return dict(zip(wanted, grads, strict=True))


def second_gradients(
    function: Callable[..., tuple[Tensor, ...]], inputs: Inputs
) -> dict[str, Tensor]:
    """Gradients of a weighted sum of first gradients, to the arguments and the upstream."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
    outputs = function(**leaves)
    upstream = [tensor.requires_grad_() for tensor in upstream_of(outputs)]
    first = torch.autograd.grad(
        outputs,
        list(leaves.values()),
        upstream,
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    weights = upstream_of(first, seed=2)
    second = torch.autograd.grad(
        first,
        [*leaves.values(), *upstream],
        weights,
        allow_unused=True,
        materialize_grads=True,
    )
    names = [*leaves, *(f"upstream {index}" for index in range(len(upstream)))]
    return dict(zip(names, second, strict=True))


def assert_values(
    got: Sequence[Tensor], want: Sequence[Tensor], rtol: float, context: object = ""
) -> None:
    """Every output within ``rtol * max(1, |value|)`` of the truth.

    A log-posterior and a KL are differences of log-densities, whose size sets their rounding: they
    are judged at the scale of the row's largest finite output where that is larger.
    """
    assert len(got) == len(want)
    row_scale = _row_scale(want)
    for index, (have, truth) in enumerate(zip(got, want, strict=True)):
        scale = row_scale.reshape(row_scale.shape + (1,) * (truth.ndim - row_scale.ndim))
        _assert_within(
            have, truth, rtol * scale.clamp_min(truth.abs()), f"output {index} {context}"
        )


def gradient_rtol(rtol: float, values: Sequence[Tensor]) -> float:
    """Return what ``rtol`` of the values allows their gradients, relative to the largest entry.

    Responsibilities are exponentials of scores, so the rounding of a score, ``rtol * |score|``, is
    their relative error. Where scores are huge the responsibilities are 0 or 1 and round no more:
    a score grows by 1 to 2 nats a feature, and of extreme values lies far beyond 1e4.
    """
    scale = _row_scale(values)
    largest = scale.max().item() if scale.numel() else 1.0
    return rtol * (largest if largest < 1e4 else 1.0)


def assert_gradients(
    got: Inputs,
    want: Inputs,
    rtol: float,
    context: object = "",
    units: Mapping[str, float] | None = None,
) -> None:
    """Every gradient within ``rtol`` of the largest entry of its tensor, or of its unit, 1."""
    assert set(got) == set(want)
    for name, truth in want.items():
        finite = truth[torch.isfinite(truth)].abs()
        unit = (units or {}).get(name, 1.0)
        scale = max(unit, finite.max().item() if finite.numel() else 0.0)
        bound = torch.full_like(truth, rtol * scale)
        _assert_within(got[name], truth, bound, f"gradient of {name} {context}")


def check_case(
    case: OpCase,
    inputs: Inputs,
    context: object = "",
    *,
    upstream: Sequence[Tensor] | None = None,
    rtol: Mapping[torch.dtype, float] | None = None,
    units: Mapping[str, float] | None = None,
) -> None:
    """Values and first gradients of one call against the reference in float64."""
    (dtype,) = {tensor.dtype for tensor in inputs.values()}
    context = f"of {case.name} {dtype} {context}"
    tolerance = (rtol or case.rtol)[dtype]
    got, want = case(**inputs), case.expected(**doubled(inputs))
    assert all(tensor.dtype == dtype for tensor in got), context
    assert_values(got, want, tolerance, context)
    upstream = upstream_of(got) if upstream is None else upstream
    got_gradients = gradients(case, inputs, upstream)
    assert all(tensor.dtype == dtype for tensor in got_gradients.values()), context
    want_gradients = gradients(case.expected, doubled(inputs), [t.double() for t in upstream])
    assert_gradients(got_gradients, want_gradients, gradient_rtol(tolerance, want), context, units)


def _row_scale(outputs: Sequence[Tensor]) -> Tensor:
    rows = [tensor for tensor in outputs if tensor.ndim == min(t.ndim for t in outputs)]
    scale = torch.ones_like(rows[0])
    for tensor in rows:
        scale = torch.maximum(scale, torch.nan_to_num(tensor.abs(), 0.0, 0.0, 0.0))
    return scale


def _assert_within(have: Tensor, truth: Tensor, bound: Tensor, what: str) -> None:
    __tracebackhide__ = True
    if have.shape != truth.shape:
        raise AssertionError(f"{what}: shape {have.shape}, expected {truth.shape}")
    have, truth = have.detach().double(), truth.detach().double()
    finite = torch.isfinite(truth)
    wrong = ~torch.where(finite, torch.isfinite(have), _same_kind(have, truth))
    if wrong.any():
        some = f"{have[wrong][:4].tolist()}, expected {truth[wrong][:4].tolist()}"
        raise AssertionError(f"{what}: {some}, first at {wrong.nonzero()[0].tolist()}")
    ratio = torch.where(finite, (have - truth).abs() / bound.double(), 0.0)
    if (ratio > 1).any():
        worst = tuple(int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape))
        raise AssertionError(
            f"{what}: {have[worst].item()!r}, expected {truth[worst].item()!r} at {list(worst)}: "
            f"{ratio[worst].item():.3g} times the allowed error {bound[worst].item():.3g}"
        )


def _same_kind(have: Tensor, truth: Tensor) -> Tensor:
    """Equal infinities, or both NaN."""
    return (have == truth) | (torch.isnan(have) & torch.isnan(truth))
