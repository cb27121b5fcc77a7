# SPDX-License-Identifier: MIT
"""Figures made of times: operations and bytes a second, and their share of the machine's own."""

from __future__ import annotations

from typing import NamedTuple

from pyvae.bench import variants as v
from pyvae.bench.cases import BOTH, FORWARD
from pyvae.bench.results import CaseResult
from pyvae.bench.sizes import elements

# A subtraction, a product and a sum for every point, component and coordinate, as (x a - b)^2
# takes them: two of a fused multiply-add, two of another.
_OPERATIONS_PER_TERM = 4
# Of one coordinate of a divergence; an exponential counts as one.
KL_OPERATIONS = 10


class Work(NamedTuple):
    """What a pass cannot do without: floating-point operations, and bytes read or written once."""

    operations: float
    moved: float


def work(case: CaseResult, direction: str = FORWARD) -> Work:
    """Count a pass by what it computes, not by how it is computed.

    A backward pass is counted where its memory is the limit: that of a divergence.
    """
    n, k, d = case.size["n"], case.size.get("k", 1), case.size["d"]
    pairs, factor = n * k, d * (d + 1) // 2
    per_pair = {
        # of a triangle: a product and a sum an entry, to solve for z or to add z z'
        "mixture_log_prob_tril": 2 * factor,
        "mixture_statistics_tril": 4 * factor,
        "mixture_statistics": 2 * _OPERATIONS_PER_TERM * d,
        # two triangles of n pairs: their quotient, and the solution for z
        "gaussian_kl_tril": d**3 / 3 + 2 * factor,
        "gaussian_kl": KL_OPERATIONS * d,
    }.get(case.op, _OPERATIONS_PER_TERM * d)
    read, written = _tensors(case.op, n, k, d, factor)
    passes = 3 if direction == BOTH else 1  # forward; then all again, and as many gradients
    return Work(per_pair * pairs, v.FLOAT_BYTES * (passes * read + written))


def _tensors(op: str, n: int, k: int, d: int, factor: int) -> tuple[int, int]:
    """Count the numbers of the arguments, and of the results."""
    if op in ("gaussian_kl", "gaussian_kl_tril"):
        return 2 * n * (d + (factor if op.endswith("tril") else d)), n
    if op == "gaussian_kl_pairwise":
        return 2 * d * (n + k), n * k
    spread = factor if op.endswith("tril") else d
    results = {
        "mixture_posterior": n * k + n,
        "mixture_elbo_terms": 2 * n,
        "mixture_statistics": k * (1 + d + spread),
        "mixture_statistics_tril": k * (1 + d + spread),
    }
    return n * d + k * (1 + d + spread), results.get(op, n)


def seconds_per_term(case: CaseResult, direction: str, variant: str) -> float | None:
    """Time divided by N K D."""
    seconds = case.time(direction, variant)
    return None if seconds is None else seconds / elements(case.size, "".join(case.size))


def sgemm_rate(case: CaseResult) -> float | None:
    """Operations a second of torch's product of two large matrices, in the same case."""
    return _rate(case, v.SGEMM, 2 * v.SGEMM_ORDER**3)


def fma_rate(case: CaseResult) -> float | None:
    """Operations a second of multiply-adds that touch no memory, in the same case."""
    return _rate(case, v.FMA, 2 * v.FMA_COUNT)


def copy_rate(case: CaseResult) -> float | None:
    """Bytes a second, read and written, of a large copy, in the same case."""
    return _rate(case, v.COPY, 2 * v.COPY_BYTES)


def sgemm_share(case: CaseResult, direction: str, variant: str) -> float | None:
    """Rate of a mixture op beside that of sgemm."""
    return _share(case, direction, variant, work(case, direction).operations, sgemm_rate(case))


def fma_share(case: CaseResult, direction: str, variant: str) -> float | None:
    """Rate of an op beside that of multiply-adds."""
    return _share(case, direction, variant, work(case, direction).operations, fma_rate(case))


def copy_share(case: CaseResult, direction: str, variant: str) -> float | None:
    """Bytes a second beside those of a copy."""
    return _share(case, direction, variant, work(case, direction).moved, copy_rate(case))


def nearer_limit(case: CaseResult) -> tuple[str, float] | None:
    """Name what limits the forward pass, arithmetic or memory, and give its share of that limit."""
    by_arithmetic = fma_share(case, FORWARD, v.PYVAE)
    by_memory = copy_share(case, FORWARD, v.PYVAE)
    if by_arithmetic is None or by_memory is None:
        return None
    return max(("arithmetic", by_arithmetic), ("memory", by_memory), key=lambda found: found[1])


def _rate(case: CaseResult, variant: str, amount: float) -> float | None:
    seconds = case.time(FORWARD, variant)
    return None if seconds is None else amount / seconds


def _share(
    case: CaseResult, direction: str, variant: str, amount: float, rate: float | None
) -> float | None:
    seconds = case.time(direction, variant)
    return None if seconds is None or rate is None else amount / seconds / rate
