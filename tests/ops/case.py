# SPDX-License-Identifier: MIT
"""What an entry of the case table is: an op with one combination of its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tests.ops import devices
from tests.ops.draws import Draw, Size, core_shape, sizes_of

_LARGE = 2**22  # points times components times coordinates


@dataclass(frozen=True)
class Argument:
    """One tensor argument: its core dimensions, as in ``"n d"``, and its ordinary values."""

    dims: str
    draw: Draw


@dataclass(frozen=True)
class OpCase:
    """An op called with one combination of its arguments."""

    name: str
    op: Callable
    reference: Callable
    arguments: Mapping[str, Argument]
    outputs: tuple[str, ...]  # core dimensions of each result
    sizes: tuple[Size, ...]
    hard: tuple[Mapping[str, float], ...]  # arguments filled with one extreme value
    rtol: Mapping[torch.dtype, float]  # against the reference in float64
    hard_rtol: Mapping[torch.dtype, float]  # where an input of 80 is rounded and exponentiated
    second_rtol: Mapping[torch.dtype, float]  # of second gradients, which the reference computes
    fixed: Mapping[str, None] = field(default_factory=dict)  # required arguments given as None
    differentiable: bool = True
    # What the benchmarks measure of the first entry of an op: from a batch to a large problem.
    benchmark_sizes: tuple[Size, ...] = sizes_of("nkd", (1024, 10, 16), (65536, 64, 16))
    gpu_sizes: tuple[Size, ...] = sizes_of("nkd", (65536, 512, 64), (256, 10, 10))
    unmeasured: tuple[str, ...] = ()  # optional arguments that are left out there

    def draw(
        self,
        size: Size,
        dtype: torch.dtype,
        *,
        batch: Mapping[str, tuple[int, ...]] | None = None,
        seed: int = 0,
    ) -> dict[str, Tensor]:
        """Ordinary inputs of one size; ``batch`` puts leading dimensions before an argument's."""
        generator = torch.Generator().manual_seed(seed)
        inputs = {}
        for name, argument in self.arguments.items():
            shape = (batch or {}).get(name, ()) + core_shape(argument.dims, size)
            inputs[name] = argument.draw(shape, generator)
        if "w" in inputs and "mean_q" in inputs and inputs["w"].shape == inputs["mean_q"].shape:
            # A sample of q(w | x), as in a model: far from it the terms are badly conditioned.
            noise = torch.exp(0.5 * inputs["logvar_q"]) * inputs["w"]
            inputs["w"] = inputs["mean_q"] + noise
        return {name: tensor.to(dtype) for name, tensor in inputs.items()}

    def among_clusters(
        self, inputs: Mapping[str, Tensor], apart: float = 1.0, seed: int = 0
    ) -> dict[str, Tensor]:
        """The same mixture with its means ``apart`` times as far, and points drawn from it."""
        generator = torch.Generator().manual_seed(seed)
        given = {name: tensor.double() for name, tensor in inputs.items()}
        means, spread = apart * given["means"], given[self.spread]
        points = point_argument(self)
        n, (k, d) = given[points].shape[0], means.shape
        chosen = torch.multinomial(given["log_weights"].exp(), n, True, generator=generator)
        noise = torch.randn(n, d, generator=generator, dtype=torch.float64)
        if self.spread == "scale_trils":
            gaps = noise
            for c, factor in enumerate(spread.expand(k, d, d)):
                gaps[chosen == c] = noise[chosen == c] @ factor.T
        else:
            gaps = torch.exp(0.5 * spread.expand(k, d)[chosen]) * noise
        found = {**inputs, "means": means.to(inputs["means"].dtype)}
        for name in self.point_arguments():
            if name in (points, "mean_q", "w"):
                found[name] = (means[chosen] + gaps).to(inputs[name].dtype)
        return found

    def __call__(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        there = {name: devices.moved(tensor) for name, tensor in inputs.items()}
        results = as_tuple(self.op(**self.fixed, **there))
        return tuple(devices.returned(result) for result in results)

    def expected(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """The reference's results, in the dtype of the inputs."""
        return as_tuple(self.reference(**self.fixed, **inputs))

    @property
    def spread(self) -> str:
        """The argument that holds the components' covariances."""
        return "scale_trils" if "scale_trils" in self.arguments else "logvars"

    def measured_among_clusters(self, device: str = "cpu") -> tuple[Size, ...]:
        """Those of them at which a mixture is measured with points drawn from it, too."""
        if "means" not in self.arguments:
            return ()
        return tuple(s for s in self.measured_sizes(device) if math.prod(s.values()) >= _LARGE)

    def point_arguments(self) -> tuple[str, ...]:
        """Arguments with one row per point and the point's coordinates in it."""
        return tuple(name for name, argument in self.arguments.items() if argument.dims == "n d")

    def measured_arguments(self) -> dict[str, Argument]:
        """Arguments of a benchmark, in their order."""
        return {name: a for name, a in self.arguments.items() if name not in self.unmeasured}

    def measured_sizes(self, device: str = "cpu") -> tuple[Size, ...]:
        """Sizes of a benchmark, in the letters that the op has."""
        letters = {letter for argument in self.arguments.values() for letter in argument.dims}
        sizes = self.gpu_sizes if device == "cuda" else self.benchmark_sizes
        return tuple({name: size[name] for name in size if name in letters} for size in sizes)


def point_argument(case: OpCase) -> str:
    """The argument that the densities are taken at."""
    return "mean_q" if case.fixed else case.point_arguments()[0]


def as_tuple(results: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (results,) if isinstance(results, Tensor) else tuple(results)
