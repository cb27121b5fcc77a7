# SPDX-License-Identifier: MIT
"""The peers compute what the ops compute, and the runner records what it cannot measure."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pyvae.bench import cases, runner, timing
from pyvae.bench import variants as v
from pyvae.bench.cases import BOTH, FORWARD, Case
from pyvae.bench.device import Device, Gpu
from pyvae.bench.draw import draw
from pyvae.bench.load import Load
from pyvae.bench.memory import peak_growth
from pyvae.bench.peers import fits
from pyvae.bench.runner import Settings, measure
from pyvae.bench.targets import claims
from pyvae.bench.truth import largest_error, truth
from pyvae.ops import reference

TINY = {"n": 7, "k": 3, "d": 4}
QUICK = Settings(threads=1, quick=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "QUICK", timing.Effort(seconds=0.0, turns=2))
    monkeypatch.setattr(timing, "_SPIN", 0.0)


def tiny(op: str) -> Case:
    """The op's case at a tiny size, without the variants that compile or fill the memory."""
    case: Case = getattr(cases, f"_{op}")({letter: TINY[letter] for letter in _letters(op)})
    kept = tuple(x for x in case.variants if not x.compiles and not x.rate)
    return replace(case, variants=kept)


def _letters(op: str) -> tuple[str, ...]:
    return tuple(cases.SIZES[op][0])


@pytest.mark.parametrize("op", cases.OPS)
def test_peers_compute_the_same(op: str) -> None:
    case = tiny(op)
    inputs = draw(op, case.size)
    for direction in case.directions:
        backward = direction == BOTH
        exact = truth(case, inputs, backward)
        for variant in case.variants:
            ours = variant.name in (v.PYVAE, v.DENSITY) and not case.available
            if ours or variant.refusal(case.size, backward, 2**31) or not variant.comparable:
                continue
            results = variant.prepare(inputs, backward)()
            if not backward or variant.same_gradients:
                assert largest_error(results, exact, backward) < 1e-5, (variant.name, direction)


@pytest.mark.parametrize("op", [op for op in cases.OPS if hasattr(reference, op)])
def test_the_truth_is_that_of_the_reference(op: str) -> None:
    case = tiny(op)
    inputs = draw(op, case.size)
    doubles = [tensor.double().requires_grad_() for tensor in inputs.values()]
    found = v.as_tuple(getattr(reference, op)(*doubles))
    assert largest_error(found, truth(case, inputs, False), False) < 1e-6
    if case.differentiable:
        total = sum((result.sum() for result in found), start=torch.zeros(()))
        gradients = torch.autograd.grad(total, doubles)
        assert largest_error(gradients, truth(case, inputs, True), True) < 1e-6


@pytest.mark.parametrize("op", cases.OPS)
def test_truth_by_chunks(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tiny(op)
    inputs = draw(op, case.size)
    directions = [direction == BOTH for direction in case.directions]
    whole = [truth(case, inputs, backward) for backward in directions]
    monkeypatch.setattr("pyvae.bench.truth._ELEMENTS", 40)  # two or three points at a time
    for backward, expected in zip(directions, whole, strict=True):
        for got, want in zip(truth(case, inputs, backward), expected, strict=True):
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize("op", ["gaussian_kl", "mixture_log_prob", "mixture_posterior"])
def test_a_case_has_a_figure_for_every_variant(op: str) -> None:
    case = tiny(op)
    result = measure(case, QUICK)
    for direction in case.directions:
        assert list(result.figures[direction]) == [variant.name for variant in case.variants]
        for figure in result.figures[direction].values():
            assert (figure.skipped is None) == (figure.turns > 0)
            if figure.skipped is None:
                assert 0 < figure.low <= figure.median <= figure.high < math.inf


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_fits_are_measured_beside_scikit_learns(kind: str) -> None:
    case = cases._fit(f"fit_{kind}", {"n": 300, "k": 3, "d": 2, "i": 2})
    result = measure(case, QUICK)
    figures = result.figures[FORWARD]
    assert list(figures) == [v.PYVAE, "scikit-learn"]
    assert set(result.figures) == {FORWARD}
    for figure in figures.values():
        assert figure.skipped is None
        assert figure.error is not None
    assert figures[v.PYVAE].error < 1e-4
    worse, better = torch.tensor(-11.0), torch.tensor(-9.0)
    assert fits.shortfall([worse], [torch.tensor(-10.0)], False) == pytest.approx(0.1)
    assert fits.shortfall([better], [torch.tensor(-10.0)], False) == 0.0


def test_gaps_have_a_reason() -> None:
    def broken(*_: Any) -> v.Call:
        raise RuntimeError("no luck\nat all")

    case = tiny("mixture_log_prob")
    others = (
        case.variants[0],
        v.Variant("broken", broken),
        v.Variant("absent", broken, package="no_such_package"),
        v.Variant("large", broken, largest=("nkd", "nkd")),
    )
    small = Device()
    small.memory_limit = 4 * 7 * 3 * 4
    found = measure(replace(case, variants=others), replace(QUICK, device=small))
    reasons = {name: figure.skipped for name, figure in found.figures[FORWARD].items()}
    assert reasons[v.PYVAE] is None
    assert reasons["broken"] == "RuntimeError: no luck"
    assert reasons["absent"] == "no_such_package is not installed"
    assert "(N, K, D)" in str(reasons["large"])


def test_a_long_loop_is_not_compiled() -> None:
    variant = v.compiled("loop", lambda *_: None, "n", "n", turns=2)
    found = runner._try(variant, draw("mixture_log_prob_tril", TINY), (), False, Device())
    assert found == "compiling more than 2 turns of the loop takes minutes"


def test_an_op_that_this_build_lacks() -> None:
    found = measure(replace(tiny("gaussian_kl"), op="no_such_op"), QUICK)
    assert found.skipped == "not in this build"
    assert found.figures == {}


def test_our_own_op_must_not_fail_quietly() -> None:
    case = tiny("gaussian_kl")

    def broken(*_: Any) -> v.Call:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        measure(replace(case, variants=(v.Variant(v.PYVAE, broken),)), QUICK)


def test_turns_alternate_and_end() -> None:
    order: list[str] = []
    players = [
        timing.Player(name, lambda name=name: (order.append(name),), estimate=1.0)
        for name in ("a", "b")
    ]
    timing.take_turns(players, timing.Effort(seconds=0.0, turns=3))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [len(player.seconds) for player in players] == [3, 3]


def test_threads_are_set_back() -> None:
    before = torch.get_num_threads()
    with timing.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_peak_is_seen() -> None:
    grown = peak_growth(lambda: np.ones(2**24, dtype=np.uint8))
    assert 0.9 * 2**24 < grown < 2**25  # the kernel counts pages in batches


def test_own_work_is_no_load() -> None:
    load = Load()
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    cores = load.cores()
    assert cores is None or cores < (os.cpu_count() or 1)


@pytest.mark.parametrize("device", v.EVERYWHERE)
def test_claims_speak_of_cases_and_peers_of_the_suite(device: str) -> None:
    """Each claim can be judged once everything has been measured: no name is misspelt."""
    results = runner.Results({"device": device}, {}, 2, False)
    for case in cases.cases(device):
        figures = {
            direction: {
                x.name: runner.Figure(1.0, 1.0, 1.0, 3, 1, 2**20, 1e-7) for x in case.variants
            }
            for direction in case.directions
        }
        results.cases.append(runner.CaseResult(case.op, dict(case.size), figures))
    for claim in claims(device):
        assert claim.concerns(results), claim
        value, verdict = claim.judge(results)
        assert value is not None, (claim, verdict)
        assert verdict in ("met", "not met")


class _Pretended(Gpu):
    """A GPU's table of cases, measured on the processor."""

    name = "cpu"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def wait(self) -> None:
        self.asked.append("wait")

    def peak_growth(self, call: Callable[[], object]) -> int:
        self.asked.append("peak")
        call()
        return 1

    def release(self) -> None:
        self.asked.append("release")


@pytest.mark.parametrize("op", cases.OPS)
def test_what_is_measured_of_a_gpu(op: str) -> None:
    device = _Pretended()
    case = next(found for found in cases.cases("cuda") if found.op == op)
    names = [variant.name for variant in case.variants]
    assert names[0] == v.PYVAE
    assert names[-3:] == [v.COPY, v.FMA, v.SGEMM]
    assert not {v.ONE_THREAD, "scikit-learn", "jax.jit, GEMM form"} & set(names)
    small = replace(case, size=tiny(op).size, variants=case.variants[:2])
    found = measure(small, replace(QUICK, device=device)).figures[FORWARD]
    assert [figure.skipped for figure in found.values()] == [None, None]
    assert {figure.peak_bytes for figure in found.values()} == {1}
    first_calls = ["release", "peak", "wait", "peak", "wait"]
    assert device.asked[:10] == 2 * first_calls
    around_turns = 2 * sum(figure.turns for figure in found.values())
    assert device.asked[10 : 10 + around_turns] == around_turns * ["wait"]


def test_multiply_adds_are_counted() -> None:
    """What the kernel's source says is what the rate is made of."""
    source = v._FMA_SOURCE
    assert f"T chains[{v._FMA_CHAINS}]" in source
    assert f"r < {v._FMA_ROUNDS}" in source
    assert v.FMA_COUNT == v._FMA_CHAINS * v._FMA_ROUNDS * v._FMA_NUMBERS
