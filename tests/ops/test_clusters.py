# SPDX-License-Identifier: MIT
"""Points of clusters, as users have them: most responsibilities count for nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyvae import _C, ops
from pyvae.ops import reference
from tests.ops import devices
from tests.ops.cases import (
    MIXTURE_CASES,
    STATISTICS_CASES,
    OpCase,
    each_dtype,
    each_mixture,
    each_statistics,
)
from tests.ops.checks import check_case, doubled, gradients
from tests.ops.test_statistics import check as check_statistics

every_device = pytest.mark.every_device
MANY = {"n": 200, "k": 150, "d": 19}  # several chunks of components
APART = (1.0, 4.0, 40.0)


@every_device
@each_dtype
@each_mixture
def test_values_and_gradients(case: OpCase, dtype: torch.dtype) -> None:
    for apart in APART if devices.current() == "cpu" else APART[1:2]:
        check_case(case, case.among_clusters(case.draw(MANY, dtype), apart), f"{apart} apart")


@every_device
@each_dtype
@each_statistics
def test_statistics(case: OpCase, dtype: torch.dtype) -> None:
    for apart in APART if devices.current() == "cpu" else APART[1:2]:
        check_statistics(case, case.among_clusters(case.draw(MANY, dtype), apart), apart)


OTHERS = set(ops.build_info()["instruction_sets_supported"]) - {ops.build_info()["instruction_set"]}


@pytest.mark.parametrize("instruction_set", sorted(OTHERS))
@each_dtype
def test_instruction_sets(dtype: torch.dtype, instruction_set: str) -> None:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(instruction_set)
    try:
        for case in MIXTURE_CASES:
            test_values_and_gradients(case, dtype)
        for case in STATISTICS_CASES:
            test_statistics(case, dtype)
    finally:
        _C.set_instruction_set(before)


def far_apart(dtype: torch.dtype, at: float = 12.0) -> dict[str, Tensor]:
    """Every point amid the first of two components."""
    x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    means, flat = torch.tensor([[0.0], [at]]), torch.zeros(2, 1)
    given = {"x": x, "log_weights": torch.full((2,), 0.5).log(), "means": means, "logvars": flat}
    return {name: tensor.to(dtype) for name, tensor in given.items()}


@every_device
@each_dtype
@pytest.mark.parametrize("at", [12.0, 13.0])
@pytest.mark.parametrize("full", [False, True])
def test_a_far_component_finds_its_way(dtype: torch.dtype, at: float, full: bool) -> None:
    """EM divides by its count, though that is nothing beside any point."""
    case = STATISTICS_CASES[2 if full else 0]
    inputs = {**far_apart(dtype, at), "sample_weight": torch.ones(1000, dtype=dtype)}
    if full:
        inputs["scale_trils"] = torch.exp(0.5 * inputs.pop("logvars"))[:, :, None]
    got, want = case(**inputs), case.expected(**doubled(inputs))
    assert 0 < want[1][1] < (1e-13 if at == 12.0 else 1e-17)
    for have, truth in zip(got[1:], want[1:], strict=True):
        torch.testing.assert_close(have[1], truth[1].double(), rtol=1e-4, atol=0.0)


@every_device
@each_dtype
@each_mixture
def test_a_point_does_not_know_its_neighbours(case: OpCase, dtype: torch.dtype) -> None:
    """Its gradient has the same bits amid clusters, beside a NaN, and where nothing is left out."""
    if case.name.startswith("mixture_elbo_terms[logits]"):
        return  # w alone has a gradient by logits that are not of its own making
    drawn = case.draw({"n": 64, "k": 40, "d": 5}, dtype)
    inputs = case.among_clusters(drawn, 30.0)
    names = [name for name in case.point_arguments() if name in inputs]
    alone = gradients(case, inputs, wanted=names)
    spoilt = {name: tensor.clone() for name, tensor in inputs.items()}
    near = {name: tensor.clone() for name, tensor in inputs.items()}
    centre = inputs["means"].mean(0)
    for name in names:
        spoilt[name][8:] = torch.nan
        near[name][8:] = centre if name != "logvar_q" else 6.0
    for beside in (spoilt, near):
        found = gradients(case, beside, wanted=names)
        for name in names:
            assert torch.equal(found[name][:8], alone[name][:8]), name


@every_device
@each_dtype
def test_points_without_a_gradient_hide_no_component(dtype: torch.dtype) -> None:
    """The component of points that are masked is what the others make of it."""
    inputs = far_apart(dtype)
    inputs["x"] = torch.cat([inputs["x"], inputs["x"] + 12.0])
    upstream = torch.ones(2000, dtype=dtype)
    upstream[1000:] = 0.0
    for case in MIXTURE_CASES[:1]:
        got = gradients(case, inputs, [upstream])
        want = gradients(case.expected, doubled(inputs), [upstream.double()])
        torch.testing.assert_close(got["means"][1], want["means"][1].to(dtype), rtol=1e-4, atol=0.0)
        torch.testing.assert_close(
            got["log_weights"], want["log_weights"].to(dtype), rtol=1e-4, atol=0.0
        )


@every_device
@each_dtype
def test_a_nan_reaches_components_that_are_far(dtype: torch.dtype) -> None:
    for at in (12.0, 1e3):
        inputs, upstream = far_apart(dtype, at), torch.ones(1000, dtype=dtype)
        upstream[3] = torch.nan
        found = gradients(MIXTURE_CASES[0], inputs, [upstream])
        assert found["means"].isnan().all()
        assert found["x"].isnan().sum() == 1


@each_dtype
def test_distances_that_overflow_to_a_component_of_no_account(dtype: torch.dtype) -> None:
    """0 times infinity would be NaN, in the gradients of points beside it too."""
    inputs = far_apart(dtype, 1.0)
    inputs["logvars"] = torch.tensor([[200.0], [-80.0]], dtype=dtype)
    if dtype == torch.float32:
        inputs["x"][:2] = 1e25
    found = gradients(MIXTURE_CASES[0], inputs)
    assert all(tensor.isfinite().all() for tensor in found.values())


def test_small_components_keep_their_moments() -> None:
    """A term is judged by its squared distance, which is thousands where scales are apart."""
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        n, k, d = 40, 18, 14
        means = torch.randn(k, d, generator=generator)
        logvars = torch.randn(k, d, generator=generator)
        weights = (6.0 * torch.randn(k, generator=generator)).log_softmax(0)
        counted = 10.0 ** (1.5 * torch.randn(n, generator=generator))
        of = torch.randint(0, 9, (n,), generator=generator)
        scales = torch.exp(0.65 * logvars[of])
        x = means[of] + scales * torch.randn(n, d, generator=generator)
        inputs = (x, weights, means, 1.3 * logvars, counted)
        got = ops.mixture_statistics(*inputs)
        want = reference.mixture_statistics(*(tensor.double() for tensor in inputs))
        kept = want[1] > 1e-25
        for name, have, truth in zip(got._fields[1:], got[1:], want[1:], strict=True):
            if name != "sum_dx":  # it may cancel
                torch.testing.assert_close(have[kept], truth[kept], rtol=3e-5, atol=0.0)
