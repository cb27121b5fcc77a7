# SPDX-License-Identifier: MIT
"""The table of claims: what must come out of a run, in which case, beside whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyvae.bench import variants as v
from pyvae.bench.cases import BOTH, FORWARD
from pyvae.bench.rates import copy_share, seconds_per_term, sgemm_share
from pyvae.bench.results import CaseResult, Results
from pyvae.bench.sizes import GROWTH, MEMORY, SIZES, label

# Names that take turns without being peers.
OWN = (v.PYVAE, v.ONE_THREAD, v.DENSITY, v.WRITE, v.SGEMM, v.COPY)
_COMPILED_GEMM, _COMPILED_BROADCAST = "compile, GEMM form", "compile, broadcast"
_JAX, _SCIKIT, _DISTRIBUTIONS = "jax.jit, GEMM form", "scikit-learn", "torch.distributions"
_LOOPS = ("eager, loop of products", "eager, loop of solves")
_MIB = 2.0**20

Measure = Callable[[CaseResult], float]


class NotMeasured(Exception):
    """A claim that this run cannot judge; its text is the reason."""


@dataclass(frozen=True)
class Claim:
    """One line of the table.

    Attributes
    ----------
    op, size, direction
        The case; the direction as the table shows it.
    what
        What is compared.
    needed, at_least
        The bound, from below or from above.
    unit
        How the figure is written: "x" a ratio, "%" a share, "MiB" memory.
    measure
        Takes the case's figures; raises :class:`NotMeasured`.
    """

    op: str
    size: str
    direction: str
    what: str
    needed: float
    at_least: bool
    unit: str
    measure: Measure

    def concerns(self, results: Results) -> bool:
        """Whether the run holds the claim's case."""
        return results.find(self.op, self.size) is not None

    def judge(self, results: Results) -> tuple[float | None, str]:
        """Give the measured figure with "met" or "not met", or None with a reason."""
        case = results.find(self.op, self.size)
        if case is None:
            return None, "not measured"
        if case.skipped is not None:
            return None, case.skipped
        try:
            value = self.measure(case)
        except NotMeasured as reason:
            return None, str(reason)
        met = value >= self.needed if self.at_least else value <= self.needed
        return value, "met" if met else "not met"


def _time(case: CaseResult, direction: str, variant: str) -> float:
    figure = case.figures.get(direction, {}).get(variant)
    if figure is None:
        raise NotMeasured(f"{variant} not measured")
    if figure.skipped is not None:
        raise NotMeasured(f"{variant}: {figure.skipped}")
    return figure.median


def peers(case: CaseResult, direction: str) -> dict[str, float]:
    """Seconds of every peer that was measured."""
    found = case.figures.get(direction, {})
    return {n: f.median for n, f in found.items() if n not in OWN and f.skipped is None}


def _faster(
    op: str, size: str, direction: str, needed: float, *names: str, what: str = ""
) -> Claim:
    """Claim so many times the speed of the fastest of these peers, of all where none is named."""

    def measure(case: CaseResult) -> float:
        ours = _time(case, direction, v.PYVAE)
        others = [_time(case, direction, name) for name in names]
        others = others or list(peers(case, direction).values())
        if not others:
            raise NotMeasured("no peer measured")
        return min(others) / ours

    text = what or f"speed beside {' and '.join(names) or 'the fastest peer'}"
    return Claim(op, size, direction, text, needed, True, "x", measure)


def _growth_claims() -> list[Claim]:
    labels = [label(size) for size in GROWTH]
    return [
        Claim(
            "mixture_log_prob", name, FORWARD, "two threads beside one", 1.8, True, "x",
            lambda case: _time(case, FORWARD, v.ONE_THREAD) / _time(case, FORWARD, v.PYVAE),
        )
        for name in labels[1:]
    ]  # fmt: skip


@dataclass(frozen=True)
class GrowthClaim(Claim):
    """A claim over several sizes of one op: the dearest time per N K D beside the cheapest."""

    labels: tuple[str, ...] = ()

    def concerns(self, results: Results) -> bool:
        """Whether the run holds one of the sizes."""
        return any(results.find(self.op, name) is not None for name in self.labels)

    def judge(self, results: Results) -> tuple[float | None, str]:
        """As :meth:`Claim.judge`."""
        costs = []
        for name in self.labels:
            case = results.find(self.op, name)
            cost = None if case is None else seconds_per_term(case, FORWARD, v.PYVAE)
            if cost is None:
                return None, f"{name} not measured"
            costs.append(cost)
        value = max(costs) / min(costs)
        return value, "met" if value <= self.needed else "not met"


def _share(measure: Callable[[CaseResult, str, str], float | None]) -> Measure:
    def found(case: CaseResult) -> float:
        share = measure(case, FORWARD, v.PYVAE)
        if share is None:
            raise NotMeasured("the machine's own rate was not measured")
        return share

    return found


def _large_mixtures() -> list[Claim]:
    op, found = "mixture_log_prob", []
    for size in ("16384x512x64", "65536x256x64", "8192x1024x256"):
        rate = "rate, 4NKD operations, beside sgemm"
        found += [
            Claim(op, size, FORWARD, rate, 0.80, True, "%", _share(sgemm_share)),
            _faster(op, size, FORWARD, 4, _COMPILED_GEMM),
            _faster(op, size, FORWARD, 4, _COMPILED_BROADCAST),
            _faster(op, size, FORWARD, 3, _JAX),
            Claim(
                op, size, BOTH, "time beside its own forward pass", 5, False, "x",
                lambda case: _time(case, BOTH, v.PYVAE) / _time(case, FORWARD, v.PYVAE),
            ),
            *([_faster(op, size, BOTH, 10, _COMPILED_GEMM)] if size != "8192x1024x256" else []),
            _faster(op, size, BOTH, 1.9, _JAX),
        ]  # fmt: skip
    return found


def _mixtures() -> list[Claim]:
    op, middle = "mixture_log_prob", "65536x64x16"
    smallest = [_faster(op, size, BOTH, 1.5) for size in ("128x10x10", "1024x10x16")]
    memory = Claim(
        op, label(MEMORY[0]), BOTH, "peak memory beyond the inputs", 20, False, "MiB", _memory
    )
    return [
        *_large_mixtures(),
        _faster(op, middle, FORWARD, 3, _COMPILED_GEMM),
        _faster(op, middle, FORWARD, 3, _COMPILED_BROADCAST),
        _faster(op, middle, BOTH, 2, _COMPILED_GEMM),
        *smallest,
        memory,
        GrowthClaim(
            op, "all sizes of growth", FORWARD, "time per N K D, largest beside smallest", 1.2,
            False, "x", lambda _: 0.0, tuple(label(size) for size in GROWTH),
        ),
        *_growth_claims(),
    ]  # fmt: skip


def _memory(case: CaseResult) -> float:
    figure = case.figures.get(BOTH, {}).get(v.PYVAE)
    if figure is None or figure.peak_bytes is None:
        raise NotMeasured("not measured")
    return figure.peak_bytes / _MIB


def _posterior_cost(case: CaseResult) -> float:
    parts = _time(case, FORWARD, v.DENSITY) + _time(case, FORWARD, v.WRITE)
    return _time(case, FORWARD, v.PYVAE) / parts


def _of_the_posterior() -> list[Claim]:
    what = "time beside the density and writing (N, K) once"
    return [
        Claim("mixture_posterior", label(size), FORWARD, what, 1.3, False, "x", _posterior_cost)
        for size in SIZES["mixture_posterior"]
    ]


def _full_covariances() -> list[Claim]:
    op, found = "mixture_log_prob_tril", []
    for size in SIZES[op]:
        faster = "speed beside the faster of a loop of products and a loop of solves"
        found += [
            _faster(op, label(size), FORWARD, 3, *_LOOPS, what=faster),
            _faster(op, label(size), FORWARD, 6, _SCIKIT),
        ]
    return found


def _divergences() -> list[Claim]:
    small, large, full = "4096x64", "65536x128", "gaussian_kl_tril"
    needed = zip(SIZES[full], (8, 8, 3, 1), strict=True)
    return [
        _faster("gaussian_kl", small, FORWARD, 1.2, "compile, formula"),
        _faster("gaussian_kl", small, BOTH, 1.2, "compile, formula"),
        _faster("gaussian_kl", small, FORWARD, 5, "eager, formula"),
        Claim(
            "gaussian_kl", large, FORWARD, "bytes a second beside a copy", 0.9, True, "%",
            _share(copy_share),
        ),
        *(
            _faster(full, label(size), direction, ratio, _DISTRIBUTIONS)
            for size, ratio in needed
            for direction in (FORWARD, BOTH)
        ),
    ]  # fmt: skip


def claims() -> tuple[Claim, ...]:
    """Give every claim, in the order of the document."""
    terms = "mixture_elbo_terms", label(SIZES["mixture_elbo_terms"][0]), BOTH
    diag, tril = "mixture_statistics", "mixture_statistics_tril"
    return (
        *_mixtures(),
        *_of_the_posterior(),
        _faster(*terms, 4, "eager, formula"),
        _faster(*terms, 2, "compile, formula"),
        _faster(diag, label(SIZES[diag][0]), FORWARD, 6, _SCIKIT),
        _faster(tril, label(SIZES[tril][0]), FORWARD, 10, _SCIKIT),
        *_full_covariances(),
        *_divergences(),
    )
