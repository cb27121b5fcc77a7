# SPDX-License-Identifier: MIT
"""What takes turns in a case: pyvae, its peers, and the machine's own rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from pyvae.bench.draw import Inputs
from pyvae.bench.sizes import Size, elements

PYVAE, ONE_THREAD, GRAPHS = "pyvae", "pyvae, 1 thread", "pyvae, CUDA graphs"
SGEMM, FMA, COPY = "sgemm 4096", "multiply-adds", "copy"
DENSITY, WRITE = "density", "(N, K) write"
NO_GRADIENTS = "has no gradients"
COPY_BYTES = 2**28
SGEMM_ORDER = 4096
FLOAT_BYTES = 4
_FMA_NUMBERS, _FMA_ROUNDS, _FMA_CHAINS = 2**22, 1024, 8
FMA_COUNT = _FMA_NUMBERS * _FMA_ROUNDS * _FMA_CHAINS
EVERYWHERE = ("cpu", "cuda")

Call = Callable[[], tuple[Any, ...]]
Prepare = Callable[[Inputs, bool], Call]


class Unavailable(Exception):
    """Raised in preparing a variant that cannot run here; its text is the reason."""


@dataclass(frozen=True)
class Variant:
    """One way to compute a case.

    Attributes
    ----------
    name
        As the tables show it.
    prepare
        Takes the inputs and whether gradients are wanted; returns a call without arguments, whose
        results are the op's results, or the gradients of their sum in the order of the arguments.
    largest
        Letters of the largest tensor it writes, forward and with the backward pass.
    backward
        Whether it gives gradients.
    comparable, same_gradients
        Whether its results, and its gradients, are those of the op, so that they have an error.
    compiles
        Whether a first call compiles, and so says nothing of the others.
    runtime
        Who owns its threads: those of one runtime may still be spinning when another one starts.
    threads
        How many threads it takes, where that is not the run's number.
    package
        A package that it needs and that may be missing.
    rate
        Whether it is a rate of the machine's, measured beside the forward pass only.
    devices
        Where it runs.
    """

    name: str
    prepare: Prepare
    largest: tuple[str, str] = ("n", "n")
    backward: bool = True
    comparable: bool = True
    same_gradients: bool = True
    compiles: bool = False
    runtime: str = "torch"
    threads: int | None = None
    package: str | None = None
    rate: bool = False
    devices: tuple[str, ...] = EVERYWHERE

    def refusal(self, size: Size, backward: bool, memory_limit: int) -> str | None:
        """Say why this variant is left out, if it is."""
        if backward and not self.backward:
            return NO_GRADIENTS
        if self.package is not None and find_spec(self.package) is None:
            return f"{self.package} is not installed"
        letters = self.largest[backward]
        need = FLOAT_BYTES * elements(size, letters)
        if need >= memory_limit:
            shape = ", ".join(letters.upper())
            return f"its ({shape}) tensor takes {memory_limit / 2**30:.3g} GiB or more"
        return None


def torch_call(function: Callable, inputs: Inputs, backward: bool) -> Call:
    """Prepare a call of a torch function, with or without the gradients of all arguments."""
    if not backward:
        tensors = list(inputs.values())

        def forward() -> tuple[Tensor, ...]:
            with torch.no_grad():
                return as_tuple(function(*tensors))

        return forward
    leaves = [tensor.clone().requires_grad_() for tensor in inputs.values()]

    def both() -> tuple[Tensor, ...]:
        first, *others = as_tuple(function(*leaves))
        total = first.sum()
        for result in others:
            total = total + result.sum()
        return torch.autograd.grad(total, leaves)

    return both


def as_tuple(results: Any) -> tuple[Any, ...]:
    """Give one result or several as a tuple."""
    return tuple(results) if isinstance(results, tuple) else (results,)


def ours(function: Callable, name: str = PYVAE, **options: Any) -> Variant:
    """Make the variant of an op of pyvae."""
    return Variant(name, lambda i, b: torch_call(function, i, b), **options)


def eager(form: str, function: Callable, forward: str, both: str, **options: Any) -> Variant:
    """Make the variant of a function in eager PyTorch; the letters are its largest tensor's."""
    return Variant(
        f"eager, {form}" if form else "torch.distributions",
        lambda i, b: torch_call(function, i, b),
        largest=(forward, both),
        **options,
    )


def compiled(
    form: str,
    function: Callable,
    forward: str,
    both: str,
    *,
    turns: int | None = None,
    graphs: bool = False,
    **options: Any,
) -> Variant:
    """Make the variant of the same function under ``torch.compile``, with CUDA graphs or without.

    A loop is unrolled, and compiling it takes minutes where there are many components; ``turns``
    limits them.
    """

    def prepare(inputs: Inputs, backward: bool) -> Call:
        if turns is not None and len(inputs["means"]) > turns:
            raise Unavailable(f"compiling more than {turns} turns of the loop takes minutes")
        mode = "reduce-overhead" if graphs else None
        made = torch.compile(function, fullgraph=True, dynamic=False, mode=mode)
        return torch_call(made, inputs, backward)

    largest = (forward, both)
    return Variant(f"compile, {form}", prepare, largest=largest, compiles=True, **options)


def with_graphs(function: Callable, form: str, formula: Callable, letters: str) -> list[Variant]:
    """Make the variants in which a GPU is told of a whole pass at once: of an op, and of its peer.

    For a batch, where telling it of every kernel is most of the time.
    """
    options: dict[str, Any] = {"graphs": True, "devices": ("cuda",)}
    ours = compiled("", function, "n", "n", **options)
    peer = compiled(f"{form}, CUDA graphs", formula, letters, letters, **options)
    return [replace(ours, name=GRAPHS), peer]


def distributions(function: Callable, letters: str, **options: Any) -> Variant:
    """Make the variant by torch.distributions."""
    return eager("", function, letters, letters, **options)


def scikit(prepare: Callable[[Inputs], Call], **options: Any) -> Variant:
    """Make the variant by scikit-learn, which has no gradients."""
    name = "scikit-learn"
    return Variant(
        name,
        lambda i, _: prepare(i),
        backward=False,
        runtime="numpy",
        devices=("cpu",),
        **options,
    )


def _sgemm(inputs: Inputs, _: bool) -> Call:
    a, b, out = (torch.randn(SGEMM_ORDER, SGEMM_ORDER, device=_where(inputs)) for _ in range(3))
    return lambda: (torch.mm(a, b, out=out),)


def _copy(inputs: Inputs, _: bool) -> Call:
    count, device = COPY_BYTES // FLOAT_BYTES, _where(inputs)
    source, target = torch.ones(count, device=device), torch.zeros(count, device=device)
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
    numbers = torch.ones(_FMA_NUMBERS, device=_where(inputs))
    return lambda: (function(numbers),)


def _write(inputs: Inputs, _: bool) -> Call:
    shape = inputs["x"].shape[0], inputs["means"].shape[0]
    return lambda: (torch.full(shape, 1.0, device=_where(inputs)),)


def _where(inputs: Inputs) -> torch.device:
    return next(iter(inputs.values())).device


RATES = {
    name: Variant(name, prepare, comparable=False, rate=True, devices=devices)
    for name, prepare, devices in (
        (SGEMM, _sgemm, EVERYWHERE),
        (FMA, _multiply_adds, ("cuda",)),
        (COPY, _copy, EVERYWHERE),
        (WRITE, _write, EVERYWHERE),
    )
}
