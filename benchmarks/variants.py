# SPDX-License-Identifier: MIT
"""What takes turns in a case: pyvae, its peers, and the machine's own rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from tests.ops.case import OpCase, as_tuple
from tests.ops.draws import Size

PYVAE, ONE_THREAD, GRAPHS = "pyvae", "pyvae, 1 thread", "pyvae, CUDA graphs"
DENSITY, DISTRIBUTIONS, SCIKIT = "density", "torch.distributions", "scikit-learn"
STEPMIX, STUDENT_T, TEXTBOOK = "StepMix", "studenttmixture", "eager, textbook EM"
NO_GRADIENTS, FLUSHED = "has no gradients", "subnormals flushed"
FLOAT_BYTES = 4
EVERYWHERE = ("cpu", "cuda")

Inputs = dict[str, Tensor]
Call = Callable[[], tuple[Any, ...]]
Prepare = Callable[[Inputs, bool], Call]


class Unavailable(Exception):
    """Raised in preparing a variant that cannot run here; its text is the reason."""


def elements(size: Size, letters: str) -> int:
    """Count the elements of a tensor with these dimensions."""
    return math.prod(size[letter] for letter in letters)


@dataclass(frozen=True)
class Variant:
    """One way to compute a case.

    ``prepare`` takes the inputs and whether gradients are wanted. It returns a call without
    arguments, whose results are the op's, or the gradients of their sum in the order of the
    arguments.
    """

    name: str  # as the tables show it
    prepare: Prepare
    largest: tuple[str, str] = ("", "")  # letters of the largest tensor written: forward, and both
    backward: bool = True  # whether it gives gradients
    comparable: bool = True  # whether its results are those of the op, so that they have an error
    same_gradients: bool = True  # and its gradients
    compiles: bool = False  # in its first call, which so says nothing of the others
    runtime: str = "torch"  # whose threads may still be spinning when another runtime starts
    threads: int | None = None  # where that is not the run's number
    package: str | None = None  # that it needs, and that may be missing
    rate: bool = False  # of the machine's, measured beside the forward pass only
    devices: tuple[str, ...] = EVERYWHERE
    least: float = 0  # elements, all dimensions multiplied, from which on it takes turns
    below: float = math.inf  # and below how many

    def joins(self, size: Size, device: str) -> bool:
        """Whether it takes turns at this size, on this device."""
        return device in self.devices and self.least <= math.prod(size.values()) < self.below

    def refusal(self, size: Size, backward: bool, memory_limit: int) -> str | None:
        """Say why this variant is left out, if it is."""
        if backward and not self.backward:
            return NO_GRADIENTS
        if self.package is not None and find_spec(self.package) is None:
            return f"{self.package} is not installed"
        letters = self.largest[backward]
        if FLOAT_BYTES * elements(size, letters) >= memory_limit:
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


def by_position(entry: OpCase, function: Callable) -> Callable:
    """Give an op, or its reference, as a function of the measured arguments in their order."""
    names = list(entry.measured_arguments())
    if names == list(signature(function).parameters)[: len(names)]:
        return function
    return lambda *tensors: function(**entry.fixed, **dict(zip(names, tensors, strict=True)))


def in_torch(name: str, function: Callable, *largest: str, **options: Any) -> Variant:
    """Make the variant of a torch function.

    ``largest`` is the letters of its largest tensor, forward and with the backward pass; once where
    they are the same.
    """
    letters = (largest[0], largest[-1]) if largest else ("", "")
    return Variant(name, partial(torch_call, function), letters, **options)


def eager(form: str, function: Callable, *largest: str, **options: Any) -> Variant:
    """Make the variant of a function in eager PyTorch."""
    return in_torch(f"eager, {form}", function, *largest, **options)


def compiled(
    form: str,
    function: Callable,
    *largest: str,
    name: str | None = None,
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

    letters = (largest[0], largest[-1])
    return Variant(name or f"compile, {form}", prepare, letters, compiles=True, **options)


def with_graphs(
    op: Callable, form: str, formula: Callable, letters: str, **options: Any
) -> tuple[Variant, Variant]:
    """Make the variants in which a GPU is told of a whole pass at once: of an op, and of its peer.

    For a batch, where telling it of every kernel is most of the time.
    """
    options = {"graphs": True, "devices": ("cuda",), **options}
    peer = compiled(f"{form}, CUDA graphs", formula, letters, **options)
    return compiled("", op, "", name=GRAPHS, **options), peer


def flushed(variant: Variant, least: float) -> Variant:
    """Make the same variant with subnormal numbers set to zero, as torch can be told to.

    It runs on a thread of its own, whose workers are made with its setting: nobody else's change.
    """

    def prepare(inputs: Inputs, backward: bool) -> Call:
        thread = ThreadPoolExecutor(1, initializer=torch.set_flush_denormal, initargs=(True,))
        if not thread.submit(_flushes).result():
            raise Unavailable("torch's threads do not flush subnormal numbers here")
        call = thread.submit(variant.prepare, inputs, backward).result()
        return lambda: thread.submit(call).result()

    name, runtime = f"{variant.name}, {FLUSHED}", f"{variant.runtime}, {FLUSHED}"
    return replace(
        variant, name=name, prepare=prepare, runtime=runtime, least=least, devices=("cpu",)
    )


def _flushes() -> bool:
    """Whether all workers of this thread set to zero what would be subnormal, by its bits."""
    return not (torch.full((2**20,), 1e-39) * 0.5).view(torch.int32).any()
