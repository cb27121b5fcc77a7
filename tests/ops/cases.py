# SPDX-License-Identifier: MIT
"""The case table: one entry per op and per combination of its arguments.

Every property test is a loop over a part of ``TABLE``, and so are the benchmarks. An op joins all
of them with an entry here: its arguments with their shapes and ordinary values, the shapes of its
results, the values that break naive formulas, the error it may make against its reference in
float64, and the sizes at which it is measured, on the CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle, product

import pytest
import torch

from pyvae import ops
from pyvae.ops import reference
from tests.ops.case import Argument, OpCase
from tests.ops.draws import cholesky, log_simplex, normal, sizes_of, uniform

DTYPES = (torch.float32, torch.float64)
# Around every vector width and tile edge of the kernels: whole registers, one less, one more.
TAIL_SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65)
POINT_COUNTS = (1, 2, 7, 8, 9, 17, 64, 65)
TILED = {"n": 200, "k": 40, "d": 19}  # several blocks of points and panels, with ragged ends
SMALL = {"n": 3, "k": 4, "d": 2}  # for checks by finite differences
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
    benchmark_sizes=sizes_of("nd", (128, 10), (4096, 64), (65536, 128)),
    # The last is of 10^8 numbers a tensor, and limited by memory.
    gpu_sizes=sizes_of("nd", (128, 10), (65536, 128), (781250, 128)),
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
    benchmark_sizes=sizes_of("nd", (4096, 8), (4096, 32), (512, 64), (64, 256)),
    gpu_sizes=sizes_of("nd", (65536, 8), (4096, 64), (512, 256), (97656, 32)),
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
    benchmark_sizes=sizes_of("nkd", (1024, 10, 16), (4096, 256, 64)),
    gpu_sizes=sizes_of("nkd", (1024, 10, 16), (16384, 1024, 64)),
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
    benchmark_sizes=sizes_of(
        "nkd",
        (128, 10, 10),
        (1024, 10, 16),
        (8192, 64, 32),
        (65536, 64, 16),
        (16384, 512, 64),
        (65536, 256, 64),
        (8192, 1024, 256),
        (8192, 256, 64),  # where forward and backward together must take little memory
        (20000, 300, 96),
        (5000, 2000, 200),  # whose components do not fit a cache
    ),
    gpu_sizes=sizes_of(
        "nkd", (1_000_000, 1024, 128), (65536, 512, 64), (65536, 64, 16), (256, 10, 10)
    ),
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
    benchmark_sizes=sizes_of("nkd", (65536, 64, 16), (16384, 512, 64)),
    gpu_sizes=sizes_of("nkd", (65536, 512, 64), (256, 10, 10)),
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
        benchmark_sizes=sizes_of("nkd", (256, 10, 10)),
        gpu_sizes=sizes_of("nkd", (256, 10, 10), (65536, 10, 10)),
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


def _full(case: OpCase, op: Callable, expected: Callable, **changes: object) -> OpCase:
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
        hard=({"log_weights": -200.0}, {"log_weights": 50.0}),
        **changes,
    )


def _tied(case: OpCase) -> OpCase:
    """The same case with one factor for all components."""
    arguments = {**case.arguments, "scale_trils": Argument("1 d d", cholesky())}
    return replace(case, name=f"{case.name}-tied", arguments=arguments)


def _forms(case: OpCase) -> tuple[OpCase, OpCase]:
    return case, _tied(case) if case.spread == "scale_trils" else _isotropic(case)


_LOG_PROB_TRIL = _full(
    _LOG_PROB,
    ops.mixture_log_prob_tril,
    reference.mixture_log_prob_tril,
    benchmark_sizes=sizes_of("nkd", (100_000, 16, 32), (65536, 64, 16), (16384, 64, 64)),
    gpu_sizes=sizes_of("nkd", (100_000, 16, 32), (65536, 64, 64), (16384, 16, 256)),
)
_POSTERIOR_TRIL = _full(
    _POSTERIOR,
    ops.mixture_posterior_tril,
    reference.mixture_posterior_tril,
    benchmark_sizes=(),  # its density and the diagonal posterior are measured
    gpu_sizes=(),
)
_MIXTURES = (_LOG_PROB, _LOG_PROB_TRIL, _POSTERIOR, _POSTERIOR_TRIL, *_ELBO_TERMS)
MIXTURE_CASES = tuple(form for case in _MIXTURES for form in _forms(case))
TILED_CASES = (_KL_PAIRWISE, *MIXTURE_CASES)  # every point against every component
CASES = (_KL, _standard_normal(_KL), _KL_TRIL, *TILED_CASES)


# The sums of an EM step: float64 whatever comes in, and no gradient.
_SUMS = replace(
    _LOG_PROB,
    name="mixture_statistics",
    op=ops.mixture_statistics,
    reference=reference.mixture_statistics,
    arguments={**_LOG_PROB.arguments, "sample_weight": Argument("n", uniform())},
    outputs=("", "k", "k d", "k d"),
    differentiable=False,
    benchmark_sizes=sizes_of("nkd", (65536, 64, 16), (16384, 512, 64), (65536, 256, 64)),
    gpu_sizes=sizes_of("nkd", (1_000_000, 256, 64)),
    unmeasured=("sample_weight",),
)
_SUMS_TRIL = _full(
    _SUMS,
    ops.mixture_statistics_tril,
    reference.mixture_statistics_tril,
    outputs=("", "k", "k d", "k d d"),
    benchmark_sizes=sizes_of("nkd", (100_000, 16, 32), (16384, 64, 64)),
    gpu_sizes=sizes_of("nkd", (100_000, 16, 32), (65536, 64, 64)),
)
STATISTICS_CASES = (*_forms(_SUMS), *_forms(_SUMS_TRIL))

# An index and a density, and no gradient.
_PREDICT = replace(
    _LOG_PROB,
    name="mixture_predict",
    op=ops.mixture_predict,
    reference=reference.mixture_predict,
    outputs=("n", "n"),
    differentiable=False,
    benchmark_sizes=sizes_of("nkd", (256, 10, 10), (65536, 64, 16), (16384, 512, 64)),
    gpu_sizes=sizes_of("nkd", (256, 10, 10), (65536, 512, 64)),
)
_PREDICT_TRIL = _full(
    _PREDICT,
    ops.mixture_predict_tril,
    reference.mixture_predict_tril,
    benchmark_sizes=sizes_of("nkd", (100_000, 16, 32)),
    gpu_sizes=sizes_of("nkd", (100_000, 16, 32)),
)
PREDICTION_CASES = (*_forms(_PREDICT), *_forms(_PREDICT_TRIL))
TABLE = (*CASES, *STATISTICS_CASES, *PREDICTION_CASES)
# The first entry of every op, by its name: what the benchmarks measure.
MEASURED: dict[str, OpCase] = {}
for _case in TABLE:
    MEASURED.setdefault(_case.op.__name__, _case)


def _each(cases: tuple[OpCase, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


each_case = _each(CASES)
each_mixture = _each(MIXTURE_CASES)
each_statistics = _each(STATISTICS_CASES)
each_prediction = _each(PREDICTION_CASES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
