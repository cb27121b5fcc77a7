# SPDX-License-Identifier: MIT
"""Random calls of every case against the reference: shapes, batches, layouts, hard values.

The tables of the other tests hold what somebody thought of; here Hypothesis combines it. The
examples are the same at every run; ``PYVAE_EXAMPLES=2000`` looks for so many fresh ones instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyvae import _C, ops
from tests.ops.cases import DTYPES, OpCase, each_case
from tests.ops.checks import check_case
from tests.ops.layouts import LAYOUTS

INF, NAN = torch.inf, torch.nan
SUPPORTED: list[str] = ops.build_info()["instruction_sets_supported"]
# Small sizes fail as large ones do and shrink to less; the tails of every vector width are here.
SIZES = st.sampled_from((0, 1, 2, 3, 5, 8, 9, 16, 17, 33, 70))
# They broadcast with each other, whatever is drawn for whom.
BATCHES = st.sampled_from(((), (1,), (3,), (2, 1), (2, 3), (1, 3)))
LAYOUT_NAMES = st.sampled_from((None, None, *LAYOUTS))
FRESH = os.environ.get("PYVAE_EXAMPLES")
PROPERTY = settings(
    max_examples=int(FRESH or 60),
    deadline=None,
    derandomize=not FRESH,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@contextmanager
def running_on(instruction_set: str) -> Iterator[None]:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(instruction_set)
    try:
        yield
    finally:
        _C.set_instruction_set(before)


@st.composite
def ordinary(draw: st.DrawFn, case: OpCase) -> dict[str, Tensor]:
    """Inputs of random sizes, batches and dtype."""
    size = {letter: draw(SIZES, label=letter) for letter in "nkd"}
    batch = {name: draw(BATCHES, label=f"batch of {name}") for name in case.arguments}
    dtype = draw(st.sampled_from(DTYPES), label="dtype")
    return case.draw(size, dtype, batch=batch, seed=draw(st.integers(0, 999), label="seed"))


def laid_out(data: st.DataObject, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values, each argument in a layout of its own."""
    names = {name: data.draw(LAYOUT_NAMES, label=f"layout of {name}") for name in inputs}
    return {
        name: LAYOUTS[how](inputs[name]) if how else inputs[name] for name, how in names.items()
    }


@each_case
@PROPERTY
@given(data=st.data())
def test_ordinary_values(case: OpCase, data: st.DataObject) -> None:
    inputs = laid_out(data, data.draw(ordinary(case)))
    # A search finds sums over points that cancel, whose error the result's size does not show.
    rtol = {dtype: 2 * bound for dtype, bound in case.rtol.items()}
    with running_on(data.draw(st.sampled_from(SUPPORTED))):
        check_case(case, inputs, rtol=rtol)


def mask(data: st.DataObject, shape: tuple[int, ...], label: str) -> Tensor:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99), label=label))
    return torch.rand(shape, generator=generator) < 0.3


def kill_components(data: st.DataObject, case: OpCase, inputs: dict[str, Tensor]) -> None:
    """Weights of -inf; the component holds whatever it likes where it is nobody else's."""
    weights = inputs["log_weights"]
    dead = mask(data, weights.shape, "dead components")
    weights[dead] = -INF
    for name, argument in case.arguments.items():
        own = argument.dims.count(" ")  # dimensions of one component
        if argument.dims.startswith("k ") and inputs[name].shape[:-own] == dead.shape:
            inputs[name][dead] = data.draw(st.sampled_from((NAN, INF, -INF, 1e30)), label=name)
    if "logits_q" in inputs and dead.ndim == 1:
        inputs["logits_q"][..., dead] = -INF


def spoil_points(points: Tensor, rows: Tensor, value: float) -> None:
    if points.shape[-1]:
        points[..., 0][rows] = value


def units_of_gradients(
    case: OpCase, inputs: dict[str, Tensor], stretched: Mapping[str, float]
) -> dict[str, float]:
    """Where densities are extreme and q(z) does not follow them, gradients are their differences.

    So they are in units of the values.
    """
    if "logvar_q" not in stretched or "log_weights" not in inputs:
        return {}
    sizes = [t[t.isfinite()].abs().max().item() for t in case(**inputs) if t.isfinite().any()]
    return dict.fromkeys(inputs, max(sizes, default=1.0))


@each_case
@PROPERTY
@given(data=st.data())
def test_hard_values(case: OpCase, data: st.DataObject) -> None:
    inputs = data.draw(ordinary(case))
    point = next((name for name in ("x", "w", "mean_q") if name in inputs), None)
    stretched = data.draw(st.sampled_from(({}, *case.hard)), label="stretched")
    for name, value in stretched.items():
        inputs[name] = torch.full_like(inputs[name], value)
    units = units_of_gradients(case, inputs, stretched)
    spoil = (INF, -INF, NAN) if "log_weights" in inputs else (NAN,)
    # A weight of -200 costs digits that the rows' finite results must show (checks.assert_values).
    if {"log_weights"} & set(inputs) - set(stretched) and data.draw(st.booleans(), label="kill"):
        kill_components(data, case, inputs)
        spoil = (INF, -INF)  # a NaN point may give NaN or not where no component counts
    if "scale_tril_q" in inputs:
        point = None  # NaN in one argument spoils all gradients of its entry, or those it reaches
    if point and data.draw(st.booleans(), label="spoil"):
        rows = mask(data, inputs[point].shape[:-1], "spoilt rows")
        spoil_points(inputs[point], rows, data.draw(st.sampled_from(spoil), label="by"))
    inputs = laid_out(data, inputs)
    with running_on(data.draw(st.sampled_from(SUPPORTED))):
        check_case(case, inputs, rtol=case.hard_rtol, units=units)


def test_the_examples_meet_every_instruction_set() -> None:
    seen = set()

    @PROPERTY
    @given(name=st.sampled_from(SUPPORTED))
    def look(name: str) -> None:
        with running_on(name):
            seen.add(ops.build_info()["instruction_set"])

    look()
    assert seen == set(SUPPORTED)
