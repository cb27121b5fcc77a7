# SPDX-License-Identifier: MIT
"""The table of claims: what must come out of a run, in which case, beside whom."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import claims as c
from benchmarks.claims import Claim, Measure, beside, share
from benchmarks.rates import COPY, SGEMM
from benchmarks.results import BOTH, CLUSTERS, FORWARD, label
from benchmarks.suite import GROWTH
from benchmarks.variants import DISTRIBUTIONS, FLUSHED, SCIKIT, STEPMIX, STUDENT_T, TEXTBOOK
from tests.ops.cases import MEASURED

_GEMM, _BROADCAST = beside("compile, GEMM form"), beside("compile, broadcast")
_JAX, _SCIKIT, _DISTRIBUTIONS = beside("jax.jit, GEMM form"), beside(SCIKIT), beside(DISTRIBUTIONS)
_FLUSHED = beside(f"compile, GEMM form, {FLUSHED}")
_TEXTBOOK, _STEPMIX = beside(TEXTBOOK), beside(STEPMIX)
_EAGER, _COMPILED = beside("eager, formula"), beside("compile, formula")
_EAGER_GEMM, _LOOP = beside("eager, GEMM form"), beside("eager, loop of products")
_LOOPS = beside(
    "eager, loop of products",
    "eager, loop of solves",
    what="speed beside the faster of a loop of products and a loop of solves",
)
_OF_COPY = share(COPY, "bytes a second beside a copy")
_OF_SGEMM = share(SGEMM, "rate, 4NKD operations, beside sgemm")


def claims(device: str = "cpu") -> tuple[Claim, ...]:
    """Give every claim about a device, in the order of the document."""
    return _OF_THE_PROCESSOR if device == "cpu" else _OF_A_GPU


def _of(
    op: str,
    sizes: str,
    forward: Mapping[Measure, float] | None = None,
    both: Mapping[Measure, float] | None = None,
) -> list[Claim]:
    """Claim what is needed of an op at every one of these sizes, by direction and measure."""
    return [
        Claim(op, (size,), direction, measure, needed)
        for size in sizes.split()
        for direction, rows in ((FORWARD, forward), (BOTH, both))
        for measure, needed in (rows or {}).items()
    ]


def _among_clusters(op: str, *directions: str) -> list[Claim]:
    """Claim that an op costs no more where clusters are apart, at every size with such points."""
    sizes = map(label, MEASURED[op].measured_among_clusters())
    return [
        Claim(op, (size, size + CLUSTERS), direction, c.AMONG_CLUSTERS, 1.05)
        for size in sizes
        for direction in directions
    ]


_GROWTH = tuple(label(size) for size in GROWTH)
_LARGE = {_OF_SGEMM: 0.85, _GEMM: 4, _BROADCAST: 4, _JAX: 3}
_OF_THE_PROCESSOR = (
    *_of(
        "mixture_log_prob", "16384x512x64 65536x256x64", _LARGE,
        {c.OF_FORWARD: 5, _GEMM: 10, _JAX: 1.9},
    ),
    *_of("mixture_log_prob", "8192x1024x256", _LARGE, {c.OF_FORWARD: 5, _JAX: 1.9}),
    *_of("mixture_log_prob", "65536x64x16", {_GEMM: 3, _BROADCAST: 3}, {_GEMM: 2}),
    *_of("mixture_log_prob", "20000x300x96 5000x2000x200", {_OF_SGEMM: 0.85}),
    *_of("mixture_log_prob", "5000x2000x200", both={c.OF_FORWARD: 4.5}),
    *_of(
        "mixture_log_prob", "16384x512x64-clusters 65536x256x64-clusters",
        both={c.OF_FORWARD: 1.9, _GEMM: 15, _FLUSHED: 4},
    ),
    *_of("mixture_log_prob", "65536x64x16-clusters", both={c.OF_FORWARD: 3.5}),
    *_among_clusters("mixture_log_prob", FORWARD, BOTH),
    *_among_clusters("mixture_posterior", FORWARD, BOTH),
    *_among_clusters("mixture_predict", FORWARD),
    *_of("mixture_log_prob", "128x10x10 1024x10x16", both={beside(): 1.5}),
    *_of("mixture_log_prob", "128x10x10", both={_JAX: 0.9}),
    *_of("mixture_log_prob", "8192x256x64", both={c.PEAK: 20}),
    Claim("mixture_log_prob", _GROWTH, FORWARD, c.EVENNESS, 1.2),
    *_of("mixture_log_prob", " ".join(_GROWTH[1:]), {c.TWO_THREADS: 1.8}),
    *_of("mixture_posterior", "65536x64x16 16384x512x64", {c.OF_PARTS: 1.3}),
    *_of("mixture_elbo_terms", "256x10x10", both={_EAGER: 4, _COMPILED: 2}),
    *_of("mixture_statistics", "65536x256x64", {_SCIKIT: 6}),
    *_of("mixture_statistics", "65536x64x16-clusters", {c.OF_DENSITY: 2.2}),
    *_of("mixture_statistics", "16384x512x64-clusters 65536x256x64-clusters", {c.OF_DENSITY: 1.5}),
    *_among_clusters("mixture_statistics", FORWARD),
    *_of("mixture_statistics_tril", "100000x16x32", {_SCIKIT: 10}),
    *_of(
        "mixture_statistics_tril", "100000x16x32-clusters 16384x64x64-clusters", {c.OF_DENSITY: 1.6}
    ),
    *_among_clusters("mixture_statistics_tril", FORWARD),
    *_of(
        "mixture_log_prob_tril", "100000x16x32 65536x64x16 16384x64x64", {_LOOPS: 3, _SCIKIT: 6}
    ),
    *_of(
        "mixture_log_prob_tril",
        "100000x16x32-clusters 65536x64x16-clusters 16384x64x64-clusters",
        both={c.OF_FORWARD: 2.5},
    ),
    *_among_clusters("mixture_log_prob_tril", FORWARD, BOTH),
    *_of("gaussian_kl", "4096x64", {_COMPILED: 1.2}, {_COMPILED: 1.2}),
    *_of("gaussian_kl", "4096x64", {_EAGER: 5}),
    *_of("gaussian_kl", "65536x128", {_OF_COPY: 0.9}),
    *_of("gaussian_kl_tril", "4096x8 4096x32", {_DISTRIBUTIONS: 8}, {_DISTRIBUTIONS: 8}),
    *_of("gaussian_kl_tril", "512x64", {_DISTRIBUTIONS: 3}, {_DISTRIBUTIONS: 3}),
    *_of("gaussian_kl_tril", "64x256", {_DISTRIBUTIONS: 1}, {_DISTRIBUTIONS: 1}),
    *_of("fit_diag", "65536x256x64x20", {_SCIKIT: 5, c.SHORTFALL: 1e-4}),
    *_of("fit_diag", "65536x256x64x100", {_SCIKIT: 10, c.SHORTFALL: 1e-4}),
    *_of("fit_full", "100000x16x32x20", {_SCIKIT: 8, c.SHORTFALL: 1e-4}),
    *_of("fit_full", "100000x16x32x100", {_SCIKIT: 20, c.SHORTFALL: 1e-4}),
    *_of("fit_default", "20000x16x16", {_SCIKIT: 2, c.SHORTFALL: 1e-4}),
    *_of("fit_low_rank", "20000x1x512x20x16", {_SCIKIT: 1, c.SHORTFALL: 1e-4}),
    *_of("fit_low_rank", "8192x32x1536x5x16", {_TEXTBOOK: 1, c.SHORTFALL: 1e-4}),
    *_of("fit_bayesian_diag", "65536x64x64x10", {_SCIKIT: 8, c.SHORTFALL: 1e-4}),
    *_of("fit_bayesian_full", "100000x16x32x10", {_SCIKIT: 8, c.SHORTFALL: 1e-4}),
    *_of(
        "fit_student_t", "20000x8x16x20",
        {beside(STUDENT_T): 2, _TEXTBOOK: 1, c.SHORTFALL: 1e-4},
    ),
    *_of("fit_noise", "20000x8x16x20", {_TEXTBOOK: 4, c.SHORTFALL: 1e-4}),
    *_of("fit_labelled", "20000x8x16x20", {_TEXTBOOK: 4, c.SHORTFALL: 1e-4}),
    *_of("fit_bernoulli", "5000x10x784x10", {_STEPMIX: 1, c.SHORTFALL: 1e-4}),
    *_of("fit_categorical", "20000x10x32x10", {_STEPMIX: 1, c.SHORTFALL: 1e-4}),
    *_of("fit_table", "20000x10x30x10", {_STEPMIX: 1, c.SHORTFALL: 1e-4}),
)  # fmt: skip
_OF_A_GPU = (
    *_of(
        "mixture_log_prob", "1000000x1024x128", {_OF_SGEMM: 0.75}, {_GEMM: 0.8, c.SCRATCH: 192}
    ),
    *_of("mixture_log_prob", "1000000x1024x128-clusters", {_GEMM: 2.5},
         {_GEMM: 3.5, c.SCRATCH: 192}),
    *_of("mixture_log_prob", "65536x512x64-clusters", {_GEMM: 2}, {_GEMM: 2}),
    *_of("mixture_log_prob", "65536x64x16-clusters", {_GEMM: 3}, {_GEMM: 2.5}),
    *_of("mixture_log_prob", "256x10x10", both={_JAX: 1}),
    *_of("mixture_posterior", "65536x512x64-clusters", both={_GEMM: 1.2}),
    *_of("mixture_elbo_terms", "256x10x10", both={_EAGER: 5, _COMPILED: 1.5}),
    *_of("mixture_statistics", "1000000x256x64-clusters", {_EAGER_GEMM: 2.5}),
    *_of("mixture_log_prob_tril", "65536x64x64-clusters", {_LOOP: 3}, {_LOOP: 3}),
    *_of("mixture_statistics_tril", "65536x64x64-clusters", {_LOOP: 3}),
    *_of("gaussian_kl", "781250x128", {_OF_COPY: 0.8}, {_OF_COPY: 0.8}),
    *_of("gaussian_kl_tril", "97656x32", {_OF_COPY: 0.8}, {_OF_COPY: 0.8}),
    *_of("fit_spherical", "2000000x32x64x20", {c.SECONDS: 0.2, c.SHORTFALL: 1e-4}),
    *_of("fit_diag", "1000000x64x32x20", {c.SECONDS: 0.15, c.SHORTFALL: 1e-4}),
    *_of("fit_full", "1000000x16x32x20", {c.SECONDS: 0.3, c.SHORTFALL: 1e-4}),
)  # fmt: skip
