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

from benchmarks import rates, runner, suite, timing
from benchmarks import variants as v
from benchmarks.cases import Case
from benchmarks.device import CPU, Load
from benchmarks.peers import libraries
from benchmarks.rates import COPY, FMA, SGEMM
from benchmarks.results import BOTH, FORWARD, CaseResult, Figure, Results
from benchmarks.runner import Settings, measure
from benchmarks.tables import spaced
from benchmarks.targets import claims
from pyvae import ops
from tests.memory import peak_growth
from tests.ops.case import Argument, OpCase, as_tuple
from tests.ops.cases import MEASURED, TABLE
from tests.ops.draws import normal

OPS = [op for op, entry in MEASURED.items() if entry.benchmark_sizes]
TINY = {"n": 7, "k": 3, "d": 4}
QUICK = Settings(threads=1, quick=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "QUICK", timing.Effort(seconds=0.0, turns=2))
    monkeypatch.setattr(timing, "_SPIN", 0.0)


def tiny(op: str) -> Case:
    """The op's case at a tiny size, without the variants that compile or fill the memory."""
    case = suite.case_of(op, {letter: TINY[letter] for letter in MEASURED[op].measured_sizes()[0]})
    kept = tuple(x for x in case.variants if not x.compiles and not x.rate)
    return replace(case, variants=kept)


@pytest.mark.parametrize("op", OPS)
def test_peers_compute_the_same(op: str) -> None:
    case = tiny(op)
    inputs = case.draw()
    for direction in case.directions:
        backward = direction == BOTH
        exact = case.truth(inputs, backward)
        for variant in case.variants:
            if variant.refusal(case.size, backward, 2**31) or not variant.comparable:
                continue
            results = variant.prepare(inputs, backward)()
            if not backward or variant.same_gradients:
                assert case.error(results, exact, backward) < 1e-5, (variant.name, direction)


@pytest.mark.parametrize("op", OPS)
def test_the_truth_is_that_of_the_reference(op: str) -> None:
    case = tiny(op)
    inputs = case.draw()
    doubles = {name: tensor.double().requires_grad_() for name, tensor in inputs.items()}
    found = as_tuple(MEASURED[op].reference(**doubles))
    assert case.error(found, case.truth(inputs, False), False) < 1e-6
    if BOTH in case.directions:
        total = sum((result.sum() for result in found), start=torch.zeros(()))
        gradients = torch.autograd.grad(total, list(doubles.values()))
        assert case.error(gradients, case.truth(inputs, True), True) < 1e-6


@pytest.mark.parametrize("op", OPS)
def test_truth_by_chunks(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tiny(op)
    inputs = case.draw()
    directions = [direction == BOTH for direction in case.directions]
    whole = [case.truth(inputs, backward) for backward in directions]
    monkeypatch.setattr("benchmarks.cases._ELEMENTS", 8)  # a point or two at a time
    for backward, expected in zip(directions, whole, strict=True):
        for got, want in zip(case.truth(inputs, backward), expected, strict=True):
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
    small = replace(CPU, memory_limit=4 * 7 * 3 * 4)
    found = measure(replace(case, variants=others), replace(QUICK, device=small))
    reasons = {name: figure.skipped for name, figure in found.figures[FORWARD].items()}
    assert reasons[v.PYVAE] is None
    assert reasons["broken"] == "RuntimeError: no luck"
    assert reasons["absent"] == "no_such_package is not installed"
    assert "(N, K, D)" in str(reasons["large"])


def test_points_are_drawn_of_the_mixture_too() -> None:
    """At the same size and beside the same peers, with the same components."""
    of = "mixture_log_prob:16384x512x64"
    plain, clusters = suite.select([of, f"{of}-clusters"])
    assert (plain.clusters, clusters.clusters) == (False, True)
    assert plain.variants == clusters.variants
    assert spaced(clusters.label) == "16384, 512, 64, clusters"
    near, far = clusters.draw(), plain.draw()
    assert torch.equal(near["means"], far["means"])
    log_posterior, density = ops.mixture_posterior(**near)
    assert (log_posterior > math.log(1e-9)).float().mean() < 0.05
    assert density.mean() > ops.mixture_log_prob(**far).mean()


def _halved(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5


def test_subnormals_are_flushed_by_all_threads_of_the_variant_alone() -> None:
    inputs = {"x": torch.full((2**21,), 1e-39)}
    with timing.threads(2):
        plain = v.eager("halved", _halved, "n")
        flushed = v.flushed(plain, least=2)
        assert flushed.name == "eager, halved, subnormals flushed"
        assert not flushed.joins({"n": 1}, "cpu")
        call = flushed.prepare(inputs, False)
        for variant, zero in ((call, True), (plain.prepare(inputs, False), False)) * 2:
            (halves,) = variant()
            bits = halves.view(torch.int32).chunk(2)
            assert [bool((part == 0).all()) for part in bits] == [zero] * 2


def test_the_draws_of_a_size_share_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    resets: list[None] = []
    monkeypatch.setattr(torch._dynamo, "reset", lambda: resets.append(None))
    case = tiny("mixture_log_prob")
    case = replace(case, variants=case.variants[:1])
    other = replace(case, size={**TINY, "n": 8})
    runner.run([case, replace(case, clusters=True), other, case], QUICK)
    assert len(resets) == 3


def test_jax_leaves_memory_and_tells_where_it_cannot_run() -> None:
    pytest.importorskip("jax")
    libraries._jax("cpu")
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    if not torch.cuda.is_available():
        with pytest.raises(v.Unavailable, match="jax is installed without a GPU's kernels"):
            libraries._jax("gpu")


def test_memory_that_is_not_seen_is_no_figure() -> None:
    case = tiny("gaussian_kl")
    apart = replace(case.variants[1], runtime="jax")
    device = replace(CPU, unseen=("jax",))
    case = replace(case, variants=(case.variants[0], apart))
    figures = measure(case, replace(QUICK, device=device)).figures[FORWARD]
    assert [figure.peak_bytes is None for figure in figures.values()] == [False, True]


def test_a_long_loop_is_not_compiled() -> None:
    variant = v.compiled("loop", lambda *_: None, "n", "n", turns=2)
    inputs = tiny("mixture_log_prob_tril").draw()
    found = runner._try(variant, inputs, False, CPU, lambda _: 0.0)
    assert found == "compiling more than 2 turns of the loop takes minutes"


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
    results = Results({"device": device}, {}, 2, False)
    for case in suite.cases(device):
        figures = {
            direction: {x.name: Figure(1.0, 1.0, 1.0, 3, 1, 2**20, 1e-7) for x in case.variants}
            for direction in case.directions
        }
        results.cases.append(CaseResult(case.op, dict(case.size), figures, clusters=case.clusters))
    for claim in claims(device):
        assert claim.concerns(results), claim
        value, verdict = claim.judge(results)
        assert value is not None, (claim, verdict)
        assert verdict in ("met", "not met")


@pytest.mark.parametrize("op", OPS)
def test_what_is_measured_of_a_gpu(op: str) -> None:
    asked: list[str] = []

    def peak_growth(call: Callable[[], object]) -> int:
        asked.append("peak")
        call()
        return 1

    device = replace(  # a GPU's cases, measured on the processor
        CPU,
        wait=lambda: asked.append("wait"),
        peak_growth=peak_growth,
        release=lambda: asked.append("release"),
    )
    case = next(found for found in suite.cases("cuda") if found.op == op)
    names = [variant.name for variant in case.variants]
    assert names[0] == v.PYVAE
    assert names[-3:] == [COPY.name, FMA.name, SGEMM.name]
    assert not {v.ONE_THREAD, "scikit-learn"} & set(names)
    assert not [name for name in names if name.endswith(v.FLUSHED)]
    small = replace(case, size=tiny(op).size, variants=case.variants[:2])
    found = measure(small, replace(QUICK, device=device)).figures[FORWARD]
    assert [figure.skipped for figure in found.values()] == [None, None]
    assert {figure.peak_bytes for figure in found.values()} == {1}
    first_calls = ["release", "peak", "wait", "peak", "wait"]
    assert asked[:10] == 2 * first_calls
    around_turns = 2 * sum(figure.turns for figure in found.values())
    assert asked[10 : 10 + around_turns] == around_turns * ["wait"]


def test_multiply_adds_are_counted() -> None:
    """What the kernel's source says is what the rate is made of."""
    source = rates._FMA_SOURCE
    assert f"T chains[{rates._FMA_CHAINS}]" in source
    assert f"r < {rates._FMA_ROUNDS}" in source
    assert FMA.amount == 2 * rates._FMA_CHAINS * rates._FMA_ROUNDS * rates._FMA_NUMBERS


def _nearest(points: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An op of the future: which of K centres is nearest to each point, and how near it is."""
    nearness, index = (-torch.cdist(points, centres)).max(-1)
    return index, nearness


def test_an_entry_of_the_table_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that the suite has no line about is measured beside its reference."""
    entry = OpCase(
        name="nearest",
        op=_nearest,
        reference=_nearest,
        arguments={"points": Argument("n d", normal()), "centres": Argument("k d", normal())},
        outputs=("n", "n"),
        sizes=(),
        hard=(),
        rtol={},
        hard_rtol={},
        second_rtol={},
        differentiable=False,
        benchmark_sizes=(TINY,),
    )
    monkeypatch.setitem(MEASURED, "_nearest", entry)
    monkeypatch.setattr("benchmarks.cases._ELEMENTS", 40)
    (case,) = suite.select(["_nearest"])
    assert case.label == "7x3x4"
    figures = measure(case, QUICK).figures
    assert list(figures) == [FORWARD]
    assert list(figures[FORWARD]) == [v.PYVAE, "eager, reference", "compile, reference"]
    for figure in figures[FORWARD].values():
        assert figure.skipped is None
        assert figure.error is not None
        assert figure.error < 1e-5
    assert [case.label for case in suite.select(["_nearest"], "cuda")] == [
        "65536x512x64", "256x10x10"
    ]  # fmt: skip


def test_arguments_are_given_by_their_names_where_their_order_differs() -> None:
    """An entry may hold them in another order than the op, or some of them as None."""
    entry = next(case for case in TABLE if case.name == "mixture_elbo_terms[gaussian]")
    inputs = entry.draw(TINY, torch.float64)
    got = v.by_position(entry, entry.reference)(*inputs.values())
    for value, want in zip(got, entry.expected(**inputs), strict=True):
        torch.testing.assert_close(value, want)


def test_an_index_counts_by_its_density() -> None:
    """Where two components are equally near, rounding chooses."""
    case, half = tiny("mixture_log_prob"), torch.tensor([0.5])
    exact = (torch.tensor([3]), half.double())
    assert case.error((torch.tensor([2]), half), exact, False) == 0.0
    assert case.error((torch.tensor([2]), half - 0.25), exact, False) == 0.25
    assert case.error((torch.tensor([2]),), exact[:1], False) == pytest.approx(1 / 3)
