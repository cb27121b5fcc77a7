# SPDX-License-Identifier: MIT
"""The table of claims: what must come out of a run, in which case, beside whom."""

from __future__ import annotations

from pyvae.bench import gpu_targets
from pyvae.bench import variants as v
from pyvae.bench.cases import BOTH, FORWARD
from pyvae.bench.claims import Claim, GrowthClaim, NotMeasured, faster, share, time
from pyvae.bench.rates import copy_share, sgemm_share
from pyvae.bench.results import CaseResult
from pyvae.bench.sizes import FITS, GROWTH, MEMORY, SIZES, label

_COMPILED_GEMM, _COMPILED_BROADCAST = "compile, GEMM form", "compile, broadcast"
_JAX, _SCIKIT, _DISTRIBUTIONS = "jax.jit, GEMM form", "scikit-learn", "torch.distributions"
_LOOPS = ("eager, loop of products", "eager, loop of solves")
_MIB = 2.0**20


def _large_mixtures() -> list[Claim]:
    op, found = "mixture_log_prob", []
    for size in ("16384x512x64", "65536x256x64", "8192x1024x256"):
        rate = "rate, 4NKD operations, beside sgemm"
        found += [
            Claim(op, size, FORWARD, rate, 0.80, True, "%", share(sgemm_share)),
            faster(op, size, FORWARD, 4, _COMPILED_GEMM),
            faster(op, size, FORWARD, 4, _COMPILED_BROADCAST),
            faster(op, size, FORWARD, 3, _JAX),
            Claim(
                op, size, BOTH, "time beside its own forward pass", 5, False, "x",
                lambda case: time(case, BOTH, v.PYVAE) / time(case, FORWARD, v.PYVAE),
            ),
            *([faster(op, size, BOTH, 10, _COMPILED_GEMM)] if size != "8192x1024x256" else []),
            faster(op, size, BOTH, 1.9, _JAX),
        ]  # fmt: skip
    return found


def _growth_claims() -> list[Claim]:
    labels = [label(size) for size in GROWTH]
    return [
        Claim(
            "mixture_log_prob", name, FORWARD, "two threads beside one", 1.8, True, "x",
            lambda case: time(case, FORWARD, v.ONE_THREAD) / time(case, FORWARD, v.PYVAE),
        )
        for name in labels[1:]
    ]  # fmt: skip


def _mixtures() -> list[Claim]:
    op, middle = "mixture_log_prob", "65536x64x16"
    smallest = [faster(op, size, BOTH, 1.5) for size in ("128x10x10", "1024x10x16")]
    memory = Claim(
        op, label(MEMORY[0]), BOTH, "peak memory beyond the inputs", 20, False, "MiB", _memory
    )
    return [
        *_large_mixtures(),
        faster(op, middle, FORWARD, 3, _COMPILED_GEMM),
        faster(op, middle, FORWARD, 3, _COMPILED_BROADCAST),
        faster(op, middle, BOTH, 2, _COMPILED_GEMM),
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
    parts = time(case, FORWARD, v.DENSITY) + time(case, FORWARD, v.WRITE)
    return time(case, FORWARD, v.PYVAE) / parts


def _of_the_posterior() -> list[Claim]:
    what = "time beside the density and writing (N, K) once"
    return [
        Claim("mixture_posterior", label(size), FORWARD, what, 1.3, False, "x", _posterior_cost)
        for size in SIZES["mixture_posterior"]
    ]


def _full_covariances() -> list[Claim]:
    op, found = "mixture_log_prob_tril", []
    for size in SIZES[op]:
        text = "speed beside the faster of a loop of products and a loop of solves"
        found += [
            faster(op, label(size), FORWARD, 3, *_LOOPS, what=text),
            faster(op, label(size), FORWARD, 6, _SCIKIT),
        ]
    return found


def _divergences() -> list[Claim]:
    small, large, full = "4096x64", "65536x128", "gaussian_kl_tril"
    needed = zip(SIZES[full], (8, 8, 3, 1), strict=True)
    return [
        faster("gaussian_kl", small, FORWARD, 1.2, "compile, formula"),
        faster("gaussian_kl", small, BOTH, 1.2, "compile, formula"),
        faster("gaussian_kl", small, FORWARD, 5, "eager, formula"),
        Claim(
            "gaussian_kl", large, FORWARD, "bytes a second beside a copy", 0.9, True, "%",
            share(copy_share),
        ),
        *(
            faster(full, label(size), direction, ratio, _DISTRIBUTIONS)
            for size, ratio in needed
            for direction in (FORWARD, BOTH)
        ),
    ]  # fmt: skip


def _fits() -> list[Claim]:
    found = []
    for op, needed in (("fit_diag", 5), ("fit_full", 8)):
        for size in map(label, FITS[op]):
            what = "log-likelihood below that of float64, relative"
            found += [
                faster(op, size, FORWARD, needed, _SCIKIT),
                Claim(op, size, FORWARD, what, 1e-4, False, "", _shortfall),
            ]
    return found


def _shortfall(case: CaseResult) -> float:
    figure = case.figures.get(FORWARD, {}).get(v.PYVAE)
    if figure is None or figure.error is None:
        raise NotMeasured("not measured")
    return figure.error


def claims(device: str = "cpu") -> tuple[Claim, ...]:
    """Give every claim about a device, in the order of the document."""
    return _of_the_processor() if device == "cpu" else gpu_targets.claims()


def _of_the_processor() -> tuple[Claim, ...]:
    terms = "mixture_elbo_terms", label(SIZES["mixture_elbo_terms"][0]), BOTH
    diag, tril = "mixture_statistics", "mixture_statistics_tril"
    return (
        *_mixtures(),
        *_of_the_posterior(),
        faster(*terms, 4, "eager, formula"),
        faster(*terms, 2, "compile, formula"),
        faster(diag, label(SIZES[diag][0]), FORWARD, 6, _SCIKIT),
        faster(tril, label(SIZES[tril][0]), FORWARD, 10, _SCIKIT),
        *_full_covariances(),
        *_divergences(),
        *_fits(),
    )
