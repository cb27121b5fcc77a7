# SPDX-License-Identifier: MIT
"""The machine's own rates, which take turns with the ops, and an op's share of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from benchmarks.results import BOTH, FORWARD, CaseResult, NotMeasured, Results
from benchmarks.variants import EVERYWHERE, FLOAT_BYTES, PYVAE, Call, Inputs, Prepare, Variant
from pyvae.ops import op_table
from tests.ops.cases import MEASURED
from tests.ops.draws import Size

_COPY_BYTES = 2**28
_SGEMM_ORDER = 4096
_FMA_NUMBERS, _FMA_ROUNDS, _FMA_CHAINS = 2**22, 1024, 8
# A subtraction, a product and a sum for every point, component and coordinate, as (x a - b)^2
# takes them: two of a fused multiply-add, two of another.
_OPERATIONS_PER_TERM = 4
# Of one coordinate of a divergence; an exponential counts as one.
KL_OPERATIONS = 10
_DTYPES = {line["name"]: line["result_dtypes"] for line in op_table()}
_BYTES = {None: FLOAT_BYTES, "float64": 8, "int64": 8}


class Work(NamedTuple):
    """What a pass cannot do without: floating-point operations, and bytes read or written once."""

    operations: float
    moved: float


def work(case: CaseResult, direction: str = FORWARD) -> Work:
    """Count a pass by what it computes, not by how it is computed.

    A backward pass is counted where its memory is the limit: that of a divergence.
    """
    if case.op not in MEASURED:
        raise NotMeasured(f"{case.op} is no op of the table")
    entry = MEASURED[case.op]
    read = sum(_numbers(a.dims, case.size) for a in entry.measured_arguments().values())
    results = zip(entry.outputs, _DTYPES[case.op], strict=False)  # but what only backward sees
    written = sum(_numbers(dims, case.size) * _BYTES[dtype] for dims, dtype in results)
    passes = 3 if direction == BOTH else 1  # forward; then all again, and as many gradients
    pairs = case.size.get("n", 1) * case.size.get("k", 1)
    return Work(_per_pair(case) * pairs, FLOAT_BYTES * passes * read + written)


def _per_pair(case: CaseResult) -> float:
    """Operations of a point and a component, or of a pair of Gaussians."""
    d, entry = case.size.get("d", 1), MEASURED[case.op]
    factor = d * (d + 1) // 2
    if case.op == "gaussian_kl":
        return KL_OPERATIONS * d
    if case.op == "gaussian_kl_tril":  # the quotient of two triangles, and the solution for z
        return d**3 / 3 + 2 * factor
    # of a triangle: a product and a sum an entry, to solve for z or to add z z'
    triangular = any(argument.dims.endswith("d d") for argument in entry.arguments.values())
    score = 2 * factor if triangular else _OPERATIONS_PER_TERM * d
    sums = any("n" not in dims.split() for dims in entry.outputs)
    return 2 * score if sums else score


def _numbers(dims: str, size: Size) -> int:
    """Count the numbers of a tensor; of a square matrix, which is a factor or symmetric, half."""
    letters = dims.split()
    if letters[-2:] == ["d", "d"]:
        return _numbers(" ".join(letters[:-2]), size) * size["d"] * (size["d"] + 1) // 2
    return math.prod(size.get(letter, 1) for letter in letters)


@dataclass(frozen=True)
class Rate:
    """A rate of the machine's: a call by itself, and how much of an op's work it does.

    ``of`` is that work, a name of :class:`Work`'s, and ``amount`` how much of it a call does.
    """

    name: str
    of: str
    amount: float
    prepare: Prepare
    devices: tuple[str, ...] = EVERYWHERE

    def variant(self, least: float = 0) -> Variant:
        """Give what takes turns, from so many elements on."""
        return Variant(
            self.name, self.prepare, comparable=False, rate=True, devices=self.devices, least=least
        )

    def median(self, results: Results) -> float:
        """Operations, or bytes, a second over a whole run; NaN where none were measured."""
        found = [case.found(FORWARD, self.name) for case in results.cases]
        rates = [self.amount / figure.median for figure in found if figure]
        return statistics.median(rates) if rates else math.nan

    def share(self, case: CaseResult, direction: str = FORWARD) -> float:
        """What pyvae's op does a second beside this rate, measured in the same case.

        Raises :class:`NotMeasured`.
        """
        rate = self.amount / case.time(FORWARD, self.name)
        return getattr(work(case, direction), self.of) / case.time(direction, PYVAE) / rate


def _sgemm(inputs: Inputs, _: bool) -> Call:
    a, b, out = (torch.randn(_SGEMM_ORDER, _SGEMM_ORDER, **_like(inputs)) for _ in range(3))
    return lambda: (torch.mm(a, b, out=out),)


def _copy(inputs: Inputs, _: bool) -> Call:
    count = _COPY_BYTES // FLOAT_BYTES
    source, target = torch.ones(count, **_like(inputs)), torch.zeros(count, **_like(inputs))
    return lambda: (target.copy_(source),)


# Chains of multiply-adds that wait for none but themselves; their values stay where they began.
_FMA_SOURCE = f"""
template <typename T> T multiply_adds(T x, T a, T b) {{
  T chains[{_FMA_CHAINS}];
  for (int c = 0; c < {_FMA_CHAINS}; ++c) chains[c] = x + T(c);
  for (int r = 0; r < {_FMA_ROUNDS}; ++r) {{
    #pragma unroll
    for (int c = 0; c < {_FMA_CHAINS}; ++c) chains[c] = chains[c] * a + b;
  }}
  T sum = 0;
  for (int c = 0; c < {_FMA_CHAINS}; ++c) sum += chains[c];
  return sum;
}}
"""


def _multiply_adds(inputs: Inputs, _: bool) -> Call:
    function = torch.cuda.jiterator._create_jit_fn(_FMA_SOURCE, a=1.0, b=0.0)
    numbers = torch.ones(_FMA_NUMBERS, **_like(inputs))
    return lambda: (function(numbers),)


def _write(inputs: Inputs, _: bool) -> Call:
    shape = inputs["x"].shape[0], inputs["means"].shape[0]
    return lambda: (torch.full(shape, 1.0, **_like(inputs)),)


def _like(inputs: Inputs) -> dict[str, Any]:
    return {"device": next(iter(inputs.values())).device}


SGEMM = Rate("sgemm 4096", "operations", 2 * _SGEMM_ORDER**3, _sgemm)
FMA = Rate(
    "multiply-adds", "operations", 2 * _FMA_CHAINS * _FMA_ROUNDS * _FMA_NUMBERS, _multiply_adds,
    devices=("cuda",),
)  # fmt: skip
COPY = Rate("copy", "moved", 2 * _COPY_BYTES, _copy)
WRITE = Variant("(N, K) write", _write, comparable=False, rate=True)
