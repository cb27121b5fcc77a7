# SPDX-License-Identifier: MIT
"""The claims about a GPU, in float32 without TF32."""

from __future__ import annotations

from pyvae.bench.cases import BOTH, FORWARD
from pyvae.bench.claims import Claim, NotMeasured, faster, share, time
from pyvae.bench.rates import copy_share, fma_share
from pyvae.bench.results import CaseResult
from pyvae.bench.sizes import GPU_SIZES, elements, label
from pyvae.bench.variants import FLOAT_BYTES, PYVAE

# The E step of Flash-GMM at the largest size, as published: TF32, on an A100.
_FLASH_GMM = 0.152
_MIB = 2.0**20


def _beside_flash_gmm(case: CaseResult) -> float:
    return _FLASH_GMM / time(case, FORWARD, PYVAE)


def _scratch(case: CaseResult) -> float:
    """Memory beyond the results and the gradients."""
    figure = case.figures.get(BOTH, {}).get(PYVAE)
    if figure is None or figure.peak_bytes is None:
        raise NotMeasured("not measured")
    held = sum(elements(case.size, letters) for letters in ("n", "nd", "k", "kd", "kd"))
    return (figure.peak_bytes - FLOAT_BYTES * held) / _MIB


def claims() -> tuple[Claim, ...]:
    """Give every claim, in the order of the document."""
    large, middle, *_ = map(label, GPU_SIZES["mixture_log_prob"])
    terms = "mixture_elbo_terms", label(GPU_SIZES["mixture_elbo_terms"][0]), BOTH
    op, bytes_beside = "mixture_log_prob", "bytes a second beside a copy"
    return (
        Claim(
            op, large, FORWARD, "rate, 4NKD operations, beside that of multiply-adds", 0.50, True,
            "%", share(fma_share),
        ),
        Claim(
            op, large, FORWARD, "speed beside Flash-GMM's published 152 ms (TF32, A100)", 1, True,
            "x", _beside_flash_gmm,
        ),
        Claim(
            op, large, BOTH, "the backward pass beside the forward pass", 5, False, "x",
            lambda case: time(case, BOTH, PYVAE) / time(case, FORWARD, PYVAE) - 1,
        ),
        Claim(
            op, large, BOTH, "peak memory beyond inputs, results and gradients", 64, False, "MiB",
            _scratch,
        ),
        faster(op, middle, FORWARD, 3, "compile, GEMM form"),
        faster(op, middle, FORWARD, 3, "compile, broadcast"),
        faster(op, middle, BOTH, 10, "compile, GEMM form"),
        faster(op, middle, BOTH, 10, "compile, broadcast"),
        faster(*terms, 5, "eager, formula"),
        faster(*terms, 1.5, "compile, formula"),
        *(
            Claim(
                kind, label(GPU_SIZES[kind][-1]), direction, bytes_beside, 0.80, True, "%",
                share(copy_share, direction),
            )
            for kind in ("gaussian_kl", "gaussian_kl_tril")
            for direction in (FORWARD, BOTH)
        ),
    )  # fmt: skip
