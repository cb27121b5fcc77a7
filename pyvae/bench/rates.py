# SPDX-License-Identifier: MIT
"""Figures made of times: operations and bytes a second, and their share of the machine's own."""

from __future__ import annotations

from pyvae.bench import variants as v
from pyvae.bench.cases import FORWARD
from pyvae.bench.results import CaseResult

# A subtraction, a product and a sum for every point, component and coordinate, as (x a - b)^2
# takes them: two of a fused multiply-add, two of another.
_OPERATIONS_PER_TERM = 4


def terms(case: CaseResult) -> int:
    """N K D."""
    return case.size["n"] * case.size.get("k", 1) * case.size["d"]


def operations(case: CaseResult) -> int:
    """Floating-point operations of a diagonal mixture's forward pass."""
    return _OPERATIONS_PER_TERM * terms(case)


def seconds_per_term(case: CaseResult, direction: str, variant: str) -> float | None:
    """Time divided by N K D."""
    seconds = case.time(direction, variant)
    return None if seconds is None else seconds / terms(case)


def sgemm_rate(case: CaseResult) -> float | None:
    """Operations a second of torch's product of two large matrices, in the same case."""
    seconds = case.time(FORWARD, v.SGEMM)
    return None if seconds is None else 2 * v.SGEMM_ORDER**3 / seconds


def copy_rate(case: CaseResult) -> float | None:
    """Bytes a second, read and written, of a large copy, in the same case."""
    seconds = case.time(FORWARD, v.COPY)
    return None if seconds is None else 2 * v.COPY_BYTES / seconds


def sgemm_share(case: CaseResult, direction: str, variant: str) -> float | None:
    """Rate of a mixture op beside that of sgemm."""
    seconds, rate = case.time(direction, variant), sgemm_rate(case)
    return None if seconds is None or rate is None else operations(case) / seconds / rate


def copy_share(case: CaseResult, direction: str, variant: str) -> float | None:
    """Bytes a second of a divergence, which reads four tensors, beside those of a copy."""
    seconds, rate = case.time(direction, variant), copy_rate(case)
    if seconds is None or rate is None:
        return None
    floats = 4 * case.size["n"] * case.size["d"] + case.size["n"]
    return v.FLOAT_BYTES * floats / seconds / rate
