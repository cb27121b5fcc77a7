# SPDX-License-Identifier: MIT
"""The table of claims: what must come out of a run, in which case, beside whom."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import claims as c
from benchmarks.claims import Claim, Measure, beside, share
from benchmarks.fits import FITS
from benchmarks.rates import COPY, FMA, SGEMM
from benchmarks.results import BOTH, FORWARD, label
from benchmarks.suite import GROWTH
from benchmarks.variants import DISTRIBUTIONS, SCIKIT
from tests.ops.cases import MEASURED

Row = tuple[str, Measure, float]  # direction, what is measured, what is needed

_GEMM, _BROADCAST = beside("compile, GEMM form"), beside("compile, broadcast")
_JAX, _SCIKIT, _DISTRIBUTIONS = beside("jax.jit, GEMM form"), beside(SCIKIT), beside(DISTRIBUTIONS)
_EAGER, _COMPILED = beside("eager, formula"), beside("compile, formula")
_LOOPS = beside(
    "eager, loop of products",
    "eager, loop of solves",
    what="speed beside the faster of a loop of products and a loop of solves",
)
_OF_COPY = share(COPY, "bytes a second beside a copy")
_OF_SGEMM = share(SGEMM, "rate, 4NKD operations, beside sgemm")
_OF_FMA = share(FMA, "rate, 4NKD operations, beside that of multiply-adds")


def _labels(op: str) -> list[str]:
    return [label(size) for size in MEASURED[op].measured_sizes()]


def claims(device: str = "cpu") -> tuple[Claim, ...]:
    """Give every claim about a device, in the order of the document."""
    return _of_the_processor() if device == "cpu" else _of_a_gpu()


def _over(op: str, sizes: Iterable[str], *rows: Row) -> list[Claim]:
    return [Claim(op, (size,), *row) for size in sizes for row in rows]


def _of_the_processor() -> tuple[Claim, ...]:
    growth, tril = [label(size) for size in GROWTH], _labels("gaussian_kl_tril")
    log_prob, large = (
        "mixture_log_prob",
        (
            (FORWARD, _OF_SGEMM, 0.80),
            (FORWARD, _GEMM, 4),
            (FORWARD, _BROADCAST, 4),
            (FORWARD, _JAX, 3),
            (BOTH, c.OF_FORWARD, 5),
        ),
    )
    return (
        *_over(
            log_prob, ["16384x512x64", "65536x256x64"], *large, (BOTH, _GEMM, 10), (BOTH, _JAX, 1.9)
        ),
        *_over(log_prob, ["8192x1024x256"], *large, (BOTH, _JAX, 1.9)),
        *_over(
            log_prob, ["65536x64x16"], (FORWARD, _GEMM, 3), (FORWARD, _BROADCAST, 3),
            (BOTH, _GEMM, 2),
        ),
        *_over(log_prob, ["128x10x10", "1024x10x16"], (BOTH, beside(), 1.5)),
        *_over(log_prob, ["8192x256x64"], (BOTH, c.PEAK, 20)),
        Claim(log_prob, tuple(growth), FORWARD, c.EVENNESS, 1.2),
        *_over(log_prob, growth[1:], (FORWARD, c.TWO_THREADS, 1.8)),
        *_over("mixture_posterior", _labels("mixture_posterior"), (FORWARD, c.OF_PARTS, 1.3)),
        *_over("mixture_elbo_terms", ["256x10x10"], (BOTH, _EAGER, 4), (BOTH, _COMPILED, 2)),
        *_over("mixture_statistics", ["65536x256x64"], (FORWARD, _SCIKIT, 6)),
        *_over("mixture_statistics_tril", ["100000x16x32"], (FORWARD, _SCIKIT, 10)),
        *_over(
            "mixture_log_prob_tril", _labels("mixture_log_prob_tril"), (FORWARD, _LOOPS, 3),
            (FORWARD, _SCIKIT, 6),
        ),
        *_over(
            "gaussian_kl", ["4096x64"], (FORWARD, _COMPILED, 1.2), (BOTH, _COMPILED, 1.2),
            (FORWARD, _EAGER, 5),
        ),
        *_over("gaussian_kl", ["65536x128"], (FORWARD, _OF_COPY, 0.9)),
        *(
            claim
            for size, needed in zip(tril, (8, 8, 3, 1), strict=True)
            for claim in _over(
                "gaussian_kl_tril", [size], (FORWARD, _DISTRIBUTIONS, needed),
                (BOTH, _DISTRIBUTIONS, needed),
            )
        ),
        *_over(
            "fit_diag", map(label, FITS["fit_diag"]), (FORWARD, _SCIKIT, 5),
            (FORWARD, c.SHORTFALL, 1e-4),
        ),
        *_over(
            "fit_full", map(label, FITS["fit_full"]), (FORWARD, _SCIKIT, 8),
            (FORWARD, c.SHORTFALL, 1e-4),
        ),
    )  # fmt: skip


def _of_a_gpu() -> tuple[Claim, ...]:
    log_prob, bandwidth = "mixture_log_prob", ((FORWARD, _OF_COPY, 0.8), (BOTH, _OF_COPY, 0.8))
    return (
        *_over(
            log_prob, ["1000000x1024x128"], (FORWARD, _OF_FMA, 0.5), (FORWARD, c.FLASH_GMM, 1),
            (BOTH, c.BACKWARD_ALONE, 5), (BOTH, c.SCRATCH, 64),
        ),
        *_over(
            log_prob, ["65536x512x64"], (FORWARD, _GEMM, 3), (FORWARD, _BROADCAST, 3),
            (BOTH, _GEMM, 10), (BOTH, _BROADCAST, 10),
        ),
        *_over("mixture_elbo_terms", ["256x10x10"], (BOTH, _EAGER, 5), (BOTH, _COMPILED, 1.5)),
        *_over("gaussian_kl", ["781250x128"], *bandwidth),
        *_over("gaussian_kl_tril", ["97656x32"], *bandwidth),
    )  # fmt: skip
