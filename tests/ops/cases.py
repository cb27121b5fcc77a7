# SPDX-License-Identifier: MIT
"""The case table: one entry per op and per combination of its arguments.

Every property test and every benchmark is a loop over ``CASES``. An op joins all of them with an
entry here: its arguments with their shapes and ordinary values, the shapes of its results, the
values that break naive formulas, and the error it may make against its reference in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle, product

import pytest
import torch
from torch import Tensor

from pyvae import ops
from pyvae.bench.sizes import SIZES, Size
from pyvae.ops import reference
from tests.ops import devices

Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]

DTYPES = (torch.float32, torch.float64)
# Around every vector width and tile edge of the kernels: whole registers, one less, one more.
TAIL_SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65)
POINT_COUNTS = (1, 2, 7, 8, 9, 17, 64, 65)
TILED = {"n": 200, "k": 40, "d": 19}  # several blocks of points and panels, with ragged ends
SMALL = {"n": 3, "k": 4, "d": 2}  # for checks by finite differences


def normal(scale: float = 1.0, shift: float = 0.0) -> Draw:
    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return shift + scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    return draw


def log_simplex() -> Draw:
    """Logarithms of weights that sum to one over the last dimension."""

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).log_softmax(-1)

    return draw


def uniform() -> Draw:
    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    return draw


def cholesky() -> Draw:
    """Lower factors of covariances near the identity: well conditioned in any dimension."""

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        noise = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        below = noise.tril(-1) / max(1, shape[-1]) ** 0.5
        return below + torch.diag_embed(torch.diagonal(noise, dim1=-2, dim2=-1).exp())

    return draw


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
    benchmark_sizes: tuple[Size, ...]
    hard: tuple[Mapping[str, float], ...]  # arguments filled with one extreme value
    rtol: Mapping[torch.dtype, float]  # against the reference in float64
    hard_rtol: Mapping[torch.dtype, float]  # where an input of 80 is rounded and exponentiated
    second_rtol: Mapping[torch.dtype, float]  # of second gradients, which the reference computes
    fixed: Mapping[str, None] = field(default_factory=dict)  # required arguments given as None

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

    def point_arguments(self) -> tuple[str, ...]:
        """Arguments with one row per point and the point's coordinates in it."""
        return tuple(name for name, argument in self.arguments.items() if argument.dims == "n d")


def point_argument(case: OpCase) -> str:
    """The argument that the densities are taken at."""
    return "mean_q" if case.fixed else case.point_arguments()[0]


def core_shape(dims: str, size: Size) -> tuple[int, ...]:
    return tuple(1 if dim == "1" else size[dim] for dim in dims.split())


def as_tuple(results: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (results,) if isinstance(results, Tensor) else tuple(results)


_RTOL = {torch.float32: 2e-6, torch.float64: 1e-13}
_HARD_RTOL = {torch.float32: 1e-5, torch.float64: 1e-13}
_SECOND_RTOL = {torch.float32: 2e-5, torch.float64: 1e-12}

_KL = OpCase(
    name="gaussian_kl",
    op=ops.gaussian_kl,
    reference=reference.gaussian_kl,
    arguments={
        "mean_q": Argument("n d", normal()),
        "logvar_q": Argument("n d", normal()),
        "mean_p": Argument("n d", normal()),
        "logvar_p": Argument("n d", normal()),
    },
    outputs=("n",),
    sizes=tuple({"n": n, "d": d} for n, d in zip(cycle(POINT_COUNTS), TAIL_SIZES, strict=False)),
    benchmark_sizes=SIZES["gaussian_kl"],
    hard=(
        {"logvar_q": -80.0},
        {"logvar_q": 80.0},
        {"logvar_p": 80.0},
        {"logvar_p": -80.0},
        {"logvar_q": -80.0, "logvar_p": 80.0},
        {"logvar_q": -80.0, "logvar_p": -80.0},
        {"logvar_q": 80.0, "logvar_p": 80.0},
        {"mean_q": 1e4, "mean_p": 1e4},
    ),
    rtol=_RTOL,
    hard_rtol=_HARD_RTOL,
    second_rtol=_SECOND_RTOL,
)

_KL_TRIL = replace(
    _KL,
    name="gaussian_kl_tril",
    op=ops.gaussian_kl_tril,
    reference=reference.gaussian_kl_tril,
    arguments={
        "mean_q": Argument("n d", normal()),
        "scale_tril_q": Argument("n d d", cholesky()),
        "mean_p": Argument("n d", normal()),
        "scale_tril_p": Argument("n d d", cholesky()),
    },
    benchmark_sizes=(
        {"n": 4096, "d": 8},
        {"n": 4096, "d": 32},
        {"n": 512, "d": 64},
        {"n": 64, "d": 256},
    ),
    hard=({"mean_q": 1e4, "mean_p": 1e4},),
)

_KL_PAIRWISE = replace(
    _KL,
    name="gaussian_kl_pairwise",
    op=ops.gaussian_kl_pairwise,
    reference=reference.gaussian_kl_pairwise,
    arguments={
        "mean_q": Argument("n d", normal()),
        "logvar_q": Argument("n d", normal()),
        "mean_p": Argument("k d", normal()),
        "logvar_p": Argument("k d", normal()),
    },
    outputs=("n k",),
    sizes=tuple(
        {"n": n, "k": k, "d": d}
        for n, (k, d) in zip(cycle(POINT_COUNTS), product(TAIL_SIZES, TAIL_SIZES), strict=False)
    ),
    benchmark_sizes=({"n": 128, "k": 10, "d": 10}, {"n": 4096, "k": 256, "d": 32}),
)

_MIXTURE_SIZES = tuple(
    {"n": n, "k": k, "d": d}
    for n, (k, d) in zip(cycle(POINT_COUNTS), product(TAIL_SIZES, TAIL_SIZES), strict=False)
)
_PARAMETERS = {
    "log_weights": Argument("k", log_simplex()),
    "means": Argument("k d", normal()),
    "logvars": Argument("k d", normal(0.5)),
}
_MIXTURE_HARD = (
    {"logvars": -80.0},
    {"logvars": 80.0},
    {"log_weights": -200.0},
    {"log_weights": 50.0},  # never normalised by an op
)

_LOG_PROB = OpCase(
    name="mixture_log_prob",
    op=ops.mixture_log_prob,
    reference=reference.mixture_log_prob,
    arguments={"x": Argument("n d", normal()), **_PARAMETERS},
    outputs=("n",),
    sizes=_MIXTURE_SIZES,
    benchmark_sizes=SIZES["mixture_log_prob"],
    hard=_MIXTURE_HARD,
    rtol=_RTOL,
    hard_rtol=_HARD_RTOL,
    second_rtol=_SECOND_RTOL,
)
_POSTERIOR = replace(
    _LOG_PROB,
    name="mixture_posterior",
    op=ops.mixture_posterior,
    reference=reference.mixture_posterior,
    outputs=("n k", "n"),
)

_W = {"w": Argument("n d", normal())}
_Q_W = {"mean_q": Argument("n d", normal()), "logvar_q": Argument("n d", normal(0.5, -1.0))}
_Q_Z = {"logits_q": Argument("n k", normal(2.0))}
_Q_W_HARD = ({"logvar_q": -80.0}, {"logvar_q": 80.0})


def _elbo_terms(name: str, arguments: Mapping[str, Argument], **changes: object) -> OpCase:
    """One combination of the optional arguments of ``mixture_elbo_terms``."""
    return replace(
        _LOG_PROB,
        name=f"mixture_elbo_terms[{name}]",
        op=ops.mixture_elbo_terms,
        reference=reference.mixture_elbo_terms,
        arguments=arguments,
        outputs=("n", "n"),
        hard=_MIXTURE_HARD + (_Q_W_HARD if "logvar_q" in arguments else ()),
        **changes,
    )


_ELBO_TERMS = (
    _elbo_terms("exact", {**_W, **_PARAMETERS}),
    _elbo_terms("sampled", {**_W, **_PARAMETERS, **_Q_W}),
    _elbo_terms("gaussian", {**_PARAMETERS, **_Q_W}, fixed={"w": None}),
    _elbo_terms("logits", {**_W, **_PARAMETERS, **_Q_Z}),
    _elbo_terms("gaussian-logits", {**_PARAMETERS, **_Q_W, **_Q_Z}, fixed={"w": None}),
)


def _isotropic(case: OpCase) -> OpCase:
    """The same case with one log-variance per component."""
    arguments = {**case.arguments, "logvars": Argument("k 1", normal(0.5))}
    return replace(
        case,
        name=f"{case.name}-isotropic",
        arguments=arguments,
        benchmark_sizes=case.benchmark_sizes[:3],
    )


def _standard_normal(case: OpCase) -> OpCase:
    """The same case with its defaults for p."""
    arguments = {name: case.arguments[name] for name in ("mean_q", "logvar_q")}
    hard = tuple(values for values in case.hard if set(values) <= set(arguments))
    return replace(case, name=f"{case.name}-standard", arguments=arguments, hard=hard)


def _full(case: OpCase, op: Callable, expected: Callable) -> OpCase:
    """The same case with Cholesky factors."""
    arguments = {name: case.arguments[name] for name in case.arguments if name != "logvars"}
    before, after = list(arguments.items())[:3], list(arguments.items())[3:]
    return replace(
        case,
        name=f"{case.name}_tril",
        op=op,
        reference=expected,
        arguments=dict([*before, ("scale_trils", Argument("k d d", cholesky())), *after]),
        sizes=case.sizes[::3],  # D of its columns takes the part of K in filling vectors
        benchmark_sizes=SIZES.get(f"{case.name}_tril", ()),
        hard=({"log_weights": -200.0}, {"log_weights": 50.0}),
    )


def _tied(case: OpCase) -> OpCase:
    """The same case with one factor for all components."""
    arguments = {**case.arguments, "scale_trils": Argument("1 d d", cholesky())}
    return replace(case, name=f"{case.name}-tied", arguments=arguments)


_FULL = (
    _full(_LOG_PROB, ops.mixture_log_prob_tril, reference.mixture_log_prob_tril),
    _full(_POSTERIOR, ops.mixture_posterior_tril, reference.mixture_posterior_tril),
)
_MIXTURES = (_LOG_PROB, _POSTERIOR, *_ELBO_TERMS)
MIXTURE_CASES = (
    *(form for case in _MIXTURES for form in (case, _isotropic(case))),
    *(form for case in _FULL for form in (case, _tied(case))),
)
TILED_CASES = (_KL_PAIRWISE, *MIXTURE_CASES)  # every point against every component
CASES = (_KL, _standard_normal(_KL), _KL_TRIL, *TILED_CASES)


def _statistics(case: OpCase) -> OpCase:
    """The sums of an EM step: float64 whatever comes in, and no gradient."""
    return replace(
        case,
        name="mixture_statistics",
        op=ops.mixture_statistics,
        reference=reference.mixture_statistics,
        arguments={**case.arguments, "sample_weight": Argument("n", uniform())},
        outputs=("", "k", "k d", "k d"),
        benchmark_sizes=SIZES["mixture_statistics"],
    )


_SUMS = _statistics(_LOG_PROB)
_FULL_SUMS = replace(
    _full(_SUMS, ops.mixture_statistics_tril, reference.mixture_statistics_tril),
    outputs=("", "k", "k d", "k d d"),
    benchmark_sizes=SIZES["mixture_statistics_tril"],
)
STATISTICS_CASES = (_SUMS, _isotropic(_SUMS), _FULL_SUMS, _tied(_FULL_SUMS))


def _each(cases: tuple[OpCase, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


each_case = _each(CASES)
each_mixture = _each(MIXTURE_CASES)
each_statistics = _each(STATISTICS_CASES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
