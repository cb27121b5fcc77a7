# SPDX-License-Identifier: MIT
"""Every instruction set that this processor runs gives the reference's values and gradients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from pyvae import _C, ops
from tests.ops.cases import TILED, OpCase, each_case, each_dtype
from tests.ops.checks import check_case

SUPPORTED: list[str] = ops.build_info()["instruction_sets_supported"]


@pytest.fixture(params=SUPPORTED)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(request.param)
    yield request.param
    _C.set_instruction_set(before)


@each_dtype
@each_case
def test_values_and_gradients(case: OpCase, dtype: torch.dtype, instruction_set: str) -> None:
    assert ops.build_info()["instruction_set"] == instruction_set
    # Every fourth of 13 x 13 sizes still meets every number of components and of features.
    sizes = case.sizes[::4] if "k" in case.sizes[0] else case.sizes
    for seed, size in enumerate((*sizes, TILED)):
        check_case(case, case.draw(size, dtype, seed=seed), f"{size} on {instruction_set}")


@each_dtype
@each_case
def test_hard_values(case: OpCase, dtype: torch.dtype, instruction_set: str) -> None:
    for values in case.hard:
        inputs = case.draw({"n": 70, "k": 33, "d": 17}, dtype)
        for name, value in values.items():
            inputs[name] = torch.full_like(inputs[name], value)
        check_case(case, inputs, f"{values} on {instruction_set}", rtol=case.hard_rtol)


@each_dtype
@each_case
def test_excluded_components_and_far_points(
    case: OpCase, dtype: torch.dtype, instruction_set: str
) -> None:
    inputs = case.draw({"n": 21, "k": 35, "d": 9}, dtype)
    if "log_weights" in inputs:
        inputs["log_weights"][::2] = -torch.inf
        inputs["means"][0] = torch.nan
        if case.arguments[case.spread].dims[0] == "k":
            inputs[case.spread][2] = torch.nan
    if "logits_q" in inputs:
        inputs["logits_q"][:, ::2] = -torch.inf
    if "x" in inputs:
        inputs["x"][3, 0] = torch.inf
    check_case(case, inputs, f"on {instruction_set}")


def test_the_build_holds_the_baseline() -> None:
    info = ops.build_info()
    assert "baseline" in info["instruction_sets"]
    assert set(info["instruction_sets_supported"]) <= set(info["instruction_sets"])
    assert info["instruction_set"] in info["instruction_sets_supported"]


def _import_with(name: str) -> subprocess.CompletedProcess[str]:
    code = "from pyvae import ops; print(ops.build_info()['instruction_set'])"
    environment = {**os.environ, "PYVAE_CPU_ISA": name}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_environment_forces_an_instruction_set(name: str) -> None:
    done = _import_with(name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == name


def test_the_environment_names_no_instruction_set() -> None:
    done = _import_with("sse9")
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError"), message
    assert "PYVAE_CPU_ISA" in message
    assert "sse9" in message
    assert "baseline" in message


def test_setting_an_unknown_instruction_set() -> None:
    with pytest.raises(RuntimeError, match="sse9"):
        _C.set_instruction_set("sse9")
