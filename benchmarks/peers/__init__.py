# SPDX-License-Identifier: MIT
"""The ops' peers by hand: the same computations as people write them without pyvae.

An op without a line in ``PEERS`` is measured beside its reference alone, which is its truth too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.peers import divergences, libraries, mixtures
from benchmarks.rates import COPY, SGEMM, WRITE
from benchmarks.variants import (
    DENSITY,
    Variant,
    compiled,
    eager,
    flushed,
    in_torch,
    with_graphs,
)
from pyvae import ops
from pyvae.ops import reference

_TURNS = 16  # of a loop over components under torch.compile
_COPIED, _MULTIPLIED = 2**22, 2**28  # elements from which on a copy, or a product, takes turns
_SPREAD = 2**22  # elements from which on responsibilities are small enough to be subnormal
_BATCH = 2**16  # elements below which a GPU waits for whoever tells it what to do


class Peers:
    """What takes turns with an op.

    ``truth`` computes the op in plain torch, cheaply enough to run over all points in float64;
    ``largest`` is the letters of the largest tensor it writes, where none has all dimensions.
    """

    def __init__(self, truth: Callable, *variants: Variant, largest: str | None = None) -> None:
        self.truth, self.variants, self.largest = truth, variants, largest


_LOG_PROB = mixtures.log_prob(mixtures.by_products)
_POSTERIOR = mixtures.posterior(mixtures.by_products)
_COMPILED_LOG_PROB = compiled("GEMM form", _LOG_PROB, "nk")
_COMPILED_POSTERIOR = compiled("GEMM form", _POSTERIOR, "nk")
_COMPILED_STATISTICS = compiled("GEMM form", mixtures.statistics, "nk")
_LOOP = mixtures.log_prob(mixtures.by_loop)
_SOLVES = mixtures.log_prob(partial(mixtures.by_loop, by_solve=True))
_LOOP_LOG_PROB = eager("loop of products", _LOOP, "nk", "knd")
_LOOP_STATISTICS = eager("loop of products", mixtures.statistics_by_loop, "nk")

PEERS: dict[str, Peers] = {
    "gaussian_kl": Peers(
        divergences.diagonal,
        eager("formula", divergences.diagonal, "nd"),
        eager("reference", reference.gaussian_kl, "nd"),
        compiled("formula", divergences.diagonal, "nd"),
        divergences.by_distributions(divergences.normal, "nd"),
        COPY.variant(least=_COPIED),
    ),
    "gaussian_kl_tril": Peers(
        divergences.full,
        eager("formula", divergences.full, "ndd"),
        compiled("formula", divergences.full, "ndd"),
        divergences.by_distributions(divergences.normal_tril, "ndd"),
    ),
    "gaussian_kl_pairwise": Peers(
        divergences.pairwise_products,
        eager("broadcast", divergences.pairwise, "nkd"),
        eager("GEMM form", divergences.pairwise_products, "nk"),
        compiled("broadcast", divergences.pairwise, "nk", "nkd"),
        compiled("GEMM form", divergences.pairwise_products, "nk"),
        largest="nk",
    ),
    "mixture_log_prob": Peers(
        _LOG_PROB,
        eager("broadcast", reference.mixture_log_prob, "nkd"),
        eager("GEMM form", _LOG_PROB, "nk"),
        compiled("broadcast", reference.mixture_log_prob, "nk", "nkd"),
        _COMPILED_LOG_PROB,
        flushed(_COMPILED_LOG_PROB, least=_SPREAD),
        mixtures.log_prob_by_distributions(divergences.normal),
        libraries.SCORE,
        libraries.JAX_LOG_PROB,
        libraries.KEOPS,
        *with_graphs(
            ops.mixture_log_prob, "broadcast", reference.mixture_log_prob, "nkd", below=_BATCH
        ),
        SGEMM.variant(least=_MULTIPLIED),
        largest="nk",
    ),
    "mixture_log_prob_tril": Peers(
        _LOOP,
        _LOOP_LOG_PROB,
        flushed(_LOOP_LOG_PROB, least=_SPREAD),
        eager("loop of solves", _SOLVES, "nk", "knd"),
        compiled("loop of products", _LOOP, "nk", "knd", turns=_TURNS),
        mixtures.log_prob_by_distributions(divergences.normal_tril),
        libraries.SCORE,
    ),
    "mixture_posterior": Peers(
        _POSTERIOR,
        eager("broadcast", reference.mixture_posterior, "nkd"),
        eager("GEMM form", _POSTERIOR, "nk"),
        _COMPILED_POSTERIOR,
        flushed(_COMPILED_POSTERIOR, least=_SPREAD),
        in_torch(DENSITY, ops.mixture_log_prob, comparable=False),
        WRITE,
        largest="nk",
    ),
    "mixture_elbo_terms": Peers(
        mixtures.elbo_terms,
        eager("formula", mixtures.elbo_terms, "nkd"),
        eager("reference", reference.mixture_elbo_terms, "nkd"),
        compiled("formula", mixtures.elbo_terms, "nkd"),
        libraries.JAX_ELBO_TERMS,
        *with_graphs(ops.mixture_elbo_terms, "formula", mixtures.elbo_terms, "nkd"),
    ),
    "mixture_statistics": Peers(
        mixtures.statistics,
        eager("GEMM form", mixtures.statistics, "nk"),
        _COMPILED_STATISTICS,
        flushed(_COMPILED_STATISTICS, least=_SPREAD),
        libraries.STEP,
        in_torch(DENSITY, ops.mixture_log_prob, comparable=False),
        largest="nk",
    ),
    "mixture_statistics_tril": Peers(
        mixtures.statistics_by_loop,
        _LOOP_STATISTICS,
        flushed(_LOOP_STATISTICS, least=_SPREAD),
        compiled("loop of products", mixtures.statistics_by_loop, "nk", turns=_TURNS),
        libraries.STEP,
        in_torch(DENSITY, ops.mixture_log_prob_tril, comparable=False),
    ),
}
