# SPDX-License-Identifier: MIT
"""A small set of results, made up."""

from __future__ import annotations

import pytest

from benchmarks import variants as v
from benchmarks.rates import COPY, SGEMM
from benchmarks.results import BOTH, FORWARD, CaseResult, Figure, Results
from benchmarks.suite import GROWTH


def figure(milliseconds: float, spread: float = 0.02) -> Figure:
    """A median with a spread, relative, between its quartiles."""
    median = 1e-3 * milliseconds
    half = median * spread / 2
    return Figure(median, median - half, median + half, 20, 1, 2**21, 1e-7)


def results_of(*cases: CaseResult) -> Results:
    machine = {"processor": "Some CPU", "instruction_set": "avx2", "system": "Linux x86_64"}
    return Results(machine, {"pyvae": "1.0", "torch": "2.13.0"}, 2, False, list(cases))


@pytest.fixture
def results() -> Results:
    """A mixture at a large size, a divergence, an op that is not built, and the growth."""
    large = {
        v.PYVAE: figure(10),
        "compile, GEMM form": figure(45),
        "jax.jit, GEMM form": Figure(skipped="jax is not installed"),
        SGEMM.name: figure(500),
    }
    mixture = CaseResult(
        "mixture_log_prob",
        {"n": 16384, "k": 512, "d": 64},
        {FORWARD: large, BOTH: {v.PYVAE: figure(60), "compile, GEMM form": figure(300)}},
    )
    divergence = CaseResult(
        "gaussian_kl",
        {"n": 65536, "d": 128},
        {FORWARD: {v.PYVAE: figure(6), "eager, formula": figure(90), COPY.name: figure(20)}},
    )
    growing = [
        CaseResult(
            "mixture_log_prob",
            dict(size),
            {FORWARD: {v.PYVAE: figure(size["n"] / 1e4), v.ONE_THREAD: figure(size["n"] / 5e3)}},
        )
        for size in GROWTH
    ]
    missing = CaseResult("gaussian_kl_tril", {"n": 4096, "d": 8}, {}, "not in this build")
    return results_of(divergence, missing, mixture, *growing)
