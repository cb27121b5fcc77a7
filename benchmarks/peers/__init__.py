# SPDX-License-Identifier: MIT
"""The ops' peers by hand: the same computations as people write them without pyvae.

An op without a line in ``PEERS`` is measured beside its reference alone, which is its truth too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.peers import divergences, libraries, mixtures
from benchmarks.rates import COPY, SGEMM, WRITE
from benchmarks.variants import DENSITY, Variant, compiled, eager, in_torch, with_graphs
from pyvae import ops
from pyvae.ops import reference

_TURNS = 16  # of a loop over components under torch.compile
_COPIED, _MULTIPLIED = 2**22, 2**28  # elements from which on a copy, or a product, takes turns
_BATCH = 2**16  # elements below which a GPU waits for whoever tells it what to do


class Peers:
    """What takes turns with an op.

    ``truth`` computes the op in plain torch, cheaply enough to run over all points in float64.
    """

    def __init__(self, truth: Callable, *variants: Variant) -> None:
        self.truth, self.variants = truth, variants


_LOG_PROB = mixtures.log_prob(mixtures.by_products)
_POSTERIOR = mixtures.posterior(mixtures.by_products)
_LOOP = mixtures.log_prob(mixtures.by_loop)
_SOLVES = mixtures.log_prob(partial(mixtures.by_loop, by_solve=True))

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
    ),
    "mixture_log_prob": Peers(
        _LOG_PROB,
        eager("broadcast", reference.mixture_log_prob, "nkd"),
        eager("GEMM form", _LOG_PROB, "nk"),
        compiled("broadcast", reference.mixture_log_prob, "nk", "nkd"),
        compiled("GEMM form", _LOG_PROB, "nk"),
        mixtures.log_prob_by_distributions(divergences.normal),
        libraries.SCORE,
        libraries.JAX,
        libraries.KEOPS,
        *with_graphs(
            ops.mixture_log_prob, "broadcast", reference.mixture_log_prob, "nkd", below=_BATCH
        ),
        SGEMM.variant(least=_MULTIPLIED),
    ),
    "mixture_log_prob_tril": Peers(
        _LOOP,
        eager("loop of products", _LOOP, "nk", "knd"),
        eager("loop of solves", _SOLVES, "nk", "knd"),
        compiled("loop of products", _LOOP, "nk", "knd", turns=_TURNS),
        mixtures.log_prob_by_distributions(divergences.normal_tril),
        libraries.SCORE,
    ),
    "mixture_posterior": Peers(
        _POSTERIOR,
        eager("broadcast", reference.mixture_posterior, "nkd"),
        eager("GEMM form", _POSTERIOR, "nk"),
        compiled("GEMM form", _POSTERIOR, "nk"),
        in_torch(DENSITY, ops.mixture_log_prob, comparable=False),
        WRITE,
    ),
    "mixture_elbo_terms": Peers(
        mixtures.elbo_terms,
        eager("formula", mixtures.elbo_terms, "nkd"),
        eager("reference", reference.mixture_elbo_terms, "nkd"),
        compiled("formula", mixtures.elbo_terms, "nkd"),
        *with_graphs(ops.mixture_elbo_terms, "formula", mixtures.elbo_terms, "nkd"),
    ),
    "mixture_statistics": Peers(
        mixtures.statistics,
        eager("GEMM form", mixtures.statistics, "nk"),
        compiled("GEMM form", mixtures.statistics, "nk"),
        libraries.STEP,
        in_torch(DENSITY, ops.mixture_log_prob, comparable=False),
    ),
    "mixture_statistics_tril": Peers(
        mixtures.statistics_by_loop,
        eager("loop of products", mixtures.statistics_by_loop, "nk"),
        compiled("loop of products", mixtures.statistics_by_loop, "nk", turns=_TURNS),
        libraries.STEP,
        in_torch(DENSITY, ops.mixture_log_prob_tril, comparable=False),
    ),
}
